"""What is said in a data root, without reading any features: sentences, labels and the order of trials."""

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from mode_ssm.batch import TrialKey
from mode_ssm.config import BadTrial, DataConfig
from mode_ssm.data.dataset import TrialEntry
from mode_ssm.data.file_index import trial_group
from mode_ssm.data.hdf5 import OpenFiles
from mode_ssm.data.index import index_split
from mode_ssm.data.opening import check_config, check_labelled, index_problems, split_entries
from mode_ssm.data.problems import MalformedError, Problem
from mode_ssm.data.sessions import find_sessions
from mode_ssm.data.trials import read_record
from mode_ssm.errors import InputError
from mode_ssm.labels import labels_of


class Transcript(NamedTuple):
    sentence: str
    labels: tuple[int, ...]


def read_transcripts(data: DataConfig, split: str) -> list[Transcript]:
    """Read the sentences and labels of a labelled split; bad trials are named on stderr.

    Raises:
        InputError: when the data root or the split is not there, or a trial is bad and on_bad_trial=error.
    """
    entries, problems = _list_trials(data, split)
    label_set = labels_of(Path(data.data_root), data.labels)
    files = OpenFiles()
    found = []
    for entry in entries:
        try:
            group = trial_group(files.get(entry.path), entry.key.group)
            check_labelled(entry.record)
            _, labels = read_record(group, entry.key.session, label_set)
        except MalformedError as malformed:
            problems.append(malformed.problem(entry.file, entry.key.group))
            continue
        if entry.sentence is not None and labels is not None:
            found.append(Transcript(entry.sentence, tuple(labels.tolist())))
    files.close()
    if problems and data.on_bad_trial is BadTrial.error:
        raise InputError(str(problems[0]))
    stderr = Console(stderr=True, soft_wrap=True)
    for problem in problems:
        stderr.print(f"Leaving out: {problem}", markup=False)
    return found


def submission_order(data: DataConfig, split: str) -> list[TrialKey]:
    """All trials of a split by session, block and trial; ids of a submission count them from 0.

    Raises:
        InputError: when a file or a trial cannot be read, since every later id would then be wrong.
    """
    entries, problems = _list_trials(data, split)
    if problems:
        raise InputError(f"The ids of a submission count all {split} trials, but {problems[0]}")
    return sorted((entry.key for entry in entries), key=lambda key: (key.session, key.block, key.number))


def _list_trials(data: DataConfig, split: str) -> tuple[list[TrialEntry], list[Problem]]:
    check_config(data, split)
    root, sessions = find_sessions(data.data_root, data.max_sessions)
    index = index_split(root, sessions, split, labels_of(root, data.labels), data.cache_dir)
    return split_entries(index, root, split), index_problems(index, root, split)
