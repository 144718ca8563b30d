"""The one exception that means: the input was wrong, and this sentence says how to mend it."""


class InputError(ValueError):
    """What was got, what is needed, what to do next, in one sentence; the command line prints it and exits 2."""


def printable(text: str, limit: int = 120) -> str:
    """Text of a file for a message: whatever the file held, it can be printed and stays on one line."""
    escaped = text.encode("utf-8", "backslashreplace").decode()
    line = "".join(c if c.isprintable() else " " for c in escaped)
    return line if len(line) <= limit else line[: limit - 3] + "..."
