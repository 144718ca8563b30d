"""The field's baselines at their published sizes, and the settings that they need."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mode_ssm.config import Direction, GRUEncoderConfig, TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.models.gru import GRUEncoder
from mode_ssm.models.model import ModeSSM
from mode_ssm.settings import read_settings
from mode_ssm.training.optimizer import decaying

BARE_GRU = GRUEncoderConfig(width=6, layers=3, direction=Direction.causal, output_projection=False, dropout=0.5)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_the_gru_baseline_has_its_published_size() -> None:
    model = ModeSSM(read_settings(TrainConfig, ["experiment=nejm_gru"]), num_sessions=45)
    days = 45 * (512 * 512 + 512)
    first, others = 3 * 768 * (14 * 512 + 768 + 2), 4 * 3 * 768 * (2 * 768 + 2)
    assert parameters(model) == days + first + others + 5 * 768 + 768 * 41 + 41
    assert round(parameters(model) / 1e6, 1) == 44.3


def test_the_masked_transformer_has_its_published_size() -> None:
    config = read_settings(TrainConfig, ["experiment=masked_transformer"])
    model = ModeSSM(config, num_sessions=45)
    block = 384 * 3 * 384 + (384 + 1) * 384 + (384 + 1) * 1536 + (1536 + 1) * 384 + 4 * 384
    ends = 2 * 2048 + 2049 * 384 + 2 * 384 + 2 * 384 + 385 * 41
    assert parameters(model) == 5 * (block + 1 + config.encoder.max_distance) + ends
    assert round(parameters(model) / 1e6, 1) == 9.7


@pytest.mark.parametrize("experiment", ["nejm_gru", "masked_transformer"])
def test_weight_decay_spares_what_the_recipes_spare(experiment: str) -> None:
    model = ModeSSM(read_settings(TrainConfig, [f"experiment={experiment}", "preprocessor.num_channels=13"]), 3)
    spared = {name for name, _ in model.named_parameters() if name not in decaying(model)}
    expected = {
        n for n, _ in model.named_parameters() if "bias" in n or "norm" in n or "session" in n or "distance" in n
    }
    assert spared == expected


def test_the_bare_gru_is_that_of_pytorch() -> None:
    torch.manual_seed(0)
    ours = GRUEncoder(BARE_GRU, input_width=10).double().eval()
    nn.init.normal_(ours.initial)
    plain = nn.GRU(10, 6, num_layers=3, batch_first=True).double()
    state = {
        f"{name[:-1]}{index}": value
        for index, layer in enumerate(ours.ahead)
        for name, value in layer.state_dict().items()
    }
    plain.load_state_dict(state)
    frames, lengths = torch.randn(2, 9, 10, dtype=torch.float64), torch.tensor([9, 4])
    expected, _ = plain(frames, ours.initial[:, 0, None].expand(-1, 2, -1).contiguous())
    torch.testing.assert_close(ours(frames, lengths)[0], expected)
    assert ours(frames[:, :0], torch.tensor([0, 0]))[0].shape == (2, 0, 6)


def test_the_bare_gru_drops_between_layers_and_not_behind_the_last() -> None:
    torch.manual_seed(0)
    frames, lengths = torch.randn(1, 5, 6), torch.tensor([5])
    single = GRUEncoder(replace(BARE_GRU, layers=1)).train()
    torch.testing.assert_close(single(frames, lengths)[0], single.eval()(frames, lengths)[0])
    several = GRUEncoder(BARE_GRU).train()
    assert not torch.equal(several(frames, lengths)[0], several(frames, lengths)[0])


def test_two_directions_need_a_projection() -> None:
    with pytest.raises(InputError, match=r"set encoder\.direction=causal"):
        GRUEncoder(replace(BARE_GRU, direction=Direction.bidirectional))


def test_only_the_gru_reads_patches_of_any_width() -> None:
    config = read_settings(TrainConfig, ["preprocessor.projection=false"])
    with pytest.raises(InputError, match=r"512 wide and the patches 7168.*set preprocessor\.projection=true"):
        ModeSSM(config, num_sessions=1)


def test_a_network_without_a_transducer_says_so() -> None:
    model = ModeSSM(read_settings(TrainConfig, ["joiner=none", "encoder.width=64"]), num_sessions=1)
    assert not any(name.startswith(("predictor", "joiner")) for name, _ in model.named_parameters())
    with pytest.raises(InputError, match=r"no transducer \(joiner=none\): choose the decoder ctc"):
        model.initial(1)
