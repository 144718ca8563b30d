"""The folder that a conversion writes to: what it is made from, and which of its files are complete."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mode_ssm.data.stamps import Stamps, changed_file, utf8
from mode_ssm.errors import InputError
from mode_ssm.files import parse_json, replace_text
from mode_ssm.index import Problem, Reason

CONVERTED = "converted.json"
_BESIDE = ".new."  # what the name of a file that is being written begins with
_ANEW = "set out to another folder, or remove this one and convert again."


@dataclass(frozen=True)
class Origin:
    """What determines the bytes of a conversion."""

    format: str
    data_root: str
    settings: dict[str, Any]  # those that were given
    labels: dict[str, Any]  # Labels.as_dict()
    files: Stamps

    def __str__(self) -> str:
        return f"{self.format}:{self.data_root}"


@dataclass(frozen=True)
class Part:
    """A complete file, or one that would hold nothing, for nothing of it was sound."""

    trials: int
    sha256: str | None
    left_out: tuple[Problem, ...]  # trials, and files that cannot be read
    notes: tuple[Problem, ...]  # what of its files is odd, or not read


class Converted:
    """The journal of a conversion, which stands in CONVERTED: a file is complete once it is in there.

    Args:
        out: the folder.
        not_read: what of the source looks like recordings and is not read.

    Raises:
        InputError: where it holds something else, or the conversion of something else or of what has changed since.
    """

    def __init__(self, out: Path, origin: Origin, not_read: Sequence[Problem]) -> None:
        self._out, self._origin, self.not_read = out, origin, not_read
        self.parts: dict[str, Part] = {}  # by <session>/data_<split>.hdf5
        kept = _read(out)
        self.is_complete = False
        if kept is not None:
            try:
                before = _origin(**kept["source"])
                self.parts = {name: _part(**each) for name, each in kept["files"].items()}
                self.is_complete = kept["complete"] is True and all(map(self.has, self.parts))
            except (KeyError, TypeError, ValueError, AttributeError):
                raise InputError(f"{out / CONVERTED} is not as convert writes it; {_ANEW}") from None
            _check_origin(before, origin, out)

    @property
    def trials(self) -> int:
        return sum(part.trials for part in self.parts.values())

    @property
    def left_out(self) -> list[Problem]:
        """A file that cannot be read is one problem, whatever splits it is for."""
        found: dict[tuple[str, str | None, str], Problem] = {}
        for part in self.parts.values():
            for problem in part.left_out:
                found.setdefault((problem.file, problem.trial, problem.what), problem)
        return [*found.values()]

    @property
    def notes(self) -> list[Problem]:
        return [*dict.fromkeys([*(note for part in self.parts.values() for note in part.notes), *self.not_read])]

    def has(self, name: str) -> bool:
        """Whether this file is complete."""
        part = self.parts.get(name)
        return part is not None and (part.sha256 is None or (self._out / name).is_file())

    def add(self, name: str, trials: int, left_out: Iterable[Problem], notes: Iterable[Problem]) -> None:
        """A file that stands in its place, or of which nothing was sound."""
        digest = None
        if trials:
            with (self._out / name).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self.parts[name] = Part(trials, digest, tuple(left_out), tuple(dict.fromkeys(notes)))
        self.write()

    def write(self, complete: bool = False) -> None:
        content = {
            "complete": complete,
            "source": asdict(self._origin),
            "trials": self.trials,
            "left_out": counts(self.left_out),
            "not_read": [*map(_plain, self.not_read)],
            "files": {
                name: asdict(part) | {key: [*map(_plain, getattr(part, key))] for key in ("left_out", "notes")}
                for name, part in self.parts.items()
            },
        }
        self._out.mkdir(parents=True, exist_ok=True)
        replace_text(self._out / CONVERTED, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def counts(left_out: Iterable[Problem]) -> dict[str, int]:
    """Trials by why they were left out, and whole files."""
    return dict(Counter("whole files" if each.trial is None else str(each.reason) for each in left_out))


def _read(out: Path) -> Any:
    """The journal; None where the folder is empty or not there."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; set out to a new or empty folder.")
    try:
        return parse_json((out / CONVERTED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if out.is_dir() and any(not path.name.startswith(_BESIDE) for path in out.iterdir()):
            raise InputError(
                f"{out} holds something that is no conversion; set out to a new or empty folder."
            ) from None
        return None
    except OSError as error:
        raise InputError(f"{out} cannot be read ({error.strerror}); set out to another folder.") from None
    except ValueError:
        raise InputError(f"{out / CONVERTED} is not as convert writes it; {_ANEW}") from None


def _origin(**plain: Any) -> Origin:
    origin = Origin(**plain)
    if not all(isinstance(value, dict) for value in (origin.settings, origin.labels, origin.files)):
        raise TypeError(plain)
    return origin


def _check_origin(before: Origin, now: Origin, out: Path) -> None:
    if (before.format, before.data_root) != (now.format, now.data_root):
        raise InputError(f"{out} holds the conversion of {before}, not of {now}; {_ANEW}")
    if before.settings != now.settings or before.labels != now.labels:
        names = [
            name for name in {**before.settings, **now.settings} if before.settings.get(name) != now.settings.get(name)
        ]
        raise InputError(f"{out} holds the conversion of {now} with another {' and '.join(names) or 'labels'}; {_ANEW}")
    if what := changed_file(before.files, now.files):
        raise InputError(f"{now} has changed since its conversion to {out} began ({what}); {_ANEW}")


def _plain(problem: Problem) -> dict[str, Any]:
    plain = asdict(problem)
    del plain["told"]
    return {name: utf8(value) if isinstance(value, str) else value for name, value in plain.items()}


def _part(trials: int, sha256: str | None, left_out: list[dict[str, Any]], notes: list[dict[str, Any]]) -> Part:
    return Part(trials, sha256, tuple(map(_problem, left_out)), tuple(map(_problem, notes)))


def _problem(plain: dict[str, Any]) -> Problem:
    return Problem(**plain | {"reason": Reason(plain["reason"])})
