"""A run that begins with the weights of another: what fits is taken, sessions by name, and what is not is named."""

from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest
import torch

from mode_ssm.errors import InputError
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.checkpoint import read_checkpoint
from mode_ssm.training.inherited import inherit
from mode_ssm.training.loop import train
from tests.data.files import make_trial, write_session
from tests.small import SESSIONS, small_config, write_data

NEW = "t15.2023.09.01"
LAYERS = ("affine", "low_rank", "full")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(root: Path) -> Path:
    return train(small_config(root, root / "run", "training.schedule.warmup_updates=0"))


@pytest.fixture
def next_root(tmp_path: Path) -> Path:
    """The last two sessions, and one more."""
    folder = write_data(tmp_path / "next")
    rmtree(folder / SESSIONS[0])
    write_session(folder, NEW, "train", [make_trial(700 + n, 90) for n in range(4)])
    return folder


def last(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "checkpoints" / "last.safetensors").model


@pytest.mark.parametrize("layer", LAYERS)
def test_known_sessions_keep_their_map_and_a_new_one_has_the_mean(root: Path, tmp_path: Path, layer: str) -> None:
    """Held against the networks' own outputs: a new session is decoded as the old network decodes an unknown one."""
    words = [f"preprocessor.session_layer={layer}", "preprocessor.session_rank=8"]  # of 8 channels, so that it is exact
    config = small_config(root, tmp_path / "run", *words, "training.stages.1.epochs=0")
    path = train(config)
    old = ModeSSM(config, 3)
    old.load_state_dict(read_checkpoint(path / "checkpoints" / "best.safetensors").model)
    torch.manual_seed(5)
    model = ModeSSM(config, 3)
    inherited = inherit(model, (*SESSIONS[1:], NEW), str(path))
    assert inherited.new_sessions == (NEW,)
    assert not inherited.begun_anew
    features = torch.randn(3, 40, 8)
    before = old.preprocessor.session(features, torch.tensor([1, 2, -1]))
    torch.testing.assert_close(
        model.preprocessor.session(features, torch.tensor([0, 1, 2])), before, rtol=1e-4, atol=1e-6
    )


def test_a_low_rank_mean_is_the_nearest_of_that_rank(root: Path, tmp_path: Path) -> None:
    config = small_config(root, tmp_path / "run", "training.stages.0.epochs=2", "training.stages.1.epochs=0")
    there = read_checkpoint(train(config) / "checkpoints" / "best.safetensors").model
    model = ModeSSM(config, 1)
    inherit(model, (NEW,), str(tmp_path / "run"))
    found = (model.preprocessor.session.down @ model.preprocessor.session.up)[0].detach().double()
    names = ("preprocessor.session.down", "preprocessor.session.up")
    mean = (there[names[0]].double() @ there[names[1]].double()).mean(0)
    rest = torch.linalg.svdvals(mean)[2:]
    torch.testing.assert_close(torch.linalg.norm(found - mean), torch.linalg.norm(rest), rtol=1e-3, atol=1e-9)


def test_a_run_goes_on_from_another(
    run: Path, next_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small_config(next_root, tmp_path / "new", f"init={run}", "training.learn=[session]")
    train(config)
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"Starting with {len(last(run))} of {len(last(run))} tensors of {run / 'checkpoints' / 'best.safetensors'}"
        in said
    )
    assert f"New sessions, which begin with the mean session layer of its 3: {NEW}" in said
    before, after = read_checkpoint(run / "checkpoints" / "best.safetensors"), last(tmp_path / "new")
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before.model[name])}
    assert moved == {name for name in after if name.startswith("preprocessor.session.")}
    seen = read_checkpoint(tmp_path / "new" / "checkpoints" / "last.safetensors").sentence_hashes
    assert torch.isin(before.sentence_hashes, seen).all()  # what it was trained on is no unseen sentence


def test_it_is_resumed_without_the_run_that_it_began_with(
    run: Path, next_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"init={tmp_path / 'begun'}", "training.resume=auto"]
    (tmp_path / "begun").symlink_to(run)
    train(small_config(next_root, tmp_path / "new", *words))
    (tmp_path / "begun").unlink()
    capsys.readouterr()
    train(small_config(next_root, tmp_path / "new", *words, "training.stages.1.epochs=2"))
    said = " ".join(capsys.readouterr().out.split())
    assert "Resuming after update" in said
    assert "the train sentences are not those" not in said


def test_what_does_not_fit_begins_anew_and_is_named(root: Path, run: Path, tmp_path: Path) -> None:
    config = small_config(root, tmp_path / "run", "predictor.width=12", "joiner=none")
    model = ModeSSM(config, 3)
    inherited = inherit(model, SESSIONS, str(run))
    assert not inherited.begun_anew
    assert all(name.startswith(("predictor.", "joiner.")) for name in inherited.left)
    wide = small_config(root, tmp_path / "run", "predictor.width=12")
    said = " ".join(inherit(ModeSSM(wide, 3), SESSIONS, str(run)).sentences())
    assert "These begin anew: predictor." in said
    assert "41x8 there, 41x12 here" in said
    assert "config=RUN takes the settings of a run" in said


def test_heads_of_other_labels_begin_anew(root: Path, run: Path, tmp_path: Path) -> None:
    config = small_config(root, tmp_path / "run")
    labels = read_checkpoint(run / "checkpoints" / "best.safetensors").labels
    turned = replace(labels, symbols=(labels.symbols[0], *labels.symbols[:0:-1]), boundary=1)
    anew = inherit(ModeSSM(config, 3, turned), SESSIONS, str(run)).begun_anew
    assert "ctc_head.weight (of other labels)" in anew
    assert {name.partition(".")[0] for name in anew} == {"ctc_head", "predictor", "joiner"}


def test_a_run_of_which_nothing_fits_is_an_error(root: Path, run: Path, tmp_path: Path) -> None:
    stranger = torch.nn.Linear(2, 2)
    stranger.labels = ModeSSM(small_config(root, tmp_path / "run"), 3).labels  # type: ignore[assignment]
    stranger.participants = {}  # type: ignore[assignment]
    with pytest.raises(InputError, match="no tensor of .* fits this network; add config="):
        inherit(stranger, SESSIONS, str(run))  # type: ignore[arg-type]


def test_parts_that_are_not_there_cannot_learn(root: Path, tmp_path: Path) -> None:
    words = ["preprocessor.session_layer=none", "training.learn=[session]"]
    with pytest.raises(InputError, match="training.learn names session, which this network does not have"):
        train(small_config(root, tmp_path / "run", *words))
