"""Another format of recordings is one class and one line: one from memory is opened, trained on and evaluated."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mode_ssm.batch import TrialKey
from mode_ssm.commands.evaluate import evaluate
from mode_ssm.config import DataConfig, EvaluateConfig
from mode_ssm.data import SOURCES, open_source, open_split
from mode_ssm.index import MalformedError, Problem, Record, SplitIndex
from mode_ssm.labels import T15
from mode_ssm.training.loop import train
from tests.data.conftest import CHANNELS, patches
from tests.data.files import FakeTrial, make_trial
from tests.small import small_config

DAYS = ("toy.1", "toy.2")
TRIALS = {(day, split): [make_trial(n + 7 * place, 90) for n in range(2)] for place, day in enumerate(DAYS)
          for split in ("train", "val")}  # fmt: skip


class Toy:
    """Trials from NumPy arrays."""

    def __init__(self, config: DataConfig) -> None:
        self.sessions, self.labels = DAYS[: config.max_sessions], T15

    def file(self, session: str, split: str) -> str:
        return f"{session}:{split}"

    def index(self, split: str, sessions: Sequence[str]) -> SplitIndex:
        index = SplitIndex(absent=[session for session in sessions if (session, split) not in TRIALS])
        for session in {*sessions} - {*index.absent}:
            records = [toy_record(place, trial) for place, trial in enumerate(TRIALS[session, split])]
            index.records[session] = tuple(records)
        return index

    def read_labels(self, key: TrialKey, record: Record) -> Tensor | None:
        return torch.tensor(TRIALS[key.session, key.split][record.number].labels)

    def read_features(self, key: TrialKey, record: Record) -> Tensor:
        if key == TrialKey(DAYS[1], "val", "1", 0, 1):
            raise MalformedError("was lost", "Record it again.")
        return torch.from_numpy(TRIALS[key.session, key.split][record.number].features)


def toy_record(place: int, trial: FakeTrial) -> Record:
    assert trial.labels is not None
    return Record(str(place), 0, place, *trial.features.shape, len(trial.labels), 0, trial.sentence)


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "toy", Toy)


def test_a_format_from_memory_is_read() -> None:
    dataset = open_split(DataConfig(source="toy"), "val", num_channels=CHANNELS, encoder_frames=patches)
    assert (dataset.sessions, dataset.labels, dataset.problems) == (DAYS, T15, [])
    assert sorted(str(entry.key) for entry in dataset.entries) == [f"{day}/val/{n}" for day in DAYS for n in "01"]
    read = {str(entry.key): dataset.read(place) for place, entry in enumerate(dataset.entries)}
    lost = read.pop("toy.2/val/1")
    assert lost == Problem("toy.2:val", "1", "was lost", "Record it again.")
    for name, trial in read.items():
        expected = TRIALS[trial.key.session, "val"][int(name[-1])]
        np.testing.assert_array_equal(trial.features.numpy(), expected.features)
        assert (trial.labels.tolist(), trial.sentence) == (expected.labels, expected.sentence)


def test_a_format_from_memory_is_trained_on_and_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    words = "data.source=toy training.stages.0.epochs=0 training.batch_size=4 training.sessions_per_batch=2".split()
    assert train(small_config(tmp_path / "nothing here", run, *words)) == run
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["kind"] for record in records].count("update") == 1
    data = DataConfig(source="toy")
    evaluate(EvaluateConfig(str(run), data, output_dir=str(tmp_path / "rates")))
    assert "Leaving out: toy.2:val 1 was lost. Record it again." in capsys.readouterr().err


def test_an_unknown_format_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^data.source=edf is no format that is known; choose t15 or .*toy\.$"):
        open_source(DataConfig(source="edf"))
