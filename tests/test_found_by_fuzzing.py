"""What scripts/fuzz.py has found, or what is of the same kind: each input with the sentence that is now said."""

import gzip
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from mode_ssm.commands.combine import read_system_weights
from mode_ssm.commands.corpora import read_corpora
from mode_ssm.commands.score import score
from mode_ssm.config import TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.index import MalformedError
from mode_ssm.labels import T15, read_labels
from mode_ssm.language.arpa import read_arpa
from mode_ssm.language.decoded_files import read_decoded, read_heard
from mode_ssm.language.nbest_files import read_scored
from mode_ssm.language.posterior_files import read_posteriors
from mode_ssm.language.text import read_sentences, spoken_words
from mode_ssm.language.weights import read_weights
from mode_ssm.settings import read_settings, settings_from_file
from mode_ssm.t15.groups import read_record
from mode_ssm.t15.missed import gaps
from mode_ssm.t15.scan import scan_file
from tests.data.files import FakeTrial, write_session

DEEP = b"[" * 100_000
TORN = bytearray(gzip.compress(b'{"id": 1, "words": "we go"}\n', mtime=0))
TORN[10] = 7  # the first byte of what is packed: a block of no known type
LONG = b"9" * 5000
NBEST = (
    b'{"session": "a", "block": 1, "trial": 0, "nbest": [{"words": "we", "acoustic": %s, "ngram": 1, "score": 1}]}\n'
)

BLOCKS = b"Date,Block number,Corpus\n"


def phonemes(path: Path) -> object:
    return score(path, reference="said", hypothesis="heard", unit="phoneme")


def corpora(path: Path) -> object:
    return read_corpora(str(path))


def scored(path: Path) -> object:
    (path.parent / "decode.json").write_text('{"search": {"lm_weight": 1}}')
    (path.parent / "hypotheses.csv").write_text("session,block,trial,sentence\na,1,0,We.\n")
    return read_scored(path.parent)


def scored_table(path: Path) -> object:
    (path.parent / "decode.json").write_text('{"search": {"lm_weight": 1}}')
    return read_scored(path.parent)


# Each file: its name, what it holds, its reader, and a part of the sentence.
FOUND: list[tuple[str, bytes, Callable[[Path], object], str]] = [
    ("a.jsonl", bytes(TORN), read_decoded, "cannot be read (Error -3 while decompressing"),
    ("a.csv", bytes(TORN), read_decoded, "cannot be read (Error -3 while decompressing"),
    ("heard.jsonl", bytes(TORN), lambda path: read_heard(path, T15), "cannot be read (Error -3"),
    ("a.txt", bytes(TORN), lambda path: [*read_sentences(path)], "cannot be read (Error -3"),
    ("lm.arpa", bytes(TORN), read_arpa, "cannot be read (Error -3"),
    ("a.jsonl", DEEP, read_decoded, "line 1, is not JSON"),
    ("weights.json", DEEP, read_weights, "(it is nested too deeply)"),
    ("combine.json", DEEP, lambda path: read_system_weights(path, 2), "(it is nested too deeply)"),
    ("labels.yaml", DEEP, read_labels, "are not YAML (maximum recursion depth"),
    ("labels.yaml", b"symbols: [a, b]\nblank: 2001-01-00\n", read_labels, "are not YAML (day is out of range"),
    ("labels.yaml", b"symbols: [a, b]\nblank: !!int ''\n", read_labels, "are not YAML (string index out of range"),
    ("labels.yaml", b"symbols: [a, b]\nblank: !!timestamp x\n", read_labels, "are not YAML ("),
    ("labels.yaml", b"symbols: [a, b]\nblank: {a: b}\n", read_labels, "is dict; give one of its symbols"),
    ("a.jsonl", b'{"id": "\\ud800", "words": "we"}', read_decoded, "line 1, is not JSON"),
    ("a.jsonl", b'{"id": 1, "words": "we", "sentence": 5}', read_decoded, "line 1: 5 is no sentence"),
    ("a.csv", b'id,words\n1,"' + b"a" * 140_000 + b'"\n', read_decoded, "is not a CSV: field larger than field limit"),
    ("nbest.jsonl", NBEST % b"NaN", scored, "nan is no score"),
    ("nbest.jsonl", NBEST % b'"1"', scored, "'1' is no score"),
    ("hypotheses.csv", b"sentence,id\n" + b"a" * 140_000, scored_table, "field larger than field limit"),
    (
        "a.csv",
        BLOCKS + b"2023-08-11,\xc2\xb2,a\n",
        corpora,
        "='²'; write",
    ),
    ("a.csv", BLOCKS + b"2023-08-11," + LONG + b",a\n", corpora, "whole"),
    ("a.csv", BLOCKS + b"a" * 140_000, corpora, "field larger"),
    ("a.csv", b"said,heard\nHH,\xc2\xb2\n", phonemes, "'²' is none of the 40 labels"),
    ("a.csv", b"said,heard\nHH," + LONG + b"\n", phonemes, "...' is none of the 40 labels"),
    ("lm.arpa", b"\\data\\\nngram 1=" + LONG + b"\n", read_arpa, "where a count such as ngram 1=5000 should stand"),
]


def name_of(value: object) -> str:
    """The same in every process that runs tests, as the address of a function is not."""
    return value.__name__ if callable(value) else str(value)[:40]


@pytest.mark.parametrize(("name", "content", "read", "sentence"), FOUND, ids=name_of)
def test_what_was_found_is_told(tmp_path: Path, name: str, content: bytes, read, sentence: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as told:
        read(path)
    assert sentence in str(told.value)


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 4)}]\n" for a, b in pairwise("abcdefghij"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("training: !!set {a, b}", "could not determine a constructor for the tag"),
        ("out: !!binary aGVsbG8=", "could not determine a constructor for the tag"),
        ("a: &a [*a]", "found unconstructable recursive node"),
        ("&a [*a]", "found unconstructable recursive node"),
        ("", "holds no settings"),
        (BOMB, "100000 values"),
    ],
    ids=lambda value: value[:12],
)
def test_odd_yaml_is_told(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        settings_from_file(TrainConfig, text, "a.yaml")


@pytest.mark.parametrize(
    "word", ["training.stages=[&a [*a]]", "encoder={kind: &a [*a]}", f"training.stages.{'1' * 5000}.epochs=1"]
)
def test_odd_words_are_told(word: str) -> None:
    with pytest.raises(InputError):
        read_settings(TrainConfig, [word])


def test_a_number_of_thousands_of_digits_is_read_digit_by_digit() -> None:
    assert spoken_words("9" * 5000) == ["nine"] * 5000


def recording(root: Path, edit: Callable[[h5py.File], object]) -> Path:
    path = write_session(root, "t15.2023.08.11", "val", [FakeTrial(), FakeTrial()])
    with h5py.File(path, "a") as file:
        edit(file)
    return path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("trial_0003", "lacks 2 of its trial numbers (trial_0001, trial_0002)"),
        (
            "trial_20230811",
            "lacks 20230810 of its trial numbers (trial_0001, trial_0002, trial_0003, trial_0004, trial",
        ),
        ("trial_20230811143015123", "lacks 20230811143015122 of its trial numbers (trial_0001, trial_0002, trial_0003"),
    ],
)
def test_numbers_of_any_size_are_missed_without_being_counted_up(tmp_path: Path, name: str, said: str) -> None:
    recording(tmp_path, lambda file: file.move("trial_0001", name))
    (gap,) = gaps("a", scan_file(tmp_path, "t15.2023.08.11", "val", T15))
    assert said in str(gap)


def test_a_trial_named_by_thousands_of_digits_is_none(tmp_path: Path) -> None:
    recording(tmp_path, lambda file: file.move("trial_0001", f"trial_{'1' * 5000}"))
    found = scan_file(tmp_path, "t15.2023.08.11", "val", T15)
    assert [record.group for record in found.records] == ["trial_0000"]
    assert len(found.others) == 1


@pytest.mark.parametrize(
    "value", [1e300, np.longdouble("1e4900"), np.inf, np.nan, 2.0**53, np.uint64(2**64 - 1), 0.5, True]
)
@pytest.mark.parametrize("name", ["block_num", "trial_num", "n_time_steps", "seq_len"])
def test_a_number_that_is_no_count_is_told(tmp_path: Path, name: str, value: object) -> None:
    path = recording(tmp_path, lambda file: file["trial_0000"].attrs.__setitem__(name, value))
    with h5py.File(path) as file, pytest.raises(MalformedError, match=f"{name}=.*, needed is a whole number"):
        read_record(file, "trial_0000", "t15.2023.08.11", T15)
    scan_file(tmp_path, "t15.2023.08.11", "val", T15)


def test_an_archive_of_absurd_size_is_told(tmp_path: Path) -> None:
    """An array whose header promises a million times what any machine has."""
    path = tmp_path / "a.npz"
    head = str({"descr": "<f4", "fortran_order": False, "shape": (10**14, 41)}).ljust(117) + "\n"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode())
    with pytest.raises(InputError, match="is no .npz of posteriors"):
        read_posteriors(path, "t15")
