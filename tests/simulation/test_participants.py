"""Simulated participants: other electrodes and numbers of channels, the same language; then trained on and met anew."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.commands.evaluate import evaluate
from mode_ssm.config import DataConfig, EvaluateConfig, SimulateConfig, TrainConfig
from mode_ssm.data import open_source
from mode_ssm.errors import InputError
from mode_ssm.recognition.checkpoint import read_checkpoint
from mode_ssm.settings import read_settings
from mode_ssm.simulation import simulate
from mode_ssm.simulation.participants import participant
from mode_ssm.simulation.plan import plan_sessions
from mode_ssm.simulation.presets import find_preset
from mode_ssm.simulation.session import SessionRecorder
from mode_ssm.training.loop import train

SMALL = """preprocessor.num_channels=12 preprocessor.participant_map=linear preprocessor.session_rank=2 encoder.width=16
encoder.layers=1 encoder.state_size=8 encoder.head_width=8 predictor.width=8 training.batch_size=16
training.stages.0.epochs=1 training.stages.1.epochs=1 training.accelerator=cpu""".split()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "people"
    simulate(SimulateConfig(str(out), "demo", seed=3, participants=3, max_sessions=1, workers=1))
    return out


def test_people_differ_and_are_the_same_again(root: Path, tmp_path: Path) -> None:
    again = SimulateConfig(str(tmp_path), "demo", seed=3, participants=3, max_sessions=1)
    sentences = []
    for number in (1, 2, 3):
        own = root / f"p{number}"
        source = open_source(DataConfig(str(own), cache_dir=str(tmp_path / "index")))
        assert source.sessions == (f"p{number}.2023.08.11",)
        records = source.index("train", source.sessions).records[source.sessions[0]]
        preset, config = participant(find_preset("demo"), again, number)
        assert {record.channels for record in records} == {preset.implant.channels}
        sentences.append(tuple(record.sentence for record in records))
        assert json.loads((own / "simulation.json").read_text())["participant"]["name"] == f"p{number}"
        assert config.out == str(tmp_path / f"p{number}")
    assert len({*sentences}) == 3
    people = [participant(find_preset("demo"), again, number)[0] for number in range(1, 7)]
    assert len({person.implant for person in people}) > 3
    assert len({person.electrodes.dead_share for person in people}) == 6
    before = (root / "p2" / "p2.2023.08.11" / "data_val.hdf5").stat().st_mtime_ns
    simulate(replace(again, out=str(root)))  # is complete
    assert (root / "p2" / "p2.2023.08.11" / "data_val.hdf5").stat().st_mtime_ns == before


def test_whoever_comes_first_a_participant_is_recorded_alike(tmp_path: Path) -> None:
    """Not by how many others there are, nor in which order they are written."""
    features = []
    for count in (2, 5):
        preset, config = participant(find_preset("demo"), SimulateConfig("out", seed=1, participants=count), 2)
        _, (session, *_) = plan_sessions(replace(config, max_sessions=1), preset)
        recorder = SessionRecorder(session, [session.day], preset, config)
        features.append(recorder.record(next(recorder.blocks()))[0].features)
    np.testing.assert_array_equal(*features)


def test_a_folder_of_something_else_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something that is no root of a participant; set out"):
        simulate(SimulateConfig(str(tmp_path), "demo", participants=2))


def test_two_are_trained_and_a_third_comes_from_their_network(root: Path, tmp_path: Path) -> None:
    roots, index = [root / f"p{number}" for number in (1, 2, 3)], f"data.cache_dir={tmp_path / 'index'}"
    both = f"data.roots=[{roots[0]},{roots[1]}]"
    run = train(read_settings(TrainConfig, [*SMALL, both, index, f"output_dir={tmp_path / 'two'}"]))
    evaluate(read_settings(EvaluateConfig, [f"checkpoint={run}", index, f"output_dir={tmp_path / 'rates'}"]))
    found = json.loads((tmp_path / "rates" / "evaluation.json").read_text())
    assert found["per_by_participant_trials"] == {"p1": 16, "p2": 16}
    words = [
        f"data.data_root={roots[2]}",
        f"init={run}",
        "training.body_lr_factor=0.1",
        f"output_dir={tmp_path / 'new'}",
    ]
    new = train(read_settings(TrainConfig, [*SMALL, index, *words, "training.body_lr_factor=0.1"]))
    assert list(read_checkpoint(new / "checkpoints" / "last.safetensors").participants) == ["p3"]
    evaluate(EvaluateConfig(str(new), replace(read_settings(EvaluateConfig, ["checkpoint=x", index]).data)))
