"""What a data root holds, and everything that is wrong with it.

source -> an index of each split -> problems of files and trials, and features of a sample of trials -> Inspection
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from mode_ssm.config import AugmentationConfig, InspectConfig, ModelConfig, SSMEncoderConfig
from mode_ssm.data import Problem, TrialEntry, open_source, spread
from mode_ssm.data.agreement import disordered
from mode_ssm.data.meaning import TRAINED_ON, copies, unscaled
from mode_ssm.data.opening import (
    check_aligned,
    check_fit,
    check_labelled,
    index_problems,
    labels_needed,
    split_entries,
    split_name,
)
from mode_ssm.data.participants import channels_of
from mode_ssm.data.source import SPLITS, Source
from mode_ssm.data.statistics import HUGE, FeatureStatistics, feature_statistics
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError, SplitIndex
from mode_ssm.models.model import encoder_frames
from mode_ssm.t15.sessions import participant_of
from mode_ssm.training.augment import fewest_frames

USUAL_SD = (0.2, 5.0)  # of a z-scored channel over a sample of trials


@dataclass(frozen=True)
class Inspection:
    config: InspectConfig
    sessions: tuple[str, ...]
    entries: tuple[TrialEntry, ...]  # of all splits; trials that are sound but for their features
    statistics: Mapping[str, FeatureStatistics]  # by participant; of those of whom something was sampled
    problems: tuple[Problem, ...]  # what training would skip or stop at
    notes: tuple[Problem, ...]  # what is odd, and may be right

    @property
    def channels(self) -> Counter[int]:
        """Trials by their number of feature channels."""
        return Counter(entry.record.channels for entry in self.entries)

    @property
    def participants(self) -> dict[str, list[TrialEntry]]:
        return by_participant(self.entries)


def examine(config: InspectConfig) -> Inspection:
    """Index every split, check every trial, and read the features of `sample_trials` of them.

    Raises:
        InputError: where there is no data root, or no session file in it.
    """
    if config.sample_trials < 0:
        raise InputError(f"sample_trials is {config.sample_trials}; set it to 0 (read no features) or more.")
    source, root = open_source(config.data), config.data.place
    indexes = {split: source.index(split, source.sessions) for split in SPLITS}
    entries = [entry for split, index in indexes.items() for entry in split_entries(source, index, split)]
    problems = [*_file_problems(source, indexes, root), *_trial_problems(entries, root)]
    problems += [found for split in SPLITS if (found := disordered(source, _of(entries, split)))]
    twice = copies(source, entries, among=entries) if config.sample_trials else []
    problems += [problem for problem in twice if problem.remedy == TRAINED_ON]
    statistics, feature_problems = _sample(source, entries, config.sample_trials)
    several = len(by_participant(entries)) > 1
    notes = [
        *_no_train(source, indexes, root),
        *_duplicates(entries),
        *(note for index in indexes.values() for note in [*index.notes, *index.gaps]),
        *dict.fromkeys(missed for index in indexes.values() for missed in index.unread),
        *(problem for problem in twice if problem.remedy != TRAINED_ON),
        *(unscaled(source, entries) if config.sample_trials else ()),
        *(note for who, own in statistics.items() for note in _odd_channels(own, f" of {who}" * several, root)),
        *(note for own in statistics.values() for note in _odd_trials(own)),
    ]
    return Inspection(config, source.sessions, tuple(entries), statistics, (*problems, *feature_problems), tuple(notes))


def _file_problems(source: Source, indexes: dict[str, SplitIndex], root: str) -> list[Problem]:
    present = {split: index for split, index in indexes.items() if not index.is_empty}
    if not present:
        names = ", ".join(split_name(source, split) for split in SPLITS)
        raise InputError(
            f"None of the {len(indexes['train'].absent)} sessions under {root} has any of {names}; "
            "set data.data_root to the folder that holds the recordings."
        )
    problems = [problem for split, index in present.items() for problem in index_problems(source, index, root, split)]
    if "train" not in present:
        everywhere = set.intersection(*(set(index.absent) for index in indexes.values()))
        remedy = "Copy its files there, or remove the folder."
        problems += [Problem(session, None, "holds no session file", remedy) for session in sorted(everywhere)]
    return problems


def _trial_problems(entries: Sequence[TrialEntry], root: str) -> Iterator[Problem]:
    """Trials of another number of channels than most, or too short for the defaults, in train as shortened there."""
    channels = {who: usual_channels(own) for who, own in by_participant(entries).items()}
    lengths = {entry.frames for entry in entries}
    if len(lengths) == 1 and len({entry.record.channels for entry in entries}) > 1 + len(channels):
        what = f"has {len(entries)} trials of {lengths.pop()} frames and of varying numbers of feature channels"
        yield Problem(root, None, what, "They seem to be turned round; write input_features as (frames, channels).")
        return
    for entry in entries:
        frames = fewest_frames(entry.frames, AugmentationConfig()) if entry.key.split == "train" else entry.frames
        try:
            if labels_needed(entry.key.split):
                check_labelled(entry.record)
            kept = encoder_frames(ModelConfig(encoder=SSMEncoderConfig()), frames)
            check_fit(entry.record, channels_of(channels, entry.key.session), kept)
            if entry.key.split == "train":
                check_aligned(entry.record, kept)
        except MalformedError as malformed:
            yield malformed.problem(entry.file, entry.key.group, entry.key.split)


def _of(entries: Sequence[TrialEntry], split: str) -> list[TrialEntry]:
    return [entry for entry in entries if entry.key.split == split]


def by_participant(entries: Sequence[TrialEntry]) -> dict[str, list[TrialEntry]]:
    found: dict[str, list[TrialEntry]] = {}
    for entry in entries:
        found.setdefault(participant_of(entry.key.session), []).append(entry)
    return found


def usual_channels(entries: Sequence[TrialEntry]) -> int:
    counts = Counter(entry.record.channels for entry in entries)
    return counts.most_common(1)[0][0] if counts else 0


def _sample(
    source: Source, entries: Sequence[TrialEntry], size: int
) -> tuple[dict[str, FeatureStatistics], list[Problem]]:
    """Features of trials spread evenly over the sessions and splits, of as many trials of each participant."""
    found: dict[str, FeatureStatistics] = {}
    problems: list[Problem] = []
    people = by_participant(entries)
    for place, (who, own) in enumerate(people.items()):
        channels, share = usual_channels(own), (size + place) // len(people)  # which add up to size
        usual = [entry for entry in own if entry.record.channels == channels]
        statistics, bad = feature_statistics(source, spread(usual, share), channels)
        problems += bad
        if statistics.count.any():
            found[who] = statistics
    return found, problems


def _no_train(source: Source, indexes: dict[str, SplitIndex], root: str) -> Iterator[Problem]:
    if indexes["train"].is_empty:
        what = f"holds no {split_name(source, 'train')}"
        yield Problem(root, None, what, "Nothing can be trained on it.")


def _duplicates(entries: Sequence[TrialEntry]) -> Iterator[Problem]:
    """Sessions where trials share a block and a number: one recording may stand in two splits."""
    places = defaultdict(list)
    for entry in entries:
        places[entry.key.session, entry.key.block, entry.key.number].append(f"{entry.key.split}/{entry.key.group}")
    shared = [place for place, names in sorted(places.items()) if len(names) > 1]
    for session, group in groupby(shared, key=itemgetter(0)):
        (_, block, number), *others = group
        names = " and ".join(places[session, block, number])
        what = f"has the same block_num={block} and trial_num={number} in {names}"
        what += f", and {1 + len(others)} such pairs of numbers in all" if others else ""
        yield Problem(session, None, what, "Make sure that no recording stands in two splits.")


def _odd_channels(statistics: FeatureStatistics, whose: str, root: str) -> Iterator[Problem]:
    constant = statistics.constant_channels
    if constant:
        what = f"has channels{whose} that never change in the trials read: {_shorten(constant)}"
        yield Problem(root, None, what, "Such channels tell a model nothing; check the recording.")
    low, high = USUAL_SD
    odd = [c for c, sd in enumerate(statistics.channel_sd) if not low <= sd <= high and c not in constant]
    if odd:
        what = f"has channels{whose} with a standard deviation outside {low:g}-{high:g}: {_shorten(odd)}"
        yield Problem(root, None, what, "Models expect features that are z-scored per block.")


def _odd_trials(statistics: FeatureStatistics) -> Iterator[Problem]:
    """Of the trials read, those that never change and those with huge values: the first or worst, and how many more."""
    remedy = "Features are z-scored per block; check the recording."
    if statistics.still:
        first, *others = statistics.still
        more = f", as {len(others)} more of the trials read" if others else ""
        yield Problem(first.file, first.key.group, f"never changes{more}", remedy)
    if statistics.huge:
        peak, worst = max(statistics.huge, key=lambda found: found[0])
        number = len(statistics.huge) - 1
        more = f"; {number} more of the trials read go beyond {HUGE:g}" if number else ""
        yield Problem(worst.file, worst.key.group, f"reaches {peak:.2g}{more}", remedy)


def _shorten(channels: list[int]) -> str:
    return (
        ", ".join(map(str, channels))
        if len(channels) <= 10
        else f"{str(channels[:10])[1:-1]} and more, {len(channels)} in all"
    )
