"""What is said in a data root, without reading any features: sentences, labels and the order of trials."""

from typing import NamedTuple

from rich.console import Console

from mode_ssm.batch import TrialKey
from mode_ssm.config import BadTrial, DataConfig
from mode_ssm.data import LeftOut, open_source
from mode_ssm.data.agreement import check_order
from mode_ssm.data.opening import check_labelled, list_trials
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError
from mode_ssm.recognition.network import not_read


class Transcript(NamedTuple):
    sentence: str
    labels: tuple[int, ...]


def read_transcripts(data: DataConfig, split: str) -> list[Transcript]:
    """Read the sentences and labels of a labelled split; bad trials are named on stderr.

    Raises:
        InputError: when the data root or the split is not there, or a trial is bad and on_bad_trial=error.
    """
    source = open_source(data)
    index, entries, problems = list_trials(source, data.place, split)
    check_order(source, entries)
    found = []
    for entry in entries:
        try:
            check_labelled(entry.record)
            labels = source.read_labels(entry.key, entry.record)
        except MalformedError as malformed:
            problems.append(malformed.problem(entry.file, entry.key.group, entry.key.split))
            continue
        if entry.sentence is not None and labels is not None:
            found.append(Transcript(entry.sentence, tuple(labels.tolist())))
    if problems and data.on_bad_trial is BadTrial.error:
        raise InputError(str(problems[0]))
    stderr = Console(stderr=True, soft_wrap=True)
    if index.unread:
        stderr.print(not_read(index.unread), markup=False)
    for problem in problems:
        stderr.print(f"Leaving out: {problem}", markup=False)
    return found


def submission_order(data: DataConfig, split: str) -> list[TrialKey]:
    """All trials of a split by session, block and trial, also those that cannot be read; their ids count from 0.

    Raises:
        InputError: where trials are missing, or the place of one is not known, since every later id would be wrong.
    """
    index, entries, problems = list_trials(open_source(data), data.place, split)
    if index.unread:
        Console(stderr=True, soft_wrap=True).print(not_read(index.unread), markup=False)
    left_out = LeftOut(split, problems, lambda _: None)
    placeless = [p for p in problems if p.told is None or p.told.block is None or p.told.number is None]
    for problem in [*placeless, *index.gaps]:
        raise InputError(f"The ids of a submission count all {split} trials, but {problem}")
    keys = [*(entry.key for entry in entries), *(trial.key for trial in left_out.trials)]
    return sorted(keys, key=lambda key: (key.session, key.block, key.number))
