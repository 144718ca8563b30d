"""Whether the labels of trials are in the order of their set: held against the sentences beside them."""

from collections import Counter
from collections.abc import Sequence

from mode_ssm.data.batching import spread
from mode_ssm.data.dataset import TrialEntry
from mode_ssm.data.source import Source
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError, Problem
from mode_ssm.labels import Labels
from mode_ssm.scoring import normalise_sentence

READ = 60  # trials, spread evenly
LEAST = 3  # trials with a sentence, below which nothing is said
RARELY, NEARLY_ALWAYS = 0.5, 0.8  # shares of trials in which a class stands once for each word, and last


def disordered(source: Source, entries: Sequence[TrialEntry]) -> Problem | None:
    """What is wrong where another class than the boundary ends the words: the classes are in another order.

    A boundary stands once for each word of the sentence, and last. That some other class does so in nearly all trials
    and the boundary does not is no accident: an export with silence as its second class, say.
    """
    boundary = source.labels.boundary
    labelled = [entry for entry in entries if entry.labels and entry.sentence]
    if boundary is None or len(labelled) < LEAST:
        return None
    ends: Counter[int] = Counter()  # trials in which a class stands once for each word, and last
    read = 0
    for entry in spread(labelled, READ):
        try:
            labels = source.read_labels(entry.key, entry.record)
        except MalformedError:
            continue  # named where the trial itself is read
        if labels is not None:
            read += 1
            last = int(labels[-1])
            ends[last] += int((labels == last).sum()) == len(normalise_sentence(entry.sentence or "").split())
    if read < LEAST or ends[boundary] > RARELY * read:
        return None
    best, times = max(ends.items(), key=lambda found: found[1])
    return _problem(source.labels, best, times, read, entries[0].file) if times >= NEARLY_ALWAYS * read else None


def _problem(labels: Labels, best: int, times: int, read: int, file: str) -> Problem:
    boundary = labels.boundary or 0
    where = f"in {times} of the {read} trials read"
    what = (
        f"and the other files have class {best} ({labels.symbols[best]}) once for each word, and last, {where}, and "
        f"not class {boundary} ({labels.symbols[boundary]}): their labels are in another order of classes"
    )
    return Problem(file, None, what, "Say which: data.labels=FILE.yaml with symbols in the order of these files.")


def check_order(source: Source, entries: Sequence[TrialEntry]) -> None:
    """Raises: InputError, where the labels are in another order of classes than the set says."""
    problem = disordered(source, entries)
    if problem is not None:
        raise InputError(str(problem))
