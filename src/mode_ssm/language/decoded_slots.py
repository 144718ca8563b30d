"""Reads back what `mode-ssm decode` wrote about single words: when they were said, how sure they are, what else they
could be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mode_ssm.errors import InputError
from mode_ssm.files import parse_json
from mode_ssm.language.decoded_files import TrialName, name_of, objects, read_decoded
from mode_ssm.language.word_slots import WordSlot
from mode_ssm.language.word_times import WordTime


class DecodedFolder(NamedTuple):
    """A folder of decode by its summary."""

    path: Path
    summary: dict[str, Any]  # decode.json
    written: float  # seconds since the epoch

    @property
    def calibrated(self) -> bool:
        """Whether what is said of a word is a confidence that tune learnt; else it is a posterior as it is."""
        return self.summary.get("confidence") is not None


class SlottedSentence(NamedTuple):
    """A decoded trial; the posterior of a slot with a word is its confidence where there is one."""

    name: TrialName
    sentence: str | None  # that was said
    slots: Sequence[WordSlot]


def read_folder(path: Path) -> DecodedFolder:
    """
    Raises:
        InputError: where it holds no decode.json, or one that is no object.
    """
    file = path / "decode.json"
    try:
        summary, written = parse_json(file.read_text(encoding="utf-8")), file.stat().st_mtime
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{file} cannot be read ({reason}); give a folder that mode-ssm decode wrote.") from None
    if not isinstance(summary, dict):
        raise InputError(f"{file} is no object; give a folder that mode-ssm decode wrote.")
    return DecodedFolder(path, summary, written)


def folders_of_split(folder: Path, split: str) -> list[DecodedFolder]:
    """The decoded folders inside a folder that are of a split, the newest first.

    Raises:
        InputError: where one cannot be read.
    """
    found = [read_folder(file.parent) for file in sorted(folder.glob("*/decode.json"))]
    return sorted((one for one in found if one.summary.get("split") == split), key=lambda one: -one.written)


def read_slots(folder: Path) -> list[SlottedSentence]:
    """The trials of nbest.jsonl, with what was said by hypotheses.csv.

    Raises:
        InputError: where one of the files cannot be read, or the words were written without alternatives.
    """
    said = {trial.name: trial.sentence for trial in read_decoded(folder / "hypotheses.csv")}

    def line(entry: dict[str, Any]) -> SlottedSentence:
        name = name_of(entry)
        return SlottedSentence(name, said.get(name), tuple(map(_slot, entry.get("network", ()))))

    sentences = objects(folder / "nbest.jsonl", line, "session, block, trial and network")
    if not any(sentence.slots for sentence in sentences):
        raise InputError(f"{folder} holds no posteriors of words; run mode-ssm decode again, not with alternatives=0.")
    return sentences


def _slot(entry: dict[str, Any]) -> WordSlot:
    time = WordTime(float(entry["start"]), float(entry["end"])) if "start" in entry else None
    sure = float(entry.get("confidence", entry["posterior"]))
    return WordSlot(str(entry["word"]), sure, tuple((str(w), float(share)) for w, share in entry["alternatives"]), time)
