"""The chunked scan, with a backward of its own that keeps the inputs and makes the rest again.

Within a chunk of L frames the scan of a head is one L x L matrix: C B^T times the decays, forward ones in the lower
triangle with the diagonal and backward ones above it, plus the skip on the diagonal. From chunk to chunk only states
travel. Trials, and the chunks of long ones, are taken a few at a time, so that the matrices stay in the cache; they are
made once in forward and once more in backward.

What the decays receive in backward follows from sums. With y = M x and W = dM * M (elementwise), entry (i, j) of W is
the gradient of the log of entry (i, j) of M, which is a sum over the frames between j and i: its row sums and column
sums, differenced and cumulated, are the gradients of all the log decays.

n stands for B * K, the chunks of all trials; exponents are powers of two, whose exp2 is several times cheaper than exp.
"""

import math
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from mode_ssm.models.parts import parts

_SMALLEST_STEP = 1e-37  # stands for dt = 0 under a logarithm: what it multiplies vanishes


class _Chunks(NamedTuple):
    """The inputs of a scan, cut into chunks."""

    x: Tensor  # (n, L, H, P)
    b: Tensor  # (n, L, N)
    c: Tensor  # (n, L, N)
    skip: Tensor  # (H,)
    log_step: Tensor  # (n, R, H, L)
    row: Tensor  # (n, R, H, L): what frame i adds to the exponent of entry (i, j)
    column: Tensor  # (n, R, H, L): what frame j adds to it, its own step included
    total: Tensor  # (n, R, H): the exponent of a whole chunk
    trials: int


class _States(NamedTuple):
    """The way of one direction through the chunks."""

    entering: Tensor  # (n, H * P, N): the state that enters each chunk
    inflow: Tensor  # (n, L, H, P): x times gain
    gain: Tensor  # (n, L, H): from frame j into the state that leaves its chunk
    reach: Tensor  # (n, L, H): from the state that enters a chunk to frame i


class _Gradients(NamedTuple):
    """Filled part by part, inside the chunks and across them."""

    x: Tensor
    b: Tensor
    c: Tensor
    skip: Tensor
    difference: Tensor  # (n, R, H, L): row sums minus column sums of W, its diagonal left out, which would cancel
    log_step: Tensor  # (n, R, H, L): column sums
    log_decay: Tensor  # (n, R, H, L): what `difference` does not hold


class ChunkedScan(torch.autograd.Function):
    """`mode_ssm.models.ssm.scan`, whose arguments it takes in that order."""

    @staticmethod
    def forward(
        ctx: Any, mixed: Tensor, dt: Tensor, rates: Tensor, skip: Tensor, state_size: int, chunk_frames: int
    ) -> Tensor:
        ctx.save_for_backward(mixed, dt, rates, skip)
        ctx.sizes = state_size, chunk_frames
        heads = dt.shape[-1]
        y = mixed.new_empty(*mixed.shape[:2], heads, (mixed.shape[2] - 2 * state_size) // heads)
        for part in parts(mixed, mixed.shape[1] * chunk_frames * heads):
            chunks = _cut(mixed[part], dt[part], rates, skip, state_size, chunk_frames)
            _output(chunks, y[part])
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        mixed, dt, rates, skip = ctx.saved_tensors
        dmixed, ddt = torch.empty_like(mixed), torch.empty_like(dt)
        drates, dskip = torch.zeros_like(rates), torch.zeros_like(skip)
        frames = mixed.shape[1]
        for part in parts(mixed, frames * ctx.sizes[1] * dt.shape[-1]):
            chunks = _cut(mixed[part], dt[part], rates, skip, *ctx.sizes)
            gradients = _gradients(chunks, dy[part], dmixed[part])
            dstep, drates_here = _decay_gradients(chunks, rates, gradients)
            ddt[part] = dstep.permute(0, 3, 1, 2).reshape(chunks.trials, -1, *dt.shape[2:])[:, :frames]
            drates += drates_here
            dskip += gradients.skip
        return dmixed, ddt, drates, dskip, None, None


def _cut(mixed: Tensor, dt: Tensor, rates: Tensor, skip: Tensor, state_size: int, chunk_frames: int) -> _Chunks:
    trials, frames = mixed.shape[:2]
    count = -(-frames // chunk_frames)
    length = -(-frames // count)
    if padding := count * length - frames:
        mixed, dt = F.pad(mixed, (0, 0, 0, padding)), F.pad(dt, (0, 0, 0, 0, 0, padding))
    n = trials * count
    step = dt.reshape(n, length, *dt.shape[2:]).permute(0, 2, 3, 1).contiguous()
    log_decay = step * (rates * math.log2(math.e))[:, :, None]
    log_step = step.clamp(min=_SMALLEST_STEP).log2_()
    sums = log_decay.cumsum(-1)
    row, total = sums, sums[..., -1].clone()
    torch.sub(log_decay[:, 1:], sums[:, 1:], out=row[:, 1:])  # backward: the frames before i, negative
    inner = mixed.shape[-1] - 2 * state_size
    x, b, c = torch.split(mixed.view(n, length, -1), [inner, state_size, state_size], dim=-1)
    x = x.view(n, length, dt.shape[-1], -1)
    return _Chunks(x, b, c, skip, log_step, row, log_step - row, total, trials)


def _output(chunks: _Chunks, out: Tensor) -> None:
    fits = out.numel() == chunks.x.numel()
    y = out.view(chunks.x.shape) if fits else out.new_empty(chunks.x.shape)
    for part in _few(chunks):
        _products(y[part], _matrices(chunks, _decays(chunks, part), _scores(chunks, part)), chunks.x[part])
    if len(y) > chunks.trials:
        for direction in range(chunks.row.shape[1]):
            states = _states(chunks, direction)
            y.addcmul_(_across(chunks, states), states.reach[..., None])
    if not fits:
        out.copy_(y.view(chunks.trials, -1, *out.shape[2:])[:, : out.shape[1]])


def _gradients(chunks: _Chunks, dy: Tensor, dmixed: Tensor) -> _Gradients:
    n, length = chunks.x.shape[:2]
    inner, state_size = chunks.x[0, 0].numel(), chunks.b.shape[2]
    dy = F.pad(dy, (0, 0, 0, 0, 0, n // len(dy) * length - dy.shape[1])).reshape(chunks.x.shape)
    fits = dmixed.numel() == n * length * dmixed.shape[2]
    mixed = dmixed.view(n, length, -1) if fits else dmixed.new_empty(n, length, dmixed.shape[2])
    x, b, c = torch.split(mixed, [inner, state_size, state_size], dim=-1)
    sums = [torch.zeros_like(chunks.row) for _ in range(3)]
    gradients = _Gradients(x.view(dy.shape), b, c, torch.zeros_like(chunks.skip), sums[0], sums[1], sums[2])
    for part in _few(chunks):
        _inside_backward(chunks, part, dy[part], gradients)
    if n > chunks.trials:
        for direction in range(chunks.row.shape[1]):
            _across_backward(chunks, direction, dy, gradients)
    if not fits:
        dmixed.copy_(mixed.view(chunks.trials, -1, dmixed.shape[2])[:, : dmixed.shape[1]])
    return gradients


def _few(chunks: _Chunks) -> list[slice]:
    """Chunks whose matrices are made at a time."""
    return parts(chunks.x, chunks.x.shape[1] ** 2 * chunks.x.shape[2])


def _decays(chunks: _Chunks, part: slice) -> Tensor:
    """Decays times steps of some chunks, (n, H, L, L); above the diagonal of a causal scan stand ones."""
    row, column = chunks.row[part], chunks.column[part]
    exponent = (row[:, 0, :, :, None] + column[:, 0, :, None, :]).tril_()
    if row.shape[1] == 2:
        exponent += (row[:, 1, :, :, None] + column[:, 1, :, None, :]).triu_(1)
    return exponent.exp2_()


def _scores(chunks: _Chunks, part: slice) -> Tensor:
    """C B^T of some chunks, (n, 1, L, L); zero above the diagonal of a causal scan."""
    scores = torch.bmm(chunks.c[part], chunks.b[part].transpose(1, 2))
    return (scores if chunks.row.shape[1] == 2 else scores.tril_())[:, None]


def _matrices(chunks: _Chunks, decays: Tensor, scores: Tensor) -> Tensor:
    """What some chunks multiply x with, (n, H, L, L)."""
    matrices = decays * scores
    matrices.diagonal(0, 2, 3).add_(chunks.skip[:, None])
    return matrices.to(chunks.x.dtype)


def _products(out: Tensor, matrices: Tensor, frames: Tensor) -> None:
    """Products of (n, H, L, L) and (n, L, H, P) into (n, L, H, P), a head at a time: so no layout changes."""
    for product, matrix, factor in zip(out.unbind(2), matrices.unbind(1), frames.unbind(2), strict=True):
        torch.bmm(matrix, factor, out=product)


def _inside_backward(chunks: _Chunks, part: slice, dy: Tensor, gradients: _Gradients) -> None:
    x, decays, scores = chunks.x[part], _decays(chunks, part), _scores(chunks, part)
    dmatrices = _matrices(chunks, decays, scores)
    _products(gradients.x[part], dmatrices.transpose(2, 3), dy)
    for product, left, right in zip(dmatrices.unbind(1), dy.unbind(2), x.transpose(1, 3).unbind(2), strict=True):
        torch.bmm(left, right, out=product)
    gradients.skip.add_(dmatrices.diagonal(0, 2, 3).sum((0, 2)))
    change = decays.mul_(dmatrices)
    dscores = change.sum(1).to(x.dtype)
    if chunks.row.shape[1] == 1:
        dscores.tril_()
    gradients.c[part] = torch.bmm(dscores, chunks.b[part])
    gradients.b[part] = torch.bmm(dscores.transpose(1, 2), chunks.c[part])
    gradients.log_step[part, 0] = change.diagonal(0, 2, 3) * scores.diagonal(0, 2, 3)
    for direction in reversed(range(chunks.row.shape[1])):
        share = change * scores.triu(1) if direction == 1 else change.mul_(scores.tril(-1))
        columns = share.sum(-2)
        torch.sub(share.sum(-1), columns, out=gradients.difference[part, direction])
        gradients.log_step[part, direction] += columns


def _states(chunks: _Chunks, direction: int) -> _States:
    row, column = chunks.row[:, direction], chunks.column[:, direction]
    total = chunks.total[:, direction, :, None]
    gain, reach = (column, row + total) if direction else (column + total, row)
    gain, reach = (torch.exp2(exponent).to(chunks.x.dtype).transpose(1, 2) for exponent in (gain, reach))
    inflow = chunks.x * gain[..., None]
    leaving = torch.bmm(inflow.flatten(2).transpose(1, 2), chunks.b)
    entering = _carry(leaving, torch.exp2(total), chunks.trials, backward=direction == 1)
    return _States(entering, inflow, gain, reach)


def _across(chunks: _Chunks, states: _States) -> Tensor:
    """What the frames of a chunk see of the state that enters it, before `reach`, (n, L, H, P)."""
    return torch.bmm(chunks.c, states.entering.transpose(1, 2)).view_as(states.inflow)


def _carry(leaving: Tensor, decay: Tensor, trials: int, *, backward: bool) -> Tensor:
    """Run states (n, H * P, N) through the chunks of each trial: what entered the last, decayed, plus what it adds."""
    shape = (trials, -1, decay.shape[1], leaving[0].numel() // decay.shape[1])
    decay = decay.view(trials, -1, decay.shape[1], 1)
    source = leaving.view(shape).to(decay.dtype)
    entering = torch.zeros_like(source)
    order = range(source.shape[1])[:: -1 if backward else 1]
    for last, this in pairwise(order):
        torch.addcmul(source[:, last], entering[:, last], decay[:, last], out=entering[:, this])
    return entering.to(leaving.dtype).view_as(leaving)


def _across_backward(chunks: _Chunks, direction: int, dy: Tensor, gradients: _Gradients) -> None:
    states = _states(chunks, direction)
    reached = dy * states.reach[..., None]
    rows = torch.linalg.vecdot(reached, _across(chunks, states)).transpose(1, 2)
    reached = reached.flatten(2)
    gradients.c.add_(torch.bmm(reached, states.entering))
    dentering = torch.bmm(reached.transpose(1, 2), chunks.c)
    decay = torch.exp2(chunks.total[:, direction, :, None])
    dleaving = _carry(dentering, decay, chunks.trials, backward=direction == 0)
    gradients.b.add_(torch.bmm(states.inflow.flatten(2), dleaving))
    dinflow = torch.bmm(chunks.b, dleaving.transpose(1, 2)).view_as(dy)
    gradients.x.addcmul_(dinflow, states.gain[..., None])
    columns = torch.linalg.vecdot(dinflow, states.inflow).transpose(1, 2)
    carried = (dleaving * states.entering).view(*decay.shape[:2], -1).sum(-1, keepdim=True, dtype=decay.dtype)
    gradients.log_step[:, direction] += columns
    if direction == 0:
        gradients.difference[:, 0] += rows
        gradients.log_decay[:, 0] = decay * carried
        gradients.log_decay[:, 0, :, 1:] += columns.cumsum(-1)[..., :-1]
    else:
        gradients.difference[:, 1] -= columns
        gradients.log_decay[:, 1] = decay * carried + rows.cumsum(-1)


def _decay_gradients(chunks: _Chunks, rates: Tensor, gradients: _Gradients) -> tuple[Tensor, Tensor]:
    """The gradients of dt, (n, R, H, L), and of the rates."""
    later = gradients.difference.flip(-1).cumsum(-1).flip(-1)
    gradients.log_decay[:, 0] += later[:, 0]
    gradients.log_decay[:, 1:, :, :-1] -= later[:, 1:, :, 1:]
    step = torch.exp2(chunks.log_step)
    ddt = gradients.log_decay * rates[:, :, None] + gradients.log_step / step
    return ddt, (gradients.log_decay * step).sum((0, 3))
