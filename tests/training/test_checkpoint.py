"""Checkpoints: whole or not at all, loaded without running code, refused with a sentence."""

import json

import pytest
import torch
from safetensors.torch import save_file

from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition import checkpoint as module
from mode_ssm.recognition.checkpoint import Position, find_checkpoint, load_optimizer, read_checkpoint, save_checkpoint
from mode_ssm.training.optimizer import build_optimizer
from tests.small import SESSIONS, small_config


@pytest.fixture
def saved(tmp_path):
    config = small_config(tmp_path / "data", tmp_path / "run")
    model = ModeSSM(config, 3)
    optimizer = build_optimizer(model, config.training.optimizer)
    sum(p.square().sum() for p in model.parameters()).backward()
    optimizer.step()
    path = tmp_path / "run" / "checkpoints" / "last.safetensors"
    path.parent.mkdir(parents=True)
    parts = {"config": config, "labels": T15, "sessions": SESSIONS, "position": Position(update=7, best=[0, 0.5])}
    parts |= {"model": model, "optimizer": optimizer, "sentence_hashes": torch.tensor([3, 5])}
    save_checkpoint(path, **parts)
    return path, parts


def test_everything_comes_back(saved):
    path, parts = saved
    loaded = read_checkpoint(path, with_optimizer=True)
    assert loaded.config == parts["config"]
    assert loaded.sessions == SESSIONS
    assert loaded.position == parts["position"]
    assert loaded.sentence_hashes.tolist() == [3, 5]
    fresh = ModeSSM(loaded.config, 3)
    fresh.load_state_dict(loaded.model)
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), parts["model"].parameters(), strict=True))
    optimizer = build_optimizer(fresh, loaded.config.training.optimizer)
    load_optimizer(optimizer, loaded.optimizer)
    before, after = parts["optimizer"].state_dict()["state"], optimizer.state_dict()["state"]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k][name], after[k][name]) for k in before for name in before[k])


def test_a_full_disk_leaves_the_old_checkpoint(saved, monkeypatch):
    path, parts = saved
    before = path.read_bytes()

    def full(tensors, target, metadata):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(InputError, match="could not be written .*No space left on device.*resume=auto"):
        save_checkpoint(path, **parts)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["last.safetensors"]


@pytest.mark.parametrize("keep", [0, 5, 1000])
def test_a_file_cut_short_is_refused(saved, keep):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="is not a readable checkpoint"):
        read_checkpoint(path)


def test_a_pickle_is_refused(tmp_path):
    torch.save({"model": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="is not a readable checkpoint"):
        read_checkpoint(tmp_path / "model.pt")


def test_foreign_tensors_are_refused(tmp_path):
    save_file({"a": torch.zeros(3)}, tmp_path / "a.safetensors", metadata={"who": json.dumps("other")})
    with pytest.raises(InputError, match="not a checkpoint of MODE-SSM"):
        read_checkpoint(tmp_path / "a.safetensors")


def test_a_run_is_found_by_its_folder(saved, tmp_path):
    path, _ = saved
    assert find_checkpoint(tmp_path / "run") == path
    best = path.with_name("best.safetensors")
    best.write_bytes(path.read_bytes())
    assert find_checkpoint(tmp_path / "run") == best
    assert find_checkpoint(path) == path
    for missing, words in ((tmp_path, "has no checkpoints"), (tmp_path / "none", "does not exist")):
        with pytest.raises(InputError, match=words):
            find_checkpoint(missing)


def test_the_group_may_read_it_where_new_files_may_be_read(saved):
    path, _ = saved
    other = path.with_name("any.txt")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode
