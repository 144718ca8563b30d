"""Are the two losses of one size? Run me: python test_rnnt_scaling.py (pytest collects me too).

Batches of random logits; for each scaling of the RNN-T loss: CTC (nats per label), RNN-T (scaled), their weighted total
and their ratio, beside what the closed forms predict for logits that are all equal. The default must keep the ratio of
the first user's two batches within 0.3 to 3.0. T15's own trials have few labels for their frames: there the default
falls below it, and label_length, nats per label as CTC has them, is the scheme that stays within on all.
"""

import math
import sys
from typing import NamedTuple

import torch

from mode_ssm.config import LossesConfig, RNNTScaling
from mode_ssm.losses import rnnt_loss
from mode_ssm.losses.objective import UpdateSize, ctc_nats_per_label, rnnt_divisor

V = 41
CTC_WEIGHT, RNNT_WEIGHT = 0.3, 1.0
CASES = {"short": ((50, 45), (10, 8)), "long": ((200, 180), (40, 35))}  # S and U of two trials, the first user's
T15_CASES = {"T15's mean": ((220, 220), (26, 27)), "T15's longest": ((616, 560), (60, 55))}
EVERYWHERE = RNNTScaling.label_length  # the scheme that keeps the ratio on all of them
LOWEST_RATIO, HIGHEST_RATIO = 0.3, 3.0


class Row(NamedTuple):
    ctc: float
    rnnt: float

    @property
    def total(self) -> float:
        return CTC_WEIGHT * self.ctc + RNNT_WEIGHT * self.rnnt

    @property
    def ratio(self) -> float:
        return self.rnnt / self.ctc


def log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def predicted(frames: tuple[int, ...], labels: tuple[int, ...], scaling: RNNTScaling) -> Row:
    """Equal logits: every alignment has the same probability, so the losses only count alignments."""
    trials = list(zip(frames, labels, strict=True))
    ctc = [(s * math.log(V) - log_binomial(s + u, 2 * u)) / u for s, u in trials]
    rnnt = [(s + u) * math.log(V) - log_binomial(s + u - 1, u) for s, u in trials]
    return Row(sum(ctc) / len(ctc), _scaled(torch.tensor(rnnt, dtype=torch.float64), frames, labels, scaling))


def measured(frames: tuple[int, ...], labels: tuple[int, ...], scaling: RNNTScaling, spread: float) -> Row:
    """Logits drawn from a normal distribution of standard deviation `spread`; 0 makes them all equal."""
    generator = torch.Generator().manual_seed(0)
    s, u, trials = max(frames), max(labels), len(frames)
    targets = torch.arange(trials * u).view(trials, u) % (V - 1) + 1  # no two neighbours are equal
    s_lengths, u_lengths = torch.tensor(frames), torch.tensor(labels)
    ctc_logits = spread * torch.randn(trials, s, V, generator=generator)
    rnnt_logits = spread * torch.randn(trials, s, u + 1, V, generator=generator)
    ctc = ctc_nats_per_label(ctc_logits.log_softmax(-1), targets, s_lengths, u_lengths).mean()
    raw = rnnt_loss(rnnt_logits, targets, s_lengths, u_lengths, reduction="none")
    return Row(float(ctc), _scaled(raw, frames, labels, scaling))


def _scaled(raw: torch.Tensor, frames: tuple[int, ...], labels: tuple[int, ...], scaling: RNNTScaling) -> float:
    size = UpdateSize(len(frames), sum(frames), sum(labels))
    return float((raw / rnnt_divisor(scaling, torch.tensor(labels), size)).mean())


def test_equal_logits_give_the_closed_forms() -> None:
    for frames, labels in CASES.values():
        for scaling in RNNTScaling:
            found, expected = measured(frames, labels, scaling, spread=0.0), predicted(frames, labels, scaling)
            torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-5, atol=0)


def test_the_default_scaling_keeps_the_losses_comparable() -> None:
    for frames, labels in CASES.values():
        ratio = measured(frames, labels, LossesConfig().rnnt_scaling, spread=1.0).ratio
        assert LOWEST_RATIO <= ratio <= HIGHEST_RATIO


def test_nats_per_label_keep_the_losses_comparable_everywhere() -> None:
    for frames, labels in [*CASES.values(), *T15_CASES.values()]:
        assert LOWEST_RATIO <= measured(frames, labels, EVERYWHERE, spread=1.0).ratio <= HIGHEST_RATIO


def test_the_default_falls_below_on_the_trials_of_t15() -> None:
    for case, ratio in zip(T15_CASES.values(), (0.29, 0.23), strict=True):
        assert abs(predicted(*case, LossesConfig().rnnt_scaling).ratio - ratio) < 0.01


def main() -> int:
    failed = False
    for name, (frames, labels) in (CASES | T15_CASES).items():
        print(f"\n{name}: S = {frames}, U = {labels}, V = {V}; random logits | closed forms for equal logits")
        print("  scaling              CTC    RNN-T    total   ratio  |     CTC    RNN-T   ratio")
        for scaling in RNNTScaling:
            found, expected = measured(frames, labels, scaling, spread=1.0), predicted(frames, labels, scaling)
            is_default = scaling is LossesConfig().rnnt_scaling
            outside = not LOWEST_RATIO <= found.ratio <= HIGHEST_RATIO
            failed |= outside and (scaling is EVERYWHERE or (is_default and name in CASES))
            note = " (default)" * is_default + f" outside {LOWEST_RATIO}-{HIGHEST_RATIO}" * outside
            print(
                f"  {scaling.value:16s}{found.ctc:8.2f}{found.rnnt:9.2f}{found.total:9.2f}{found.ratio:8.2f}"
                f"  |{expected.ctc:8.2f}{expected.rnnt:9.2f}{expected.ratio:8.2f}{note}"
            )
    within = f"within {LOWEST_RATIO} to {HIGHEST_RATIO}"
    print(f"\n{'FAILED' if failed else 'OK'}: the default's ratio must lie {within} on short and long,")
    print(f"and that of {EVERYWHERE.value} on T15's trials too.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
