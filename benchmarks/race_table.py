"""The table and the picture of a race."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

Results = list[dict[str, Any]]

HEADS = {"ctc": "CTC", "rnnt": "RNN-T"}
LINES = {"ctc": "-", "rnnt": "--"}
RATES = {
    "per": "all",
    "per_unseen_sentences": "unseen sentences",
    "per_seen_sentences": "seen sentences",
    "per_new_days": "new days",
    "wer": "WER",
    "wer_unseen_sentences": "WER, unseen sentences",
}

COSTS: dict[str, Callable[[Results], str]] = {
    "parameters": lambda results: f"{results[0]['parameters'] / 1e6:.2f} M",
    "learning rate": lambda results: f"{results[0]['learning_rate']:g}",
    "epochs": lambda results: " + ".join(map(str, results[0]["epochs"])),
    "cost of an epoch, s or updates": lambda results: " + ".join(f"{cost:.1f}" for cost in results[0]["epoch_costs"]),
    "updates": lambda results: str(results[0]["updates"]),
    "seeds": lambda results: str(len(results)),
    "training, processor minutes": lambda results: _spread([_minutes(result["cpu_s"]) for result in results]),
    "wall minutes": lambda results: _spread([_minutes(result["wall_s"]) for result in results]),
    "peak MB": lambda results: f"{max(result['peak_mb'] for result in results):.0f}",
    "decoding, real-time factor": lambda results: _factors(results),
}


def best_rate(result: dict[str, Any]) -> float:
    """PER of the better head; infinite where the training failed."""
    return min((head["per"] for head in result.get("heads", {}).values()), default=float("inf"))


def rates_found(results: Results) -> dict[float, float]:
    """PER of the better head at each learning rate."""
    return {result["learning_rate"]: best_rate(result) for result in results}


def table(title: str, data: dict[str, dict[str, Results]], grids: dict[str, dict[str, Results]], about: str) -> str:
    """Markdown.

    Args:
        title: the race's name.
        data: by data set and system, the results at the chosen learning rate, a seed each.
        grids: by data set and system, those that chose it.
        about: how the figures were made.
    """
    lines = [f"# Race: {title}", "", about]
    for name, systems in data.items():
        lines += ["", f"## {name}", "", *_rates(systems), "", *_costs(systems), "", *_grid(grids[name])]
        if len(systems) > 1:
            lines += ["", _verdict(systems)]
    return "\n".join(lines) + "\n"


def _rates(systems: dict[str, Results]) -> list[str]:
    shown = [key for key in RATES if any(h.get(key) is not None for h in _all_heads(systems))]
    lines = ["Phoneme error rate (%), greedy, val, last weights: mean and standard deviation over seeds.", ""]
    lines += _header(["system", "head", *(RATES[key] for key in shown)])
    for system, results in systems.items():
        for head, title in HEADS.items():
            scores = [result["heads"][head] for result in results if head in result.get("heads", {})]
            if scores:
                lines.append(_row([system, title, *(_spread([s.get(key) for s in scores], 100) for key in shown)]))
    return lines


def _costs(systems: dict[str, Results]) -> list[str]:
    lines = _header(["system", *COSTS])
    for system, results in systems.items():
        good = [result for result in results if "heads" in result]
        cells = [cell(good) for cell in COSTS.values()] if good else ["failed"] * len(COSTS)
        lines.append(_row([system, *cells]))
    return lines


def _factors(results: Results) -> str:
    factors = {head: [result["heads"][head]["real_time_factor"] for result in results] for head in results[0]["heads"]}
    return ", ".join(f"{HEADS[head]} {statistics.mean(values):.4f}" for head, values in factors.items())


def _grid(systems: dict[str, Results]) -> list[str]:
    rates = sorted({result["learning_rate"] for results in systems.values() for result in results})
    lines = ["PER of the better head (%) by learning rate, first seed:", ""]
    lines += _header(["system", *(f"{rate:g}" for rate in rates)])
    for system, results in systems.items():
        found = rates_found(results)
        lines.append(_row([system, *(_grid_cell(found.get(rate)) for rate in rates)]))
    return lines


def _grid_cell(rate: float | None) -> str:
    """Empty where the search did not go."""
    if rate is None:
        return ""
    return f"{100 * rate:.2f}" if rate < float("inf") else "diverged"


def _verdict(systems: dict[str, Results]) -> str:
    """The first system against the best of the others, each by the head that is better on average."""
    (own, rate), *others = [(name, _best_mean(results)) for name, results in systems.items()]
    rival, least = min(others, key=lambda item: item[1])
    change = 100 * (rate / least - 1)
    return (
        f"{own} makes {abs(change):.1f} % {'fewer' if change < 0 else 'more'} phoneme errors than {rival}, the best of "
        f"the others ({100 * rate:.2f} against {100 * least:.2f} %, mean over seeds of the better head)."
    )


def _best_mean(results: Results) -> float:
    heads = [result.get("heads", {}) for result in results]
    common = [head for head in HEADS if all(head in scores for scores in heads)]
    return min((statistics.mean(scores[head]["per"] for scores in heads) for head in common), default=float("inf"))


def _all_heads(systems: dict[str, Results]) -> list[dict[str, Any]]:
    return [head for results in systems.values() for result in results for head in result.get("heads", {}).values()]


def _header(names: Sequence[str]) -> list[str]:
    return [_row(names), "|---" * len(names) + "|"]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _minutes(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 60


def _spread(values: Sequence[float | None], scale: float = 1.0) -> str:
    """Mean and standard deviation."""
    known = [scale * value for value in values if value is not None]
    if not known:
        return ""
    mean = f"{statistics.mean(known):.2f}"
    return f"{mean} ± {statistics.stdev(known):.2f}" if len(known) > 1 else mean


def draw(data: dict[str, dict[str, Results]]) -> Figure:
    """Val PER on the way, and at the end for each seed."""
    figure = Figure(figsize=(11, 4.2 * len(data)), layout="constrained")
    for (left, right), (name, systems) in zip(figure.subplots(len(data), 2, squeeze=False), data.items(), strict=True):
        _draw_curves(left, systems)
        _draw_ends(right, systems)
        left.set_title(f"{name}: PER (%) while training")
        right.set_title("at the end: each seed, and their mean")
    return figure


def _draw_curves(axes: Axes, systems: dict[str, Results]) -> None:
    for index, results in enumerate(systems.values()):
        for head, style in LINES.items():
            timed = [result for result in results if result.get("cpu_s") or result.get("wall_s")]
            trained = [result for result in timed if head in result["heads"]]
            for result in trained:
                minutes = (result["cpu_s"] or result["wall_s"]) / 60 / result["updates"]
                points = [point for point in result["curve"] if point.get(f"per_{head}") is not None]
                x, y = [p["update"] * minutes for p in points], [100 * p[f"per_{head}"] for p in points]
                axes.plot(x, y, style, color=f"C{index}", lw=1)
    axes.set_yscale("log")
    for ticks in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        ticks(LogFormatter(minor_thresholds=(1.5, 0.6)))
    axes.set_xlabel("minutes of training")
    for head, style in LINES.items():  # the systems' colours are named beside
        axes.plot([], [], style, color="gray", lw=1, label=HEADS[head])
    axes.legend(fontsize=8)


def _draw_ends(axes: Axes, systems: dict[str, Results]) -> None:
    names: list[str] = []
    for index, (system, results) in enumerate(systems.items()):
        for head, title in HEADS.items():
            rates = [100 * r["heads"][head]["per"] for r in results if head in r.get("heads", {})]
            if rates:
                axes.plot(rates, [len(names)] * len(rates), "o", color=f"C{index}", alpha=0.6)
                axes.plot([statistics.mean(rates)], [len(names)], "|", color="black", ms=16)
                names.append(f"{system}, {title}")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1.04 * axes.dataLim.x1)
    axes.grid(axis="x", alpha=0.3)
