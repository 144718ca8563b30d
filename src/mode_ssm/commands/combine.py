"""`mode-ssm combine FILE ...`: the hypotheses of several runs or systems to one sentence a trial."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from mode_ssm.config import CombineConfig
from mode_ssm.errors import InputError
from mode_ssm.files import check_writable, parse_json, replace_texts
from mode_ssm.language.combine import SystemWeights, choose, even_weights, learn_weights
from mode_ssm.language.combine_network import Candidate, Vote, Words, candidates
from mode_ssm.language.decoded_files import KEYS, DecodedTrial, TrialName, read_decoded
from mode_ssm.scoring import ErrorRate, edit_counts, has_words, normalise_sentence, total


class JointTrial(NamedTuple):
    """One trial as K systems heard it."""

    name: TrialName
    sentence: str | None
    best: tuple[Words, ...]  # (K,) each system's best sentence
    choices: list[Candidate]

    @property
    def said(self) -> Words:
        return tuple(normalise_sentence(self.sentence or "").split())


def combine(files: Sequence[str], config: CombineConfig) -> None:
    """Choose a sentence for every trial; print each system's word error rate where the files say what was said.

    Raises:
        InputError: when a file cannot be read, or the files are not of the same trials.
    """
    if len(files) < 2:
        raise InputError(f"combine joins several systems, not {len(files)}; name two or more files of hypotheses.")
    check_writable(Path(config.out))
    trials = join_systems(files, [read_decoded(path) for path in files], config)
    labelled = [trial for trial in trials if has_words(trial.sentence)]
    weights = _weights(files, labelled, config)
    chosen = [choose(trial.choices, weights) for trial in trials]
    summary: dict[str, Any] = {"files": list(files), "weights": asdict(weights), "trials": len(trials)}
    if labelled:
        found = [words for trial, words in zip(trials, chosen, strict=True) if has_words(trial.sentence)]
        summary |= _rates(files, labelled, found, config)
        _print_rates(files, weights, summary)
    texts = {"hypotheses.csv": _table(trials, chosen), "combine.json": json.dumps(summary, indent=2) + "\n"}
    replace_texts(Path(config.out), texts)
    print(f"Written: hypotheses.csv and combine.json in {config.out}")


def join_systems(
    files: Sequence[str], systems: Sequence[Sequence[DecodedTrial]], config: CombineConfig
) -> list[JointTrial]:
    """The trials of the first file, with the votes of all.

    Raises:
        InputError: when a file lacks a trial, has one more, or says that something else was said.
    """
    by_name = [{trial.name: trial for trial in system} for system in systems]
    joined = []
    for first in systems[0]:
        together = []
        for path, found in zip(files, by_name, strict=True):
            if first.name not in found:
                raise InputError(f"{path} lacks trial {' '.join(first.name)} of {files[0]}; decode the same trials.")
            together.append(found[first.name])
        said = {normalise_sentence(trial.sentence): trial.sentence for trial in together if trial.sentence}
        if len(said) > 1:
            raise InputError(f"The files differ in what was said in trial {' '.join(first.name)}: {' / '.join(said)}.")
        votes = _votes(together, config.score_weight)
        choices = candidates(votes, config.candidates)
        best = tuple(max(trial.nbest, key=lambda found: found[1])[0] for trial in together)
        joined.append(JointTrial(first.name, next(iter(said.values()), None), best, choices))
    for path, found in zip(files, by_name, strict=True):
        if len(found) > len(joined):
            extra = next(name for name in found if name not in by_name[0])
            raise InputError(f"{files[0]} lacks trial {' '.join(extra)} of {path}; decode the same trials.")
    return joined


def _votes(together: Sequence[DecodedTrial], score_weight: float) -> list[Vote]:
    """Each system's vote, spread over its n-best by softmax(score_weight * score)."""
    votes: dict[Words, np.ndarray] = {}
    for number, trial in enumerate(together):
        scores = score_weight * np.array([score for _, score in trial.nbest])
        shares = np.exp(scores - np.logaddexp.reduce(scores))
        for (words, _), share in zip(trial.nbest, shares, strict=True):
            votes.setdefault(words, np.zeros(len(together)))[number] += share
    return [Vote(words, shares) for words, shares in votes.items()]


def _weights(files: Sequence[str], labelled: Sequence[JointTrial], config: CombineConfig) -> SystemWeights:
    if config.learn and config.weights is not None:
        raise InputError("learn=true learns new weights and weights=FILE uses kept ones; give one of both.")
    if config.weights is not None:
        return read_system_weights(Path(config.weights), len(files))
    if not config.learn:
        return even_weights(len(files))
    if not labelled:
        raise InputError("learn=true needs trials with sentences, and the files say of none what was said.")
    return learn_weights([(trial.said, trial.choices) for trial in labelled])


def read_system_weights(path: Path, systems: int) -> SystemWeights:
    """Read the weights in a combine.json.

    Raises:
        InputError: when there is none, or its weights are for another number of systems.
    """
    try:
        kept = parse_json(path.read_text(encoding="utf-8"))["weights"]
        weights = SystemWeights(tuple(float(vote) for vote in kept["votes"]), float(kept["whole"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no weights of systems ({error}); give a combine.json.") from None
    if len(weights.votes) != systems:
        raise InputError(f"{path} has weights for {len(weights.votes)} systems, not {systems}; give the same files.")
    return weights


def _rates(
    files: Sequence[str],
    labelled: Sequence[JointTrial],
    found: Sequence[Words],
    config: CombineConfig,
) -> dict[str, Any]:
    systems = [word_rate(labelled, [trial.best[k] for trial in labelled]) for k in range(len(files))]
    words = sum(len(trial.said) for trial in labelled)
    rates: dict[str, Any] = {"trials_labelled": len(labelled), "reference_words": words}
    rates |= {"wer_systems": systems, "wer": word_rate(labelled, found)}
    rates["oracle_wer"] = word_rate(labelled, [_nearest(trial) for trial in labelled])
    if config.learn and len(labelled) > 1:
        rates["wer_two_fold"] = word_rate(labelled, two_fold(labelled))
    return rates


def _nearest(trial: JointTrial) -> Words:
    """The candidate with the fewest errors: what a perfect choice would be."""
    return min((one.words for one in trial.choices), key=lambda words: edit_counts(trial.said, words).edits)


def two_fold(labelled: Sequence[JointTrial]) -> list[Words]:
    """Sentences chosen with weights that were learnt on the other half of the trials: even ones for odd and back."""
    halves = [learn_weights([(trial.said, trial.choices) for trial in labelled[start::2]]) for start in (0, 1)]
    return [choose(trial.choices, halves[1 - number % 2]) for number, trial in enumerate(labelled)]


def word_rate(labelled: Sequence[JointTrial], found: Sequence[Words]) -> float:
    errors: list[ErrorRate] = [edit_counts(t.said, words) for t, words in zip(labelled, found, strict=True)]
    return total(errors).rate


def _print_rates(files: Sequence[str], weights: SystemWeights, summary: dict[str, Any]) -> None:
    words, labelled = summary["reference_words"], summary["trials_labelled"]
    title = f"Words of {len(files)} systems: {words} words of {labelled} trials"
    table = Table("", "weight", "WER (%)", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for path, vote, rate in zip(files, weights.votes, summary["wer_systems"], strict=True):
        table.add_row(path, f"{vote:.2f}", f"{100 * rate:.2f}")
    table.add_row("combined", "", f"{100 * summary['wer']:.2f}")
    table.add_row("of the best candidates (oracle)", "", f"{100 * summary['oracle_wer']:.2f}")
    if "wer_two_fold" in summary:
        table.add_row("with weights learnt on the other half", "", f"{100 * summary['wer_two_fold']:.2f}")
    Console().print(table)
    if unknown := summary["trials"] - labelled:
        print(f"{unknown} of {summary['trials']} trials say nothing of what was said, and are not counted.")


def _table(trials: Sequence[JointTrial], chosen: Sequence[Words]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    names = KEYS if all(len(trial.name) == len(KEYS) for trial in trials) else ("id",)
    writer.writerow([*names, "sentence", "words"])
    for trial, words in zip(trials, chosen, strict=True):
        writer.writerow([*trial.name, trial.sentence or "", " ".join(words)])
    return text.getvalue()
