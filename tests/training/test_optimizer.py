"""Which parameters weight decay spares, by the modules' own say, beside the rule of names of older runs."""

import pytest
from torch import nn

from mode_ssm.config import OptimizerConfig, TrainConfig
from mode_ssm.models.model import ModeSSM
from mode_ssm.settings import read_settings
from mode_ssm.training.optimizer import build_optimizer
from tests.small import SMALL, fitting


def decayed_by_name(name: str, parameter: nn.Parameter) -> bool:
    spared = ("session", "embedding", "log_rate", "dt_bias")
    return parameter.ndim >= 2 and not any(word in name for word in spared)


@pytest.mark.parametrize("session_layer", ["none", "affine", "low_rank", "full"])
@pytest.mark.parametrize(
    "words",
    [
        ["encoder.layers=4", "encoder.attention_every=2"],
        ["encoder.direction=causal", "predictor=lstm", "joiner=additive"],
        ["encoder=gru", "preprocessor.patch_norm=true"],
        ["encoder=gru", "encoder.output_projection=false", "encoder.direction=causal", "preprocessor.projection=false"],
        ["encoder=transformer", "joiner=none"],
        *([f"experiment={name}"] for name in ("an4", "demo", "nejm_gru", "masked_transformer")),
    ],
    ids=" ".join,
)
def test_the_groups_and_their_order_are_those_of_older_runs(words, session_layer):
    base = ["preprocessor.num_channels=8"] if words[0].startswith("experiment") else SMALL
    words = fitting(base, [*words, f"preprocessor.session_layer={session_layer}"])
    if "experiment=nejm_gru" in words:
        words.append("encoder.layers=2")
    model = ModeSSM(read_settings(TrainConfig, words), num_sessions=3)
    groups = build_optimizer(model, OptimizerConfig(weight_decay=0.5)).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = [[names[id(parameter)] for parameter in group["params"]] for group in groups]
    named = list(model.named_parameters())
    assert found[0] == [name for name, parameter in named if decayed_by_name(name, parameter)]
    assert found[1] == [name for name, parameter in named if not decayed_by_name(name, parameter)]
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
