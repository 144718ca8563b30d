"""The state-space scan of Mamba-2 (Dao & Gu 2024, "Transformers are SSMs"), written three times.

For each trial and head, with a state h of P x N, step sizes dt_t > 0 and a rate A < 0:

    h_t = exp(dt_t A) h_{t-1} + dt_t x_t B_t^T        y_t = h_t C_t

A bidirectional scan adds the same recurrence from the end of the trial, with its own dt and A and without the
frame t itself, which the forward one has seen. `reference_scan` walks frame by frame; `scan` is the chunked form
that is trained; `scan_step` advances one frame for streaming.

Further shapes: H heads, P channels a head, L frames a chunk, K chunks. Frames whose dt is 0 change no state.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def reference_scan(x: Tensor, b: Tensor, c: Tensor, dt: Tensor, a: Tensor) -> Tensor:
    """Scan frame by frame: x (B, S, H, P), b and c (B, S, N), dt (B, S, R, H), a (R, H) to y (B, S, H, P).

    R is 1 for a causal scan and 2 for a bidirectional one, whose second row is the backward direction.
    """
    y = torch.zeros_like(x)
    for direction in range(dt.shape[2]):
        state = x.new_zeros(x.shape[0], x.shape[2], x.shape[3], b.shape[2])
        order = range(x.shape[1]) if direction == 0 else range(x.shape[1] - 1, -1, -1)
        for t in order:
            step = dt[:, t, direction]
            state = state * torch.exp(step * a[direction])[:, :, None, None]
            if direction == 1:
                y[:, t] += torch.einsum("bhpn,bn->bhp", state, c[:, t])
            state = state + torch.einsum("bh,bhp,bn->bhpn", step, x[:, t], b[:, t])
            if direction == 0:
                y[:, t] += torch.einsum("bhpn,bn->bhp", state, c[:, t])
    return y


def scan(x: Tensor, b: Tensor, c: Tensor, dt: Tensor, a: Tensor, chunk_frames: int) -> Tensor:
    """Compute `reference_scan` by matrix products over chunks."""
    frames = x.shape[1]
    chunks = max(1, -(-frames // chunk_frames))
    length = -(-frames // chunks)
    pad = chunks * length - frames
    x, b, c, dt = (F.pad(v, (0, 0) * (v.dim() - 2) + (0, pad)) for v in (x, b, c, dt))
    x, b, c, dt = (v.view(len(v), chunks, length, *v.shape[2:]) for v in (x, b, c, dt))
    log = dt.movedim(2, -1) * a[:, :, None]  # (B, K, R, H, L)
    dt = dt.movedim(2, -1)
    sums = log.cumsum(-1)
    forward = sums[:, :, 0]
    lower = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
    exponent = torch.where(lower, forward[..., :, None] - forward[..., None, :], 0.0)
    weight = dt[:, :, 0, :, None, :]
    if log.shape[2] == 2:
        before = sums[:, :, 1] - log[:, :, 1]
        exponent = torch.where(lower, exponent, before[..., None, :] - before[..., :, None])
        weight = torch.where(lower, weight, dt[:, :, 1, :, None, :])
    else:
        weight = torch.where(lower, weight, 0.0)
    scores = torch.einsum("bktn,bkjn->bktj", c, b)
    y = torch.einsum("bktj,bkhtj,bkjhp->bkthp", scores, torch.exp(exponent) * weight, x)
    if chunks > 1:
        carry = x * (torch.exp(forward[..., -1:] - forward) * dt[:, :, 0]).movedim(-1, 2)[..., None]
        states = torch.einsum("bkjhp,bkjn->bkhpn", carry, b)
        entering = _carried(states, torch.exp(forward[..., -1]))
        y = y + torch.einsum("bkhpn,bktn->bkthp", entering, c) * torch.exp(forward).movedim(-1, 2)[..., None]
        if log.shape[2] == 2:
            backward = sums[:, :, 1, :, -1:] - before
            carry = x * (torch.exp(before) * dt[:, :, 1]).movedim(-1, 2)[..., None]
            states = torch.einsum("bkjhp,bkjn->bkhpn", carry, b).flip(1)
            entering = _carried(states, torch.exp(sums[:, :, 1, :, -1]).flip(1)).flip(1)
            y = y + torch.einsum("bkhpn,bktn->bkthp", entering, c) * torch.exp(backward).movedim(-1, 2)[..., None]
    return y.flatten(1, 2)[:, :frames]


def _carried(states: Tensor, decay: Tensor) -> Tensor:
    state = torch.zeros_like(states[:, 0])
    entering = []
    for k in range(states.shape[1]):
        entering.append(state)
        state = state * decay[:, k, :, None, None] + states[:, k]
    return torch.stack(entering, 1)


def scan_step(x: Tensor, b: Tensor, c: Tensor, dt: Tensor, a: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Advance one frame: x (B, H, P), b and c (B, N), dt (B, H), a (H,), state (B, H, P, N) to y and the new state."""
    state = state * torch.exp(dt * a)[..., None, None] + (dt[..., None] * x)[..., None] * b[:, None, None]
    return torch.einsum("bhpn,bn->bhp", state, c), state
