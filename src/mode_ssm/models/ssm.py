"""The state-space scan of Mamba-2 (Dao & Gu 2024, "Transformers are SSMs", sections 3 and 6), three times.

For each trial and head, with a state h of P x N, steps dt_t > 0 and a rate A < 0:

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T        y_t = h_t C_t + skip x_t

A bidirectional scan adds the same recurrence from the end of the trial, with its own dt and A and without the frame t
itself, which the forward one has seen. `reference_scan` walks frame by frame, `scan` works in chunks and is what
trains, `scan_step` advances one frame for streaming.

Further shapes: R directions (1 causal, 2 bidirectional), H heads, P channels a head. `mixed` holds x, B and C side by
side, (B, S, H * P + 2 N). A frame whose dt is 0 changes no state: that is how padding is kept out.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mode_ssm.models.chunked_scan import ChunkedScan

_chunked_scan: Callable[..., Tensor] = ChunkedScan.apply


class Mixed(NamedTuple):
    """The three parts of `mixed`."""

    x: Tensor  # (..., H, P)
    b: Tensor  # (..., N)
    c: Tensor  # (..., N)


def split_mixed(mixed: Tensor, heads: int, state_size: int) -> Mixed:
    inner = mixed.shape[-1] - 2 * state_size
    x, b, c = torch.split(mixed, [inner, state_size, state_size], dim=-1)
    return Mixed(x.reshape(*x.shape[:-1], heads, inner // heads), b, c)


def reference_scan(mixed: Tensor, dt: Tensor, rates: Tensor, skip: Tensor, *, state_size: int) -> Tensor:
    """Scan frame by frame: dt (B, S, R, H), rates (R, H), skip (H,) to y (B, S, H, P)."""
    x, b, c = split_mixed(mixed, dt.shape[-1], state_size)
    y = skip[:, None] * x
    for direction in range(dt.shape[2]):
        state = x.new_zeros(len(x), *x.shape[2:], state_size)
        for t in range(x.shape[1])[:: -1 if direction else 1]:
            step = dt[:, t, direction]
            decayed = state * torch.exp(step * rates[direction])[..., None, None]
            state = decayed + torch.einsum("bh,bhp,bn->bhpn", step, x[:, t], b[:, t])
            y[:, t] += torch.einsum("bhpn,bn->bhp", decayed if direction else state, c[:, t])
    return y


def scan(mixed: Tensor, dt: Tensor, rates: Tensor, skip: Tensor, *, state_size: int, chunk_frames: int) -> Tensor:
    """Compute `reference_scan` by matrix products over chunks of at most `chunk_frames`.

    `mixed` may be bfloat16; dt, rates and skip are float32 or better, and so are the decays and what the states gather.
    """
    with torch.autocast(mixed.device.type, enabled=False):
        return _chunked_scan(mixed, dt, rates, skip, state_size, chunk_frames)


def scan_step(mixed: Tensor, dt: Tensor, rates: Tensor, skip: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Advance one frame: mixed (B, H * P + 2 N), dt (B, H), rates (H,), state (B, H, P, N) to y (B, H, P) and state."""
    x, b, c = split_mixed(mixed, dt.shape[-1], state.shape[-1])
    rows = (state * torch.exp(dt * rates)[..., None, None]).flatten(1, 2)  # (B, H * P, N): one matrix a trial
    rows.addcmul_((dt[..., None] * x).flatten(1)[..., None], b[:, None])
    return torch.bmm(rows, c[..., None]).view_as(x) + skip[:, None] * x, rows.view_as(state)
