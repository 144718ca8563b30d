"""Where what was decoded goes: the console, a file of messages; the page stands in page.py."""

import json
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from rich.console import Console
from rich.text import Text

from mode_ssm.errors import InputError
from mode_ssm.live.events import Floats

Message = dict[str, Any]


class Signal(NamedTuple):
    """What the newest encoder frame was made of and gave."""

    features: Floats  # (C,) the last feature frame
    posteriors: Floats | None  # (V,) log-probabilities of the CTC head, where it was trained


class Sink(Protocol):
    """Is told everything, in the order in which it was decoded."""

    def tell(self, message: Message) -> None:
        """A message, as LiveSession describes it."""

    def show(self, signal: Signal) -> None:
        """The signal behind the words that were told last."""

    def close(self) -> None:
        """Nothing more will be told."""


class ConsoleSink:
    """A line a trial; on a terminal the words as they come, those that may still change dim."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phonemes: list[str] = []

    def tell(self, message: Message) -> None:
        kind = message["type"]
        if kind == "begin":
            self._phonemes = []
            if message["sentence"]:
                self._line(Text(f"said     {message['sentence']}", style="cyan"))
        elif kind == "words":
            self._phonemes += message["phonemes"]
            if self._console.is_terminal:
                self._console.print(self._so_far(message), end="\r", overflow="ellipsis", no_wrap=True)
        elif kind == "end":
            words = message["words"]
            self._line(Text("decoded  " + " ".join(self._phonemes if words is None else words), style="bold"))
        elif kind == "lock":
            self._line(Text("open" if message["open"] else "locked", style="magenta"))
        elif kind == "notice":
            self._line(Text(f"frame {message['frame']}: {message['text']}", style="yellow"))
        elif kind == "correction":
            self._line(Text(f"meant    {message['by'] or '(no word)'} in place of {message['word']}", style="cyan"))

    def show(self, signal: Signal) -> None:
        """Nothing: a console has no room for it."""

    def close(self) -> None:
        """Nothing is open."""

    def _so_far(self, message: Message) -> Text:
        if message["committed"] is None:
            return Text("         " + " ".join(self._phonemes))
        text = Text("         " + " ".join(message["committed"]) + " ")
        return text.append(" ".join(message["open"]), style="dim")

    def _line(self, text: Text) -> None:
        if self._console.is_terminal:
            self._console.print(" " * (self._console.width - 1), end="\r")
        self._console.print(text)


class JsonlSink:
    """Every message as a line of JSON, on the disk as soon as it is told.

    Raises:
        InputError: when the file is there already or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._file: TextIO = new_file(path)

    def tell(self, message: Message) -> None:
        self._file.write(json.dumps(message, ensure_ascii=False) + "\n")
        self._file.flush()

    def show(self, signal: Signal) -> None:
        """Nothing: what came in is kept by live.log."""

    def close(self) -> None:
        self._file.close()


def new_file(path: Path) -> TextIO:
    """A text file that was not there before.

    Raises:
        InputError: when it was, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("x", encoding="utf-8")
    except FileExistsError:
        raise InputError(f"{path} is there already; give another file, or move it away.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); give another file.") from None
