"""Read what a fuzzer makes up, guided by coverage: only InputError, one clear sentence, may leave a reader.

    python scripts/fuzz.py [TARGET ...] [seconds=30] [corpus=FOLDER]

Without a target all of them run, one after the other, and share the seconds (of wall clock). Any other exception is a
finding, as are more than 5 s of processor time for one input and 1 GB of memory; each is kept as a file, named with
its traceback, which `python scripts/fuzz.py TARGET FILE` reads again. With corpus=FOLDER the inputs that reach new
code are kept there, and a later run goes on from them.

Exit status: 0 nothing was found, 1 something was, 2 the words were wrong, 3 atheris is not installed here.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

MOST_S = 5.0  # of processor time an input
HANGS_S = 60  # of wall clock: a busy machine may stand still
MOST_MB = 1024
LONGEST = 20_000  # bytes of an input
SHOWN = 60  # lines of what libFuzzer says of a finding
_TEXTS = "arpa lexicon dictionary words submission sentences nbest weights settings labels".split()
NAMES = (*_TEXTS, "binary", "posteriors", "hdf5")
_PROGRESS = re.compile(r"#\d|INFO: |\tNEW_FUNC|$")  # lines of libFuzzer
NOTHING, FOUND, WRONG, NO_ATHERIS = 0, 1, 2, 3


class Words(NamedTuple):
    targets: tuple[str, ...]
    seconds: int
    corpus: Path | None
    files: tuple[Path, ...]  # to read again


def main(arguments: Sequence[str]) -> int:
    """Fuzz, or read a finding again; the exit status."""
    try:
        words = parse(arguments)
    except ValueError as error:
        print(f"fuzz: {error}", file=sys.stderr)
        return WRONG
    if words.files:
        read = targets()[words.targets[0]]
        for path in words.files:
            read(path.read_bytes())
        print(f"{len(words.files)} inputs read; nothing but InputError came of them.")
        return NOTHING
    if find_spec("atheris") is None:
        print("The readers were not fuzzed: atheris, which has wheels for Linux and Python 3.11 to 3.13, is not here.")
        return NO_ATHERIS
    return fuzz(words)


def parse(arguments: Sequence[str]) -> Words:
    """Raises: ValueError, on a word that is no target, no setting and no file."""
    settings = {"seconds": "30", "corpus": ""}
    targets, files = [], []
    for word in arguments:
        key, equals, value = word.partition("=")
        if equals and key in settings:
            settings[key] = value
        elif word in NAMES:
            targets.append(word)
        elif Path(word).is_file():
            files.append(Path(word))
        else:
            raise ValueError(f"'{word}' is no target; there are {', '.join(NAMES)}, seconds=N and corpus=FOLDER.")
    if not settings["seconds"].isdecimal() or int(settings["seconds"]) < 1:
        raise ValueError(f"seconds={settings['seconds']} does not fit; give a whole number from 1.")
    if files and len(targets) != 1:
        raise ValueError("to read a file again, name the one target that it is for: fuzz.py TARGET FILE.")
    corpus = Path(settings["corpus"]) if settings["corpus"] else None
    return Words(tuple(targets) or NAMES, int(settings["seconds"]), corpus, tuple(files))


def fuzz(words: Words) -> int:
    """Run each target in a process of its own, which libFuzzer ends."""
    atheris: Any = import_module("atheris")
    atheris.enabled_hooks.add("str")
    with redirect_stderr(StringIO()), atheris.instrument_imports(include=["mode_ssm", "yaml"]):
        readers = targets()  # each module that is followed is named there
    own = Path(tempfile.mkdtemp(prefix="fuzz-"))
    found = []
    for name in words.targets:
        sys.stdout.flush()
        log = own / f"{name}.log"
        if (child := os.fork()) == 0:
            say_to(log)
            atheris.Setup(libfuzzer_words(name, words, own), in_time(readers[name]))
            atheris.Fuzz()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print(f"{name}: {'; '.join(line for line in said if line.startswith(('Done ', 'SUMMARY')))}")
        if status != 0:
            found.append(name)
            print("\n".join([line for line in said if not _PROGRESS.match(line)][-SHOWN:]), file=sys.stderr)
    print(f"{len(words.targets)} readers fuzzed for {words.seconds} s: {', '.join(found) or 'nothing'} found.")
    return FOUND if found else NOTHING


def say_to(log: Path) -> None:
    """All that this process prints goes to a file, and it reads nothing."""
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)


def libfuzzer_words(name: str, words: Words, own: Path) -> list[str]:
    """The command line of libFuzzer; writes the seeds and the dictionary that it names."""
    folder = own / name if words.corpus is None else words.corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    seeds: list[bytes] = import_module("fuzz_targets").SEEDS[name]
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)
    known = own / f"{name}.dict"
    known.write_text("".join(sorted(quoted(seeds))), encoding="utf-8")
    options = {
        "max_total_time": max(1, words.seconds // len(words.targets)),
        "max_len": LONGEST,
        "timeout": HANGS_S,
        "rss_limit_mb": MOST_MB,
        "artifact_prefix": f"{own}/{name}-finding-",
        "dict": known,
    }
    return [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(folder)]


def quoted(seeds: Sequence[bytes]) -> set[str]:
    """The words of the seeds as lines of a libFuzzer dictionary."""
    words = {word for seed in seeds for word in seed.split() if 1 < len(word) < 30}
    return {'"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words}


def in_time(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The same reader; an input that takes too long is an error."""

    def timed(data: bytes) -> None:
        start = time.process_time()
        read(data)
        if (took := time.process_time() - start) > MOST_S:
            raise RuntimeError(f"{took:.1f} s of processor time for {len(data)} bytes")

    return timed


def targets() -> dict[str, Callable[[bytes], None]]:
    found: dict[str, Callable[[bytes], None]] = import_module("fuzz_targets").TARGETS
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
