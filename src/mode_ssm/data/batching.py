"""Which trials go into which batch, and which process reads it when: pure functions of the entries, so that a resumed
run finds the same batches.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from itertools import cycle, islice
from typing import TypeVar

from mode_ssm.config import Batching
from mode_ssm.data.dataset import TrialEntry

Item = TypeVar("Item")
LENGTH_JITTER = 0.05  # relative; what is batched together changes from epoch to epoch at this cost in padding


def epoch_batches(
    entries: Sequence[TrialEntry],
    *,
    batching: Batching,
    batch_size: int,
    sessions_per_batch: int,
    seed: int,
    epoch: int,
) -> list[list[int]]:
    """The batches of an epoch, of up to `batch_size` indices; of up to `sessions_per_batch` sessions unless shuffled.

    Where sessions are drawn evenly, an epoch has as many batches as it takes to hold each trial once.
    """
    rng = random.Random(f"{seed}, {epoch}")
    match batching:
        case Batching.similar_lengths:
            return _similar_lengths(entries, batch_size, sessions_per_batch, rng)
        case Batching.shuffled:
            order = list(range(len(entries)))
            rng.shuffle(order)
            return _cut(order, _even_sizes(len(order), batch_size))
        case Batching.uniform_sessions:
            sessions = _by_session(entries)
            return [
                _from_uniform_sessions(sessions, size, sessions_per_batch, rng)
                for size in _even_sizes(len(entries), batch_size)
            ]


def _by_session(entries: Sequence[TrialEntry]) -> list[list[int]]:
    by_session: dict[str, list[int]] = defaultdict(list)
    for index, entry in enumerate(entries):
        by_session[entry.key.session].append(index)
    return list(by_session.values())


def _from_uniform_sessions(sessions: list[list[int]], size: int, of_sessions: int, rng: random.Random) -> list[int]:
    """`size` trials of a few sessions, as many of each within one, any trial of a session as likely as another."""
    drawn = rng.sample(sessions, min(of_sessions, len(sessions), size))
    return [rng.choice(drawn[place % len(drawn)]) for place in range(size)]


def _similar_lengths(
    entries: Sequence[TrialEntry], batch_size: int, sessions_per_batch: int, rng: random.Random
) -> list[list[int]]:
    """Each trial once, in batches of few sessions and like lengths.

    The sessions are shuffled and cut into runs of `sessions_per_batch`; a run's trials are sorted by jittered length
    and cut into batches; the batches are shuffled. There are ceil(trials / batch_size) batches, of one size within 1,
    except where so few sessions hold fewer trials than that: then the number of batches may differ between epochs.
    """
    sessions = _by_session(entries)
    rng.shuffle(sessions)
    for trials in sessions:
        rng.shuffle(trials)
    batches = []
    remaining = len(entries)
    while remaining:
        taken, sizes = _take_run(sessions, sessions_per_batch, _even_sizes(remaining, batch_size))
        remaining -= len(taken)
        taken.sort(key=lambda index: entries[index].frames * rng.uniform(1 - LENGTH_JITTER, 1 + LENGTH_JITTER))
        batches += _cut(taken, sizes)
    rng.shuffle(batches)
    return batches


def sequential_batches(entries: Sequence[TrialEntry], batch_size: int) -> list[list[int]]:
    """Each trial once, the longest first: least padding, and a lack of memory shows in the first batch."""
    order = sorted(range(len(entries)), key=lambda index: -entries[index].frames)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def padded_frames(entries: Sequence[TrialEntry], batch: Sequence[int]) -> int:
    """The frames that a batch takes to compute, padding included."""
    return len(batch) * max(entries[index].frames for index in batch)


def deal(sizes: Sequence[int], processes: int, earlier: Sequence[Sequence[int]] = ()) -> list[list[int]]:
    """Turns, in each of which every process reads one batch of about the same size, so that none waits for another.

    Batches next to each other in size share a turn; the turns come in the order in which their first batches stand in
    the epoch, which for one process is the epoch's own. Where the batches do not go round, the last turn gives some of
    its batches to more than one process.

    Args:
        sizes: the padded frames of each batch of an epoch, in its order.
        earlier: pairs of a number of processes, and the turns of the epoch that were dealt to so many before.

    Returns:
        For each turn that is left, the place in the epoch of what each process reads.
    """
    left = list(range(len(sizes)))
    for number, count in earlier:
        read = {place for turn in _turns(left, sizes, number)[:count] for place in turn}
        left = [place for place in left if place not in read]
    return _turns(left, sizes, processes)


def _turns(places: Sequence[int], sizes: Sequence[int], processes: int) -> list[list[int]]:
    order, odd = sorted(places, key=lambda place: sizes[place]), len(places) % processes
    last: list[int] = []
    if odd:  # these are taken near the epoch's last batch in size, which is any size
        start = min(order.index(places[-1]) // processes * processes, len(order) - odd)
        last, order[start : start + odd] = order[start : start + odd], []
    turns = [order[start : start + processes] for start in range(0, len(order), processes)]
    return sorted(turns, key=min) + [list(islice(cycle(last), processes))] * bool(odd)


def _even_sizes(trials: int, batch_size: int) -> list[int]:
    batches = -(-trials // batch_size)
    return [(trials + place) // batches for place in range(batches)]


def _take_run(sessions: list[list[int]], sessions_per_batch: int, sizes: list[int]) -> tuple[list[int], list[int]]:
    """Remove from `sessions` as many whole batches as its first few sessions fill, and say their sizes.

    What is left of the run's last session starts the next run. Where the run does not fill one batch, it is one.
    """
    run = [index for trials in sessions[:sessions_per_batch] for index in trials]
    fitting: list[int] = []
    while len(fitting) < len(sizes) and sum(fitting) + sizes[len(fitting)] <= len(run):
        fitting.append(sizes[len(fitting)])
    fitting = fitting or [len(run)]
    count = sum(fitting)
    left = count
    while left:
        trials = sessions[0][:left]
        del sessions[0][:left]
        left -= len(trials)
        if not sessions[0]:
            sessions.pop(0)
    return run[:count], fitting


def _cut(trials: list[int], sizes: list[int]) -> list[list[int]]:
    batches, start = [], 0
    for size in sizes:
        batches.append(trials[start : start + size])
        start += size
    return batches


def spread(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most so many of the items, evenly spread over the whole and in their order; None = all."""
    count = len(items) if most is None else min(most, len(items))
    return [items[i * len(items) // count] for i in range(count)]
