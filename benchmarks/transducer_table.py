"""The table of benchmarks/transducer.py."""

from statistics import median
from typing import Any

PEER = "naive + torchaudio"
FLOOR = "matrix products of the fused step alone"
WITHOUT_PEER = """torchaudio does not import here. Its place is taken by rnnt_loss of this package and by the joiner
with no loss at all, whose time no unfused loss can undercut."""
WITH_PEER = """torchaudio is the CPU kernel of its wheel. The wheel also asks for CUDA libraries, which that kernel does
not call: where they are absent, empty libraries of the same names let it load."""


def table(results: dict[str, Any]) -> str:
    peer = any(PEER in row["seconds"] for row in results["shapes"].values())
    lines = ["# The transducer step: tanh joiner, loss, backward", ""]
    lines += [f"PyTorch {results['torch']}. {WITH_PEER if peer else WITHOUT_PEER}", ""]
    lines += [
        "`python benchmarks/transducer.py`, each shape with the threads and clock of its heading; medians; ratios are"
    ]
    lines += ["medians of the ratios within a turn.", ""]
    for key, row in sorted(results["shapes"].items()):
        lines += [*_shape(key, row), ""]
    lines += [
        "Largest gradient error of float32 against float64, U = 60, V = 41: of logits (rnnt_loss) absolute, of the"
    ]
    lines += ["inputs of the fused loss in parts of the largest entry of each gradient.", ""]
    lines += ["| S | logits | encoder | predictor | weight | bias |", "|---|---|---|---|---|---|"]
    for frames, errors in results["errors"].items():
        lines.append(f"| {frames} | " + " | ".join(f"{error:.1e}" for error in errors.values()) + " |")
    return "\n".join(lines) + "\n"


def _shape(key: str, row: dict[str, Any]) -> list[str]:
    seconds, memory, shares = row["seconds"], row["megabytes"], row["occupied"]
    spread = f"{min(shares):.0%} to {max(shares):.0%}, median {median(shares):.0%}"
    lines = [f"## {key}", "", f"{row['size']}; {len(shares)} turns, {row['clock']} clock; occupied cells {spread}.", ""]
    lines += ["| step | seconds | / fused | MB | / fused |", "|---|---|---|---|---|"]
    for step, took in seconds.items():
        ratio = median(each / fused for each, fused in zip(took, seconds["fused"], strict=True))
        size = f"{memory[step]:.1f} | {memory[step] / memory['fused']:.1f}" if step in memory else "|"
        lines.append(f"| {step} | {median(took):.3f} | {ratio:.2f} | {size} |")
    return lines
