"""A network of several participants, live: each of them is decoded as `decode` does it, by their own map."""

import csv
import signal
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pytest
import torch

import mode_ssm
from mode_ssm.config import TrainConfig
from mode_ssm.decoding.greedy import CTCStream
from mode_ssm.models.int8 import Int8Linear
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.recognition.stream import EncoderStream
from mode_ssm.settings import read_settings
from tests.data.files import make_trial, write_session
from tests.live.brand.test_node import NODE, STATE, load_graph, play, started, states_of, wait_for
from tests.live.conftest import CAUSAL
from tests.live.redis_rig import PATIENCE
from tests.live.test_live import messages, run
from tests.small import SMALL

CHANNELS = {"p1": 8, "p2": 5}
SESSION = "p2.2023.08.13"
AGREED = ["commit_share=1", "commit_seconds=null", "speed=0"]


class People(NamedTuple):
    roots: list[Path]
    run: Path
    lm: Path

    @property
    def words(self) -> list[str]:
        return [f"checkpoint={self.run}", f"lm={self.lm}"]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, lm_folder: Path) -> People:
    place = tmp_path_factory.mktemp("people")
    for who, channels in CHANNELS.items():
        for day, date in enumerate(("2023.08.11", "2023.08.13")):
            for split, count in (("train", 6), ("val", 3)):
                first = 1000 * channels + 100 * day + len(split)
                trials = [make_trial(first + 10 * n, 90 + 4 * n, channels) for n in range(count)]
                write_session(place / who, f"{who}.{date}", split, trials)
    roots = [place / who for who in CHANNELS]
    together = [f"data.roots=[{','.join(map(str, roots))}]", f"data.cache_dir={place / 'index'}"]
    mapped = ["preprocessor.participant_map=linear", "preprocessor.num_channels=6", f"output_dir={place / 'run'}"]
    network = [word for word in SMALL if not word.startswith("preprocessor.num_channels")]
    trained = mode_ssm.train(read_settings(TrainConfig, [*network, *together, *mapped, *CAUSAL]))
    return People(roots, trained, lm_folder)


def decoded(people: People, out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[dict[str, str]]:
    """The rows of decode for the trials of the session that is heard live."""
    run(capsys, "decode", *people.words, f"output_dir={out}", *more)
    with (out / "hypotheses.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["session"] == SESSION]


def features_of(people: People, trial: int = 0) -> np.ndarray:
    with h5py.File(people.roots[1] / SESSION / "data_val.hdf5") as file:
        return file[f"trial_{trial:04d}"]["input_features"][:]


def phonemes_of(told: list[dict]) -> list[list[str]]:
    """Of each trial, in the order in which they were heard."""
    trials: list[list[str]] = []
    for message in told:
        if message["type"] == "begin":
            trials.append([])
        elif message["type"] == "words":
            trials[-1].extend(message["phonemes"])
    return trials


@pytest.mark.parametrize("decoder", ["ctc", "rnnt", "joint"])
@pytest.mark.parametrize("named", [[], ["participant=p2"]])
def test_a_replay_of_one_of_them_is_as_decoded(people, tmp_path, capsys, decoder, named):
    rows = decoded(people, tmp_path, capsys, f"decoder={decoder}")
    words = [*people.words, *AGREED, *named, f"decoder={decoder}", f"source=replay:{SESSION}/val"]
    run(capsys, "live", *words, f"sink=[jsonl:{tmp_path / 'said.jsonl'}]")
    told = messages(tmp_path / "said.jsonl")
    assert [" ".join(m["words"]) for m in told if m["type"] == "end"] == [row["words"] for row in rows]
    assert len(rows) == 3
    network = mode_ssm.load(people.run, participant="p2")
    head = "ctc" if decoder == "ctc" else "rnnt"
    whole = network.transcribe([features_of(people, n) for n in range(3)], session=SESSION, head=head)
    assert phonemes_of(told) == [list(one.phonemes) for one in whole]


def test_from_the_root_of_one_alone_with_int8(people, tmp_path, capsys, monkeypatch):
    """As the stream of that network gives with every projection packed, the map of the participant included."""
    monkeypatch.setattr("mode_ssm.models.int8.FEWEST", 1)
    words = [*people.words, *AGREED, "decoder=ctc", "int8=true", f"data.data_root={people.roots[1]}"]
    run(capsys, "live", *words, f"source=replay:{SESSION}/val", f"sink=[jsonl:{tmp_path / 'said.jsonl'}]")
    network = load_recogniser(str(people.run)).of("p2")
    index, features = network.session_index[SESSION], torch.from_numpy(features_of(people))
    packed, plain = (EncoderStream(network.model, index, int8=int8) for int8 in (True, False))
    assert isinstance(packed._preprocessor.participants.maps[0], Int8Linear)
    frames, exact = packed.extend(features), plain.extend(features)
    torch.testing.assert_close(frames, exact, rtol=0, atol=0.1)
    with torch.inference_mode():
        heard = CTCStream(0).extend(network.model.ctc_log_probs(frames))
    told = phonemes_of(messages(tmp_path / "said.jsonl"))
    assert len(told) == 3
    assert told[0] == [network.checkpoint.labels.symbols[one.label] for one in heard]


def test_in_pieces_from_python_as_whole(people):
    network = mode_ssm.load(people.run, participant="p2")
    features = features_of(people)
    agreed = {"session": SESSION, "lm": people.lm, "commit_share": 1.0, "commit_seconds": None}
    with network.stream(**agreed) as stream:
        pieces = [stream.extend(piece) for piece in np.array_split(features, 9)]
        last = stream.end()
    whole = network.transcribe([features], session=SESSION, lm=people.lm)[0]
    assert [phoneme for piece in pieces for phoneme in piece.phonemes] == list(whole.phonemes)
    assert last.words is not None
    assert [word for piece in (*pieces, last) for word in piece.words] == list(whole.words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["source=redis://127.0.0.1:1/x"], "has a map for each participant; give participant=p1 or p2"),
        (["source=redis://127.0.0.1:1/x", "participant=p3"], "no map of a participant p3; give participant=p1 or p2"),
        (["source=replay:p3.2023.08.11/val"], "no map of a participant p3; give participant=p1 or p2"),
        ([f"source=replay:{SESSION}/val", "participant=p1"], f"{SESSION} is of p2, and participant=p1; give"),
        (["source=replay:p2.2024.01.01/val"], "names no trial of"),
        (["source=redis://127.0.0.1:1/x", f"redis.session={SESSION}", "participant=p1"], "and participant=p1; give"),
    ],
)
def test_the_wrong_or_no_participant_is_a_sentence(people, capsys, words, sentence):
    assert sentence in run(capsys, "live", *people.words, *words, status=2)


def test_a_root_without_them_is_a_sentence(people, capsys):
    words = [f"data.data_root={people.roots[0]}", f"source=replay:{SESSION}/val"]
    told = run(capsys, "live", *people.words, *words, status=2)
    assert "p1 has no session of p2; its 2 are p1.2023.08.11 to p1.2023.08.13. Set data.data_root" in told


def test_a_log_of_another_is_a_sentence(people, tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    run(capsys, "live", *people.words, *AGREED, f"source=replay:{SESSION}/val", f"log={log}")
    told = run(capsys, "live", *people.words, f"source=log:{log}", "participant=p1", status=2)
    assert f"does not know the participant p2 of {SESSION}" in told


def test_a_node_of_one_of_them(people, redis_process, rig, tmp_path, capsys):
    rows = decoded(people, tmp_path, capsys)
    redis = {"session": SESSION, "sync_step": 600}
    agreed = {"commit_share": 1.0, "commit_seconds": None}
    load_graph(redis_process, checkpoint=str(people.run), lm=str(people.lm), redis=redis, **agreed)
    with started(redis_process) as node:
        wait_for(redis_process, STATE, b"status", b"NODE_READY")
        play(rig, features_of(people))
        final = wait_for(redis_process, NODE, b"final_decoded_sentence").decode()
        node.send_signal(signal.SIGINT)
        node.communicate(timeout=PATIENCE)
    assert node.returncode == 0
    assert final == rows[0]["words"]


def test_a_node_of_nobody_is_a_fatal_error(people, redis_process):
    load_graph(redis_process, checkpoint=str(people.run), lm=str(people.lm))
    with started(redis_process) as node:
        assert node.stderr is not None
        assert "give participant=p1 or p2" in node.stderr.read()
    assert states_of(redis_process)[-1] == "NODE_FATAL_ERROR"
