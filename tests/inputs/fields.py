"""Rows of fields that should agree, and of input that means nothing."""

from collections.abc import Callable
from shutil import copyfile

import h5py
import numpy as np

from mode_ssm.labels import T15
from tests.inputs.mended import DECODE, EVALUATE, TRAIN
from tests.inputs.row import WORDS, Place, Row, nothing
from tests.small import SESSIONS

INSPECT = "inspect {root}"
SPLITS = ("train", "val")
LABELS = [T15.symbols[0], "|", *T15.symbols[1:-1]]  # silence second, as in other code


def every_file(place: Place, edit: Callable[[h5py.File], object], splits: tuple[str, ...] = SPLITS) -> None:
    for split in splits:
        for session in range(2):
            place.change(split, edit, session)


def every_trial(edit: Callable[[h5py.Group], object], splits: tuple[str, ...] = SPLITS) -> Callable[[Place], None]:
    return lambda place: every_file(place, lambda file: [edit(group) for group in file.values()], splits)


def silence_second(group: h5py.Group) -> None:
    ids = group["seq_class_ids"][:]
    group["seq_class_ids"][:] = [LABELS.index(T15.symbols[number]) for number in ids]


def say_the_order(place: Place) -> None:
    every_trial(silence_second)(place)
    symbols = ", ".join(f'"{symbol}"' for symbol in LABELS)
    place.write("labels.yaml", f'symbols: [{symbols}]\nblank: BLANK\nboundary: "|"\n')


def reversed_phonemes(group: h5py.Group) -> None:
    """Another order of phonemes, with the boundary where it was."""
    ids = group["seq_class_ids"][:]
    group["seq_class_ids"][:] = [40 - number if 0 < number < 40 else number for number in ids]


def other_phonemes(place: Place) -> None:
    every_trial(reversed_phonemes)(place)
    place.write("words.dict", "".join(f"{word}  {sounds}\n" for word, sounds in WORDS.items()))


def other_sentence(place: Place) -> None:
    place.change("val", lambda file: file["trial_0000"].attrs.__setitem__("sentence_label", "We go."))


def arpa(change: Callable[[str], str]) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        path = place.lm / "lm.arpa"
        path.write_text(change(path.read_text()))
        (place.lm / "lm.ngram").unlink()

    return make


def upper(text: str) -> str:
    for word in WORDS:
        text = text.replace(f"\t{word}", f"\t{word.upper()}").replace(f" {word}", f" {word.upper()}")
    return text


def strange(text: str) -> str:
    for word in WORDS:
        text = text.replace(f"\t{word}", f"\tw_{word}").replace(f" {word}", f" w_{word}")
    return text


def found_any(place: Place) -> object:
    rows = (place.at / "out" / "hypotheses.csv").read_text().splitlines()[1:]
    return any(row.split(",")[4] for row in rows)


def lexicon(line: str) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        with (place.lm / "lexicon.txt").open("a") as file:
            file.write(line)

    return make


AGREE = [
    Row(4, "silence second, inspected", every_trial(silence_second), INSPECT, 1, "class 1 (AA) once for each word"),
    Row(4, "silence second, trained on", every_trial(silence_second), f"train {TRAIN}", 2, "another order of classes"),
    Row(4, "silence second, evaluated", every_trial(silence_second), EVALUATE, 2, "another order of classes"),
    Row(4, "silence second, decoded", every_trial(silence_second), DECODE, 2, "another order of classes"),
    Row(
        4,
        "silence second, to lm build",
        every_trial(silence_second),
        "lm build out={at}/new transcripts=true data.data_root={root}",
        2,
        "another order of classes",
    ),
    Row(
        4,
        "silence second, and said so",
        say_the_order,
        "lm build out={at}/new transcripts=true data.data_root={root} data.labels={at}/labels.yaml",
        0,
        "!guess",
    ),
    Row(
        4,
        "phonemes in another order than the dictionary's",
        other_phonemes,
        "lm build out={at}/new transcripts=true data.data_root={root} lexicon={at}/words.dict",
        2,
        "0 are labelled as it says them; hello is HH AH L OW there",
    ),
    Row(4, "another sentence in the transcription", other_sentence, INSPECT, 1, "in sentence_label and"),
    Row(4, "an upper-case ARPA file", arpa(upper), DECODE, 0, "!not in the n-gram model", found_any, True),
    Row(4, "an ARPA file of other words", arpa(strange), DECODE, 2, "None of the 6 words of"),
    Row(4, "a word added to the lexicon", lexicon("fro  F R OW\n"), DECODE, 0, "hardly ever found: fro."),
    Row(4, "a symbol of no label", lexicon("fro  F R XX\n"), DECODE, 2, "'XX' is none of the 40 labels"),
    Row(4, "a boundary inside a word", lexicon("fro  F R | OW\n"), DECODE, 2, "without the boundary"),
    Row(4, "other channels than the network's", nothing, EVALUATE + " data.channels=0:4", 2, "the model expects 8"),
    Row(4, "channels that are not there", nothing, EVALUATE + " data.channels=4:12", 2, "names channel 8; there are 0"),
    Row(4, "no channels", nothing, EVALUATE + " data.channels=left", 2, "data.channels=left names no channels"),
]


def features(group: h5py.Group, values: np.ndarray) -> None:
    group["input_features"][:] = values


def moved(place: Place) -> None:
    place.change("val", lambda file: [features(g, g["input_features"][:] + 5) for g in file.values()], 1)


def scaled(place: Place) -> None:
    place.change("train", lambda file: [features(g, g["input_features"][:] * 40) for g in file.values()])


def unwritten(group: h5py.Group) -> None:
    shape = group["input_features"].shape
    del group["input_features"]
    group.create_dataset("input_features", shape=shape, dtype="f4")


def one_unwritten(place: Place) -> None:
    place.change("val", lambda file: unwritten(file["trial_0001"]))


def virtual(there: bool) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        path = place.file("val")
        copyfile(path, path.with_name("whole.h5"))
        for name in ("trial_0000", "trial_0001"):
            place.change("val", lambda file, name=name: link(file, name))
        if not there:
            path.with_name("whole.h5").unlink()

    return make


def link(file: h5py.File, name: str) -> None:
    shape = file[name]["input_features"].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource("whole.h5", f"{name}/input_features", shape)
    del file[name]["input_features"]
    file[name].create_virtual_dataset("input_features", layout)


def val_of_train(place: Place) -> None:
    for session in range(2):
        copyfile(place.file("train", session), place.file("val", session))


def twice(place: Place) -> None:
    place.change("train", lambda file: file.copy("trial_0001", "trial_0006"))


def constant(place: Place) -> None:
    every_trial(lambda group: features(group, np.ones(group["input_features"].shape)))(place)


def one_constant(place: Place) -> None:
    place.change("val", lambda file: features(file["trial_0000"], np.zeros(file["trial_0000/input_features"].shape)))


SCALE = f"{SESSIONS[1]} has features of mean 5"
MEANING = [
    Row(5, "a session moved by 5, evaluated", moved, EVALUATE, 0, SCALE),
    Row(5, "a session moved by 5, trained on", moved, f"train {TRAIN}", 0, SCALE),
    Row(5, "a session moved by 5, inspected", moved, INSPECT, 0, "features of mean"),
    Row(5, "a session scaled by 40", scaled, f"train {TRAIN}", 0, "standard deviation 40"),
    Row(5, "features that were never written", one_unwritten, EVALUATE, 0, "trial_0001 has input_features that were"),
    Row(5, "features none of which were written", every_trial(unwritten), EVALUATE, 2, "were never written"),
    Row(5, "virtual features", virtual(True), EVALUATE, 0, ("4 trials", "!Leaving out")),
    Row(5, "virtual features whose file is gone", virtual(False), EVALUATE, 0, "lie in whole.h5, which is not there"),
    Row(5, "val a copy of train, trained on", val_of_train, f"train {TRAIN}", 0, "is the same recording as"),
    Row(5, "val a copy of train, evaluated", val_of_train, EVALUATE, 0, "is the same recording as"),
    Row(5, "val a copy of train, inspected", val_of_train, INSPECT, 1, "12 such pairs. What is trained on says"),
    Row(5, "a trial twice", twice, INSPECT, 0, "trial_0006 is the same recording as"),
    Row(5, "features that never change, trained on", constant, f"train {TRAIN}", 2, "None of the 12 trials read ever"),
    Row(5, "features that never change, evaluated", constant, EVALUATE, 2, "None of the 4 trials read ever changes"),
    Row(5, "a trial that never changes", one_constant, EVALUATE, 0, "trial_0000 never changes"),
    Row(
        5,
        "val trained on too",
        nothing,
        f"train {TRAIN} training.stages.0.splits=[train,val]",
        0,
        "4 of the 4 val trials are",
    ),
]

ROWS = (*AGREE, *MEANING)
