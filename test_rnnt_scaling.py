"""Are the two losses of one size? Run me: python test_rnnt_scaling.py (pytest collects me too).

Batches of random logits; for each scaling of the RNN-T loss: CTC (nats per label), RNN-T (scaled), their weighted total
and their ratio, beside what the closed forms predict for logits that are all equal. The ratio must lie within 0.3 to
3.0: under the first user's own scheme (sequence_length) on their two batches, and under the default (label_length, nats
per label as CTC has them) on these and on T15's own trials, whose labels are so few for their frames that the first
user's scheme falls below.
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
FIRST_USERS = RNNTScaling.sequence_length
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


def test_the_default_keeps_the_losses_comparable_everywhere() -> None:
    assert LossesConfig().rnnt_scaling is RNNTScaling.label_length
    for frames, labels in [*CASES.values(), *T15_CASES.values()]:
        assert _within(measured(frames, labels, LossesConfig().rnnt_scaling, spread=1.0).ratio)


def test_the_first_users_scheme_keeps_them_comparable_on_their_batches() -> None:
    for frames, labels in CASES.values():
        assert _within(measured(frames, labels, FIRST_USERS, spread=1.0).ratio)


def test_the_first_users_scheme_falls_below_on_the_trials_of_t15() -> None:
    for case, ratio in zip(T15_CASES.values(), (0.29, 0.23), strict=True):
        assert abs(predicted(*case, FIRST_USERS).ratio - ratio) < 0.01


def _within(ratio: float) -> bool:
    return LOWEST_RATIO <= ratio <= HIGHEST_RATIO


def main() -> int:
    failed = False
    for name, (frames, labels) in (CASES | T15_CASES).items():
        print(f"\n{name}: S = {frames}, U = {labels}, V = {V}; random logits | closed forms for equal logits")
        print("  scaling              CTC    RNN-T    total   ratio  |     CTC    RNN-T   ratio")
        for scaling in RNNTScaling:
            found, expected = measured(frames, labels, scaling, spread=1.0), predicted(frames, labels, scaling)
            is_default, outside = scaling is LossesConfig().rnnt_scaling, not _within(found.ratio)
            failed |= outside and (is_default or (scaling is FIRST_USERS and name in CASES))
            note = " (default)" * is_default + f" outside {LOWEST_RATIO}-{HIGHEST_RATIO}" * outside
            print(
                f"  {scaling.value:16s}{found.ctc:8.2f}{found.rnnt:9.2f}{found.total:9.2f}{found.ratio:8.2f}"
                f"  |{expected.ctc:8.2f}{expected.rnnt:9.2f}{expected.ratio:8.2f}{note}"
            )
    within = f"within {LOWEST_RATIO} to {HIGHEST_RATIO}"
    print(f"\n{'FAILED' if failed else 'OK'}: the default's ratio must lie {within} on all of them,")
    print(f"and that of {FIRST_USERS.value}, the first user's scheme, on short and long.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
