"""Reads the n-best that `mode-ssm decode` wrote, with its scores taken apart."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

from mode_ssm.errors import InputError
from mode_ssm.files import parse_json
from mode_ssm.language.decoded_files import KEYS, TrialName, name_of, number_of, objects
from mode_ssm.scoring import normalise_sentence


class ScoredSentence(NamedTuple):
    """One reading of a trial; natural logarithms, without weights."""

    words: tuple[str, ...]
    acoustic: float  # the search's score without the n-gram model's part
    ngram: float
    first: float  # the search's score


class ScoredTrial(NamedTuple):
    name: TrialName
    sentence: str | None  # what was said, where that is known
    nbest: list[ScoredSentence]  # best first, perhaps none

    @property
    def block(self) -> TrialName | None:
        """Session and block, where the trial's name says them."""
        return self.name[:2] if len(self.name) == len(KEYS) else None


class ScoredFolder(NamedTuple):
    trials: list[ScoredTrial]
    lm_weight: float  # of the n-gram model in the search
    oov_rate: float | None  # share of the words said that the search could not find, where the folder says it


def read_scored(folder: Path) -> ScoredFolder:
    """Read hypotheses.csv, nbest.jsonl and decode.json of a folder.

    Raises:
        InputError: where one of them cannot be read, they differ in their trials, or the n-best was rescored before.
    """
    lm_weight, oov_rate = _of_summary(folder / "decode.json")
    said = _sentences(folder / "hypotheses.csv")

    def trial(entry: dict[str, Any]) -> ScoredTrial:
        name = name_of(entry)
        if name not in said:
            raise InputError(f"trial {' '.join(name)} is not in hypotheses.csv; decode anew.")
        return ScoredTrial(name, said[name], [_sentence(one, lm_weight) for one in entry["nbest"]])

    trials: list[ScoredTrial] = objects(folder / "nbest.jsonl", trial, "session, block, trial and nbest")
    if len(trials) < len(said):
        raise InputError(f"{folder / 'nbest.jsonl'} has {len(trials)} trials of {len(said)}; decode anew.")
    return ScoredFolder(trials, lm_weight, oov_rate)


def _sentence(one: dict[str, Any], lm_weight: float) -> ScoredSentence:
    """A reading; where a file of an earlier version does not say the acoustic score, it is the rest of the whole."""
    ngram, first = number_of(one["ngram"]), number_of(one["score"])
    acoustic = number_of(one["acoustic"]) if "acoustic" in one else first - lm_weight * ngram
    return ScoredSentence(tuple(normalise_sentence(one["words"]).split()), acoustic, ngram, first)


def _of_summary(path: Path) -> tuple[float, float | None]:
    try:
        kept = parse_json(path.read_text(encoding="utf-8"))
        weight, rescored = float(kept["search"]["lm_weight"]), kept.get("rescore")
        oov_rate = None if kept.get("oov_rate") is None else float(kept["oov_rate"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} says no search.lm_weight ({error}); give a folder of mode-ssm decode.") from None
    if rescored is not None:
        raise InputError(f"{path} is of sentences that were rescored; give those of mode-ssm decode without rescoring.")
    return weight, oov_rate


def _sentences(path: Path) -> dict[TrialName, str | None]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {name_of(row): row["sentence"] or None for row in csv.DictReader(file)}
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a folder of mode-ssm decode.") from None
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no table of decoded trials ({error}); give a folder of mode-ssm decode.") from None
