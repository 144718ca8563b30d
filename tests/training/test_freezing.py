"""Parts that wait at the start of a stage: not a bit of them moves, weight decay included, and then they learn."""

import pytest
import torch

from mode_ssm.batch import collate
from mode_ssm.config import StageConfig
from mode_ssm.models.model import ModeSSM
from mode_ssm.training.devices import start_fabric
from mode_ssm.training.loop import train
from mode_ssm.training.optimizer import build_optimizer
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.schedule import freeze
from mode_ssm.training.update import run_update
from tests.small import SESSIONS, small_config, write_data
from tests.training.test_update import objective, trials_of

PARTS = ("preprocessor", "encoder", "ctc_head", "predictor", "joiner")
FREEZES = {
    "freeze_encoder_updates": {"preprocessor", "encoder"},
    "freeze_predictor_updates": {"predictor"},
    "freeze_joiner_updates": {"joiner"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("setting", FREEZES)
def test_a_frozen_part_does_not_move_at_all_and_then_learns(root, setting):
    config = small_config(root, root / "run", "training.optimizer.weight_decay=1")
    fabric, stage = start_fabric(config.training), StageConfig(**{setting: 3})
    torch.manual_seed(0)
    model = ModeSSM(config, 3)
    optimizer = build_optimizer(model, config.training.optimizer)
    batch = collate(trials_of(config, root), {session: n for n, session in enumerate(SESSIONS)})
    for number in range(5):
        before = {part: [p.clone() for p in getattr(model, part).parameters()] for part in PARTS}
        freeze(model, stage, number)
        update = run_update(fabric, model, optimizer, [batch], objective(config), config, number, bound=1.0)
        still = {
            part
            for part in PARTS
            if all(torch.equal(a, b) for a, b in zip(before[part], getattr(model, part).parameters(), strict=True))
        }
        frozen = FREEZES[setting] if number < 3 else set()
        assert still == frozen
        assert set(PARTS) - set(update.gradients.by_part) == frozen
        assert update.gradients.encoder["rnnt"] > 0  # measured all the same


def test_a_stage_unfreezes_part_after_part(root, tmp_path):
    """The joiner after two updates, the predictor after four; the encoder waits for all five of the epoch."""
    words = [f"training.stages.1.freeze_{part}_updates={n}" for part, n in (("joiner", 2), ("predictor", 4))]
    train(small_config(root, tmp_path / "run", *words, "training.stages.1.freeze_encoder_updates=5"))
    updates = [r for r in read_metrics(tmp_path / "run") if r["kind"] == "update" and r["loss_rnnt"] is not None]
    learning = [{part for part, norm in r["grad_norms"].items() if norm is not None} for r in updates]
    head = {"ctc_head"}
    assert learning == [head, head, head | {"joiner"}, head | {"joiner"}, head | {"joiner", "predictor"}]
