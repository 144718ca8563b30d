"""Find the session folders of a data root: <participant>.YYYY.MM.DD, in date order."""

import re
from collections.abc import Iterable
from pathlib import Path

from mode_ssm.errors import InputError

SESSION_NAME = re.compile(r"[A-Za-z0-9_-]+\.(\d{4})\.(\d{2})\.(\d{2})")


def participant_of(session: str) -> str:
    """Who was recorded: what the name of a session begins with.

    >>> participant_of("t15.2023.08.13")
    't15'
    """
    return session.partition(".")[0]


def split_file(split: str) -> str:
    """The name of a session's file of one split."""
    return f"data_{split}.hdf5"


def file_name(session: str, split: str) -> str:
    """The same, relative to the data root."""
    return f"{session}/{split_file(split)}"


def find_sessions(data_root: str, max_sessions: int | None) -> tuple[Path, tuple[str, ...]]:
    """The root and its sessions by date (by name on one date), the first `max_sessions` of them.

    Raises:
        InputError: where the root is missing or unreadable, or holds no session folder.
    """
    root = Path(data_root)
    found = [path.name for path in listed(root, "the session folders") if SESSION_NAME.fullmatch(path.name)]
    sessions = first_by_date(found, max_sessions)
    if not sessions:
        raise InputError(
            f"data.data_root={root} holds no session folder named <participant>.YYYY.MM.DD, such as t15.2023.08.13; "
            + _hint(root)
        )
    return root, sessions


def first_by_date(sessions: Iterable[str], max_sessions: int | None) -> tuple[str, ...]:
    """By date, by name on one date, and the first `max_sessions` of them.

    Raises:
        InputError: where that is no number of sessions.
    """
    if max_sessions is not None and max_sessions < 1:
        raise InputError(f"data.max_sessions is {max_sessions}; set it to 1 or more, or to null for all sessions.")
    return tuple(sorted(sessions, key=_date_and_name)[:max_sessions])


def listed(folder: Path, holds: str) -> list[Path]:
    """What a data root holds, in any order; `holds` says what it should, for messages.

    Raises:
        InputError: where it is not there, or cannot be listed.
    """
    try:
        return [*folder.iterdir()]
    except FileNotFoundError:
        raise InputError(
            f"data.data_root={folder} does not exist; set data.data_root to the folder that holds {holds}."
        ) from None
    except OSError as error:
        raise InputError(
            f"data.data_root={folder} cannot be listed ({error.strerror}); "
            f"set data.data_root to a readable folder that holds {holds}."
        ) from None


def _date_and_name(session: str) -> tuple[str, str]:
    return session[-len("YYYY.MM.DD") :], session


def _hint(root: Path) -> str:
    """Where the sessions may be instead: the parent, when the root is itself a session, or up to two levels down."""
    if SESSION_NAME.fullmatch(root.resolve().name):
        return f"it is a session folder itself, so set data.data_root={root.parent}."
    for pattern in ("*/*", "*/*/*"):
        for path in sorted(root.glob(pattern)):
            if path.is_dir() and SESSION_NAME.fullmatch(path.name):
                return f"{path.parent} does, so set data.data_root={path.parent}."
    return "set data.data_root to the folder that holds the session folders."
