"""Alarms that look at error rates on the val split, and at what the heads do there."""

from mode_ssm.training.history import History

HEADS = {"ctc": "CTC", "rnnt": "RNN-T"}
SILENT_BLANK, SILENT_RATE = 0.5, 0.95
BEHIND_TIMES, BEHIND_RATE, BEHIND_LEARNING = 2.0, 0.3, 0.9
WORSE_TIMES, WORSE_RATE = 1.5, 0.1
DELAY_LIMIT_MS = 1000.0


def blank_collapse(history: History) -> str | None:
    """A head that says blank and little else, long after the time in which every head does."""
    newest = history.validations[-1]
    for head, name in HEADS.items():
        blank, rate = newest[f"blank_{head}"], newest[f"per_{head}"]
        if not history.settled or rate is None or rate < SILENT_RATE or blank < SILENT_BLANK:
            continue
        change = {
            "ctc": "look at the labels, or raise training.optimizer.lr",
            "rnnt": f"train CTC alone before, raise {history.setting}.rnnt_weight, or set "
            "training.optimizer.lr near 1e-3",
        }[head]
        return (
            f"After {history.done} updates of the stage the {name} head still says blank and little else (probability "
            f"{blank:.2f}, PER {100 * rate:.0f} %); {change}."
        )
    return None


def head_behind(history: History) -> str | None:
    """One head makes far more errors than the other, and hardly fewer than two validations ago."""
    rates = {head: [v[f"per_{head}"] for v in history.validations[-3:]] for head in HEADS}
    if any(None in of_head for of_head in rates.values()) or len(rates["ctc"]) < 3 or not history.settled:
        return None
    ahead, behind = sorted(rates, key=lambda head: float(rates[head][-1]))
    before, best, now = rates[behind][0], rates[ahead][-1], rates[behind][-1]
    far_behind = now - best > BEHIND_RATE and now > BEHIND_TIMES * best
    if not far_behind or not BEHIND_LEARNING * before <= now <= before + WORSE_RATE:
        return None
    return (
        f"After {history.done} updates of the stage the {HEADS[behind]} head has PER {100 * now:.0f} % "
        f"({100 * before:.0f} % two validations ago), the {HEADS[ahead]} head {100 * best:.0f} %; raise "
        f"{history.setting}.{behind}_weight, or set {history.other_scaling}."
    )


def worse_than_best(history: History) -> str | None:
    """Twice in a row, since one validation may be an accident."""
    for head, name in HEADS.items():
        rates = [v[f"per_{head}"] for v in history.validations if v[f"per_{head}"] is not None]
        if len(rates) < 3 or history.validations[-1][f"per_{head}"] is None:
            continue
        best, now = min(rates[:-2]), min(rates[-2:])
        if now > best + WORSE_RATE and now > WORSE_TIMES * best:
            return (
                f"The PER of the {name} head was {100 * best:.1f} % and has been {100 * now:.1f} % or more in the last "
                f"2 validations; lower training.optimizer.lr, or set {history.other_scaling} in a joint stage."
            )
    return None


def emission_delay(history: History) -> str | None:
    delay = history.validations[-1]["emission_delay_ms"]
    if delay is None or delay <= DELAY_LIMIT_MS or not history.settled:
        return None
    return (
        f"The transducer emits labels {delay:.0f} ms after CTC does (mean of a val batch after {history.done} updates "
        f"of the stage); set losses.fastemit_lambda=0.01, or raise {history.setting}.ctc_weight."
    )


VALIDATION_ALARMS = (blank_collapse, head_behind, worse_than_best, emission_delay)
