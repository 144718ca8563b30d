"""`mode-ssm decode phonemes=FILE` and `mode-ssm tune phonemes=FILE`: another decoder's phoneme strings to words."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from mode_ssm.commands.rate_table import kinds_of, print_rates, rate_of, rate_row
from mode_ssm.commands.word_results import write_decoded
from mode_ssm.config import DecodeConfig, TuneConfig
from mode_ssm.data import spread
from mode_ssm.errors import InputError
from mode_ssm.files import check_writable
from mode_ssm.labels import Labels, labels_of
from mode_ssm.language.confusion_search import HeardSentence
from mode_ssm.language.decoded_files import KEYS, HeardLine, read_heard
from mode_ssm.language.heard_words import (
    Heard,
    errors_of,
    find_words,
    learn,
    oracle_errors_of,
    read_heard_model,
    words_said,
    write_heard,
)
from mode_ssm.language.model import WordModel
from mode_ssm.language.vocabulary import load_words
from mode_ssm.scoring import has_words, total

_DECODE = {"phonemes", "labels", "confusions", "confusion_search", "lm", "nbest", "output_dir"}
_TUNE = {"phonemes", "labels", "out", "confusion_search", "lm", "max_sentences"}


def decode_phonemes(config: DecodeConfig) -> None:
    """Search, print word error rates where there are sentences; write hypotheses.csv, nbest.jsonl and decode.json.

    Raises:
        InputError: when anything named cannot be read, or the results cannot be written.
    """
    refuse_others(config, _DECODE, "phonemes")
    if config.confusions is None:
        raise InputError(
            "decode phonemes=FILE needs confusions=FILE, which mode-ssm tune phonemes=FILE out=FILE writes."
        )
    if config.output_dir is None:
        raise InputError("decode phonemes=FILE has no run folder to write to; give output_dir=FOLDER.")
    labels = labels_of_strings(config.labels)
    lines = read_heard(config.phonemes or "", labels)
    words = load_words(config.lm, labels, config.search)
    model, settings = read_heard_model(Path(config.confusions), labels)
    check_writable(Path(config.output_dir))
    results = find_words(lines, model, words, settings, config.confusion_search, config.nbest)
    summary: dict[str, Any] = {
        "phonemes": config.phonemes,
        "confusions": config.confusions,
        "lm": config.lm,
        "search": settings._asdict() | asdict(config.confusion_search),
        **rates(results, words),
    }
    if "wer" in summary:
        _print_rates(summary, f"Words from phonemes, {len(results)} trials")
    write_found(Path(config.output_dir), summary, results, words)
    print(f"Written: hypotheses.csv, nbest.jsonl and decode.json in {config.output_dir}")


def tune_phonemes(config: TuneConfig) -> None:
    """Learn on the lines that say what was said, print the word error rate of two folds, and keep what was learnt.

    Raises:
        InputError: when too few lines say what was said, or anything named cannot be read or written.
    """
    refuse_others(config, _TUNE, "phonemes")
    if config.out is None:
        raise InputError("tune phonemes=FILE has no run folder to write to; give out=FILE.json.")
    labels = labels_of_strings(config.labels)
    labelled = [line for line in read_heard(config.phonemes or "", labels) if has_words(line.sentence)]
    lines = spread(labelled, config.max_sentences)
    words = load_words(config.lm, labels, config.search)
    check_writable(Path(config.out).parent)
    learnt = learn(lines, words, config.confusion_search)
    write_heard(Path(config.out), learnt, labels)
    _print_rates(rates(learnt.halves, words), f"Words of {len(lines)} trials, each half by what the other taught")
    found = learnt.settings
    print(f"Learnt on all: lm_weight {found.lm_weight:.2f}, word_score {found.word_score:.2f}, and the confusions.")
    print(f"Kept in {config.out}; use them by mode-ssm decode phonemes=FILE confusions={config.out}.")


def labels_of_strings(given: str | None) -> Labels:
    """The labels of phoneme strings: T15's, unless a file says others.

    Raises:
        InputError: where there is no such file, or words have no boundary in its labels.
    """
    labels = labels_of(Path(), given or "t15")
    if labels.boundary is None:
        raise InputError(f"labels={given} have no word boundary, by which words are found; give labels that have one.")
    return labels


def refuse_others(config: DecodeConfig | TuneConfig, used: set[str], source: str) -> None:
    """Settings that are for a checkpoint are not ignored beside another source.

    Raises:
        InputError: where one is given.
    """
    usual = type(config)(lm=config.lm)
    if source == "phonemes":
        given = config.search
        usual.search = replace(
            usual.search, words=given.words, hotwords=given.hotwords, hotword_boost=given.hotword_boost
        )
    others = [f.name for f in fields(config) if getattr(config, f.name) != getattr(usual, f.name)]
    idle = [name for name in others if name not in used]
    if idle:
        raise InputError(f"{source}=FILE does not go with {', '.join(idle)}; leave out the one or the other.")


def rates(results: Sequence[Heard], words: WordModel) -> dict[str, Any]:
    """Rates as fractions, pooled over the labelled trials; without any, only their number."""
    labelled = [heard for heard in results if has_words(heard.line.sentence)]
    counts: dict[str, Any] = {"trials": len(results), "trials_labelled": len(labelled)}
    if not labelled:
        return counts
    errors = [errors_of(heard, words) for heard in labelled]
    pooled = total(errors)
    known = set(words.words)
    said = [word for heard in labelled for word in words_said(heard.line)]
    return counts | {
        **rate_of("wer", errors),
        "word_edits": pooled.edits,
        **kinds_of(pooled),
        "reference_words": pooled.reference_length,
        "oracle_wer": total(oracle_errors_of(heard, words) for heard in labelled).rate,
        "oov_rate": sum(word not in known for word in said) / max(len(said), 1),
    }


def _print_rates(summary: dict[str, Any], title: str) -> None:
    rows = [
        rate_row(summary, "word error rate", "wer", summary["trials_labelled"]),
        rate_row(summary, "of the best of the n-best (oracle)", "oracle_wer"),
        rate_row(summary, "words outside the lexicon (OOV)", "oov_rate"),
    ]
    print_rates(title, rows, summary, summary["word_edits"], f"{summary['reference_words']:,} words")


def write_found(folder: Path, summary: dict[str, Any], results: Sequence[Heard], words: WordModel) -> None:
    """Write hypotheses.csv, nbest.jsonl and decode.json, as for any decoder.

    Raises:
        InputError: when the folder cannot be written.
    """
    named = KEYS if all(len(heard.line.name) == len(KEYS) for heard in results) else ("id",)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*named, "sentence", "words", "phonemes", "predicted_phonemes"])
    entries = []
    usual: dict[int, tuple[int, ...]] = {}
    for word, spelling in words.spellings:
        usual.setdefault(word, spelling)
    for line, found in results:
        best = found[0].words if found else ()
        spelt = words.labels.text(label for word in best for label in usual[word])
        row = (line.sentence or "", _text(best, words), words.labels.text(line.phonemes or ()), spelt)
        writer.writerow([*_name(line, named), *row])
        nbest = [{"words": _text(s.words, words), **_scores(s)} for s in found]
        entries.append({**dict(zip(named, _name(line, named), strict=True)), "nbest": nbest})
    write_decoded(folder, text.getvalue(), entries, summary)


def _scores(found: HeardSentence) -> dict[str, float]:
    parts = {"score": found.score, "ngram": found.lm, "acoustic": found.channel}
    return {name: round(part, 4) for name, part in parts.items()}


def _name(line: HeardLine, named: Sequence[str]) -> tuple[str, ...]:
    return line.name if len(line.name) == len(named) else (" ".join(line.name),)


def _text(found: Sequence[int], words: WordModel) -> str:
    return " ".join(words.words[word] for word in found)
