"""The data of a run: the train split, the val split where there is one, and which sentences were trained on."""

from dataclasses import dataclass

from mode_ssm.config import TrainConfig
from mode_ssm.data import Problem, TrialDataset, open_split
from mode_ssm.models.model import encoder_frames
from mode_ssm.training.augment import fewest_frames


@dataclass(frozen=True)
class Splits:
    train: TrialDataset
    val: TrialDataset | None

    @property
    def sessions(self) -> tuple[str, ...]:
        """Those that there are train trials of, in date order; no other can have a session layer of its own."""
        trained = {entry.key.session for entry in self.train.entries}
        return tuple(session for session in self.train.sessions if session in trained)

    @property
    def session_index(self) -> dict[str, int]:
        return {session: index for index, session in enumerate(self.sessions)}

    @property
    def problems(self) -> list[Problem]:
        return self.train.problems + (self.val.problems if self.val else [])


def open_splits(config: TrainConfig) -> Splits:
    """Open both splits; a train trial must fit even at the shortest that augmentation may make it.

    Raises:
        InputError: when there is nothing to train on, or a bad trial and data.on_bad_trial=error.
    """
    channels = config.preprocessor.num_channels
    train = open_split(
        config.data,
        "train",
        num_channels=channels,
        encoder_frames=lambda frames: encoder_frames(config, fewest_frames(frames, config.augmentation)),
    )
    if train.source.index("val", train.sessions).is_empty:
        return Splits(train, None)
    val = open_split(
        config.data,
        "val",
        num_channels=channels,
        encoder_frames=lambda frames: encoder_frames(config, frames),
    )
    return Splits(train, val)
