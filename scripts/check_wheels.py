"""See that every core dependency, and all that they need, installs from wheels alone for each Python that we support.

    python scripts/check_wheels.py

Asks the package registry that pip is set up with; nothing is installed, and where the registry serves metadata apart,
nothing large is downloaded. Exit status: 0 all found, 1 a wheel is missing, 2 no registry answers.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_NO_REGISTRY = ("Failed to establish a new connection", "Temporary failure in name resolution", "Read timed out")


def main() -> int:
    """Print a line for each Python, with pip's reason where it cannot be installed."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        needed = tomllib.load(file)["project"]["dependencies"]
    failed = False
    for python in PYTHONS:
        fault = resolve(needed, python)
        if fault is not None and any(sign in fault for sign in _NO_REGISTRY):
            print("No package registry answers; nothing was checked.", file=sys.stderr)
            return 2
        print(f"Python {python}: {fault or f'wheels for all of {len(needed)} dependencies and what they need'}")
        failed |= fault is not None
    return int(failed)


def resolve(needed: list[str], python: str) -> str | None:
    """What pip says when it cannot find wheels of these requirements, or None."""
    with tempfile.TemporaryDirectory() as target:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--target", target]
        command += ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
        command += ["--disable-pip-version-check", "--quiet", "--constraint", str(ROOT / "constraints.txt"), *needed]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
    return " ".join(said) or f"pip ended with status {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
