"""A network as it was trained, rebuilt from its checkpoint, and what it makes of the trials of a split.

What reads a split (HDF5, loaders, a progress bar) is imported when one is read, for a network alone needs none of it.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mode_ssm.batch import Batch
from mode_ssm.config import DataConfig, Device, WordDecoder, default_data_root
from mode_ssm.config import Decoder as Head
from mode_ssm.device import find_device
from mode_ssm.errors import InputError
from mode_ssm.labels import MadeFrom
from mode_ssm.models.model import Encoded, ModeSSM, encoder_frame_ms, encoder_frames
from mode_ssm.recognition.checkpoint import Checkpoint, find_checkpoint, read_checkpoint
from mode_ssm.recognition.one_participant import of_participant
from mode_ssm.t15.sessions import participant_of

if TYPE_CHECKING:
    from mode_ssm.data import Problem, TrialDataset, TrialEntry


@dataclass(frozen=True)
class Recogniser:
    """A network as it was trained, in evaluation mode, with the session indices that it knows."""

    model: ModeSSM
    checkpoint: Checkpoint
    device: torch.device
    participant: str | None = None  # whose recordings alone it reads, see `of`

    @property
    def heads(self) -> tuple[Head, ...]:
        """Those that are trained."""
        return self.checkpoint.heads

    def head(self, name: Head | str | None) -> Head:
        """The head of that name; None = the trained one with the fewest errors in the last validation.

        Raises:
            InputError: for a head that there is not, or that no stage has trained.
        """
        trained = [head.value for head in self.heads]
        if not trained:
            raise InputError(
                f"{self.checkpoint.path} has no trained head to decode with, since its stages gave none a weight or "
                "training.learn named none; train a stage with ctc_weight or rnnt_weight above 0."
            )
        if name is None:
            rates = self.checkpoint.position.rates
            return Head(min(reversed(trained), key=lambda head: rates.get(head, math.inf)))
        if name not in trained:
            raise InputError(
                f"{self.checkpoint.path} has no trained head '{name}' to decode with; choose {' or '.join(trained)}."
            )
        return Head(name)

    def word_decoder(self, asked: WordDecoder | None) -> WordDecoder:
        """The decoder asked for, where its heads are trained; None = the best head.

        Raises:
            InputError: for a head that no stage has trained.
        """
        chosen = WordDecoder(self.head(None).value) if asked is None else asked
        for head in Head if chosen is WordDecoder.joint else [Head(chosen.value)]:
            self.head(head)
        return chosen

    @property
    def frame_ms(self) -> float:
        """From one encoder frame to the next."""
        return encoder_frame_ms(self.checkpoint.config)

    @property
    def channels(self) -> int:
        """C of what a network of one participant reads, see `of`."""
        found = self.checkpoint.channels
        return found if isinstance(found, int) else next(iter(found.values()))

    def of(self, participant: str | None) -> "Recogniser":
        """The same for the recordings of one participant, where participants have maps; None = the only one.

        Raises:
            InputError: for one whom the network does not know, or where it knows several and none is named.
        """
        alone = of_participant(self.checkpoint, participant)
        if alone is self.checkpoint:
            return self
        (who,) = alone.participants
        return replace(_rebuilt(alone, self.device), participant=who)

    @property
    def sessions(self) -> tuple[str, ...]:
        """Those that it knows, where participants have maps of the participants of these."""
        every, known = self.checkpoint.sessions, self.checkpoint.participants
        return tuple(session for session in every if not known or participant_of(session) in known)

    @property
    def session_index(self) -> dict[str, int]:
        return {session: index for index, session in enumerate(self.checkpoint.sessions)}

    def data(self, given: DataConfig) -> DataConfig:
        """The data settings with what the run knows itself: its root with its labels, its format, and its channels.

        A rule by which its labels are made goes with it to any root.
        """
        from mode_ssm.data.source import READ_BY

        own, labels = self.checkpoint.config.data, self.checkpoint.labels
        found = given if given.channels is not None else replace(given, channels=own.channels)
        found = replace(found, source=found.source or own.source)
        if labels.has_rule and found.labels is None:
            dictionary = own.dictionary if labels.made_from is MadeFrom.dictionary else None
            found = replace(found, labels=json.dumps(labels.as_dict()), dictionary=found.dictionary or dictionary)
        if found.source == own.source:
            of_format: dict[str, Any] = {name: getattr(own, name) for name in READ_BY if getattr(found, name) is None}
            found = replace(found, **of_format)
        if given.data_root or given.roots is not None:
            return found
        if not all(Path(root).exists() for root in own.roots or [own.data_root]):
            return replace(found, data_root=default_data_root())
        return replace(found, data_root=own.data_root, roots=own.roots, labels=found.labels or own.labels)

    def open(self, data: DataConfig, split: str, *, labelled: bool | None = None) -> "TrialDataset":
        """A split of a data root: the trials that this network can decode; `labelled` as of open_split."""
        from mode_ssm.data import open_split

        data = self.data(data)
        config = self.checkpoint.config
        dataset = open_split(
            data,
            split,
            num_channels=self.checkpoint.channels,
            encoder_frames=lambda frames: encoder_frames(config, frames),
            normalisation=config.preprocessor.normalisation,
            labelled=labelled,
            aligned=False,
            participant=self.participant,
        )
        self.checkpoint.labels.require(dataset.labels, str(self.checkpoint.path), data.place)
        return dataset

    @torch.no_grad()
    def encode(
        self,
        dataset: "TrialDataset",
        *,
        batch_size: int,
        num_workers: int | None,
        on_problem: Callable[["Problem"], None],
    ) -> Iterator[tuple[Batch, Encoded]]:
        """Every good trial once, encoded, in batches of like length.

        Raises:
            InputError: where there is none.
        """
        from rich.console import Console
        from rich.progress import track

        from mode_ssm.data import read_batches, sequential_batches

        plan = sequential_batches(dataset.entries, batch_size)
        batches = read_batches(
            dataset,
            plan,
            session_index=self.session_index,
            num_workers=num_workers,
            on_problem=on_problem,
            device=self.device,
        )
        read = 0
        for batch in track(batches, "decoding", total=len(plan), console=Console(stderr=True), transient=True):
            if batch is not None:
                read += 1
                yield batch, self.model.encode(batch.to(self.device))
        if not read:
            trials = f"{len(dataset)} {dataset.entries[0].key.split} trials"
            raise InputError(f"None of the {trials} could be decoded; mode-ssm inspect says what is wrong with them.")

    def introduce(self, dataset: "TrialDataset") -> None:
        """Name on stderr what is not read, what was left out of a split, and which of its sessions are unknown."""
        from mode_ssm.data.agreement import check_order
        from mode_ssm.data.meaning import doubtful

        check_order(dataset.source, dataset.entries)
        if dataset.unread:
            _say(not_read(dataset.unread))
        for problem in dataset.problems:
            say_left_out(problem)
        for doubt in doubtful(dataset.source, dataset.entries, _trained_on(dataset)):
            _say(f"Warning: {doubt}")
        for session in sorted({entry.key.session for entry in dataset.entries} - {*self.checkpoint.sessions}):
            _say(f"{session} was not trained on: it is decoded as an unknown session.")


def not_read(unread: Sequence["Problem"]) -> str:
    """One sentence for all that looks like recordings and is not read."""
    first, *others = unread
    more = f" and {len(others)} more, which mode-ssm inspect names" if others else ""
    return f"Not read, though it looks like recordings: {first.file}{more}."


def _trained_on(dataset: "TrialDataset") -> "list[TrialEntry]":
    """The train trials of the same root, where the split is another one."""
    from mode_ssm.data.opening import split_entries

    if all(entry.key.split == "train" for entry in dataset.entries):
        return []
    return split_entries(dataset.source, dataset.source.index("train", dataset.sessions), "train")


def say_left_out(problem: "Problem") -> None:
    _say(f"Leaving out: {problem}")


def _say(sentence: str) -> None:
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(sentence, markup=False)


def load_recogniser(checkpoint: str, device: Device = Device.auto) -> Recogniser:
    """Rebuild the network of a run folder or checkpoint file, on a GPU where there is one unless told.

    Raises:
        InputError: when there is no readable checkpoint, or no such device.
    """
    place = find_device(device)
    return _rebuilt(read_checkpoint(find_checkpoint(Path(checkpoint))), place)


def _rebuilt(loaded: Checkpoint, place: torch.device) -> Recogniser:
    model = ModeSSM(loaded.config, len(loaded.sessions), loaded.labels, loaded.participants)
    try:
        model.load_state_dict(loaded.model)
    except RuntimeError as error:
        what = str(error).splitlines()[1].strip()
        raise InputError(f"{loaded.path} does not fit its own settings ({what}); use another checkpoint.") from None
    return Recogniser(model.to(place).eval(), loaded, place)
