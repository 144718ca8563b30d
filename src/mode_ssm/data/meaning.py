"""Recordings that can be read and mean nothing: told from a few trials, before hours are spent on them.

Sessions that are not z-scored, trials that never change, and one recording in two places.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from mode_ssm.data.batching import spread
from mode_ssm.data.dataset import TrialEntry
from mode_ssm.data.source import Source
from mode_ssm.data.statistics import FeatureStatistics
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError, Problem

READ = 48  # trials of a split, evenly spread
COMPARED = 24  # groups of trials that could be one recording
USUAL_MEAN, USUAL_SD = 1.0, (0.2, 5.0)  # of all values of a session, in features that are z-scored per block
TRAINED_ON = "What is trained on says nothing when it is scored; take one of the two out."
Z_SCORED = "Models expect features that are z-scored per block."


def doubtful(source: Source, entries: Sequence[TrialEntry], others: Sequence[TrialEntry] = ()) -> list[Problem]:
    """What makes numbers of these trials doubtful: odd sessions, and recordings that `entries` or `others` have twice.

    Raises:
        InputError: where none of the trials read ever changes, so that nothing can be learnt or decoded.
    """
    found = _by_session(source, spread(entries, READ))
    still = [entry for statistics in found.values() for entry in statistics.still]
    read = sum(statistics.trials for statistics in found.values())
    if still and len(still) == read:
        raise InputError(
            f"None of the {read} trials read ever changes ({still[0].file} {still[0].key.group} is the first), so "
            "nothing can be learnt or decoded from them; check how the files were written, or copy them again."
        )
    more = f", as {len(still) - 1} more of the {read} trials read" if len(still) > 1 else ""
    never = [Problem(e.file, e.key.group, f"never changes{more}", "Check the recording.") for e in still[:1]]
    return [*never, *_unscaled(found), *copies(source, [*entries, *others], among=entries)]


def unscaled(source: Source, entries: Sequence[TrialEntry]) -> Iterator[Problem]:
    """Sessions whose features are not z-scored, by some of these trials."""
    yield from _unscaled(_by_session(source, spread(entries, READ)))


def _by_session(source: Source, entries: Sequence[TrialEntry]) -> dict[str, FeatureStatistics]:
    found: dict[str, FeatureStatistics] = {}
    for entry in entries:
        statistics = found.setdefault(entry.key.session, FeatureStatistics.empty(entry.record.channels))
        try:
            features = source.read_features(entry.key, entry.record)
        except MalformedError:
            continue  # named where the trial itself is read
        if entry.record.channels == len(statistics.count):
            statistics.add(entry, features)
    return found


def _unscaled(found: dict[str, FeatureStatistics]) -> Iterator[Problem]:
    for session, statistics in found.items():
        if statistics.count.any() and len(statistics.still) < statistics.trials and not _usual(statistics):
            scale = f"mean {statistics.mean:.2g} and standard deviation {statistics.sd:.2g}"
            yield Problem(session, None, f"has features of {scale} in {statistics.trials} trials read", Z_SCORED)


def _usual(found: FeatureStatistics) -> bool:
    return abs(found.mean) <= USUAL_MEAN and USUAL_SD[0] <= found.sd <= USUAL_SD[1]


def copies(source: Source, entries: Sequence[TrialEntry], *, among: Sequence[TrialEntry]) -> list[Problem]:
    """Recordings that stand twice, at least once in `among`: those alike in all but features are compared by these."""
    wanted = {entry.key for entry in among}
    alike: dict[object, list[TrialEntry]] = defaultdict(list)
    for entry in entries:
        alike[entry.record.frames, entry.record.labels, entry.record.sentence].append(entry)
    groups = [group for group in alike.values() if len(group) > 1 and any(entry.key in wanted for entry in group)]
    chosen = spread(groups, COMPARED)
    found = [pair for group in chosen for pair in _same(source, group) if wanted & {entry.key for entry in pair}]
    pairs = sorted(found, key=lambda pair: pair[0].key.split == pair[1].key.split)  # of two splits first
    if not pairs:
        return []
    (first, second), kinds = pairs[0], {entry.key.split for entry in pairs[0]}
    compared = "" if len(groups) == len(chosen) else f" of the first {len(chosen)} of {len(groups)} groups alike"
    what = f"is the same recording as {second.file} {second.key.group}; {len(pairs)} such pairs{compared}"
    remedy = TRAINED_ON if len(kinds) > 1 else "Take one of the two out."
    return [Problem(first.file, first.key.group, what, remedy)]


def _same(source: Source, group: Sequence[TrialEntry]) -> Iterator[tuple[TrialEntry, TrialEntry]]:
    """Pairs of equal features; the second of a pair is the first trial that has them."""
    seen: dict[bytes, TrialEntry] = {}
    for entry in spread(group, 6):
        try:
            values = source.read_features(entry.key, entry.record).numpy().tobytes()
        except MalformedError:
            continue
        if values in seen:
            yield entry, seen[values]
        seen.setdefault(values, entry)
