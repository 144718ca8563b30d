"""NWB files written by pynwb, for the tests of what reads them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pynwb import NWBHDF5IO, NWBFile, TimeSeries


def write_nwb(
    path: Path,
    series: Sequence[TimeSeries] = (),
    trials: Sequence[Mapping[str, Any]] = (),
    units: Sequence[Any] = (),
) -> Path:
    """Series in acquisition, a trial for each of `trials` with what its columns hold, and the spike times of units."""
    file = NWBFile(
        session_description="a test", identifier="made", session_start_time=dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    )
    for each in series:
        file.add_acquisition(each)
    for name in [name for name in (trials[0] if trials else {}) if name not in ("start_time", "stop_time")]:
        file.add_trial_column(name=name, description=f"its {name}", index=name == "labels")
    for trial in trials:
        file.add_trial(**trial)
    for times in units:
        file.add_unit(spike_times=times)
    path.parent.mkdir(parents=True, exist_ok=True)
    with NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path
