"""The transducer loss once more, in ways that share nothing with the package: all alignments, and plain loops."""

import itertools
import math

import torch
from torch import Tensor


def enumerated_cost(log_probs: Tensor, labels: list[int], frames: int, blank: int) -> float:
    """-ln of the sum over every alignment of one trial; log_probs (S, U+1, V). Exponential: tiny sizes only."""
    steps = frames - 1 + len(labels)
    paths = []
    for emitting in itertools.combinations(range(steps), len(labels)):
        s = u = 0
        total = 0.0
        for step in range(steps):
            if step in emitting:
                total += float(log_probs[s, u, labels[u]])
                u += 1
            else:
                total += float(log_probs[s, u, blank])
                s += 1
        paths.append(total + float(log_probs[s, u, blank]))
    top = max(paths)
    return math.inf if top == -math.inf else -top - math.log(sum(math.exp(path - top) for path in paths))


def equal_logits_cost(frames: int, labels: int, classes: int) -> float:
    """Closed form when every class is as likely as any other."""
    ways = math.lgamma(frames + labels) - math.lgamma(labels + 1) - math.lgamma(frames)
    return (frames + labels) * math.log(classes) - ways


def loop_cost(
    logits: Tensor, targets: Tensor, frames: list[int], labels: list[int], blank: int = 0, fastemit_lambda: float = 0.0
) -> Tensor:
    """(B,) costs by cell after cell in double precision; autograd differentiates it.

    FastEmit by its definition: the value stays, the derivative by a label's log-probability grows (1 + lambda) times.
    """
    costs = []
    for trial, (count, spelled) in enumerate(zip(frames, labels, strict=True)):
        log_probs = logits[trial, :count, : spelled + 1].double().log_softmax(-1)
        reached: dict[tuple[int, int], Tensor] = {(0, 0): torch.zeros((), dtype=torch.float64)}
        for s, u in itertools.product(range(count), range(spelled + 1)):
            ways = [reached[0, 0]] if s == u == 0 else []
            if s:
                ways.append(reached[s - 1, u] + log_probs[s - 1, u, blank])
            if u:
                label = log_probs[s, u - 1, targets[trial, u - 1]]
                ways.append(reached[s, u - 1] + label + fastemit_lambda * (label - label.detach()))
            reached[s, u] = torch.logsumexp(torch.stack(ways), 0)
        costs.append(-reached[count - 1, spelled] - log_probs[count - 1, spelled, blank])
    return torch.stack(costs)
