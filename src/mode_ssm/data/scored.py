"""Which trials of a split count where it is scored: all that have labels, whether they could be decoded or not.

A trial that cannot be decoded has said nothing: all its labels are deletions. So an error rate cannot fall because more
trials fail. Trials without labels, and those of files that cannot be read, are counted beside it.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from mode_ssm.batch import TrialKey
from mode_ssm.index import Problem

UNKNOWN = -1  # the block or number of a trial that does not tell it


class LostTrial(NamedTuple):
    """One that could not be decoded."""

    key: TrialKey
    labels: list[int]  # empty where the trial is not labelled
    sentence: str | None
    reason: str


class LeftOut:
    """The bad trials of a split: those found on opening it, and those met on reading, which this is called with."""

    def __init__(self, split: str, problems: Iterable[Problem], say: Callable[[Problem], None]) -> None:
        self._split, self._say = split, say
        self.problems = list(problems)

    def __call__(self, problem: Problem) -> None:
        self._say(problem)
        self.problems.append(problem)

    @property
    def trials(self) -> list[LostTrial]:
        """Those that there are features of, or should be; also where nothing is known of what was said."""
        return [_lost(self._split, problem) for problem in self.problems if problem.trial is not None]

    @property
    def labelled(self) -> list[LostTrial]:
        """Those that count as deletions."""
        return [trial for trial in self.trials if trial.labels]

    def denominator(self, scored: int) -> list[str]:
        """As the function of that name, for a rate of `scored` trials, of which the labelled ones left out are part."""
        lost = [trial.reason for trial in self.labelled]
        unscored = [trial.reason for trial in self.trials if not trial.labels]
        return denominator(scored, lost, unscored, sum(problem.trial is None for problem in self.problems))

    def counts(self) -> dict[str, int]:
        """Trials by reason; beside them unreadable files, of which nobody knows how many trials they hold."""
        found = Counter(problem.reason.value for problem in self.problems if problem.trial is not None)
        files = sum(problem.trial is None for problem in self.problems)
        return dict(sorted(found.items())) | ({"unreadable files": files} if files else {})


def _lost(split: str, problem: Problem) -> LostTrial:
    told, group = problem.told, problem.trial or ""
    if told is None:
        return LostTrial(TrialKey(problem.file, split, group, UNKNOWN, UNKNOWN), [], None, problem.reason.value)
    block, number = (UNKNOWN if place is None else place for place in (told.block, told.number))
    key = TrialKey(told.session, split, group, block, number)
    return LostTrial(key, list(told.labels or ()), told.sentence, problem.reason.value)


def by_reason(reasons: Iterable[str]) -> str:
    """
    >>> by_reason(["no labels", "unreadable", "no labels"])
    '2 no labels, 1 unreadable'
    """
    return ", ".join(f"{count} {reason}" for reason, count in Counter(reasons).most_common())


def denominator(scored: int, lost: Iterable[str], unscored: Iterable[str] = (), files: int = 0) -> list[str]:
    """The sentences that go beside an error rate of `scored` trials, where it is not the rate of all of the split.

    Args:
        lost: why trials among the scored ones could not be decoded; unscored: why further ones are not scored.
        files: how many could not be read.

    >>> denominator(97, ["too short for an encoder frame"] * 3)
    ['3 of 97 trials could not be decoded and count as deletions: 3 too short for an encoder frame.']
    """
    lost, unscored = list(lost), list(unscored)
    said = []
    if lost:
        said.append(f"{len(lost)} of {scored} trials could not be decoded and count as deletions: {by_reason(lost)}.")
    if unscored:
        said.append(f"{len(unscored)} of {scored + len(unscored)} trials are not scored: {by_reason(unscored)}.")
    if files:
        said.append(f"{files} {'files' if files > 1 else 'file'} could not be read; their trials are not counted.")
    return said
