"""A small real run: files on disk in the T15 layout, a small network, the settings that train it in seconds."""

from dataclasses import replace
from pathlib import Path

from mode_ssm.config import TrainConfig
from mode_ssm.settings import read_settings
from tests.data.files import make_trial, write_session

CHANNELS = 8
SESSIONS = ("t15.2023.08.11", "t15.2023.08.13", "t15.2023.08.18")

SMALL = """
preprocessor.num_channels=8 preprocessor.session_rank=2 encoder.width=16 encoder.layers=2 encoder.state_size=8
encoder.head_width=8 predictor.width=8 training.batch_size=4 training.schedule.warmup_updates=5
training.stages.0.epochs=1 training.stages.1.epochs=1 training.log_every_updates=1 training.accelerator=cpu
""".split()


def write_data(root: Path, trials: int = 6, frames: int = 90) -> Path:
    """Three sessions; the first has no val split, as in T15."""
    for index, session in enumerate(SESSIONS):
        write_session(root, session, "train", [make_trial(100 * index + n, frames + 4 * n) for n in range(trials)])
        if index:
            val = [replace(make_trial(900 + 10 * index + n, frames), sentence="Unseen words.") for n in range(3)]
            write_session(root, session, "val", val)
    return root


def small_words(root: Path, run: Path, *more: str) -> list[str]:
    return [*SMALL, f"data.data_root={root}", f"data.cache_dir={root}.index", f"output_dir={run}", *more]


def fitting(base: list[str], more: list[str]) -> list[str]:
    """`base` and `more`, without what `more` sets itself and the sizes that its encoder does not have."""
    unset = {word.split("=")[0] for word in more}
    if "encoder=gru" in more or "encoder=transformer" in more:
        unset.add("encoder.state_size")
    if "encoder=gru" in more:
        unset.add("encoder.head_width")
    return [*(word for word in base if word.split("=")[0] not in unset), *more]


def small_config(root: Path, run: Path, *more: str) -> TrainConfig:
    return read_settings(TrainConfig, small_words(root, run, *more))
