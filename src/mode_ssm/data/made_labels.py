"""Labels that are made of what recordings have: of sentences, or of their own labels without some."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mode_ssm.batch import TrialKey
from mode_ssm.dictionary import read_dictionary
from mode_ssm.errors import InputError, printable
from mode_ssm.formats.pronounced import Pronouncing
from mode_ssm.index import MalformedError, Problem, Reason, Record, Remedy, SplitIndex, Told
from mode_ssm.labels import MadeFrom
from mode_ssm.orthography import write

if TYPE_CHECKING:
    from mode_ssm.data.source import Source

Ids = Sequence[int]
_REMEDY = Remedy("Add what it needs to the symbols of the labels", "leave the trial out")


class MadeLabels:
    """A Source that gives the trials of another one labels by the rule of its set.

    A trial whose sentence cannot be written in the labels is a problem; one without a sentence has no labels.

    Args:
        dictionary: for labels that are made from it.

    Raises:
        InputError: where it is needed and there is none, or it cannot be read.
    """

    def __init__(self, source: "Source", dictionary: str | None) -> None:
        self._source = source
        self.sessions, self.labels = source.sessions, source.labels
        self._pronouncing = None
        if self.labels.made_from is MadeFrom.dictionary:
            if dictionary is None:
                raise InputError("The labels are made from a dictionary; give data.dictionary=FILE, in CMU format.")
            self._pronouncing = Pronouncing(read_dictionary(Path(dictionary)), dictionary, self.labels)
        kept = {symbol: number for number, symbol in enumerate(self.labels.symbols)}
        self._number = [kept.get(symbol) for symbol in self.labels.recorded.symbols]  # by that of the recordings
        self._own: dict[tuple[str, str, str], Record] = {}  # by split, session and trial

    def file(self, session: str, split: str) -> str:
        return self._source.file(session, split)

    def index(self, split: str, sessions: Sequence[str]) -> SplitIndex:
        own = self._source.index(split, sessions)
        index = replace(own, records={}, problems=[self._told_anew(problem) for problem in own.problems])
        for session, records in own.records.items():
            kept = []
            for record in records:
                self._own[split, session, record.group] = record
                key = TrialKey(session, split, record.group, record.block, record.number)
                try:
                    kept.append(self._counted(key, record))
                except MalformedError as malformed:
                    told = Told(session, record.block, record.number, None, record.sentence)
                    index.problems.append(malformed.problem(self.file(session, split), record.group, split, told))
            index.records[session] = tuple(kept)
        return index

    def read_labels(self, key: TrialKey, record: Record) -> Tensor | None:
        own = self._own_record(key, record)
        found = self._source.read_labels(key, own)  # it sees, too, that the trial is as it was
        ids = self._made(own.sentence, None if found is None else found.tolist())
        return None if ids is None else torch.tensor(ids)

    def read_features(self, key: TrialKey, record: Record) -> Tensor:
        return self._source.read_features(key, self._own_record(key, record))

    def _own_record(self, key: TrialKey, record: Record) -> Record:
        """Raises: MalformedError, where there is no such trial any more."""
        place = key.split, key.session, record.group
        if place not in self._own:
            self.index(key.split, [key.session])
        if place not in self._own:
            raise MalformedError("has changed since it was indexed", "Start the run again.")
        return self._own[place]

    def _counted(self, key: TrialKey, record: Record) -> Record:
        """Raises: MalformedError."""
        found = None if record.labels is None else self._source.read_labels(key, record)
        ids = self._made(record.sentence, None if found is None else found.tolist())
        repeats = 0 if ids is None else int((np.diff(ids) == 0).sum())
        return record._replace(labels=None if ids is None else len(ids), repeats=repeats)

    def _made(self, sentence: str | None, own: Ids | None) -> Ids | None:
        """None where there is nothing to make them of, or nothing left of it.

        Raises:
            MalformedError: where the sentence cannot be written.
        """
        if self.labels.made_from is not None:
            ids = [] if sentence is None else self._of_sentence(sentence)
        else:
            ids = [new for old in own or () if (new := self._number[old]) is not None]
        return ids or None

    def _of_sentence(self, sentence: str) -> Ids:
        """Raises: MalformedError."""
        if self._pronouncing is not None:
            ids: list[int] = self._pronouncing.labels(sentence).tolist()
            return ids
        try:
            return write(sentence, self.labels)
        except InputError as error:
            what = f"says '{printable(sentence, 60)}', of which {str(error).partition(';')[0]}"
            raise MalformedError(what, _REMEDY, Reason.unwritable) from None

    def _told_anew(self, problem: Problem) -> Problem:
        """What was said in a bad trial, in these labels."""
        if problem.told is None:
            return problem
        try:
            ids = self._made(problem.told.sentence, problem.told.labels)
        except MalformedError:
            ids = None
        return replace(problem, told=problem.told._replace(labels=None if ids is None else tuple(ids)))
