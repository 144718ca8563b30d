"""The tanh joiner over lists of lattice cells: for GPUs, where operations should be few and large."""

from typing import ClassVar

import torch
from torch import Tensor

from mode_ssm.losses.activation import TANH_BACKWARD
from mode_ssm.losses.arguments import Options, Trials


class GatheredJoint:
    """weight @ tanh(encoder + predictor) + bias and what follows from it, for cells anywhere in the batch."""

    cells_at_once: ClassVar[int] = 16384

    def __init__(
        self, encoder: Tensor, predictor: Tensor, weight: Tensor, bias: Tensor, trials: Trials, blank: int
    ) -> None:
        dtype = torch.float32
        for given in (encoder, predictor, weight, bias):
            dtype = torch.promote_types(dtype, given.dtype)
        self.dtype, self.trials, self.frames, self.positions = dtype, trials, encoder.shape[1], predictor.shape[1]
        self.encoder, self.predictor = encoder.flatten(0, 1), predictor.flatten(0, 1)
        self.weight, self.bias = weight.to(dtype), bias.to(dtype)
        labels = torch.nn.functional.pad(trials.targets, (0, 1)).flatten()
        self.arc_classes = torch.stack((torch.full_like(labels, blank), labels), 1)  # (B (U+1), 2)

    def arc_log_probs(self) -> Tensor:
        """(2, B, S, U+1): log-probabilities of blank and of label; unset in padding and, for labels, at u = U."""
        real = self.trials.real_cells(self.frames)
        arcs = torch.empty((2, *real.shape), dtype=self.dtype, device=real.device)
        for cells in self._chunks(real):
            frame, position = self._rows(cells)
            log_probs = self._scores(self._hidden(frame, position)).log_softmax(1)
            arcs.view(2, -1)[:, cells] = log_probs.gather(1, self.arc_classes[position]).t()
        return arcs

    def gradients(self, arcs: Tensor, grad_costs: Tensor, options: Options) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of encoder, predictor, weight and bias, from the arcs' flows (2, B, S, U+1).

        What all cells share is summed in double precision, over lists of cells.
        """
        encoder, predictor = (torch.zeros_like(out, dtype=self.dtype) for out in (self.encoder, self.predictor))
        weight, bias = (torch.zeros_like(map_, dtype=torch.float64) for map_ in (self.weight, self.bias))
        occupied = ~(arcs.sum(0) <= options.occupancy_threshold)  # what is not a number counts, and so shows
        for cells in self._chunks(occupied):
            frame, position = self._rows(cells)
            hidden, flows = self._hidden(frame, position), arcs.view(2, -1)[:, cells].t()
            grad = self._scores(hidden).softmax(1).mul_(flows.sum(1, keepdim=True))
            grad.scatter_add_(1, self.arc_classes[position], -flows)
            if options.clamp > 0:
                grad.clamp_(-options.clamp, options.clamp)
            grad *= grad_costs[frame // self.frames, None]
            bias += grad.sum(0)
            weight += grad.t() @ hidden
            inner = grad @ self.weight
            TANH_BACKWARD(inner, hidden, grad_input=inner)
            encoder.index_add_(0, frame, inner)
            predictor.index_add_(0, position, inner)
        shape = len(self.trials.frames), -1, encoder.shape[1]
        return encoder.view(shape), predictor.view(shape), weight, bias

    def _chunks(self, mask: Tensor) -> tuple[Tensor, ...]:
        """Numbers of the true cells, in lists; waits for the device once."""
        chunks: tuple[Tensor, ...] = torch.split(mask.flatten().nonzero()[:, 0], self.cells_at_once)
        return chunks

    def _rows(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Where the cells' summands stand among all frames and among all positions of the batch."""
        frame = cells // self.positions
        return frame, cells % self.positions + frame // self.frames * self.positions

    def _hidden(self, frame: Tensor, position: Tensor) -> Tensor:
        return self.encoder[frame].to(self.dtype).add_(self.predictor[position]).tanh_()

    def _scores(self, hidden: Tensor) -> Tensor:
        return torch.addmm(self.bias, hidden, self.weight.t())
