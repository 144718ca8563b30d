"""What is said in a data root, without reading any features: sentences, labels and the order of trials."""

from typing import NamedTuple

from rich.console import Console

from mode_ssm.batch import TrialKey
from mode_ssm.config import BadTrial, DataConfig
from mode_ssm.data import open_source
from mode_ssm.data.opening import check_labelled, list_trials
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError


class Transcript(NamedTuple):
    sentence: str
    labels: tuple[int, ...]


def read_transcripts(data: DataConfig, split: str) -> list[Transcript]:
    """Read the sentences and labels of a labelled split; bad trials are named on stderr.

    Raises:
        InputError: when the data root or the split is not there, or a trial is bad and on_bad_trial=error.
    """
    source = open_source(data)
    _, entries, problems = list_trials(source, data.data_root, split)
    found = []
    for entry in entries:
        try:
            check_labelled(entry.record)
            labels = source.read_labels(entry.key, entry.record)
        except MalformedError as malformed:
            problems.append(malformed.problem(entry.file, entry.key.group))
            continue
        if entry.sentence is not None and labels is not None:
            found.append(Transcript(entry.sentence, tuple(labels.tolist())))
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
    _, entries, problems = list_trials(open_source(data), data.data_root, split)
    if problems:
        raise InputError(f"The ids of a submission count all {split} trials, but {problems[0]}")
    return sorted((entry.key for entry in entries), key=lambda key: (key.session, key.block, key.number))
