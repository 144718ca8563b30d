"""One session as an NWB file that `mode_ssm.formats.nwb` reads back: a series of all frames, and the trials table."""

import datetime as dt
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.errors import InputError
from mode_ssm.files import replacing
from mode_ssm.t15.sessions import participant_of

RATE_HZ = 50.0  # a frame every 20 ms
_UNKNOWN: dict[str, Any] = {  # of a participant, as the format writes what is not known
    "age": "P0D/",  # so old or older
    "sex": "U",
    "species": "http://purl.obolibrary.org/obo/NCBITaxon_32644",  # unidentified
    "description": "Age, sex and species do not stand in the recordings that this was made from.",
}
_COLUMNS = {
    "split": "train, val or test",
    "block": "number of the block",
    "number": "number of the trial within its block",
    "sentence": "what was to be said; empty where it is not known",
    "labels": "numbers of labels.yaml beside the file; none where the trial is not labelled",
}


class SessionTrial(NamedTuple):
    start: int  # its first frame
    end: int  # the frame after its last
    split: str
    block: int
    number: int
    sentence: str | None
    labels: Sequence[int] | None


def write_session(path: Path, session: str, values: NDArray[np.float32], trials: Sequence[SessionTrial]) -> None:
    """Write beside the place and rename.

    Args:
        session: <participant>.YYYY.MM.DD; the time of day is not known and written as midnight, UTC.
        values: (frames, channels) of the trials one after another; what was between them is not there.

    Raises:
        InputError: where the session's date is none.
        OSError: where it cannot be written.
    """
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries
    from pynwb.file import Subject

    file = NWBFile(
        session_description=f"Trials of {session}, one after another; the time between them is not in the file.",
        identifier=session,
        session_start_time=_day(session),
        subject=Subject(subject_id=participant_of(session), **_UNKNOWN),
    )
    what = "Features of all trials, a frame every 20 ms, as they were in the recordings that this was made from."
    file.add_acquisition(
        TimeSeries(name="features", description=what, data=values, unit="a.u.", rate=RATE_HZ, starting_time=0.0)
    )
    for name, description in _COLUMNS.items():
        file.add_trial_column(name=name, description=description, index=name == "labels")
    for trial in trials:
        file.add_trial(
            start_time=trial.start / RATE_HZ,
            stop_time=trial.end / RATE_HZ,
            split=trial.split,
            block=trial.block,
            number=trial.number,
            sentence=trial.sentence or "",
            labels=np.array(trial.labels or (), dtype=np.int64),
        )
    with replacing(path) as beside, warnings.catch_warnings(action="ignore"), NWBHDF5IO(str(beside), "w") as io:
        io.write(file)


def _day(session: str) -> dt.datetime:
    try:
        return dt.datetime.strptime(session[-len("YYYY.MM.DD") :], "%Y.%m.%d").replace(tzinfo=dt.UTC)
    except ValueError:
        raise InputError(f"The session {session} has a date that is none; NWB needs one, so rename it.") from None
