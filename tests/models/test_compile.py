"""The plain path goes through torch.compile in one piece, and gives what it gives without."""

import pytest
import torch
from torch import Tensor

from mode_ssm.config import TrainConfig
from mode_ssm.models.model import ModeSSM
from mode_ssm.settings import read_settings
from tests.models.test_model import make_batch
from tests.small import SMALL

WORDS = [*SMALL, "encoder.backend=plain", "encoder.layers=3", "encoder.chunk_frames=8", "preprocessor.patch_masks=2"]
LABELS = torch.tensor([[5, 6, 7], [8, 9, 0]])


def heads(model: ModeSSM, *tensors: Tensor, new_sessions: bool) -> tuple[Tensor, ...]:
    """What the losses of both heads are computed from."""
    frames, lengths = model.encoder(*model.preprocessor(*tensors, new_sessions=new_sessions))
    return model.ctc_log_probs(frames), *model.transducer_inputs(frames, LABELS), lengths


def run(found: tuple[Tensor, ...], model: ModeSSM) -> list[Tensor]:
    """The outputs, and the gradients of their squares; what comes after the joiner's sides has none."""
    loss = torch.stack([out.square().mean() for out in found[:3]]).sum()
    gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    assert sum(gradient is None for gradient in gradients) == 2
    return [*found, *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize(
    "more", [["encoder.attention_every=3"], ["encoder.direction=causal"]], ids=["hybrid", "causal"]
)
@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
def test_the_plain_path_compiles_without_a_break(more: list[str], training: bool) -> None:
    torch.manual_seed(0)
    torch.compiler.reset()
    model = ModeSSM(read_settings(TrainConfig, [*WORDS, *more]), num_sessions=3).train(training)
    batch = make_batch([90, 61], padding=0.0)
    inputs = batch.features.float(), batch.frame_lengths, torch.tensor([2, -1 if not training else 0])
    compiled = torch.compile(heads, fullgraph=True, backend="aot_eager")
    results = []
    for forward in (heads, compiled):
        torch.manual_seed(1)
        results.append(run(forward(model, *inputs, new_sessions=not training), model))
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-6)
