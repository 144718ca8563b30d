"""A split of a data root as a map-style data set that holds no features: a trial is read when it is asked for."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch.utils.data import Dataset

from mode_ssm.batch import Trial, TrialKey
from mode_ssm.config import BadTrial, DataConfig
from mode_ssm.data.file_index import trial_group
from mode_ssm.data.hdf5 import OpenFiles
from mode_ssm.data.index import SplitIndex, index_split
from mode_ssm.data.problems import MalformedError, Problem
from mode_ssm.data.sessions import SPLITS, file_name, find_sessions
from mode_ssm.data.trials import Record, read_features, read_record
from mode_ssm.errors import InputError


@dataclass(frozen=True)
class TrialEntry:
    """A trial that passed every check which needs no features."""

    key: TrialKey
    path: Path
    record: Record

    @property
    def frames(self) -> int:
        """T."""
        return self.record.frames

    @property
    def labels(self) -> int | None:
        """U; None where the trial is not labelled."""
        return self.record.labels

    @property
    def sentence(self) -> str | None:
        return self.record.sentence


class TrialDataset(Dataset[Trial | Problem]):
    """Can be pickled, and forked: each process opens files of its own, a few at a time."""

    def __init__(
        self,
        sessions: tuple[str, ...],
        entries: tuple[TrialEntry, ...],
        problems: list[Problem],
        on_bad_trial: BadTrial,
    ) -> None:
        self.sessions = sessions  # all of the data root after max_sessions, in date order, the same for each split
        self.entries = entries  # by session, then as numbered in the file
        self.problems = problems  # found before any features were read
        self.on_bad_trial = on_bad_trial
        self._files = OpenFiles()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Trial | Problem:
        """Read a trial, or say what is wrong with it.

        Raises:
            InputError: where it is bad and on_bad_trial=error.
        """
        found = self.read(index)
        if isinstance(found, Problem) and self.on_bad_trial is BadTrial.error:
            raise InputError(str(found))
        return found

    def read(self, index: int) -> Trial | Problem:
        """As indexing, but a bad trial is always returned as its Problem."""
        entry = self.entries[index]
        try:
            return self._read(entry)
        except MalformedError as malformed:
            return malformed.problem(file_name(entry.key.session, entry.key.split), entry.key.group)

    def _read(self, entry: TrialEntry) -> Trial:
        group = trial_group(self._files.get(entry.path), entry.key.group)
        record, labels = read_record(group, entry.key.session, labelled=entry.key.split != "test")
        if record != entry.record:
            raise MalformedError("has changed since this run began", "Start the run again.")
        return Trial(entry.key, read_features(group, record), labels, record.sentence)


def open_split(
    config: DataConfig, split: str, *, num_channels: int, encoder_frames: Callable[[int], int]
) -> TrialDataset:
    """Find the sessions, index their files of the split, and check each trial against the model.

    `encoder_frames` maps T to the S of the preprocessor; a trial with labels needs S >= U + repeats (the blanks that
    CTC needs between two equal labels), any trial S >= 1.

    Raises:
        InputError: where the data root or the split is not there, no trial is usable, or a trial is bad and
            on_bad_trial=error.
    """
    check_config(config, split)
    root, sessions = find_sessions(config.data_root, config.max_sessions)
    index = index_split(root, sessions, split, config.cache_dir)
    problems = file_problems(index, root, split)
    _check_channels(index, num_channels, f"{root} ({split})")
    entries = []
    for session, file in index.files.items():
        problems += file.problems
        for record in file.records:
            name = file_name(session, split)
            try:
                _check_fit(record, num_channels, encoder_frames(record.frames))
            except MalformedError as malformed:
                problems.append(malformed.problem(name, record.group))
                continue
            key = TrialKey(session, split, record.group, record.block, record.number)
            entries.append(TrialEntry(key, root / name, record))
    _check_usable(entries, problems, config, split)
    return TrialDataset(sessions, tuple(entries), problems, config.on_bad_trial)


def check_config(config: DataConfig, split: str) -> None:
    """Raises: InputError."""
    if split not in SPLITS:
        raise InputError(f"split={split} is not a split; choose train, val or test.")
    if config.num_workers < 0:
        raise InputError(f"data.num_workers is {config.num_workers}; set it to 0 (read in this process) or more.")


def file_problems(index: SplitIndex, root: Path, split: str) -> list[Problem]:
    """The files that cannot be read, and the sessions that have nothing to train on while others have.

    Raises:
        InputError: where no session has a file of the split.
    """
    if not index.files and not index.problems:
        raise InputError(
            f"None of the {len(index.absent)} sessions under {root} has a data_{split}.hdf5; "
            "choose another split, raise data.max_sessions or set data.data_root to a folder that has it."
        )
    problems = list(index.problems)
    if split == "train":
        remedy = "Copy the file there, or move the session's folder away if it is not for training."
        problems += [Problem(file_name(session, split), None, "is absent", remedy) for session in index.absent]
    return problems


def _check_channels(index: SplitIndex, num_channels: int, where: str) -> None:
    """One error, not thousands of bad trials, where the setting fits none of them."""
    counts = Counter(record.channels for file in index.files.values() for record in file.records)
    if not counts or num_channels in counts:
        return
    found = " or ".join(str(channels) for channels in sorted(counts))
    most = counts.most_common(1)[0][0]
    raise InputError(
        f"All {counts.total()} trials of {where} have {found} feature channels but the model expects {num_channels}; "
        f"set preprocessor.num_channels={most}, or data.data_root to the data that this model is for."
    )


def _check_fit(record: Record, num_channels: int, encoder_frames: int) -> None:
    """Raises: MalformedError, where the trial does not fit the model."""
    if record.channels != num_channels:
        raise MalformedError(
            f"has {record.channels} feature channels but the model expects {num_channels}",
            f"Set preprocessor.num_channels={record.channels} if the other trials have as many, or remove this one.",
        )
    shorten = "Lower preprocessor.patch_frames or preprocessor.stride_frames, or remove the trial."
    if encoder_frames < 1:
        raise MalformedError(f"has {record.frames} frames, too few for one encoder frame", shorten)
    if record.labels is not None and encoder_frames < record.labels + record.repeats:
        raise MalformedError(
            f"has {record.frames} frames, which make {encoder_frames} encoder frames, too few for its {record.labels} "
            f"labels and the {record.repeats} blanks between equal ones",
            shorten,
        )


def _check_usable(entries: list[TrialEntry], problems: list[Problem], config: DataConfig, split: str) -> None:
    if problems and config.on_bad_trial is BadTrial.error:
        more = f" ({len(problems)} problems in all; data.on_bad_trial=skip leaves bad trials out)"
        raise InputError(str(problems[0]) + more)
    if not entries:
        raise InputError(
            f"data.data_root={config.data_root} has no usable {split} trial; the first of {len(problems)} problems: "
            f"{problems[0]}"
        )
