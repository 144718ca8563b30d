"""Alarms: rules that see from a run's own numbers that it is about to be lost, and say so with what to change.

A rule looks at the records of one stage and returns its sentence, or None while all is well. Here are those that hold
for any terms; a term may bring its own. The limits lie far outside what sound runs on simulated recordings and on AN4
have shown, which stands beside them.
"""

from collections.abc import Sequence
from functools import partial
from statistics import median

from mode_ssm.training.balance import Balance, balances
from mode_ssm.training.history import Alarm, History
from mode_ssm.training.schedule import longest_wait
from mode_ssm.training.terms import Term

WINDOW_UPDATES = 100
GRADIENT_UPDATES = 50
# A further term's gradient at the encoder over the first's, both weighted, over the ratio of the weights: medians of
# runs with a scaled transducer are from 0.06 to 4, of runs without a scaling, which learnt all the same, up to 14.
RATIO_LIMITS = 0.02, 10.0
EXCEPTIONS = GRADIENT_UPDATES // 10  # that may lie within the limits
CLIPPED_SHARE, CLIPPED_TIMES = 0.9, 200.0  # norm / bound, median: sound up to 80, and clipped in every update
GROWTH_UPDATES, GROWTH_LIMIT = 10, 10.0  # sound up to 2
SKIPPED_LIMIT = 5  # of WINDOW_UPDATES
SILENT_UPDATES = 20
SILENT_BLANK, SILENT_RATE = 0.5, 0.95
BEHIND_TIMES, BEHIND_RATE, BEHIND_LEARNING = 2.0, 0.3, 0.9
WORSE_TIMES, WORSE_RATE = 1.5, 0.1


def update_alarms(terms: Sequence[Term]) -> list[Alarm]:
    """Those that look at updates.

    Args:
        terms: of the run.
    """
    first, pairs = terms[0], balances(terms)
    return [
        *(Alarm(f"{pair.further.name}_gradient", partial(further_gradient, pair)) for pair in pairs),
        Alarm(f"{first.name}_gradient", partial(first_gradient, pairs)),
        *(alarm for term in terms for alarm in term.update_alarms(first)),
        Alarm("clipping", partial(clipping, terms)),
        Alarm("gradient_growth", gradient_growth),
        Alarm("silent_part", silent_part),
        Alarm("skips", skips),
    ]


def validation_alarms(terms: Sequence[Term]) -> list[Alarm]:
    """Those that look at error rates on the val split, and at what the heads do there."""
    heads = [term for term in terms if term.validated]
    return [
        Alarm("blank_collapse", partial(blank_collapse, heads)),
        Alarm("head_behind", partial(head_behind, heads)),
        Alarm("worse_than_best", partial(worse_than_best, heads)),
        *(alarm for term in terms for alarm in term.validation_alarms(terms[0])),
    ]


def further_gradient(pair: Balance, history: History) -> str | None:
    ratios, target = history.last(pair.gradient_key, GRADIENT_UPDATES), pair.target(history.stage)
    if not ratios or target is None or sorted(ratios)[EXCEPTIONS] <= RATIO_LIMITS[1] * target:
        return None
    return (
        f"The {pair.further.title} gradient at the encoder has been {median(ratios):.0f} times the {pair.first.title} "
        f"gradient for {len(ratios)} updates; {_rebalance(pair, history, lower=pair.further)}."
    )


def first_gradient(pairs: Sequence[Balance], history: History) -> str | None:
    for pair in pairs:
        ratios, target = history.last(pair.gradient_key, GRADIENT_UPDATES), pair.target(history.stage)
        if ratios and target is not None and sorted(ratios)[-1 - EXCEPTIONS] < RATIO_LIMITS[0] * target:
            return (
                f"The {pair.further.title} gradient at the encoder has been only {median(ratios):.2g} times the "
                f"{pair.first.title} gradient for {len(ratios)} updates; {_rebalance(pair, history, lower=pair.first)}."
            )
    return None


def _rebalance(pair: Balance, history: History, *, lower: Term) -> str:
    hint = pair.further.scaling_hint
    return (f"set {hint} or " if hint else "") + f"lower {history.setting}.{lower.name}_weight"


def _or_rescale(terms: Sequence[Term], where: str = "") -> str:
    return "".join(f", or set {term.scaling_hint}{where}" for term in terms if term.scaling_hint)


def clipping(terms: Sequence[Term], history: History) -> str | None:
    """Much above the bound: a sound run, too, may be clipped in every update."""
    measured = [record for record in history.updates if record["grad_norm"] is not None][-WINDOW_UPDATES:]
    times = [record["grad_norm"] / record["clip_norm"] for record in measured]
    share = sum(t > 1 for t in times) / WINDOW_UPDATES
    if len(times) < WINDOW_UPDATES or share < CLIPPED_SHARE or median(times) <= CLIPPED_TIMES:
        return None
    return (
        f"{100 * share:.0f} % of the last {len(times)} updates were clipped, from a gradient norm {median(times):.0f} "
        f"times the bound; lower training.optimizer.lr{_or_rescale(terms, ' in a joint stage')}."
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
    silent = [part for part in records[-1]["grad_norms"] if all(r["grad_norms"].get(part) == 0 for r in records)]
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


def blank_collapse(heads: Sequence[Term], history: History) -> str | None:
    """A head that says blank and little else, long after the time in which every head does."""
    newest = history.validations[-1]
    for head in heads:
        blank, rate = (newest.get(f"{key}_{head.name}") for key in ("blank", "per"))
        if not history.settled or rate is None or rate < SILENT_RATE or blank is None or blank < SILENT_BLANK:
            continue
        return (
            f"After {history.done} updates of the stage the {head.title} head still says blank and little else "
            f"(probability {blank:.2f}, {history.rate} {100 * rate:.0f} %); {head.silence_hint(history.setting)}."
        )
    return None


def head_behind(heads: Sequence[Term], history: History) -> str | None:
    """One head makes far more errors than another, and hardly fewer than two validations ago."""
    validations, keys = history.validations[-3:], {head: f"per_{head.name}" for head in heads}
    known = {head: [v[key] for v in validations if v.get(key) is not None] for head, key in keys.items()}
    known = {head: rates for head, rates in known.items() if len(rates) == 3}
    if len(known) < 2 or not history.settled:
        return None
    ahead, *_, behind = sorted(known, key=lambda head: float(known[head][-1]))
    before, best, now = known[behind][0], known[ahead][-1], known[behind][-1]
    far_behind = now - best > BEHIND_RATE and now > BEHIND_TIMES * best
    if not far_behind or not BEHIND_LEARNING * before <= now <= before + WORSE_RATE:
        return None
    return (
        f"After {history.done} updates of the stage the {behind.title} head has {history.rate} {100 * now:.0f} % "
        f"({100 * before:.0f} % two validations ago), the {ahead.title} head {100 * best:.0f} %; raise "
        f"{history.setting}.{behind.name}_weight{_or_rescale(heads)}."
    )


def worse_than_best(heads: Sequence[Term], history: History) -> str | None:
    """Twice in a row, since one validation may be an accident."""
    for head in heads:
        found = [v.get(f"per_{head.name}") for v in history.validations]
        rates = [rate for rate in found if rate is not None]
        if len(rates) < 3 or found[-1] is None:
            continue
        best, now = min(rates[:-2]), min(rates[-2:])
        if now > best + WORSE_RATE and now > WORSE_TIMES * best:
            return (
                f"The {history.rate} of the {head.title} head was {100 * best:.1f} % and has been {100 * now:.1f} % or "
                f"more in the last 2 validations; lower training.optimizer.lr{_or_rescale(heads, ' in a joint stage')}."
            )
    return None
