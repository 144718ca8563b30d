"""`mode-ssm posteriors`, and `mode-ssm decode posteriors=FILE`: log-probabilities to a file, and from one to words."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mode_ssm.commands.phonemes import refuse_others
from mode_ssm.commands.word_results import (
    WordDetails,
    best,
    confidence_summary,
    in_order,
    nbest_entry,
    print_summary,
    summarise,
    write_decoded,
    write_results,
)
from mode_ssm.config import DecodeConfig, PosteriorsConfig, WordDecoder
from mode_ssm.data.scored import by_reason
from mode_ssm.errors import InputError
from mode_ssm.files import check_writable
from mode_ssm.labels import Labels
from mode_ssm.language.pool import CTCWordPool
from mode_ssm.language.posterior_files import Posteriors, read_posteriors, write_posteriors
from mode_ssm.language.search import Found, search_ctc
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.vocabulary import load_words
from mode_ssm.language.weights import choose_confidence, choose_weights
from mode_ssm.language.word_places import WIDE, WordPlaces, add_slots
from mode_ssm.models.model import encoder_frame_ms, first_middle_ms
from mode_ssm.recognition.ensemble import load_ensemble

_USED = {"posteriors", "labels", "lm", "search", "weights", "nbest", "alternatives", "decode_workers", "output_dir"}


def write(config: PosteriorsConfig) -> None:
    """Write the log-probabilities of every trial of a split: no frames of one that cannot be decoded.

    Raises:
        InputError: when anything named cannot be read, or the file cannot be written.
    """
    ensemble = load_ensemble(config.checkpoint, config.ensemble, config.device)
    ensemble.word_decoder(WordDecoder.ctc)
    checkpoint = ensemble.recognisers[0].checkpoint
    check_writable(Path(config.out).parent)
    batches = ensemble.encode(config.data, config.split, config.batch_size, for_transducer=False)
    trials = sorted((trial for batch in batches for trial in batch), key=lambda trial: str(trial.key))
    frame_ms, hashes = encoder_frame_ms(checkpoint.config), checkpoint.sentence_hashes.tolist()
    path, first_ms = str(checkpoint.path.resolve()), first_middle_ms(checkpoint.config)
    write_posteriors(Path(config.out), Posteriors(trials, checkpoint.labels, frame_ms, path, hashes, first_ms))
    lost = by_reason(trial.lost for trial in trials if trial.lost)
    more = f" (without frames: {lost})" if lost else ""
    print(f"Written: {len(trials)} trials{more} of {config.split}, a frame every {frame_ms:g} ms, in {config.out}")


def decode_posteriors(config: DecodeConfig) -> None:
    """Search a file's trials; write hypotheses.csv, nbest.jsonl and decode.json, as decode of a checkpoint does.

    Raises:
        InputError: when anything named cannot be read, or the results cannot be written.
    """
    refuse_others(config, _USED, "posteriors")
    if config.output_dir is None:
        raise InputError("decode posteriors=FILE has no run folder to write to; give output_dir=FOLDER.")
    posteriors = read_posteriors(Path(config.posteriors or ""), config.labels)
    if config.weights == "tuned" and not posteriors.ours:
        raise InputError(
            "weights=tuned are kept beside a checkpoint, and another decoder has none; give a file of them."
        )
    model = load_words(config.lm, posteriors.labels, config.search)
    search = choose_weights(
        config.weights, config.search, Path(posteriors.checkpoint or ""), WordDecoder.ctc, config.lm
    )
    config = replace(config, search=search)
    folder = Path(config.output_dir or "")
    check_writable(folder)
    confidence = None
    if config.alternatives:
        where = Path(posteriors.checkpoint or "")
        confidence = choose_confidence(config.weights, config.search, where, WordDecoder.ctc, config.lm)
    with CTCWordPool(model, config.lm, config.decode_workers) as pool:
        nbest = max(config.nbest, WIDE if config.alternatives else 0)
        results = search_ctc(posteriors.trials, pool, config.search, nbest)
    if config.alternatives:
        results = add_slots(results, WordPlaces(model, config.search, posteriors.clock), confidence)
    results = [found._replace(hypotheses=found.hypotheses[: config.nbest]) for found in results]
    details = WordDetails(posteriors.clock, confidence, config.alternatives)
    summary = _settings_of(config) | {"checkpoint": posteriors.checkpoint, "frame_ms": posteriors.frame_ms}
    if posteriors.ours:
        results = in_order(results)
        summary |= summarise(results, posteriors.sentence_hashes, None, model.words, posteriors.labels.unit)
        if "wer" in summary:
            print_summary(summary, "Words from posteriors")
        write_results(folder, summary, results, posteriors.labels, details)
    else:
        _write_named(folder, summary | {"trials": len(results)}, results, posteriors.labels, details)
    print(f"Written: hypotheses.csv, nbest.jsonl and decode.json in {folder}")


def _settings_of(config: DecodeConfig) -> dict[str, Any]:
    return {
        "posteriors": config.posteriors,
        "lm": config.lm,
        "decoder": WordDecoder.ctc.value,
        "search": asdict(config.search),
    }


def _write_named(
    folder: Path, summary: dict[str, Any], results: Sequence[Found], labels: Labels, details: WordDetails
) -> None:
    """The files of trials that have an id alone."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "words", "predicted_phonemes", *details.columns])
    for found in results:
        said = best(found)
        writer.writerow([_id(found.trial), said.text, labels.text(said.labels), *details.cells(found, labels)])
    lm_weight = summary["search"]["lm_weight"]
    entries = [{"id": _id(found.trial)} | nbest_entry(found, labels, details, lm_weight) for found in results]
    write_decoded(folder, text.getvalue(), entries, summary | confidence_summary(details))


def _id(trial: SpokenTrial) -> str:
    return trial.key.session
