"""Rows of recordings in other formats: exported, read again by a run on T15's, and settings that their format lacks."""

import pytest

from mode_ssm.cli import main
from tests.inputs.counts import WHOLE, counts, edited, nan
from tests.inputs.row import Place, Row, nothing

EXPORT = "export {root} out={at}/nwb"


def exported(place: Place) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(place.words(EXPORT))
    assert stopped.value.code == 0


def something_there(place: Place) -> None:
    (place.at / "nwb").mkdir()
    place.write("nwb/notes.txt", "mine")


def files_there(place: Place) -> object:
    return sorted(path.name for path in (place.at / "nwb").iterdir())


EXPORTS = [
    Row(17, "exported", nothing, EXPORT, 0, "Written: 20 of 20 trials, 2 of 2 sessions"),
    Row(1, "exported, a bad trial", edited("train", nan), EXPORT, 0, ("Written: 19 of 20 trials", "has 1 NaN")),
    Row(17, "something at its place", something_there, EXPORT, 2, "holds something", files_there, ["notes.txt"]),
    Row(17, "no place for it", nothing, "export {root}", 2, "out"),
    Row(
        17,
        "evaluated on an export",
        exported,
        "evaluate {run} data.source=nwb data.data_root={at}/nwb output_dir={at}/out",
        0,
        "",
        counts,
        WHOLE,
    ),
]
SETTINGS = [
    Row(5, "behaviours of T15", nothing, "inspect {root} data.behaviours=[attempted]", 2, "does not read it; kunz do"),
    Row(5, "a behaviour alone", nothing, "inspect {root} data.source=kunz data.behaviours=mouthed", 2, "needs a list"),
    Row(5, "a column of T15", nothing, "inspect {root} data.sentence_column=cue", 2, "does not read it; nwb does"),
    Row(5, "T15 as H2", nothing, "inspect {root} data.source=falcon_h2", 2, "holds no files such as sub-T5-held-in"),
    Row(
        5,
        "no such format",
        nothing,
        "inspect {root} data.source=h2",
        2,
        "choose t15 or npz or nwb or t12 or an4",
    ),
]
ROWS = [*EXPORTS, *SETTINGS]
