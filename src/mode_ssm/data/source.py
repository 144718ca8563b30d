"""What any format of recordings answers, and which formats there are.

Another format is a module with a class like this, and a line in SOURCES.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from torch import Tensor

from mode_ssm.batch import TrialKey
from mode_ssm.config import DataConfig
from mode_ssm.data.channels import SomeChannels
from mode_ssm.data.made_labels import MadeLabels
from mode_ssm.data.roots import SeveralRoots
from mode_ssm.errors import InputError
from mode_ssm.formats.an4 import An4Source
from mode_ssm.formats.falcon_h2 import FalconH2Source
from mode_ssm.formats.kunz import KunzSource
from mode_ssm.formats.npz import NpzSource
from mode_ssm.formats.nwb import NwbSource
from mode_ssm.formats.t12 import T12Source
from mode_ssm.index import Record, SplitIndex
from mode_ssm.labels import Labels, MadeFrom, labels_of
from mode_ssm.t15.source import T15Source

SPLITS = ("train", "val", "test")


class Source(Protocol):
    """The recordings of one data root, or of several. It can be pickled: each reader process gets a copy."""

    sessions: tuple[str, ...]  # in the order of their dates, whatever splits they have
    labels: Labels  # the set that the trials are labelled with

    def file(self, session: str, split: str) -> str:
        """What messages call a session's part of a split: <session>/data_<split>.hdf5, <session>.npz (<split>)."""

    def index(self, split: str, sessions: Sequence[str]) -> SplitIndex:
        """What these sessions hold of a split, read without features; what is wrong is told in it, not raised."""

    def read_labels(self, key: TrialKey, record: Record) -> Tensor | None:
        """(U,) int64, checked against the set; None where the trial has none.

        Raises:
            MalformedError: where they cannot be read, or the trial is no longer as its record says.
        """

    def read_features(self, key: TrialKey, record: Record) -> Tensor:
        """(T, C) float32; any value, NaN and infinity too.

        Raises:
            MalformedError: where they cannot be read.
        """


SOURCES: dict[str, Callable[[DataConfig], Source]] = {
    "t15": T15Source,
    "npz": NpzSource,
    "nwb": NwbSource,
    "t12": T12Source,
    "an4": An4Source,
    "falcon_h2": FalconH2Source,
    "kunz": KunzSource,
}
READ_BY = {
    "dictionary": ("t12", "npz", "nwb", "kunz"),
    "nwb_series": ("nwb",),
    "sentence_column": ("nwb",),
    "behaviours": ("kunz",),
}  # settings that not every format reads, and the formats that do


def open_source(config: DataConfig) -> Source:
    """
    Raises:
        InputError: on an unknown format or a bad setting, and where the format finds no recordings.
    """
    if config.num_workers is not None and config.num_workers < 0:
        raise InputError(f"data.num_workers is {config.num_workers}; set it to 0 (read in this process) or more.")
    if config.source not in SOURCES:
        raise InputError(f"data.source={config.source} is no format that is known; choose {' or '.join(SOURCES)}.")
    if config.roots is not None:
        if len({*config.roots}) < len(config.roots):
            raise InputError(f"{config.words} names a root twice; name each once.")
        each = {root: replace(config, data_root=root, roots=None) for root in config.roots}
        return SeveralRoots({root: open_source(one) for root, one in each.items()})
    _check_read(config)
    source: Source = SOURCES[config.source](config)
    if source.labels.has_rule:
        source = MadeLabels(source, config.dictionary)
    return source if config.channels is None else SomeChannels(source, config.channels)


def _check_read(config: DataConfig) -> None:
    """Raises: InputError, where a setting is set that neither the format nor the rule of the labels reads."""
    for name, formats in READ_BY.items():
        if config.source in formats or getattr(config, name) is None:
            continue
        if name == "dictionary" and labels_of(Path(config.data_root), config.labels).made_from is MadeFrom.dictionary:
            continue
        read = " or ".join(formats)
        raise InputError(f"data.{name} is set and data.source={config.source} does not read it; {read} does.")
