"""The tables of benchmarks/encoder.py, in Markdown."""

from typing import Any

BASE = {
    "layers": "torch GRU, bidirectional",
    "whole": "default GRU encoder, bidirectional",
    "small": "3 torch GRU layers, bidirectional, of equal parameters",
}
TITLES = {"layers": "One layer", "whole": "Whole encoders at their default sizes", "small": "Small stacks"}


def table(results: dict[str, Any]) -> str:
    lines = ["# Encoder", "", "`python benchmarks/encoder.py`; B x S x D; " + _settings(results["settings"]) + "."]
    for part, title in TITLES.items():
        for shape, rows in results.get(part, {}).items():
            lines += ["", f"## {title}, {shape.replace('x', ' x ')}", ""]
            lines += _rows(rows, BASE[part])
    if "growth" in results:
        lines += ["", "## Growth with the length: training step of one layer, one trial, ms", ""]
        lengths = list(next(iter(results["growth"].values()))["train_ms"])
        lines += ["| layer | " + " | ".join(lengths) + " | exponent |", "|---" * (len(lengths) + 2) + "|"]
        for name, row in results["growth"].items():
            times = " | ".join(f"{ms:.0f}" for ms in row["train_ms"].values())
            lines.append(f"| {name} | {times} | {row['exponent']:.2f} |")
    if "streaming" in results:
        p50, p95 = results["streaming"]["p50"], results["streaming"]["p95"]
        lines += [
            "",
            "## Streaming",
            "",
            "One encoder frame (80 ms) of the default causal network, patches and heads included: ",
        ]
        lines[-1] += f"p50 {p50 / 1000:.2f} ms, p95 {p95 / 1000:.2f} ms, one thread."
    return "\n".join(lines) + "\n"


def _settings(settings: dict[str, str]) -> str:
    return (
        f"PyTorch {settings['torch']}, {settings['dtype'].removeprefix('torch.')}, one thread, {settings['clock']} time"
    )


def _rows(rows: dict[str, Any], base: str) -> list[str]:
    lines = ["| | parameters | training step ms | of the GRU | inference ms | of the GRU | training MB | of the GRU |"]
    lines += ["|---" * 8 + "|"]
    gru = rows[base]
    for name, row in rows.items():
        cells = [name, f"{row['parameters'] / 1e6:.2f} M"]
        for key in ("train_ms", "inference_ms", "train_mb"):
            cells += [f"{row[key]:.0f}", f"{row[key] / gru[key]:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
