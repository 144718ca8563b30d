"""`mode-ssm decode`: a checkpoint's trials to sentences."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mode_ssm.commands.corpora import read_corpora
from mode_ssm.commands.phonemes import decode_phonemes
from mode_ssm.commands.posteriors import decode_posteriors
from mode_ssm.commands.word_results import (
    WordDetails,
    best,
    in_order,
    print_summary,
    summarise,
    word_errors_of,
    write_results,
)
from mode_ssm.config import DecodeConfig, WordDecoder
from mode_ssm.errors import InputError
from mode_ssm.files import check_writable
from mode_ssm.language.confidence import Confidence
from mode_ssm.language.model import WordModel
from mode_ssm.language.pool import CTCWordPool
from mode_ssm.language.rescore import contexts_of, load_scorer, rescore
from mode_ssm.language.search import Found, search_ctc, search_transducer
from mode_ssm.language.sentence_scorer import SentenceScorer
from mode_ssm.language.trie import build_tree
from mode_ssm.language.vocabulary import load_words
from mode_ssm.language.weights import choose_confidence, choose_weights, decoding_folder
from mode_ssm.language.word_places import WIDE, WordPlaces, add_slots
from mode_ssm.language.word_times import frame_clock
from mode_ssm.recognition.ensemble import Ensemble, load_ensemble
from mode_ssm.scoring import has_words, total


def decode(config: DecodeConfig) -> None:
    """Search, print word error rates where there are labels, and write hypotheses.csv, nbest.jsonl and decode.json.

    Raises:
        InputError: when anything named cannot be read, or the results cannot be written.
    """
    if config.phonemes is not None:
        decode_phonemes(config)
        return
    if config.posteriors is not None:
        decode_posteriors(config)
        return
    if config.checkpoint is None:
        raise InputError("decode needs what to decode; give checkpoint=RUN, posteriors=FILE or phonemes=FILE.")
    if config.confusions is not None or config.labels is not None:
        raise InputError(
            "confusions=FILE is for phonemes=FILE, and labels for posteriors=FILE and phonemes=FILE; leave them out."
        )
    corpora = read_corpora(config.corpus_csv) if config.corpus_csv else None
    ensemble = load_ensemble(config.checkpoint, config.ensemble, config.device)
    config = replace(config, data=ensemble.recognisers[0].data(config.data))
    decoder = ensemble.word_decoder(config.decoder)
    checkpoint = ensemble.recognisers[0].checkpoint
    model = load_words(config.lm, checkpoint.labels, config.search)
    search = choose_weights(config.weights, config.search, checkpoint.path, decoder, config.lm)
    config = replace(config, decoder=decoder, search=search)
    scorer = load_scorer(config.rescore, config.device) if config.rescore.model is not None else None
    folder = Path(config.output_dir or decoding_folder(checkpoint.path) / f"{config.split}-{decoder.value}")
    check_writable(folder)
    confidence = _confidence(config, checkpoint.path, decoder) if config.alternatives else None
    results = in_order(find_sentences(ensemble, model, config))
    first = results
    if scorer is not None:
        first = _shortened(first, config.nbest)
        results = rescore_trials(first, scorer, config)
    clock = frame_clock(checkpoint.config)
    if config.alternatives:
        places = WordPlaces(model, config.search, clock, heard=ensemble.heard)
        results = add_slots(results, places, confidence)
    results = _shortened(results, config.nbest)
    seen, unit = checkpoint.sentence_hashes.tolist(), checkpoint.labels.unit
    summary = _settings_of(config) | summarise(results, seen, corpora, model.words, unit)
    if scorer is not None and "wer" in summary:
        summary |= before_rescoring(first)
    if "wer" in summary:
        print_summary(summary, f"Words, {config.split}, {decoder.value}")
    details = WordDetails(clock, confidence, config.alternatives)
    write_results(folder, summary, results, checkpoint.labels, details)
    print(f"Written: hypotheses.csv, nbest.jsonl and decode.json in {folder}")


def _shortened(results: Sequence[Found], nbest: int) -> list[Found]:
    return [found._replace(hypotheses=found.hypotheses[:nbest]) for found in results]


def rescore_trials(results: Sequence[Found], scorer: SentenceScorer, config: DecodeConfig) -> list[Found]:
    """Each n-best in its new order; context is what the search alone found before in the same block."""
    blocks = [(found.trial.key.session, found.trial.key.block) for found in results]
    contexts = contexts_of(blocks, [best(found).text for found in results], config.rescore.context)
    nbest = [found.hypotheses for found in results]
    again = rescore(nbest, contexts, scorer, config.rescore, config.search.lm_weight)
    return [Found(found.trial, hypotheses) for found, hypotheses in zip(results, again, strict=True)]


def before_rescoring(first: Sequence[Found]) -> dict[str, Any]:
    """What the search alone came to, over the same trials as the other rates."""
    pooled = total(word_errors_of(found) for found in first if has_words(found.trial.sentence))
    return {"wer_before_rescoring": pooled.rate, "word_edits_before_rescoring": pooled.edits}


def _confidence(config: DecodeConfig, checkpoint: Path, decoder: WordDecoder) -> Confidence | None:
    if config.rescore.model is not None:
        print("Posteriors of words are not calibrated: tune learns a confidence without rescore.model.")
        return None
    return choose_confidence(config.weights, config.search, checkpoint, decoder, config.lm)


def find_sentences(ensemble: Ensemble, model: WordModel, config: DecodeConfig) -> list[Found]:
    """Search every trial of the split with the decoder of the configuration, or the best where it names none.

    N-bests are wide where alternatives are wanted.
    """
    nbest = max(config.nbest, WIDE if config.alternatives else 0)
    decoder = ensemble.word_decoder(config.decoder)
    for_transducer = decoder is not WordDecoder.ctc
    batches = ensemble.encode(config.data, config.split, config.batch_size, for_transducer=for_transducer)
    if not for_transducer:
        with CTCWordPool(model, config.lm, config.decode_workers) as pool:
            return search_ctc([trial for batch in batches for trial in batch], pool, config.search, nbest)
    if config.decode_workers:
        raise InputError("decode_workers is for decoder=ctc; the transducer's search runs in batches in this process.")
    tree = build_tree(model)
    return list(search_transducer(batches, model, tree, ensemble.transducer, decoder, config.search, nbest))


def _settings_of(config: DecodeConfig) -> dict[str, Any]:
    return {
        "checkpoint": config.checkpoint,
        "ensemble": config.ensemble,
        "lm": config.lm,
        "data_root": config.data.place,
        "split": config.split,
        "decoder": None if config.decoder is None else config.decoder.value,
        "search": asdict(config.search),
        "rescore": asdict(config.rescore) if config.rescore.model is not None else None,
    }
