"""The figures of a benchmark: a JSON file in results/ that later runs add to, and its table beside it."""

import json
from pathlib import Path
from typing import Any

import torch

from mode_ssm.files import replace_text

RESULTS = Path(__file__).parent / "results"


def file_of(benchmark: str, device: torch.device) -> Path:
    """One file for the CPU, and one for each kind of GPU."""
    kind = f"-{torch.cuda.get_device_name(device).replace(' ', '-')}" if device.type == "cuda" else ""
    return RESULTS / f"{benchmark}{kind}.json"


def read(path: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return figures


def write(path: Path, figures: dict[str, Any], table: str) -> None:
    replace_text(path, json.dumps(figures, indent=1) + "\n")
    replace_text(path.with_suffix(".md"), table)
    print(table)
