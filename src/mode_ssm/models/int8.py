"""Projections whose weights are whole numbers of 8 bits: what a step of one frame waits for is reading its weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mode_ssm.errors import InputError

FEWEST = 1 << 15  # weights; a smaller projection is in the processor's cache anyway
BLOCK = 32  # rows and columns, of which the product wants whole ones


class Int8Linear(nn.Module):
    """A linear layer whose weights are 8-bit whole numbers times a scale for each row, for inference on a CPU.

    The scale is the bfloat16 nearest to that with which the largest weight of the row becomes 127: no weight moves by
    more than half of it. Products are of bfloat16 inputs, summed in float32, and rounded to bfloat16.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        self.rows = len(weight)
        scale = (weight.abs().amax(dim=1) / 127).clamp(min=torch.finfo(torch.float32).tiny).to(torch.bfloat16)
        packed = (weight / scale[:, None]).round().to(torch.int8)  # at most 127.25 before, as bfloat16 has 8 bits
        more = -self.rows % BLOCK
        self.register_buffer("weight", F.pad(packed, (0, -packed.shape[1] % BLOCK, 0, more)).contiguous())
        self.register_buffer("scale", F.pad(scale, (0, more)))
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().clone())

    weight: Tensor
    scale: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        rows = inputs.reshape(-1, inputs.shape[-1]).to(torch.bfloat16)
        if rows.shape[1] < self.weight.shape[1]:
            rows = F.pad(rows, (0, self.weight.shape[1] - rows.shape[1]))
        out = torch._weight_int8pack_mm(rows, self.weight, self.scale)[:, : self.rows].float()
        return (out if self.bias is None else out + self.bias).view(*inputs.shape[:-1], -1)


def pack(network: nn.Module) -> None:
    """Put an Int8Linear in the place of every large linear layer of a network.

    Raises:
        InputError: for one with recurrent weights, which stay as they are, or on another device than a CPU.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.RNNBase):
            raise InputError(
                f"int8=true packs linear layers, and {name} of this encoder is a {type(module).__name__}, whose "
                "weights it would leave; use int8=false, or encoder=ssm."
            )
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear) and child.weight.numel() >= FEWEST:
                if child.weight.device.type != "cpu":
                    raise InputError(
                        f"int8=true is for a CPU, and this network is on {child.weight.device}; set device=cpu."
                    )
                setattr(module, name, Int8Linear(child))
