"""Open a split: find its sessions, index its files, and keep the trials that fit the model."""

from collections.abc import Callable
from pathlib import Path

from mode_ssm.batch import TrialKey
from mode_ssm.config import BadTrial, DataConfig, Normalisation
from mode_ssm.data.dataset import TrialDataset, TrialEntry, bad_trial
from mode_ssm.data.normalised import RunningNormalised
from mode_ssm.data.participants import Channels, channels_of, count_channels, sessions_of
from mode_ssm.data.source import SPLITS, Source, open_source
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError, Problem, Reason, Record, Remedy, SplitIndex

LABEL_IT = Remedy("Label the trial", "remove it")
SHORTEN = Remedy(
    "Lower preprocessor.patch_frames, preprocessor.stride_frames or, in training, augmentation.max_speed_change",
    "remove the trial",
)


def open_split(
    config: DataConfig,
    split: str,
    *,
    num_channels: Channels,
    encoder_frames: Callable[[int], int],
    normalisation: Normalisation = Normalisation.none,
    labelled: bool | None = None,
    aligned: bool = True,
    participant: str | None = None,
) -> TrialDataset:
    """Find the sessions, index their files of the split, and check each trial against the model.

    Args:
        num_channels: that the model expects of each trial, or of each participant's by name.
        encoder_frames: maps T to the S of the preprocessor; every trial needs S >= 1.
        normalisation: that of the model's features.
        labelled: whether a trial without labels is a bad one; None: in train and val it is, in test it is not.
        aligned: whether a trial is a bad one that has too few frames for CTC to align its labels, S < U + repeats
            (CTC needs a blank between two equal labels). That is for training alone: any trial can be decoded.
        participant: whose sessions alone are read; None: those of all.

    Raises:
        InputError: where the data root or the split is not there, no trial is usable, or a trial is bad and
            on_bad_trial=error.
    """
    source = open_source(config)
    if normalisation is Normalisation.running:
        source = RunningNormalised(source, SPLITS)
    index, entries, problems = list_trials(source, config.place, split, participant)
    _check_channels(index, num_channels, f"{config.place} ({split})")
    usable = []
    for entry in entries:
        try:
            if labels_needed(split) if labelled is None else labelled:
                check_labelled(entry.record)
            frames, channels = encoder_frames(entry.frames), channels_of(num_channels, entry.key.session)
            check_fit(entry.record, channels, frames)
            if aligned:
                check_aligned(entry.record, frames)
        except MalformedError as malformed:
            problems.append(bad_trial(source, entry, malformed))
            continue
        usable.append(entry)
    _check_usable(usable, problems, config, split)
    return TrialDataset(source, tuple(usable), problems, config.on_bad_trial, index.unread)


def list_trials(
    source: Source, root: str, split: str, participant: str | None = None
) -> tuple[SplitIndex, list[TrialEntry], list[Problem]]:
    """The index of a split, its trials that are sound in themselves, and everything wrong that was found on indexing.

    Raises:
        InputError: where the split is none, or no session is the participant's or has anything of the split.
    """
    if split not in SPLITS:
        raise InputError(f"split={split} is not a split; choose train, val or test.")
    sessions = sessions_of(source, participant)
    if not sessions:
        raise InputError(
            f"{root} has no session of {participant}; its {len(source.sessions)} are {source.sessions[0]} to "
            f"{source.sessions[-1]}. Set data.data_root or data.roots to recordings of {participant}."
        )
    index = source.index(split, sessions)
    return index, split_entries(source, index, split), index_problems(source, index, root, split)


def split_entries(source: Source, index: SplitIndex, split: str) -> list[TrialEntry]:
    """By session, then in the order of the source."""
    return [
        TrialEntry(
            TrialKey(session, split, record.group, record.block, record.number), source.file(session, split), record
        )
        for session, records in index.records.items()
        for record in records
    ]


def labels_needed(split: str) -> bool:
    """Whether trials of the split are of use with labels only, unless someone says otherwise."""
    return split != "test"


def check_labelled(record: Record) -> None:
    """Raises: MalformedError, where the trial has no labels."""
    if record.labels is None:
        raise MalformedError("has no labels, and only a test trial can do without", LABEL_IT, Reason.unlabelled)


def index_problems(source: Source, index: SplitIndex, root: str, split: str) -> list[Problem]:
    """Everything wrong that was found on indexing: whole files, and trials in files that can be read.

    That a session has no val or test file is usual; that it has no train file while others have is a problem.

    Raises:
        InputError: where no session has a file of the split.
    """
    if index.is_empty:
        name = split_name(source, split)
        raise InputError(
            f"None of the {len(index.absent)} sessions under {root} has a {name}; "
            "choose another split, a data.data_root that has it, or a larger data.max_sessions."
        )
    if split != "train":
        return [*index.problems]
    remedy = "Copy the file there, or move the session's folder away if it is not for training."
    return index.problems + [
        Problem(source.file(session, split), None, "is absent", remedy) for session in index.absent
    ]


def split_name(source: Source, split: str) -> str:
    """What a session's part of the split is called: data_val.hdf5, or .npz (val)."""
    return Path(source.file(source.sessions[0], split)).name.removeprefix(source.sessions[0])


def _check_channels(index: SplitIndex, num_channels: Channels, where: str) -> None:
    """One error, not thousands of bad trials, where the setting fits none of them, or none of a participant's."""
    by_participant = count_channels([index])
    if not isinstance(num_channels, int):
        for participant in by_participant.keys() - num_channels.keys():
            raise InputError(
                f"{where} has trials of {participant}, who is none of the participants that the model knows "
                f"({', '.join(num_channels)}); train with recordings of {participant}, from its weights with init=RUN, "
                "or leave those sessions out."
            )
    for participant, counts in by_participant.items():
        needed = num_channels if isinstance(num_channels, int) else num_channels[participant]
        if not counts or needed in counts:
            continue
        of, most = f" of {participant}" if len(by_participant) > 1 else "", counts.most_common(1)[0][0]
        others = f" or {len(counts) - 1} other numbers of" if len(counts) > 1 else ""
        if all(record.frames == needed for records in index.records.values() for record in records):
            raise InputError(
                f"All {counts.total()} trials of {where} have {needed} frames of {most}{others} feature channels, so "
                "they seem to be turned round; write input_features as (frames, channels)."
            )
        remedy = f"train with preprocessor.num_channels={most}, or set data.data_root to data for this model."
        if of and isinstance(num_channels, int):
            remedy = "preprocessor.participant_map=linear gives each participant a map from as many as theirs."
        raise InputError(
            f"All {counts.total()} trials{of} of {where} have {most}{others} feature channels but the model expects "
            f"{needed}; {remedy}"
        )


def check_fit(record: Record, num_channels: int | None, encoder_frames: int) -> None:
    """Raises: MalformedError, where the trial does not fit the model, so that it cannot even be decoded."""
    if record.channels != num_channels:
        repair = f"Train with preprocessor.num_channels={record.channels} if the others have as many"
        raise MalformedError(
            f"has {record.channels} feature channels but the model expects {num_channels}",
            Remedy(repair, "remove this one"),
            Reason.channels,
        )
    if encoder_frames < 1:
        raise MalformedError(f"has {record.frames} frames, too few for one encoder frame", SHORTEN, Reason.too_short)


def is_aligned(record: Record, encoder_frames: int) -> bool:
    """Whether CTC can align the labels, where there are any: each needs a frame, and a blank between equal ones."""
    return record.labels is None or encoder_frames >= record.labels + record.repeats


def check_aligned(record: Record, encoder_frames: int) -> None:
    """Raises: MalformedError, where CTC cannot align the labels."""
    if record.labels is not None and not is_aligned(record, encoder_frames):
        raise MalformedError(
            f"has {record.frames} frames, which may make only {encoder_frames} encoder frames, but its "
            f"{record.labels} labels, {record.repeats} of them equal to the one before, need "
            f"{record.labels + record.repeats}",
            SHORTEN,
            Reason.too_many_labels,
        )


def _check_usable(entries: list[TrialEntry], problems: list[Problem], config: DataConfig, split: str) -> None:
    if problems and config.on_bad_trial is BadTrial.error:
        more = f" ({len(problems)} problems in all; data.on_bad_trial=skip leaves bad trials out)"
        raise InputError(str(problems[0]) + more)
    if not entries and problems and all(problem.reason is Reason.unlabelled for problem in problems):
        raise InputError(
            f"split={split} has no labels to compare with: none of its {len(problems)} trials under "
            f"{config.place} is labelled; choose split=val or split=train."
        )
    if not entries:
        raise InputError(
            f"{config.words} has no usable {split} trial; the first of {len(problems)} problems: {problems[0]}"
        )
