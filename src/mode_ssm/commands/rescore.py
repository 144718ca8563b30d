"""`mode-ssm rescore FOLDER`: decoded trials' n-best in the order of a causal language model beside the other scores."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from mode_ssm.commands.word_results import write_decoded
from mode_ssm.config import RescoreFileConfig
from mode_ssm.errors import InputError
from mode_ssm.files import check_writable, parse_json
from mode_ssm.language.decoded_files import KEYS
from mode_ssm.language.nbest_files import ScoredFolder, ScoredTrial, read_scored
from mode_ssm.language.ranking import RankedList, learn_ranking
from mode_ssm.language.rescore import contexts_of, load_scorer
from mode_ssm.language.sentence_scorer import SentenceScorer
from mode_ssm.scoring import ErrorRate, edit_counts, has_words, normalise_sentence, total

Floats = NDArray[np.float64]
SCORES = ("acoustic", "ngram", "neural", "words")  # what weights are for; the last is the number of words


def rescore_decoded(config: RescoreFileConfig) -> None:
    """Print word error rates before and after where sentences are known; write the three files of decoded trials.

    Raises:
        InputError: when anything named cannot be read, or the results cannot be written.
    """
    if config.rescore.model is None:
        raise InputError("rescore needs a causal language model; give rescore.model=FOLDER, or a .gguf file.")
    if config.learn and config.weights is not None:
        raise InputError("learn=true learns new weights and weights=FILE uses kept ones; give one of both.")
    folder = read_scored(Path(config.decoded))
    kept = None if config.weights is None else read_ranking_weights(Path(config.weights))
    check_writable(Path(config.out))
    trials = [_nearest(trial, config) for trial in folder.trials]
    tables = score_tables(trials, load_scorer(config.rescore, config.device), config.rescore.context)
    share = config.rescore.share
    start = np.array([1.0, (1 - share) * folder.lm_weight, share * config.rescore.weight, 0.0])
    labelled = [place for place, trial in enumerate(trials) if has_words(trial.sentence)]
    lists = [RankedList(tables[place], _errors(trials[place])) for place in labelled]
    weights = learn_ranking(lists, start) if config.learn else start if kept is None else kept
    summary = _settings_of(config, folder, weights) | {"trials": len(trials), "trials_labelled": len(labelled)}
    if labelled:
        before, after = errors_of(trials, None), errors_of(trials, [table @ weights for table in tables])
        summary |= _rates(before, after, [trials[place] for place in labelled])
        summary |= {} if folder.oov_rate is None else {"oov_rate": folder.oov_rate}
        if config.learn and len(labelled) > 1:
            summary["wer_two_fold"] = two_fold([trials[place] for place in labelled], lists, start).rate
        _print(summary, weights)
    _write(Path(config.out), trials, tables, weights, summary)
    print(f"Written: hypotheses.csv, nbest.jsonl and decode.json in {config.out}")


def score_tables(trials: Sequence[ScoredTrial], scorer: SentenceScorer, context: int) -> list[Floats]:
    """(N, 4) scores of each trial's sentences, as SCORES names them; context is what the search alone found before.

    Raises:
        InputError: where context is asked for and the trials have no blocks.
    """
    if context and any(trial.block is None for trial in trials):
        raise InputError("rescore.context needs session, block and trial of each sentence; these have an id; leave it.")
    best = [" ".join(trial.nbest[0].words) if trial.nbest else "" for trial in trials]
    contexts = contexts_of([trial.block for trial in trials], best, context)
    asked = [(" ".join(one.words), lines) for trial, lines in zip(trials, contexts, strict=True) for one in trial.nbest]
    neural = iter(scorer([text for text, _ in asked], [lines for _, lines in asked]))
    rows = [[[one.acoustic, one.ngram, next(neural), len(one.words)] for one in trial.nbest] for trial in trials]
    return [np.array(found, dtype=np.float64).reshape(-1, len(SCORES)) for found in rows]


def errors_of(trials: Sequence[ScoredTrial], scores: Sequence[Floats] | None) -> ErrorRate:
    """Word errors of the labelled trials: of their first sentences, or of those with the highest scores."""
    found = []
    for place, trial in enumerate(trials):
        if has_words(trial.sentence):
            best = 0 if scores is None or not trial.nbest else int(np.argmax(scores[place]))
            found.append(edit_counts(_said(trial), trial.nbest[best].words if trial.nbest else ()))
    return total(found)


def two_fold(trials: Sequence[ScoredTrial], lists: Sequence[RankedList], start: Floats) -> ErrorRate:
    """Each half of the labelled trials, every second one, by weights learnt on the other."""
    halves = []
    for half in (0, 1):
        weights = learn_ranking(lists[1 - half :: 2], start)
        halves.append(errors_of(trials[half::2], [one.scores @ weights for one in lists[half::2]]))
    return total(halves)


def read_ranking_weights(path: Path) -> Floats:
    """Read the weights in a decode.json of this command.

    Raises:
        InputError: when there are none.
    """
    try:
        kept = parse_json(path.read_text(encoding="utf-8"))["weights"]
        return np.array([float(kept[name]) for name in SCORES])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no weights ({error}); give a decode.json of mode-ssm rescore.") from None


def _nearest(trial: ScoredTrial, config: RescoreFileConfig) -> ScoredTrial:
    least = max((one.first for one in trial.nbest), default=0.0) - config.threshold
    return trial._replace(nbest=[one for one in trial.nbest[: config.nbest] if one.first >= least])


def _said(trial: ScoredTrial) -> tuple[str, ...]:
    return tuple(normalise_sentence(trial.sentence or "").split())


def _errors(trial: ScoredTrial) -> Floats:
    return np.array([edit_counts(_said(trial), one.words).edits for one in trial.nbest], dtype=np.float64)


def _settings_of(config: RescoreFileConfig, folder: ScoredFolder, weights: Floats) -> dict[str, Any]:
    return {
        "decoded": config.decoded,
        "search": {"lm_weight": folder.lm_weight},
        "nbest": config.nbest,
        "threshold": config.threshold,
        "rescore": asdict(config.rescore),
        "weights": dict(zip(SCORES, np.round(weights, 5).tolist(), strict=True)),
    }


def _rates(before: ErrorRate, after: ErrorRate, labelled: Sequence[ScoredTrial]) -> dict[str, Any]:
    oracle = sum(float(min(_errors(trial), default=len(_said(trial)))) for trial in labelled)
    return {
        "wer_before_rescoring": before.rate,
        "word_edits_before_rescoring": before.edits,
        "wer": after.rate,
        "word_edits": after.edits,
        "reference_words": after.reference_length,
        "oracle_wer": oracle / max(after.reference_length, 1),
    }


def _print(summary: dict[str, Any], weights: Floats) -> None:
    words, trials = summary["reference_words"], summary["trials_labelled"]
    table = Table("word error rate", "%", title=f"Rescored: {words} words of {trials} trials")
    table.columns[1].justify = "right"
    rows = [
        ("before", "wer_before_rescoring"),
        ("after", "wer"),
        ("of the best of what was heard (oracle)", "oracle_wer"),
        ("words outside the lexicon (OOV)", "oov_rate"),
    ]
    for name, key in [*rows, ("after, by weights learnt on the other half", "wer_two_fold")]:
        if key in summary:
            table.add_row(name, f"{100 * summary[key]:.2f}")
    Console().print(table)
    unknown = summary["trials"] - trials
    if unknown:
        print(f"{unknown} of {summary['trials']} trials say nothing of what was said, and are not counted.")
    print("Weights: " + ", ".join(f"{name} {weight:.2f}" for name, weight in zip(SCORES, weights, strict=True)))


def _write(
    folder: Path, trials: Sequence[ScoredTrial], tables: Sequence[Floats], weights: Floats, summary: dict[str, Any]
) -> None:
    named = KEYS if all(trial.block is not None for trial in trials) else ("id",)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*named, "sentence", "words"])
    entries = []
    for trial, table in zip(trials, tables, strict=True):
        scores = table @ weights
        order = np.argsort(-scores, kind="stable").tolist()
        found = [
            {"words": " ".join(trial.nbest[n].words), "score": round(float(scores[n]), 4)}
            | dict(zip(SCORES[:3], np.round(table[n, :3], 4).tolist(), strict=True))
            for n in order
        ]
        name = trial.name if len(trial.name) == len(named) else (" ".join(trial.name),)
        writer.writerow([*name, trial.sentence or "", found[0]["words"] if found else ""])
        entries.append({**dict(zip(named, name, strict=True)), "nbest": found})
    write_decoded(folder, text.getvalue(), entries, summary)
