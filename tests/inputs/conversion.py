"""Rows of convert: what is left out is counted, what is refused says so."""

import json

import numpy as np
import pytest

from mode_ssm.cli import main
from tests.formats.test_npz import arrays, write
from tests.inputs.row import Place, Row, nothing

CONVERT = "convert npz:{at}/source out={at}/out"
SESSION = "m1.2016.03.25"


def source(place: Place) -> None:
    write(place.at / "source" / f"{SESSION}.npz", **arrays())


def bad_trial(place: Place) -> None:
    made = arrays()
    made["features"][0, 0] = np.inf
    write(place.at / "source" / f"{SESSION}.npz", **made)


def trials(place: Place) -> object:
    journal = json.loads((place.at / "out" / "converted.json").read_text(encoding="utf-8"))
    return journal["trials"], journal["left_out"]


def something_else(place: Place) -> None:
    source(place)
    (place.at / "out").mkdir()
    place.write("out/notes.txt", "by hand")


def changed(place: Place) -> None:
    source(place)
    with pytest.raises(SystemExit) as stopped:
        main(place.words(CONVERT))
    assert stopped.value.code == 0
    write(place.at / "source" / f"{SESSION}.npz", **arrays(3))


ROWS = (
    Row(
        1,
        "an infinite trial that is converted",
        bad_trial,
        CONVERT,
        0,
        "4 of 5 trials",
        trials,
        (4, {"NaN or infinite features": 1}),
    ),
    Row(
        1,
        "that, where one bad trial is an error",
        bad_trial,
        f"{CONVERT} on_bad_trial=error",
        2,
        "trial_0000 has 1 NaN or infinite",
    ),
    Row(4, "a source that changed after its conversion", changed, CONVERT, 2, f"{SESSION}.npz is another one"),
    Row(
        6,
        "a folder of something else to convert to",
        something_else,
        CONVERT,
        2,
        "holds something that is no conversion",
    ),
    Row(
        17,
        "recordings of T15 to convert",
        nothing,
        "convert from=t15:{root} out={at}/out",
        2,
        "is in the T15 layout already",
    ),
    Row(17, "a folder without its format", nothing, "convert {root} out={at}/out", 2, "is no NAME:PATH of a format"),
    Row(17, "no folder to convert to", nothing, "convert npz:{root}", 2, "out has no default; give it as out=VALUE"),
    Row(17, "nothing to convert", nothing, "convert out={at}/out", 2, "from has no default; give it as from=VALUE"),
    Row(
        17,
        "a setting that the format does not read",
        source,
        f"{CONVERT} nwb_series=a",
        2,
        "npz does not read it; nwb does",
    ),
)
