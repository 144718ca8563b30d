"""AN4 from small archives of its form: who is where, what was said, features by hand; its form in ../shared/an4."""

import math
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.batch import TrialKey
from mode_ssm.config import ConvertConfig, DataConfig
from mode_ssm.data import open_source
from mode_ssm.data.conversion import Conversion
from mode_ssm.errors import InputError
from mode_ssm.formats.an4 import sessions_of
from mode_ssm.formats.an4_files import samples_of
from mode_ssm.index import MalformedError
from mode_ssm.labels import T15
from tests.formats.an4_archive import audio, contents, sphere, write_archive, write_folder
from tests.formats.conftest import read_split, run, said

pytest.importorskip("kaldi_native_fbank", reason="kaldi-native-fbank (mode-ssm[an4]) is not installed")

SHARED = Path(__file__).parents[3] / "shared" / "an4" / "hdf5"
TWO = {"fash": 8, "mblb": 7}
SESSION = "an4.1991.01.10"


def config_of(root: Path) -> DataConfig:
    return DataConfig(data_root=str(root), source="an4")


def read_all(root: Path) -> list[tuple[TrialKey, np.ndarray, list[int], str | None]]:
    found = []
    for split in ("train", "val"):
        dataset = read_split(config_of(root), split, 13)
        assert not dataset.problems
        for place in range(len(dataset)):
            trial = dataset.read(place)
            found.append((trial.key, trial.features.numpy(), trial.labels.tolist(), trial.sentence))
    return found


def test_the_archives_and_their_folder_are_read_alike(tmp_path):
    raw, spheres = contents(TWO), contents(TWO, ".sph")
    places = [
        write_folder(tmp_path, raw),
        tmp_path,
        write_archive(tmp_path / "raw" / "an4_raw.bigendian.tar.gz", raw),
        write_archive(tmp_path / "sph" / "an4_sphere.tar.gz", spheres),
    ]
    first, *others = [read_all(place) for place in places]
    assert len(first) == 15
    for other in others:
        for here, there in zip(first, other, strict=True):
            assert (here[0], here[2:]) == (there[0], there[2:])
            np.testing.assert_array_equal(here[1], there[1])


def test_a_block_is_a_speaker_and_every_tenth_utterance_is_val(tmp_path):
    write_folder(tmp_path, contents(TWO))
    trials = read_all(tmp_path)
    assert [(key.block, key.number) for key, *_ in trials if key.split == "val"] == [(1, 4), (2, 6)]
    assert [key.group for key, *_ in trials if key.split == "train"] == [f"trial_{n:04d}" for n in range(13)]
    assert [(key.block, key.number) for key, *_ in trials if key.split == "train"][3:8] == [
        (1, 3),
        (1, 5),
        (1, 6),
        (1, 7),
        (2, 0),
    ]
    assert [sentence for key, _, _, sentence in trials][:3] == ["yes", "enter nine", "go"]
    assert T15.text(trials[1][2]) == "EH N ER | N AY N |"
    assert T15.text(trials[3][2]) == "AH | B IY |"  # the first pronunciation


def test_a_session_is_nine_or_ten_speakers():
    found = sessions_of([f"an4_clstk/s{n}/an{n}-s{n}-b" for n in range(74)])
    assert [len(session) for session in found.values()] == [10, 10, 9, 9, 9, 9, 9, 9]
    assert [*found][::7] == [SESSION, "an4.1991.08.17"]
    assert len(sessions_of([f"a/s{n}/b{n}" for n in range(300)])) == 12


def test_features_are_z_scored_by_speaker(tmp_path):
    write_folder(tmp_path, contents(TWO))
    trials = read_all(tmp_path)
    for block in (1, 2):
        rows = np.concatenate([features for key, features, *_ in trials if key.block == block])
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(rows.std(axis=0), 1, atol=1e-5)


def mel(hz: float) -> float:
    return 1127 * math.log(1 + hz / 700)


def mfcc_by_hand(samples: np.ndarray) -> np.ndarray:
    """As Kaldi's documentation has it: 25 ms, pre-emphasis .97, a povey window, 23 triangles, a lifter of 22."""
    n = np.arange(400)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * n / 399)) ** 0.85
    edges = np.linspace(mel(20), mel(8000), 25)
    at = np.array([mel(16_000 / 512 * k) for k in range(257)])
    rise, fall = (at - edges[:-2, None]) / np.diff(edges)[0], (edges[2:, None] - at) / np.diff(edges)[0]
    bank = np.clip(np.minimum(rise, fall), 0, None)[:, :256]
    k = np.arange(13)
    dct = np.sqrt(2 / 23) * np.cos(np.pi * k[:, None] * (np.arange(23) + 0.5) / 23)
    rows = []
    for start in range(0, len(samples) - 399, 160):
        frame = samples[start : start + 400].astype(float) / 32_768
        frame -= frame.mean()
        energy = math.log(frame @ frame)
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * window, 512))[:256] ** 2
        row = dct @ np.log(bank @ power) * (1 + 11 * np.sin(np.pi * k / 22))
        row[0] = energy
        rows.append(row)
    return np.array(rows)


def test_features_are_those_of_kaldi():
    from mode_ssm.formats.mfcc import mfcc

    samples = audio(3, 400 + 160 * 40)
    np.testing.assert_allclose(mfcc(samples), mfcc_by_hand(samples), rtol=1e-3, atol=5e-3)
    longer = mfcc(audio(3, 8000))
    assert longer.shape == (49, 13)  # the last frame is filled up with zeros, as many frames as ../shared/an4 has
    np.testing.assert_array_equal(mfcc(audio(3, 8000)), longer)


class Fault(NamedTuple):
    name: str
    content: bytes | None
    says: str


RAW = "wav/an4_clstk/fash/an201-fash-b"
FAULTS = [
    Fault(f"{RAW}.raw", None, "trial_0001 has no audio file wav/an4_clstk/fash/an201-fash-b.raw or .sph"),
    Fault(f"{RAW}.raw", b"abc", "trial_0001 (an201-fash-b) has 3 bytes of audio, needed are 16-bit samples"),
    Fault(f"{RAW}.raw", b"", "trial_0001 (an201-fash-b) has 0 bytes of audio, needed are 16-bit samples"),
    Fault(f"{RAW}.raw", audio(1, 8000).astype("<i2").tobytes(), "has samples that seem to be little-endian"),
    Fault("etc/an4_train.transcription", b"YES (an200-fash-b)\n", "(an201-fash-b) has no line in an4_train.transc"),
    Fault("etc/an4.dic", b"YES  Y EH S\n", "says 'enter' and 1 more, which an4.dic does not have"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.says[:60] for fault in FAULTS])
def test_what_is_wrong_with_an_utterance(tmp_path, fault):
    files = contents(TWO) | ({} if fault.content is None else {fault.name: fault.content})
    if fault.content is None:
        del files[fault.name]
    write_folder(tmp_path, files)
    dataset = read_split(config_of(tmp_path), "train", 13)
    assert fault.says in said(dataset.problems)
    assert said(dataset.problems).startswith(f"an4 {SESSION} (train) trial_0001")
    assert len(dataset) + len(dataset.problems) == 13


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"sample_rate": "-i 8000"}, "has sample_rate=8000, needed is 16000"),
        ({"sample_coding": "-s4 ulaw"}, "has sample_coding=ulaw, needed is pcm"),
        ({"sample_count": "-i 9000"}, "has 8000 samples, of 9000 that its header says"),
        ({"sample_byte_format": "-s1 1"}, "has a Sphere header without sample_byte_format 10 or 01"),
    ],
)
def test_what_is_wrong_with_a_sphere_file(tmp_path, header, says):
    files = contents(TWO, ".sph") | {f"{RAW}.sph": sphere(audio(1, 8000), **header)}
    write_archive(tmp_path / "an4_sphere.tar.gz", files)
    dataset = read_split(config_of(tmp_path / "an4_sphere.tar.gz"), "train", 13)
    assert says in said(dataset.problems)
    files[f"{RAW}.sph"] = sphere(audio(1, 9600), order="01")
    write_archive(tmp_path / "an4_sphere.tar.gz", files)
    assert not read_split(config_of(tmp_path / "an4_sphere.tar.gz"), "train", 13).problems


@given(
    st.sampled_from([b"", b"NIST_1A\n", b"NIST_1A\n   1024\n", sphere(audio(0, 50))[:1060]]), st.binary(max_size=300)
)
def test_any_bytes_are_samples_or_malformed(head, rest):
    for suffix in (".raw", ".sph"):
        with suppress(MalformedError):
            samples = samples_of(head + rest, suffix)
            assert (samples.ndim, samples.dtype) == (1, np.dtype(np.int16))


def test_what_is_no_an4(tmp_path):
    files = contents(TWO)
    archive = write_archive(tmp_path / "an4.tar.gz", files)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(archive.read_bytes()[:20_000])
    with pytest.raises(InputError, match=r"cut.tar.gz cannot be read .*; give an4_raw.bigendian.tar.gz, an4_sphere"):
        open_source(config_of(cut))
    with pytest.raises(InputError, match=r"littleendian.tar.gz holds little-endian samples; give an4_raw.bigendian"):
        open_source(config_of(tmp_path / "an4_raw.littleendian.tar.gz"))
    with pytest.raises(InputError, match="does not exist; set data.data_root to the folder that holds"):
        open_source(config_of(tmp_path / "none"))
    for name in ("an4_train.fileids", "an4_train.transcription", "an4.dic"):
        rest = {key: content for key, content in files.items() if key != f"etc/{name}"}
        with pytest.raises(InputError, match=f"holds no etc/{name}; give an4_raw"):
            open_source(config_of(write_archive(tmp_path / "rest.tar.gz", rest)))
    for ids, says in (
        (b"an201-fash-b\n", "has an201-fash-b, needed is a path such as an4_clstk/fash/an251-fash-b"),
        (b"a/b/c\na/b/c\n", "names a/b/c twice"),
        (b"", "is empty"),
    ):
        with pytest.raises(InputError, match=says):
            open_source(config_of(write_archive(tmp_path / "i.tgz", files | {"etc/an4_train.fileids": ids})))


def test_the_test_part_is_named(tmp_path, capsys):
    write_folder(tmp_path, contents(TWO))
    run("inspect", str(tmp_path / "an4"), "data.source=an4", "sample_trials=0")
    told = capsys.readouterr().out
    assert "an4 etc/an4_test.fileids holds 1 utterances of a test part, which are not read." in told
    assert "15 trials (13 train, 2 val, 0 test)" in told


@pytest.mark.skipif(not SHARED.is_dir(), reason="AN4 is not at ../shared/an4/hdf5")
def test_what_is_converted_has_the_form_of_the_recordings_beside(tmp_path):
    """From an archive of as many utterances as long as theirs, of their words: all but the features is the same."""
    checked = ("an4.1991.08.17",)  # its place tells how many speakers each session before it has
    ids, lines, words = [], [], {}
    files: dict[str, bytes] = {}
    for session in sorted(path.name for path in SHARED.iterdir()):
        for block, number, frames, sentence, labels in shared_trials(session):
            name = f"an{number:02d}-s{session[-2:]}{block:02d}-b"
            ids.append(f"an4_clstk/s{session[-2:]}{block:02d}/{name}")
            lines.append(f"{sentence.upper()} ({name})")
            for word, spelt in zip(sentence.split(), T15.words(labels), strict=True):
                words[word.upper()] = T15.text(spelt)
            if session in checked:
                files[f"wav/{ids[-1]}.raw"] = audio(len(ids) % 50, 160 * (frames + 1)).astype(">i2").tobytes()
    files["etc/an4_train.fileids"] = "\n".join(ids).encode()
    files["etc/an4_train.transcription"] = "\n".join(lines).encode()
    files["etc/an4.dic"] = "".join(f"{word}  {spelt}\n" for word, spelt in sorted(words.items())).encode()
    conversion = Conversion(ConvertConfig(from_=f"an4:{write_folder(tmp_path, files)}", out=str(tmp_path / "out")))
    conversion.run(lambda *_: None)
    assert len(conversion.converted.left_out) == 948 - conversion.converted.trials
    for session in checked:
        for split in ("train", "val"):
            here, there = (root / session / f"data_{split}.hdf5" for root in (tmp_path / "out", SHARED))
            assert_same_form(here, there)


def shared_trials(session: str) -> list[tuple[int, int, int, str, list[int]]]:
    found = []
    for split in ("train", "val"):
        with h5py.File(SHARED / session / f"data_{split}.hdf5") as file:
            for group in file.values():
                a = group.attrs
                labels = group["seq_class_ids"][: a["seq_len"]].tolist()
                found.append((a["block_num"], a["trial_num"], a["n_time_steps"], a["sentence_label"], labels))
    return sorted(found)


def assert_same_form(here: Path, there: Path) -> None:
    with h5py.File(here) as ours, h5py.File(there) as theirs:
        assert [*ours] == [*theirs]
        for name, group in ours.items():
            other = theirs[name]
            assert {**group.attrs} == {**other.attrs}
            assert {k: type(v) for k, v in group.attrs.items()} == {k: type(v) for k, v in other.attrs.items()}
            assert {k: (d.shape, d.dtype) for k, d in group.items()} == {
                k: (d.shape, d.dtype) for k, d in other.items()
            }
            for rest in ("seq_class_ids", "transcription"):
                np.testing.assert_array_equal(group[rest], other[rest])
