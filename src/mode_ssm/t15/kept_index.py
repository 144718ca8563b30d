"""The index of a data root: what every trial is, kept from run to run.

It is kept as one JSON file per data root; each HDF5 file's part of it holds as long as that file's size and
modification time do. Whatever is not as this module would have written it is read from the HDF5 files again.
"""

import functools
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import NoneType
from typing import Any

from mode_ssm.index import MalformedError, Problem, Reason, Record, SplitIndex, Told
from mode_ssm.labels import Labels
from mode_ssm.t15.missed import gaps, unread
from mode_ssm.t15.scan import FileIndex
from mode_ssm.t15.scan_process import scan_file
from mode_ssm.t15.sessions import file_name

log = logging.getLogger(__name__)
_FORMAT = 4  # of the JSON file; raised with each change of what is checked or kept
_RECORD_TYPES = (str, int, int, int, int, (int, NoneType), int, (str, NoneType))


def index_split(root: Path, sessions: Sequence[str], split: str, labels: Labels, cache_dir: str | None) -> SplitIndex:
    """Index the split's file of each session, from the cache where the file has not changed since."""
    origin = {"format": _FORMAT, "root": str(root.resolve()), "labels": labels.as_dict()}
    cache = _cache_file(root, labels, cache_dir)
    known = {} if cache is None else _load(cache, origin)
    index, files = SplitIndex(), {}
    changed = False
    for session in sessions:
        name = file_name(session, split)
        if not _exists(root / name):
            index.absent.append(session)
            continue
        try:
            found = known.get(name)
            if found is None or not _is_current(found, root / name):
                log.info("Indexing %s", root / name)
                known[name] = found = scan_file(root, session, split, labels)
                changed = True
            files[name] = found
            index.records[session] = found.records
        except MalformedError as malformed:
            index.problems.append(malformed.problem(name, None, split))
    if changed and cache is not None:
        _save(cache, root, origin, known)
    for name, found in files.items():
        index.problems += found.problems
        if found.others:
            what = f"holds {', '.join(found.others)} beside its trials"
            index.notes.append(Problem(name, None, what, "Nothing but trial_NNNN groups is read."))
        index.gaps += gaps(name, found)
    index.unread += unread(root, sessions)
    return index


def _exists(path: Path) -> bool:
    """Whether there is anything at this path, were it a link to nowhere or behind a closed folder."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _is_current(found: FileIndex, path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return (found.size, found.mtime_ns) == (status.st_size, status.st_mtime_ns)


def _cache_file(root: Path, labels: Labels, cache_dir: str | None) -> Path | None:
    """One for each root and set of labels."""
    digest = hashlib.sha256(os.fsencode(root.resolve()) + repr(labels).encode()).hexdigest()[:16]
    if cache_dir is not None:
        return Path(cache_dir) / f"{digest}.json"
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        folder = configured if configured.is_absolute() else Path("~/.cache").expanduser()
    except RuntimeError:  # a user without a home
        _warn_unkept("~/.cache", "this user has no home folder")
        return None
    return folder / "mode-ssm" / f"{digest}.json"


def _load(cache: Path, origin: dict[str, Any]) -> dict[str, FileIndex]:
    """The kept index, or an empty one where it is absent, broken or of another root, set of labels or format."""
    try:
        content = json.loads(cache.read_bytes())
        files = content.pop("files")
        return {name: _from_json(entry) for name, entry in files.items()} if content == origin else {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _from_json(entry: dict[str, Any]) -> FileIndex:
    """Raises: ValueError, TypeError or KeyError on anything that FileIndex could not have become."""
    records = tuple(Record(*row) for row in entry["records"])
    for record in records:
        if not all(isinstance(value, kind) for value, kind in zip(record, _RECORD_TYPES, strict=True)):  # type: ignore[arg-type]
            raise TypeError(record)
    problems = tuple(_problem(**problem) for problem in entry["problems"])
    others = tuple(str(other) for other in entry["others"])
    return FileIndex(int(entry["size"]), int(entry["mtime_ns"]), records, problems, others)


def _problem(reason: str, told: Sequence[Any] | None, **texts: Any) -> Problem:
    if told is None:
        return Problem(**texts, reason=Reason(reason))
    session, block, number, labels, sentence = told
    plain = None if labels is None else tuple(map(int, labels))
    return Problem(**texts, reason=Reason(reason), told=Told(session, block, number, plain, sentence))


def _save(cache: Path, root: Path, origin: dict[str, Any], files: dict[str, FileIndex]) -> None:
    """Write beside, then rename: a reader, and a second process that writes, never see half a file."""
    kept = {name: asdict(entry) for name, entry in sorted(files.items()) if (root / name).exists()}
    beside = cache.with_suffix(f".{os.getpid()}.tmp")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(origin | {"files": kept}), encoding="utf-8")
        beside.replace(cache)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        _warn_unkept(str(cache.parent), error.strerror or str(error))


@functools.cache
def _warn_unkept(folder: str, reason: str) -> None:
    """Once per folder and process."""
    log.warning(
        "The index of the data cannot be kept in %s (%s), so each start reads it from the HDF5 files again; "
        "set data.cache_dir to a folder that can be written.",
        folder,
        reason,
    )
