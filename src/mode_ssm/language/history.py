"""Where the hypotheses of a beam come from: each label that was emitted, once, with the emission before it."""

import numpy as np

from mode_ssm.language.segments import Ints

START = 0  # before the first label
NO_WORD = -1


class Backtrace:
    """A tree of emissions in arrays that grow; a hypothesis holds the number of its last one."""

    def __init__(self) -> None:
        self._size = 1
        # Parent, label, frame, word, and the words up to here.
        self._columns = np.full((5, 1024), -1, dtype=np.int64)
        self._columns[4, START] = 0

    def __len__(self) -> int:
        return self._size

    def add(self, parent: Ints, label: Ints, frame: Ints, word: Ints) -> Ints:
        """Emissions after others; the words that ended with them or NO_WORD. Gives their numbers."""
        start, self._size = self._size, self._size + len(parent)
        if self._size > self._columns.shape[1]:
            more = np.full((5, max(self._size, self._columns.shape[1])), -1, dtype=np.int64)
            self._columns = np.concatenate([self._columns, more], axis=1)
        said = self._columns[4, parent] + (word != NO_WORD)
        self._columns[:, start : self._size] = parent, label, frame, word, said
        return np.arange(start, self._size)

    def path(self, last: int) -> Ints:
        """(n, 3) label, frame and word of each emission up to this one, the first first."""
        places = []
        while last != START:
            places.append(last)
            last = int(self._columns[0, last])
        return self._columns[1:4, places[::-1]].T

    def ended(self, last: Ints, known: int = 0) -> tuple[Ints, Ints]:
        """The words of each history after the first `known`, and the frames that ended them, (most words, N) each.

        Shorter columns are filled up with NO_WORD.
        """
        words, frames = [], []
        while len(last := np.where(self._columns[4, last] > known, last, START)) and last.any():
            words.append(self._columns[3, last])
            frames.append(self._columns[2, last])
            last = np.maximum(self._columns[0, last], START)
        table = np.array(words, np.int64).reshape(-1, len(last))[::-1]
        times = np.array(frames, np.int64).reshape(-1, len(last))[::-1]
        order = np.argsort(table == NO_WORD, axis=0, kind="stable")  # what ended no word goes to the end
        size = int((table != NO_WORD).sum(axis=0).max(initial=0))
        return np.take_along_axis(table, order, 0)[:size], np.take_along_axis(times, order, 0)[:size]

    def keep(self, used: Ints) -> Ints:
        """Forget what no emission in use comes from; the new number of each one in use."""
        alive = np.zeros(self._size, dtype=np.bool_)
        alive[START] = True
        new = np.unique(used)
        while len(new):
            alive[new] = True
            parents = np.unique(self._columns[0, new])
            new = parents[(parents >= 0) & ~alive[parents]]
        number = np.cumsum(alive) - 1
        columns = self._columns[:, : self._size][:, alive]
        columns[0, 1:] = number[columns[0, 1:]]
        self._columns, self._size = columns, columns.shape[1]
        return np.asarray(number[used])
