"""What a network makes of labelled trials: errors by head and session, blank mass, and what terms measure besides."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric

from mode_ssm.batch import Batch
from mode_ssm.data import LeftOut
from mode_ssm.index import Reason
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.searches import references
from mode_ssm.scoring import ErrorRate, edit_counts, total
from mode_ssm.t15.sessions import participant_of
from mode_ssm.training.devices import any_process, sum_over_processes
from mode_ssm.training.terms import GreedyPath, Term

BySession = dict[str, ErrorRate]


class Participant(NamedTuple):
    """Of one who was recorded."""

    rate: float
    trials: int


class Validation(NamedTuple):
    """By the names of the heads that were asked for."""

    errors: dict[str, BySession]
    blank: dict[str, float]  # mean probability of blank on the way of the greedy search
    numbers: dict[str, float]  # what the terms measured besides, by key of metrics.jsonl
    trials: int  # all labelled ones, those that could not be decoded included
    left_out: dict[str, int] = {}  # trials that could not be decoded, or have no labels, by reason  # noqa: RUF012
    trials_of: Mapping[str, int] = MappingProxyType({})  # labelled ones, by session

    @property
    def totals(self) -> dict[str, ErrorRate]:
        """Of each head; none where no trial could be read."""
        return {head: total(errors.values()) for head, errors in self.errors.items() if errors}

    @property
    def rates(self) -> dict[str, float]:
        return {head: errors.rate for head, errors in self.totals.items()}

    def by_participant(self, head: str) -> dict[str, Participant]:
        """Of a head; none where there is one participant."""
        found: dict[str, list[str]] = {}
        for session in self.errors[head]:
            found.setdefault(participant_of(session), []).append(session)
        if len(found) < 2:
            return {}
        return {
            who: Participant(total(self.errors[head][s] for s in own).rate, sum(self.trials_of.get(s, 0) for s in own))
            for who, own in sorted(found.items())
        }

    def record(self, terms: Sequence[Term]) -> dict[str, Any]:
        """For metrics.jsonl; null for a head that was not asked for, or without a trial.

        Args:
            terms: of the run.
        """
        rates, heads = self.rates, [term.name for term in terms if term.validated]
        by_session = {head: {session: e.rate for session, e in errors.items()} for head, errors in self.errors.items()}
        labels = max((errors.reference_length for errors in self.totals.values()), default=0)
        people = {head: found for head in self.errors if (found := self.by_participant(head))}
        trials = {who: one.trials for of in people.values() for who, one in of.items()}
        return (
            {f"per_{head}": rates.get(head) for head in heads}
            | {f"per_{head}_by_session": of_head for head, of_head in by_session.items()}
            | {
                f"per_{head}_by_participant": {w: one.rate for w, one in found.items()}
                for head, found in people.items()
            }
            | ({"trials_by_participant": trials} if trials else {})
            | {f"blank_{head}": self.blank.get(head) for head in heads}
            | {measured.key: self.numbers.get(measured.key) for term in terms for measured in term.validation_measured}
            | {"trials": self.trials, "labels": labels, "left_out": self.left_out}
        )


class _Tally:
    """Errors and blank probabilities by head, as tensors that processes can add up."""

    def __init__(self, heads: Sequence[Term], sessions: Sequence[str]) -> None:
        self.heads, self.sessions = [head.name for head in heads], sessions
        self.counts = torch.zeros(len(heads), len(sessions), 4, dtype=torch.int64)
        self.trials_of = torch.zeros(len(sessions), dtype=torch.int64)  # scored
        self.trials = torch.zeros(2, dtype=torch.int64)  # scored, and decoded
        self.left_out = torch.zeros(len(Reason), dtype=torch.int64)
        self.blanks = torch.zeros(len(heads), 2, dtype=torch.float64)  # sum and number of probabilities

    def add(self, head: Term, batch: Batch, decoded: GreedyPath) -> None:
        row, blanks = self.heads.index(head.name), decoded.blanks
        self.blanks[row] += torch.tensor([float(blanks.sum()), len(blanks)], dtype=torch.float64)
        for key, reference, hypothesis in zip(batch.keys, references(batch), decoded.labels, strict=True):
            self._count(row, key.session, edit_counts(reference, hypothesis))

    def add_left_out(self, left_out: LeftOut) -> None:
        """Count what could not be decoded: labelled trials as deletions, for every head."""
        reasons = [reason.value for reason in Reason]
        for trial in left_out.trials:
            self.left_out[reasons.index(trial.reason)] += 1
        for trial in left_out.labelled:
            self.trials[0] += 1
            for row in range(len(self.heads)):
                self._count(row, trial.key.session, edit_counts(trial.labels, []))

    def _count(self, row: int, session: str, errors: ErrorRate) -> None:
        numbers = (errors.substitutions, errors.deletions, errors.insertions, errors.reference_length)
        place = self.sessions.index(session)
        self.counts[row, place] += torch.tensor(numbers)
        self.trials_of[place] += row == 0

    def sum_over_processes(self, fabric: Fabric) -> None:
        tensors = (self.counts, self.blanks, self.trials, self.left_out, self.trials_of)
        self.counts, self.blanks, self.trials, self.left_out, self.trials_of = (t.to(fabric.device) for t in tensors)
        sum_over_processes(fabric, [self.counts, self.trials, self.left_out, self.trials_of])
        sum_over_processes(fabric, [self.blanks])

    def errors(self) -> dict[str, BySession]:
        """By head, of the sessions that have labels; of none where no trial could be decoded."""
        found: dict[str, BySession] = {}
        if not int(self.trials[1]):
            return {head: {} for head in self.heads}
        for head, counts in zip(self.heads, self.counts.tolist(), strict=True):
            by_session = {session: ErrorRate(*count) for session, count in zip(self.sessions, counts, strict=True)}
            found[head] = {session: errors for session, errors in by_session.items() if errors.reference_length > 0}
        return found

    def blank(self) -> dict[str, float]:
        pairs = zip(self.heads, self.blanks.tolist(), strict=True)
        return {head: float(mass / max(number, 1.0)) for head, (mass, number) in pairs}


@torch.no_grad()
def validate(
    fabric: Fabric,
    model: ModeSSM,
    batches: Iterable[Batch | None],
    heads: Sequence[Term],
    sessions: Sequence[str],
    stopped: Callable[[], bool] = lambda: False,
    left_out: LeftOut | None = None,
) -> Validation | None:
    """Decode greedily and compare, over the batches of all processes; None where `stopped` came true in one of them.

    Args:
        heads: validated terms.
        left_out: the bad trials of this process's share, complete when the batches are through.
    """
    tally, cut_short = _Tally(heads, sessions), False
    numbers: dict[str, dict[str, float]] = {head.name: {} for head in heads}  # each from the first batch that gives it
    model.eval()
    for batch in batches:
        cut_short = stopped()
        if cut_short:
            break
        if batch is None:
            continue
        tally.trials += len(batch.keys)  # both
        with fabric.autocast():
            encoded = model.encode(batch.to(fabric.device))
            for head in heads:
                if fabric.global_rank == 0 and head.validation_measured and not numbers[head.name]:
                    others = [other for other in heads if other is not head]
                    numbers[head.name] = head.validate(model, encoded, batch, others)
            for head in heads:
                tally.add(head, batch, head.decode(model, encoded))
    model.train()
    if left_out is not None:
        tally.add_left_out(left_out)
    tally.sum_over_processes(fabric)
    if any_process(fabric, cut_short):
        return None
    measured = {key: value for of_head in numbers.values() for key, value in of_head.items()}
    by_reason = {reason.value: n for reason, n in zip(Reason, tally.left_out.tolist(), strict=True) if n}
    trials_of = dict(zip(sessions, tally.trials_of.tolist(), strict=True))
    return Validation(tally.errors(), tally.blank(), measured, int(tally.trials[0]), by_reason, trials_of)
