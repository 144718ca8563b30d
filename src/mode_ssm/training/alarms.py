"""Alarms: rules that see from a run's own numbers that it is about to be lost, and say so with what to change.

A rule looks at the records of one stage and returns its sentence, or None while all is well. Here are those that look
at updates. The limits lie far outside what sound runs on simulated recordings and on AN4 have shown, which stands
beside them.
"""

from statistics import median

from mode_ssm.config import CTCNormalisation, RNNTScaling
from mode_ssm.training.clipping import PARTS
from mode_ssm.training.freezing import longest_wait
from mode_ssm.training.history import History

WINDOW_UPDATES = 100
GRADIENT_UPDATES = 50
# RNN-T / CTC gradient at the encoder, both weighted, over the ratio of the weights: medians of runs with a scaling are
# from 0.06 to 4, of runs without one, which learnt all the same, up to 14.
RATIO_LIMITS = 0.02, 10.0
EXCEPTIONS = GRADIENT_UPDATES // 10  # that may lie within the limits
LOSS_RATIO_LIMITS = 0.05, 20.0
UNTRAINED_CTC = 2.0  # nats per label; with less the CTC head has learnt something, and a loss ratio says little
CLIPPED_SHARE, CLIPPED_TIMES = 0.9, 200.0  # norm / bound, median: sound up to 80, and clipped in every update
GROWTH_UPDATES, GROWTH_LIMIT = 10, 10.0  # sound up to 2
SKIPPED_LIMIT = 5  # of WINDOW_UPDATES
SILENT_UPDATES = 20


def rnnt_gradient(history: History) -> str | None:
    ratios = history.last("encoder_grad_ratio", GRADIENT_UPDATES)
    if not ratios or sorted(ratios)[EXCEPTIONS] <= RATIO_LIMITS[1] * history.stage.target_ratio:
        return None
    return (
        f"The RNN-T gradient at the encoder has been {median(ratios):.0f} times the CTC gradient for "
        f"{len(ratios)} updates; set {history.other_scaling} or lower {history.setting}.rnnt_weight."
    )


def ctc_gradient(history: History) -> str | None:
    ratios = history.last("encoder_grad_ratio", GRADIENT_UPDATES)
    if not ratios or sorted(ratios)[-1 - EXCEPTIONS] >= RATIO_LIMITS[0] * history.stage.target_ratio:
        return None
    return (
        f"The RNN-T gradient at the encoder has been only {median(ratios):.2g} times the CTC gradient for "
        f"{len(ratios)} updates; set {history.other_scaling} or lower {history.setting}.ctc_weight."
    )


def loss_ratio(history: History) -> str | None:
    """Only while CTC has learnt little: later its loss is small beside that of a sound transducer."""
    ratios, ctc = (history.last(key, GRADIENT_UPDATES) for key in ("rnnt_ctc_ratio", "loss_ctc"))
    low, high, losses = *LOSS_RATIO_LIMITS, history.losses
    if losses.rnnt_scaling is RNNTScaling.gradient or losses.ctc_normalisation is CTCNormalisation.trial:
        return None  # the first seeks no ratio of the losses, the second has another unit
    if not ratios or not ctc or min(ctc) < UNTRAINED_CTC:
        return None
    if low <= median(ratios) <= high:
        return None
    better = "gradient" if losses.rnnt_scaling is RNNTScaling.label_length else "label_length"
    return (
        f"The scaled RNN-T loss has been {median(ratios):.3g} times the CTC loss for {len(ratios)} updates, where "
        f"{low:g} to {high:g} is usual; set losses.rnnt_scaling={better}."
    )


def clipping(history: History) -> str | None:
    """Much above the bound: a sound run, too, may be clipped in every update."""
    measured = [record for record in history.updates if record["grad_norm"] is not None][-WINDOW_UPDATES:]
    times = [record["grad_norm"] / record["clip_norm"] for record in measured]
    share = sum(t > 1 for t in times) / WINDOW_UPDATES
    if len(times) < WINDOW_UPDATES or share < CLIPPED_SHARE or median(times) <= CLIPPED_TIMES:
        return None
    return (
        f"{100 * share:.0f} % of the last {len(times)} updates were clipped, from a gradient norm {median(times):.0f} "
        f"times the bound; lower training.optimizer.lr, or set {history.other_scaling} in a joint stage."
    )


def gradient_growth(history: History) -> str | None:
    norms, wait = history.last("grad_norm", WINDOW_UPDATES), longest_wait(history.stage)
    if not norms or (wait and history.done < wait + WINDOW_UPDATES):  # parts that begin to learn add their gradients
        return None
    before, now = median(norms[:-GROWTH_UPDATES]), median(norms[-GROWTH_UPDATES:])
    if not 0 < GROWTH_LIMIT * before < now:
        return None
    return (
        f"The gradient norm has been {now:.3g} for {GROWTH_UPDATES} updates, {now / before:.0f} times its median of "
        f"the {len(norms) - GROWTH_UPDATES} updates before; lower training.optimizer.lr or training.max_grad_norm."
    )


def silent_part(history: History) -> str | None:
    """A part that has a gradient, which is 0."""
    records = history.updates[-SILENT_UPDATES:]
    if len(records) < SILENT_UPDATES:
        return None
    silent = [part for part in PARTS if all(record["grad_norms"][part] == 0 for record in records)]
    if not silent:
        return None
    return (
        f"The gradient of the {' and the '.join(silent)} has been 0 for {SILENT_UPDATES} updates, so nothing is learnt "
        f"there; look for a weight of 0 or dead units, and start again with a lower training.optimizer.lr."
    )


def skips(history: History) -> str | None:
    records = history.updates[-WINDOW_UPDATES:]
    skipped = sum(record["skipped_now"] for record in records)
    if skipped <= SKIPPED_LIMIT:
        return None
    return (
        f"{skipped} of the last {len(records)} updates were skipped for NaN/Inf; look at the batches in the run's "
        "folder skipped, or lower training.optimizer.lr."
    )


UPDATE_ALARMS = (rnnt_gradient, ctc_gradient, loss_ratio, clipping, gradient_growth, silent_part, skips)
