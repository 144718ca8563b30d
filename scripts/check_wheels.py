"""See that every dependency has a wheel for each Python that we support, in the version that constraints.txt pins.

    python scripts/check_wheels.py

Dependencies are the core ones and those of the extras that live decoding and AN4 have. Asks the package registry that
pip is set up with. Nothing is installed, and pip is stopped as soon as it names the wheel that it would fetch. Exit
status: 0 all found, 1 a wheel is missing, 2 no registry answers.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("redis", "lsl", "an4")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_FOUND = re.compile(r"(?:Downloading|Using cached|Processing|Saved) \S*\.whl|Would install")
_NO_REGISTRY = re.compile(r"Failed to establish a new connection|name resolution|timed out|Connection refused")


def main() -> int:
    """Print a line for each Python, with what has no wheel there."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    needed: list[str] = [*project["dependencies"]]
    for extra in EXTRAS:
        needed += project["optional-dependencies"][extra]
    complete = True
    for python in PYTHONS:
        missing = []
        for requirement in needed:
            found, said = find_wheel(requirement, python)
            if not found and _NO_REGISTRY.search(said):
                print("No package registry answers; wheels were not checked.", file=sys.stderr)
                return 2
            missing += [] if found else [requirement]
        told = f"no wheel of {', '.join(missing)}" if missing else f"wheels of all {len(needed)} dependencies"
        print(f"Python {python}: {told}", flush=True)
        complete &= not missing
    return 0 if complete else 1


def find_wheel(requirement: str, python: str) -> tuple[bool, str]:
    """Whether pip finds a wheel of a requirement, and what it said."""
    with tempfile.TemporaryDirectory() as target:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", target, "--only-binary=:all:"]
        command += ["--python-version", python, "--implementation", "cp", "--disable-pip-version-check"]
        command += ["--progress-bar=off", "--retries=1", "--constraint", str(ROOT / "constraints.txt"), requirement]
        pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert pip.stdout is not None
        said = ""
        for line in pip.stdout:
            said += line
            if _FOUND.search(line):
                pip.terminate()
                break
        pip.communicate()
    return _FOUND.search(said) is not None, said


if __name__ == "__main__":
    sys.exit(main())
