"""Runs that an older version wrote still evaluate, decode and resume, with the numbers that it gave itself."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from mode_ssm.cli import main
from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.recognition.checkpoint import find_checkpoint, read_checkpoint
from tests.small import write_data

RUNS = Path(__file__).parent / "runs"
CHOSEN = {
    "ssm": ["encoder.state_size=8", "encoder.head_width=8"],
    "gru": [
        *"encoder=gru predictor=lstm joiner=additive".split(),
        *"preprocessor.session_layer=full losses.rnnt_scaling=gradient".split(),
    ],
}
# What the version that wrote the runs made of them: edits of 6 val trials by head, losses after another epoch.
EDITS = {"ssm": {"ctc": 99, "rnnt": 336}, "gru": {"ctc": 30, "rnnt": 356}}
RESUMED = {"ssm": (13.142754554748535, 7.825511932373047), "gru": (10.878999710083008, 15.285624504089355)}
SETTINGS = """
preprocessor.num_channels=8 preprocessor.session_rank=2 encoder.width=16 encoder.layers=2 predictor.width=8
training.batch_size=4 training.schedule.warmup_updates=5 training.stages.0.epochs=1 training.stages.1.epochs=2
training.log_every_updates=1 training.accelerator=cpu training.resume=auto
""".split()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data") / "root")


@pytest.fixture
def run(request, tmp_path):
    folder = tmp_path / request.param
    shutil.copytree(RUNS / f"version_1_{request.param}", folder)
    return folder


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return int(end.value.code or 0)


@pytest.mark.parametrize("run", CHOSEN, indirect=True)
@pytest.mark.parametrize("head", ["ctc", "rnnt"])
def test_it_evaluates(run, head, data):
    words = [f"checkpoint={run / 'checkpoints' / 'last.safetensors'}", f"data.data_root={data}", f"decoder={head}"]
    assert command("evaluate", *words, f"data.cache_dir={run}/cache") == 0
    found = json.loads((run / "evaluation" / f"val-{head}" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["trials"] == 6
    assert found["edits"] == pytest.approx(EDITS[run.name][head], abs=3)  # an untrained network's near ties


@pytest.mark.parametrize("run", CHOSEN, indirect=True)
def test_it_resumes(run, data):
    words = [*SETTINGS, *CHOSEN[run.name], f"data.data_root={data}", f"data.cache_dir={run}/cache"]
    assert command("train", *words, f"output_dir={run}") == 0
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    updates = [record for record in records if record["kind"] == "update"]
    assert [record["update"] for record in updates] == list(range(1, 16))
    assert (updates[-1]["loss_ctc"], updates[-1]["loss_rnnt"]) == pytest.approx(RESUMED[run.name], rel=1e-3)


@pytest.mark.parametrize("run", CHOSEN, indirect=True)
def test_its_labels_are_those_of_then(run):
    assert read_checkpoint(find_checkpoint(run)).labels == T15


def rewritten(path: Path, **changes: str) -> Path:
    with safe_open(path, framework="pt") as file:
        header = file.metadata() | changes
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata=header)
    return path


@pytest.mark.parametrize("run", ["ssm"], indirect=True)
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": "mode-ssm checkpoint 99"}, "was written by a later MODE-SSM"),
        ({"format": "something else"}, "not a checkpoint of MODE-SSM"),
        ({"position": '{"stage": 1, "moon_phase": 3}'}, "a position with moon_phase"),
        ({"position": "[]"}, "damaged"),
        ({"sessions": "7"}, "damaged"),
    ],
)
def test_what_is_not_known_is_said(run, changes, sentence):
    path = rewritten(find_checkpoint(run), **changes)
    with pytest.raises(InputError, match=sentence):
        read_checkpoint(path)
