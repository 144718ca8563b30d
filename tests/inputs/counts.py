"""Rows of what counts: denominators, trials that keep their place, heads, names not read, empty text, phonemes."""

import csv
import json
import math
from collections.abc import Callable

import h5py
import numpy as np

from tests.data.files import write_session
from tests.inputs.mended import DECODE, EVALUATE, TRAIN, ctc_alone, rewrite_position
from tests.inputs.row import Place, Row, nothing, said
from tests.small import SESSIONS

Edit = Callable[[h5py.File], object]
TWO_STAGES = "training.stages.0.epochs=1 training.stages.1.epochs=1 output_dir={at}/new"


def edited(split: str, *edits: Edit) -> Callable[[Place], object]:
    """The first session's file of a split after some edits; its second trial is the one that most edits are about."""

    def make(place: Place) -> None:
        for edit in edits:
            place.change(split, edit)

    return make


def frames(count: int, trial: str = "trial_0001") -> Edit:
    def edit(file: h5py.File) -> None:
        features = file[trial]["input_features"][:count]
        del file[trial]["input_features"]
        file[trial]["input_features"] = features
        file[trial].attrs["n_time_steps"] = count

    return edit


def nan(file: h5py.File) -> None:
    file["trial_0001"]["input_features"][3, 2] = math.nan


def without(name: str) -> Edit:
    def edit(file: h5py.File) -> None:
        trial = file["trial_0001"]
        del (trial.attrs if name in trial.attrs else trial)[name]

    return edit


def attribute(name: str, value: object, trial: str = "trial_0001") -> Edit:
    return lambda file: file[trial].attrs.__setitem__(name, value)


# 1: failures that leave the denominator


def counts(place: Place) -> object:
    """Trials scored and decoded, reference phonemes, and whether all that was left out of decoding is an edit."""
    found = json.loads((place.at / "out" / "evaluation.json").read_text())
    return found["trials"], found["trials_decoded"], found["reference_phonemes"], sum(found["left_out"].values())


def rows_of(place: Place) -> object:
    with (place.at / "out" / "hypotheses.csv").open(encoding="utf-8", newline="") as file:
        return len([*csv.DictReader(file)])


def validated(place: Place) -> object:
    lines = (place.at / "new" / "metrics.jsonl").read_text().splitlines()
    last = [record for record in map(json.loads, lines) if record["kind"] == "validation"][-1]
    return last["trials"], last["labels"], last["left_out"]


def spoil_file(place: Place) -> None:
    place.file("val").write_bytes(b"not a recording")


LOST = "1 of 4 trials could not be decoded and count as deletions: 1 "
WHOLE = (4, 4, 34, 0)  # "we see no " and "hello you " have 9 and 8 labels, in two sessions
DENOMINATORS = [
    Row(1, "nothing", nothing, EVALUATE, 0, "!as deletions", counts, WHOLE),
    Row(1, "fewer frames than labels", edited("val", frames(18)), EVALUATE, 0, "!as deletions", counts, WHOLE),
    Row(
        1,
        "and the transducer",
        edited("val", frames(18)),
        f"{EVALUATE} decoder=rnnt",
        0,
        "!as deletions",
        counts,
        WHOLE,
    ),
    Row(1, "no encoder frame", edited("val", frames(9)), EVALUATE, 0, f"{LOST}too short", counts, (4, 3, 34, 1)),
    Row(1, "a NaN", edited("val", nan), EVALUATE, 0, f"{LOST}NaN or infinite features.", counts, (4, 3, 34, 1)),
    Row(1, "no features", edited("val", without("input_features")), EVALUATE, 0, LOST, counts, (4, 3, 34, 1)),
    Row(1, "no block", edited("val", without("block_num")), EVALUATE, 0, f"{LOST}unreadable.", counts, (4, 3, 34, 1)),
    Row(1, "no length", edited("val", without("n_time_steps")), EVALUATE, 0, LOST, counts, (4, 3, 34, 1)),
    Row(1, "a NaN, words", edited("val", nan), DECODE, 0, f"{LOST}NaN or infinite features.", rows_of, 4),
    Row(1, "no frame, joint", edited("val", frames(9)), f"{DECODE} decoder=joint", 0, f"{LOST}too", rows_of, 4),
    Row(1, "no frame, ensemble", edited("val", frames(9)), f"{DECODE} ensemble={{run}}", 0, f"{LOST}too", rows_of, 4),
    Row(
        1,
        "no labels",
        edited("val", without("seq_class_ids")),
        EVALUATE,
        0,
        "1 of 4 trials are not scored: 1 no labels.",
        counts,
        (3, 3, 26, 1),
    ),
    Row(1, "a file that is none", spoil_file, EVALUATE, 0, "1 file could not be read; their trials are not counted."),
    Row(
        1,
        "a NaN, validated",
        edited("val", nan),
        f"train {TRAIN} {TWO_STAGES}",
        0,
        "has 1 NaN",
        validated,
        (4, 34, {"NaN or infinite features": 1}),
    ),
    Row(
        1,
        "no frame, validated",
        edited("val", frames(9)),
        f"train {TRAIN} {TWO_STAGES}",
        0,
        "too few",
        validated,
        (4, 34, {"too short for an encoder frame": 1}),
    ),
    Row(
        1,
        "few frames, validated",
        edited("val", frames(18)),
        f"train {TRAIN} {TWO_STAGES}",
        0,
        "!as deletions",
        validated,
        (4, 34, {}),
    ),
    Row(
        1,
        "few frames, trained on",
        edited("train", frames(24)),
        f"train {TRAIN} {TWO_STAGES}",
        0,
        "1 of 12 train trials (t15.2023.08.11/train/trial_0001) may have too few encoder frames for CTC",
    ),
    Row(
        1,
        "a NaN, reported",
        edited("val", nan),
        "report {run} data.data_root={root} out={at}/page.html",
        0,
        "Written",
        lambda place: LOST in (place.at / "page.html").read_text(encoding="utf-8"),
        True,
    ),
]


# 2: trials that are counted and cannot be removed

SUBMIT = "submit data.data_root={root} hypotheses={at}/h.csv out={at}/s.csv"


def hypotheses(*edits: Edit, drop: tuple[int, ...] = ()) -> Callable[[Place], object]:
    """The test split after some edits, and its hypotheses without some rows; a session has blocks 1 and 2, then."""

    def make(place: Place) -> None:
        edited("test", *edits)(place)
        rows = [f"{session},{1 + number},{number},go" for session in SESSIONS[:2] for number in range(2)]
        kept = [row for number, row in enumerate(rows) if number not in drop]
        place.write("h.csv", "\n".join(["session,block,trial,words", *kept, ""]))

    return make


def submitted(place: Place) -> object:
    return (place.at / "s.csv").read_text(encoding="utf-8").splitlines()


def remove_first(file: h5py.File) -> None:
    del file["trial_0000"]


DECODE_TEST = f"{DECODE} split=test"
THE = ["id,text", "0,go", "1,the", "2,go", "3,go"]
KEPT = [
    Row(
        2,
        "nothing",
        hypotheses(),
        SUBMIT,
        0,
        "a valid submission",
        submitted,
        ["id,text", *(f"{n},go" for n in range(4))],
    ),
    Row(2, "a NaN", edited("test", nan), DECODE_TEST, 0, ("leave it in its place", "!remove"), rows_of, 4),
    Row(
        2,
        "no features",
        edited("test", without("input_features")),
        DECODE_TEST,
        0,
        ("its place", "!remove"),
        rows_of,
        4,
    ),
    Row(
        2, "no row", hypotheses(drop=(1,)), f"{SUBMIT} empty_text=the", 0, "1 of 4 trials have no words", submitted, THE
    ),
    Row(2, "no row and no text", hypotheses(drop=(1,)), SUBMIT, 2, "set empty_text to what should stand"),
    Row(2, "a session without rows", hypotheses(drop=(2, 3)), f"{SUBMIT} empty_text=the", 2, "without max_sessions"),
    Row(2, "a NaN and no row", hypotheses(nan, drop=(1,)), f"{SUBMIT} empty_text=the", 0, "a valid", submitted, THE),
    Row(
        2,
        "no features and no row",
        hypotheses(without("input_features"), drop=(1,)),
        f"{SUBMIT} empty_text=the",
        0,
        "a valid submission",
        submitted,
        THE,
    ),
    Row(2, "no block", hypotheses(without("block_num")), SUBMIT, 2, ("has no attribute block_num", "!remove")),
    Row(2, "a trial taken out", hypotheses(remove_first), SUBMIT, 2, "lacks 1 of its trial numbers (trial_0000)"),
    Row(
        2, "a trial taken out, inspected", edited("test", remove_first), "inspect {root}", 0, "lacks 1 of its trial num"
    ),
    Row(
        2, "a trial taken out of val", edited("val", remove_first), "inspect {root}", 0, "lacks 1 of its trial numbers"
    ),
]


# 3: heads that no stage trained


def rnnt_better(place: Place) -> None:
    rewrite_position(place.run, {"rates": {"ctc": 0.9, "rnnt": 0.5}})


def decoded_by(place: Place) -> object:
    return json.loads((place.at / "out" / "decode.json").read_text())["decoder"]


NO_RNNT = "has no trained head 'rnnt' to decode with; choose ctc."
TUNE = "tune {run} lm={lm} data.data_root={root} tries=1"
HEADS = [
    Row(3, "words after CTC alone", ctc_alone, DECODE, 0, value=decoded_by, expected="ctc"),
    Row(3, "words by the better head", rnnt_better, DECODE, 0, value=decoded_by, expected="rnnt"),
    Row(3, "words of rnnt after CTC alone", ctc_alone, f"{DECODE} decoder=rnnt", 2, NO_RNNT),
    Row(3, "words of both after CTC alone", ctc_alone, f"{DECODE} decoder=joint", 2, NO_RNNT),
    Row(3, "an ensemble with it", ctc_alone, f"{DECODE} decoder=rnnt ensemble={{run}}", 2, NO_RNNT),
    Row(3, "weights of rnnt after CTC alone", ctc_alone, f"{TUNE} decoder=rnnt", 2, NO_RNNT),
]


# 6: what looks like data and is not read


def named(name: str) -> Callable[[Place], object]:
    """A copy of the first val file under another name in the first session; with a slash, in a folder beside it."""

    def make(place: Place) -> None:
        path = (place.root if "/" in name else place.root / SESSIONS[0]) / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(place.file("val").read_bytes())

    return make


NOT_READ = "Not read, though it looks like recordings: "
UNREAD = [
    *(
        Row(
            6,
            f"{name}, inspected",
            named(name),
            "inspect {root}",
            0,
            f"{name.split('/')[0]} looks like recordings and is",
        )
        for name in (
            "t15.2023.08.13_b/data_val.hdf5",
            "data_val.hdf5.part",
            "data_val.h5",
            "data_val (1).hdf5",
            "t15.2023.08.13 (1)/data_val.hdf5",
            "Data_val.hdf5",
            "session_4/data_val.hdf5",
        )
    ),
    Row(6, "a copied session", named("t15.2023.08.13_b/data_val.hdf5"), EVALUATE, 0, f"{NOT_READ}t15.2023.08.13_b."),
    Row(6, "half a download", named("data_val.hdf5.part"), DECODE, 0, f"{NOT_READ}{SESSIONS[0]}/data_val.hdf5.part."),
    Row(
        6,
        "another ending",
        named("data_val.h5"),
        f"train {TRAIN} {TWO_STAGES}",
        0,
        f"{NOT_READ}{SESSIONS[0]}/data_val.h5.",
    ),
    Row(6, "notes", lambda place: (place.root / "notes.txt").write_text("by hand"), "inspect {root}", 0, "!looks like"),
]


# 7: empty beside absent


def placeholders(file: h5py.File) -> None:
    """What labelled files have, without what was said."""
    for trial in file.values():
        trial["seq_class_ids"] = np.zeros(500, np.int32)
        trial["transcription"] = np.zeros(500, np.int32)
        trial.attrs["seq_len"] = 0
        trial.attrs["sentence_label"] = ""


def padding_alone(file: h5py.File) -> None:
    placeholders(file)
    for trial in file.values():
        trial.attrs["seq_len"] = 12


def words(place: Place) -> object:
    """Reference words, and whether all is JSON as its standard has it."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads((place.at / "out" / "decode.json").read_text(), parse_constant=refuse)
    return found.get("reference_words"), found["trials"], found["trials_labelled"]


def label_test(place: Place) -> None:
    for session in SESSIONS[:2]:
        write_session(place.root, session, "test", [said("we see no", 60), said("hello you", 61)])


def empty_sentence(text: str) -> Callable[[Place], object]:
    return edited("val", attribute("sentence_label", text), lambda file: file["trial_0001"].pop("transcription", None))


NO_LABELS = "split=test has no labels to compare with"
EMPTY = [
    Row(7, "a sentence", empty_sentence("Hello you."), DECODE, 0, "!not scored", words, (10, 4, 4)),
    *(
        Row(
            7,
            f"the sentence {text!r}",
            empty_sentence(text),
            DECODE,
            0,
            "1 of 4 trials are not scored",
            words,
            (8, 4, 3),
        )
        for text in ("", " ", "...")
    ),
    Row(7, "placeholders", edited("test", placeholders), DECODE_TEST, 0, "Written", words, (None, 4, 0)),
    Row(7, "padding alone", edited("test", padding_alone), DECODE_TEST, 0, "Written", words, (None, 4, 0)),
    Row(7, "placeholders, scored", edited("test", placeholders), f"{EVALUATE} split=test", 2, NO_LABELS),
    Row(
        7, "no labels, reported", nothing, "report {run} data.data_root={root} split=test out={at}/p.html", 2, NO_LABELS
    ),
    Row(7, "no labels, tuned on", nothing, f"{TUNE} split=test", 2, NO_LABELS),
    Row(7, "a labelled test split", label_test, f"{EVALUATE} split=test", 0, "test", counts, WHOLE),
    Row(7, "its words", label_test, DECODE_TEST, 0, "word error rate", words, (10, 4, 4)),
    Row(7, "tuned on it", label_test, f"{TUNE} split=test", 0, "Best of 1 on 4 sentences"),
    Row(7, "reported", label_test, "report {run} data.data_root={root} split=test out={at}/p.html", 0, "Written"),
]


# 9: symbols as others write them

SCORE = "score {at}/a.csv --reference said --hypothesis heard"
SAID = "HH AH L OW | Y UW |"


def table(heard: str, reference: str = SAID) -> Callable[[Place], object]:
    return lambda place: place.write("a.csv", f'said,heard\n"{reference}","{heard}"\n')


ONE_OF_8 = '"edits": 1, '
SYMBOLS = [
    Row(9, "as labels are", table("HH AH L OW | Y IY |"), SCORE, 0, (ONE_OF_8, "!read as")),
    Row(9, "SIL", table("HH AH L OW SIL Y IY sil"), SCORE, 0, (ONE_OF_8, "heard: SIL read as | (2 times).")),
    Row(9, "stress digits", table("HH AH0 L OW1 | Y IY2 |"), SCORE, 0, (ONE_OF_8, "stress digits dropped (3 times)")),
    Row(9, "lower case", table("hh ah l ow | y iy |"), SCORE, 0, (ONE_OF_8, "lower case read as upper case (6 times)")),
    Row(9, "a list", table("['HH', 'AH', 'L', 'OW', '|', 'Y', 'IY', '|']"), SCORE, 0, (ONE_OF_8, "a list read as")),
    Row(9, "numbers", table("16 3 21 25 40 37 18 40"), SCORE, 0, (ONE_OF_8, "numbers read as classes (8 times)")),
    Row(9, "hyphens", table("HH-AH-L-OW | Y-IY |"), SCORE, 0, (ONE_OF_8, "hyphens read as spaces (2 times)")),
    Row(9, "all at once", table("[hh-ah0-l-ow1, SIL, y-iy, sil]"), SCORE, 0, ONE_OF_8),
    Row(9, "no label", table("HH AH L OW | Y QQ |"), SCORE, 2, "Column 'heard', row 2: 'QQ' is none of the 40 labels"),
    Row(9, "the blank", table("HH BLANK"), SCORE, 2, "'BLANK' is none of the 40 labels"),
    Row(9, "a number too large", table("16 41"), SCORE, 2, "'41' is none of the 40 labels"),
    Row(9, "words", table("hello you"), SCORE, 2, "'hello' is none of the 40 labels"),
]

ROWS = [*DENOMINATORS, *KEPT, *HEADS, *UNREAD, *EMPTY, *SYMBOLS]
