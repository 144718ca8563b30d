"""What a row of the table is, and the place that its input is made in."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest

from mode_ssm.labels import T15
from tests.data.files import FakeTrial, write_session
from tests.small import SESSIONS

WORDS = {"hello": "HH AH L OW", "you": "Y UW", "go": "G OW", "we": "W IY", "see": "S IY", "no": "N OW"}
SENTENCES = ("hello you", "we see you", "no we go", "you see no go", "go go hello", "we go")


def said(sentence: str, number: int, frames: int = 90, labelled: bool = True) -> FakeTrial:
    """A trial of noise with the labels of a sentence of WORDS."""
    features = np.random.default_rng(number).standard_normal((frames + number, 8), dtype=np.float32)
    labels = [label for word in sentence.split() for label in (*T15.ids(WORDS[word]), T15.boundary or 0)]
    return FakeTrial(features, labels if labelled else None, f"{sentence.capitalize()}.", block=1 + number % 2)


def write_said(root: Path) -> Path:
    """Two sessions with train, val and test splits."""
    for place, session in enumerate(SESSIONS[:2]):
        seed = 100 * place
        write_session(root, session, "train", [said(s, seed + n) for n, s in enumerate(SENTENCES)])
        write_session(root, session, "val", [said(s, seed + 20 + n) for n, s in enumerate(("we see no", "hello you"))])
        write_session(root, session, "test", [said("go", seed + 40 + n, labelled=False) for n in range(2)])
    return root


@dataclass
class Place:
    """The folder that a row's input is made in: `{root}`, `{run}`, `{lm}` and `{at}` in its command."""

    at: Path
    shared: Path  # what is made once for all rows, and never changed: root, run (trained on it), lm
    monkeypatch: pytest.MonkeyPatch
    made: dict[str, Path] = field(default_factory=dict)

    def own(self, name: str) -> Path:
        """This row's copy of the shared root, run or lm."""
        if name not in self.made:
            self.made[name] = self.at / name
            shutil.copytree(self.shared / name, self.made[name])
        return self.made[name]

    @property
    def root(self) -> Path:
        return self.own("root")

    @property
    def run(self) -> Path:
        return self.own("run")

    @property
    def lm(self) -> Path:
        return self.own("lm")

    def file(self, split: str, session: int = 0) -> Path:
        return self.root / SESSIONS[session] / f"data_{split}.hdf5"

    def change(self, split: str, edit: Callable[[h5py.File], object], session: int = 0) -> None:
        """Edit a session's file of this row's root."""
        with h5py.File(self.file(split, session), "a") as file:
            edit(file)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.at / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def words(self, command: str) -> list[str]:
        """The command with the places filled in."""
        where = {name: self.made.get(name, self.shared / name) for name in ("root", "run", "lm")}
        return [word.format(at=self.at, **where) for word in command.split()]


class Row(NamedTuple):
    kind: int  # of fault: see the table's docstring
    what: str  # is made
    make: Callable[[Place], object]
    command: str  # words between spaces, with {root}, {run}, {lm} and {at}
    status: int
    says: str | tuple[str, ...] = ()  # what the output holds; what it may not hold begins with a !
    value: Callable[[Place], object] = lambda _: None
    expected: object = None  # of `value`, after the command


def nothing(_: Place) -> None:
    """The shared input as it is."""
