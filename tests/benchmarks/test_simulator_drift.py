"""The benchmark of drift: renewing the session layers holds everything else."""

import sys
from pathlib import Path

from mode_ssm.recognition.checkpoint import find_checkpoint, read_checkpoint
from tests.small import SMALL, write_data

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import simulator_drift as drift


def test_renewing_changes_the_session_layers_alone(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    small = [word for word in SMALL if "stages" not in word]
    trained = drift.train_on_first(data, tmp_path / "known", 1, 0, small)
    last = drift.last_sessions(data, tmp_path / "last")
    renewed = drift.renew_session_layers(trained, last, tmp_path / "renewed", 1, 0, small)
    before, after = (read_checkpoint(find_checkpoint(run)).model for run in (trained, renewed))
    changed = {name for name in after if not before[name].equal(after[name])}
    assert changed
    assert all(name.startswith(drift.SESSION_LAYER) for name in changed)
