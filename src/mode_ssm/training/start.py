"""Training from Python: `mode_ssm.train`."""

from collections.abc import Sequence
from pathlib import Path

from mode_ssm.config import TrainConfig
from mode_ssm.settings import read_settings
from mode_ssm.training.loop import train as train_stages


def train(config: TrainConfig | Sequence[str]) -> Path:
    """Train all stages of a run, as `mode-ssm train` does.

    Args:
        config: the configuration, or the words of the command line that make it, such as
            `["experiment=an4", "data.data_root=DIR", "output_dir=RUN"]`.

    Returns:
        The run folder; `mode_ssm.load` reads it.

    Raises:
        InputError: for settings or data that cannot be trained on.
        SystemExit: 143, after a checkpoint was saved, when the process is told to stop (SIGTERM or Ctrl-C).
    """
    return train_stages(config if isinstance(config, TrainConfig) else read_settings(TrainConfig, config))
