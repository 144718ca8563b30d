"""Batches hold each trial once, of few sessions and like lengths, and are a function of the seed and epoch alone; the
processes get those of like size at the same time.
"""

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.batch import TrialKey
from mode_ssm.config import Batching
from mode_ssm.data import TrialEntry, deal, padded_frames, sequential_batches
from mode_ssm.data import epoch_batches as all_epoch_batches
from mode_ssm.index import Record
from mode_ssm.recognition.checkpoint import Position

LABELS = Path(__file__).parents[3] / "shared" / "t15_labels" / "t15_labels.csv.gz"
epoch_batches = partial(all_epoch_batches, batching=Batching.similar_lengths)


def make_entries(frames_by_session: list[list[int]]) -> list[TrialEntry]:
    return [
        TrialEntry(
            TrialKey(f"t15.2023.01.{session + 1:02d}", "train", f"trial_{place:04d}", 1, place),
            "never-read.hdf5",
            Record(f"trial_{place:04d}", 1, place, frames, 512, 10, 0, None),
        )
        for session, lengths in enumerate(frames_by_session)
        for place, frames in enumerate(lengths)
    ]


def t15_entries(sessions: int = 45, trials: int = 8072) -> list[TrialEntry]:
    """As many trials as T15's train split, of its mean and spread of lengths, in sessions of unequal size."""
    rng = np.random.default_rng(0)
    sizes = rng.multinomial(trials - 40 * sessions, rng.dirichlet(np.full(sessions, 3.0))) + 40
    return make_entries([np.clip(rng.normal(891, 306, size), 138, 2475).astype(int).tolist() for size in sizes])


FRAMES = st.lists(st.lists(st.integers(1, 3000), min_size=1, max_size=40), min_size=1, max_size=12)


@given(FRAMES, st.integers(1, 20), st.integers(1, 6), st.integers(), st.integers(0, 1000))
def test_each_trial_is_once_in_a_bounded_batch(
    frames: list[list[int]], batch_size: int, sessions_per_batch: int, seed: int, epoch: int
) -> None:
    entries = make_entries(frames)
    batches = epoch_batches(
        entries, batch_size=batch_size, sessions_per_batch=sessions_per_batch, seed=seed, epoch=epoch
    )
    assert Counter(index for batch in batches for index in batch) == Counter(range(len(entries)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert len({entries[index].key.session for index in batch}) <= sessions_per_batch
    assert len(batches) >= -(-len(entries) // batch_size)
    again = epoch_batches(entries, batch_size=batch_size, sessions_per_batch=sessions_per_batch, seed=seed, epoch=epoch)
    assert again == batches


@given(FRAMES, st.integers(1, 20), st.integers(0, 5))
def test_batches_are_even_where_a_batch_may_hold_any_session(
    frames: list[list[int]], batch_size: int, epoch: int
) -> None:
    entries = make_entries(frames)
    batches = epoch_batches(entries, batch_size=batch_size, sessions_per_batch=len(frames), seed=0, epoch=epoch)
    sizes = [len(batch) for batch in batches]
    assert len(batches) == -(-len(entries) // batch_size)
    assert max(sizes) - min(sizes) <= 1


@given(FRAMES, st.integers(1, 20))
def test_sequential_batches_are_whole_and_longest_first(frames: list[list[int]], batch_size: int) -> None:
    entries = make_entries(frames)
    batches = sequential_batches(entries, batch_size)
    order = [index for batch in batches for index in batch]
    assert sorted(order) == list(range(len(entries)))
    lengths = [entries[index].frames for index in order]
    assert lengths == sorted(lengths, reverse=True)
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}


def test_nothing_gives_no_batches() -> None:
    assert epoch_batches([], batch_size=4, sessions_per_batch=2, seed=0, epoch=0) == []
    assert sequential_batches([], 4) == []


def test_epochs_and_seeds_differ() -> None:
    entries = make_entries([[100 + i for i in range(30)]] * 4)
    drawn = [
        epoch_batches(entries, batch_size=8, sessions_per_batch=2, seed=seed, epoch=epoch)
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 10), (10, 0))
    ]
    assert len({str(batches) for batches in drawn}) == len(drawn)


def test_full_size_has_the_fewest_batches_and_little_padding() -> None:
    entries = t15_entries()
    frames = np.array([entry.frames for entry in entries])
    for epoch in range(3):
        batches = epoch_batches(entries, batch_size=64, sessions_per_batch=4, seed=0, epoch=epoch)
        assert len(batches) == 127
        assert {len(batch) for batch in batches} == {63, 64}
        padded = sum(len(batch) * frames[batch].max() for batch in batches)
        assert frames.sum() / padded > 0.83  # 0.45 in random batches
        assert np.mean([len({entries[index].key.session for index in batch}) for batch in batches]) > 3


def test_trials_of_a_session_meet_others_in_another_epoch() -> None:
    entries = make_entries([[500] * 64 for _ in range(8)])
    partners = set()
    for epoch in range(30):
        for batch in epoch_batches(entries, batch_size=16, sessions_per_batch=2, seed=0, epoch=epoch):
            if 0 in batch:
                partners |= {entries[index].key.session for index in batch}
    assert len(partners) == 8


@given(FRAMES, st.integers(1, 20), st.integers())
def test_shuffled_batches_hold_each_trial_once_and_any_beside_any(
    frames: list[list[int]], batch_size: int, seed: int
) -> None:
    entries = make_entries(frames)
    batches = all_epoch_batches(
        entries, batching=Batching.shuffled, batch_size=batch_size, sessions_per_batch=1, seed=seed, epoch=3
    )
    assert Counter(index for batch in batches for index in batch) == Counter(range(len(entries)))
    sizes = [len(batch) for batch in batches]
    assert len(sizes) == -(-len(entries) // batch_size)
    assert max(sizes) - min(sizes) <= 1


@given(FRAMES, st.integers(1, 20), st.integers(1, 6), st.integers(0, 5))
def test_evenly_drawn_sessions_give_as_many_trials_each(
    frames: list[list[int]], batch_size: int, sessions_per_batch: int, epoch: int
) -> None:
    entries = make_entries(frames)
    batches = all_epoch_batches(
        entries,
        batching=Batching.uniform_sessions,
        batch_size=batch_size,
        sessions_per_batch=sessions_per_batch,
        seed=0,
        epoch=epoch,
    )
    assert len(batches) == -(-len(entries) // batch_size)
    for batch in batches:
        of_each = Counter(entries[index].key.session for index in batch)
        assert len(of_each) == min(sessions_per_batch, len(frames), len(batch))
        assert max(of_each.values()) - min(of_each.values()) <= 1


def test_evenly_drawn_sessions_are_as_frequent_however_small() -> None:
    entries = make_entries([[100] * 5, [100] * 500, [100] * 50])
    batches = all_epoch_batches(
        entries, batching=Batching.uniform_sessions, batch_size=4, sessions_per_batch=2, seed=0, epoch=0
    )
    share = Counter(entries[index].key.session for batch in batches for index in batch)
    np.testing.assert_allclose(sorted(share.values()), [sum(share.values()) / 3] * 3, rtol=0.15)
    assert len({index for batch in batches for index in batch if index < 5}) == 5


def labelled_entries() -> list[TrialEntry]:
    """The train trials of T15's own sessions, as long as their numbers of phonemes say: 891 frames on average, and 138
    to 2475 as the recordings are.
    """
    by_session: dict[str, list[int]] = defaultdict(list)
    with gzip.open(LABELS, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == "train":
                by_session[row["session"]].append(len(row["phonemes"].split()))
    mean = np.mean([count for counts in by_session.values() for count in counts])
    lengths = [np.clip(np.array(counts) * 891 / mean, 138, 2475).astype(int).tolist() for counts in by_session.values()]
    return make_entries(lengths)


def efficiency(sizes: list[int], turns: list[list[int]]) -> float:
    """The share of their time in which processes compute, and don't wait for the one with a turn's largest batch."""
    dealt = np.array(sizes)[np.array(turns)]
    return float(dealt.mean(axis=1).sum() / dealt.max(axis=1).sum())


@pytest.mark.parametrize(
    ("entries_of", "dealt_in_order", "dealt_by_size"),
    [
        pytest.param(t15_entries, 0.64, 0.96, id="normal"),
        pytest.param(
            labelled_entries,
            0.59,
            0.93,
            id="labels",
            marks=pytest.mark.skipif(not LABELS.exists(), reason="T15's labels are not at ../shared/t15_labels"),
        ),
    ],
)
def test_eight_processes_hardly_wait_for_each_other_at_t15s_lengths(
    entries_of: Callable[[], list[TrialEntry]], dealt_in_order: float, dealt_by_size: float
) -> None:
    entries = entries_of()
    for epoch in range(2):
        batches = epoch_batches(entries, batch_size=64, sessions_per_batch=4, seed=0, epoch=epoch)
        sizes = [padded_frames(entries, batch) for batch in batches]
        in_order = [list(range(start, start + 8)) for start in range(0, len(batches) - 7, 8)]
        assert efficiency(sizes, in_order) == pytest.approx(dealt_in_order, abs=0.03)
        assert efficiency(sizes, deal(sizes, 8)) >= dealt_by_size
        assert efficiency(sizes, deal(sizes, 4)) >= 0.97
        assert efficiency(sizes, deal(sizes, 2)) >= 0.98


SIZES = st.lists(st.integers(1, 50), max_size=60)


@given(SIZES)
def test_one_process_reads_the_epoch_in_its_order(sizes: list[int]) -> None:
    assert deal(sizes, 1) == [[place] for place in range(len(sizes))]


@given(SIZES, st.integers(1, 9))
def test_each_batch_is_dealt_once_and_only_the_last_turn_gives_some_twice(sizes: list[int], processes: int) -> None:
    turns = deal(sizes, processes)
    assert {len(turn) for turn in turns} <= {processes}
    assert len(turns) == -(-len(sizes) // processes)
    dealt = Counter(place for turn in turns[: len(sizes) // processes] for place in turn)
    left = {*range(len(sizes))} - {*dealt}
    assert {*dealt.values()} <= {1}
    assert {place for turn in turns[len(sizes) // processes :] for place in turn} == left
    for turn in turns:  # what shares a turn is next to each other in size: nothing of another turn lies within
        low, high = min(sizes[place] for place in turn), max(sizes[place] for place in turn)
        assert not [place for place in {*range(len(sizes))} - {*turn} if low < sizes[place] < high]


@given(SIZES, st.lists(st.tuples(st.integers(1, 9), st.floats(0, 1)), min_size=1, max_size=4))
def test_an_epoch_that_changes_hands_leaves_no_batch_out(sizes: list[int], hands: list[tuple[int, float]]) -> None:
    """Each of `hands` is a number of processes that reads a share of what is left; the last one reads all of it."""
    read: Counter[int] = Counter()
    position = Position(processes=hands[0][0])
    repeats = 0
    for number, (processes, share) in enumerate(hands, start=1):
        position = position.among(processes)
        turns = deal(sizes, processes, position.earlier)[position.batch - position.first :]
        turns = turns if number == len(hands) else turns[: round(share * len(turns))]
        read.update(place for turn in turns for place in turn)
        repeats += processes - 1
        position.batch += len(turns)
    assert {*read} == {*range(len(sizes))}
    assert sum(read.values()) - len(sizes) <= repeats
    if len(hands) > 1 and repeats == 0:
        assert [*read] == [*range(len(sizes))]
