"""The recorded speech of AN4 in the T15 layout, where it lies beside the repository."""

from pathlib import Path

import pytest

from mode_ssm.config import DataConfig
from mode_ssm.data import Problem, open_split, read_batches, sequential_batches
from mode_ssm.labels import T15
from tests.data.conftest import patches

ROOT = Path(__file__).parents[3] / "shared" / "an4" / "hdf5"
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason="AN4 is not at ../shared/an4/hdf5")


@pytest.mark.parametrize(("split", "trials"), [("train", 851), ("val", 97)])
def test_all_trials_read(tmp_path: Path, split: str, trials: int) -> None:
    config = DataConfig(data_root=str(ROOT), cache_dir=str(tmp_path))
    dataset = open_split(config, split, num_channels=13, encoder_frames=patches)
    assert (len(dataset), dataset.problems, len(dataset.sessions)) == (trials, [], 8)
    batches = sequential_batches(dataset.entries, 64)
    index = {session: place for place, session in enumerate(dataset.sessions)}
    problems: list[Problem] = []
    read = 0
    for batch in read_batches(dataset, batches, session_index=index, num_workers=0, on_problem=problems.append):
        assert batch is not None
        assert batch.features.shape[2] == 13
        assert batch.session_index.min() >= 0
        for labels, length in zip(batch.labels.tolist(), batch.label_lengths.tolist(), strict=True):
            symbols = T15.text(labels[:length])
            assert symbols.endswith("|")
            assert T15.ids(symbols) == labels[:length]
        read += len(batch.keys)
    assert (read, problems) == (trials, [])
