"""`mode-ssm posteriors`, and `mode-ssm decode posteriors=FILE`: log-probabilities to a file, and from one to words."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mode_ssm.commands.phonemes import refuse_others
from mode_ssm.commands.word_results import best, in_order, print_summary, summarise, write_decoded, write_results
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
from mode_ssm.language.weights import choose_weights
from mode_ssm.models.model import encoder_frame_ms
from mode_ssm.recognition.ensemble import load_ensemble

_USED = {"posteriors", "labels", "lm", "search", "weights", "nbest", "decode_workers", "output_dir"}


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
    path = str(checkpoint.path.resolve())
    write_posteriors(Path(config.out), Posteriors(trials, checkpoint.labels, frame_ms, path, hashes))
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
    with CTCWordPool(model, config.lm, config.decode_workers) as pool:
        results = search_ctc(posteriors.trials, pool, config.search, config.nbest)
    summary = _settings_of(config) | {"checkpoint": posteriors.checkpoint, "frame_ms": posteriors.frame_ms}
    if posteriors.ours:
        results = in_order(results)
        summary |= summarise(results, posteriors.sentence_hashes, None, model.words)
        if "wer" in summary:
            print_summary(summary, "Words from posteriors")
        write_results(folder, summary, results, posteriors.labels)
    else:
        _write_named(folder, summary | {"trials": len(results)}, results, posteriors.labels)
    print(f"Written: hypotheses.csv, nbest.jsonl and decode.json in {folder}")


def _settings_of(config: DecodeConfig) -> dict[str, Any]:
    return {
        "posteriors": config.posteriors,
        "lm": config.lm,
        "decoder": WordDecoder.ctc.value,
        "search": asdict(config.search),
    }


def _write_named(folder: Path, summary: dict[str, Any], results: Sequence[Found], labels: Labels) -> None:
    """The files of trials that have an id alone."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "words", "predicted_phonemes"])
    writer.writerows([[_id(found.trial), best(found).text, labels.text(best(found).labels)] for found in results])
    entries = [
        {
            "id": _id(found.trial),
            "nbest": [{"words": h.text, "score": round(h.score, 4), "ngram": round(h.lm, 4)} for h in found.hypotheses],
        }
        for found in results
    ]
    write_decoded(folder, text.getvalue(), entries, summary)


def _id(trial: SpokenTrial) -> str:
    return trial.key.session
