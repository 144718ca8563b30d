"""The section about words: what `mode-ssm decode` found, coloured by how sure it is, alternatives one click away."""

import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from mode_ssm.config import ReportConfig
from mode_ssm.errors import InputError
from mode_ssm.language.decoded_slots import (
    DecodedFolder,
    SlottedSentence,
    folders_of_split,
    read_folder,
    read_slots,
)
from mode_ssm.language.weights import decoding_folder
from mode_ssm.language.word_slots import WordSlot
from mode_ssm.report.page import Block, Note, Section, Table, Tile
from mode_ssm.report.records import Run
from mode_ssm.report.said_words import SaidWord, beside_said

LEVELS = ("95 % or more", "80 to 95 %", "50 to 80 %", "below 50 %")  # the colours of the style sheet, sure0 to sure3
_BOUNDS = (0.5, 0.8, 0.95)
_LIKELY = 0.1  # a place without a word is shown where one is at least as likely


@dataclass(frozen=True)
class ShownWord:
    """A word of a decoded sentence, a place where one may be missing, or one that is."""

    word: str  # "" for none
    level: int | None  # of LEVELS; None where there is no word
    sure: str
    time: str
    others: Sequence[tuple[str, str]]  # and their shares
    said: str  # in its place where it was not this word; "" where it was, or nobody knows


class ShownSentence(NamedTuple):
    name: str
    sentence: str  # that was said; "" where nobody knows
    words: Sequence[ShownWord]


@dataclass(frozen=True)
class Words:
    """Sentences whose words open to tell their times and alternatives."""

    template: ClassVar[str] = "words.html"
    title: str
    levels: Sequence[str]
    sentences: Sequence[ShownSentence]
    note: str


class DecodedWords(NamedTuple):
    """What decode wrote for a run, the newest first; `problem` says why it cannot be read."""

    run: Run
    folders: Sequence[DecodedFolder]
    problem: str


def find_words(run: Run, config: ReportConfig) -> DecodedWords:
    """In the folder that is named, else in those of the split that decode wrote beside the run's checkpoints.

    Raises:
        InputError: where the named one cannot be read.
    """
    if config.decoded is not None:
        return DecodedWords(run, [read_folder(Path(config.decoded))], "")
    try:
        return DecodedWords(run, folders_of_split(decoding_folder(run.path / "checkpoints" / "best"), config.split), "")
    except InputError as error:
        return DecodedWords(run, [], str(error))


def word_tiles(words: DecodedWords) -> list[Tile]:
    """The word error rate of what was decoded last."""
    summary = words.folders[0].summary if words.folders else {}
    if summary.get("wer") is None:
        return []
    count = f"{summary['word_edits']:,} errors in {summary['reference_words']:,} words"
    return [Tile(f"word error rate, {summary['decoder']}", f"{100 * summary['wer']:.2f} %", count)]


def word_section(words: DecodedWords, config: ReportConfig) -> Section:
    """Rates of all that was decoded, and sentences of the first; in their place, why there are none."""
    folders = words.folders
    if not folders:
        return Section("words", "Words", [Note(words.problem or _how_to_get(config.split, words.run.path))])
    rates = Table("Decoded", _HEADER, [_row(one) for one in folders], words=3, wide=True)
    try:
        shown: Block = _words(folders[0], config.sentences)
    except InputError as error:
        shown = Note(str(error))
    return Section("words", "Words", [rates, shown], _intro(folders[0], config))


def _how_to_get(split: str, run: Path) -> str:
    return (
        f"No words of the {split} split have been decoded. mode-ssm lm build makes a language model; with its folder "
        f"LM, mode-ssm decode checkpoint={run} lm=LM split={split} finds words, and this section shows them."
    )


def _intro(folder: DecodedFolder, config: ReportConfig) -> str:
    which = "named" if config.decoded is not None else f"newest of the {config.split} split"
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(folder.written))
    return f"What mode-ssm decode wrote in {folder.path}, the {which}, on {made}."


_HEADER = (
    "folder",
    "decoder",
    "written",
    "trials",
    "words",
    "word errors",
    "word error rate (%)",
    "95 %",
    "best of the n-best (%)",
    "outside the lexicon (%)",
)


def _row(folder: DecodedFolder) -> tuple[str, ...]:
    summary = folder.summary
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(folder.written))
    first = (folder.path.name, str(summary.get("decoder") or ""), made, f"{summary.get('trials', 0):,}")
    if summary.get("wer") is None:
        return *first, "", "", "no labels", "", "", ""
    interval = summary.get("wer_interval")  # older files have none
    spread = "" if interval is None else f"{100 * interval[0]:.2f}-{100 * interval[1]:.2f}"
    counts = f"{summary['reference_words']:,}", f"{summary['word_edits']:,}"
    bounds = [f"{100 * summary[key]:.2f}" if key in summary else "" for key in ("oracle_wer", "oov_rate")]
    return *first, *counts, f"{100 * summary['wer']:.2f}", spread, *bounds


def _words(folder: DecodedFolder, most: int) -> Words:
    sentences = sorted(read_slots(folder.path), key=lambda one: -_mean_sure(one))
    places = np.unique(np.linspace(0, len(sentences) - 1, most).round().astype(int)) if most else ()
    shown = [_shown(sentences[place]) for place in places]
    kind = "confidence" if folder.calibrated else "posterior"
    learnt = (
        f"Confidences were learnt by mode-ssm tune on {folder.summary['confidence']['words']:,} words; "
        if folder.calibrated
        else "Posteriors are not calibrated (mode-ssm tune learns how, decode weights=tuned uses it); "
    )
    note = (
        f"{len(shown):,} of {len(sentences):,} sentences, evenly spread from the surest to the least sure. Open a word "
        "for its time and what else it could be; + is a place where one may be missing, · one that is. Where another "
        f"word was said, it stands above. {learnt}the shares of alternatives are not calibrated."
    )
    return Words(f"Words by {kind}", LEVELS, shown, note)


def _mean_sure(sentence: SlottedSentence) -> float:
    return float(np.mean([slot.posterior for slot in sentence.slots if slot.word] or [0.0]))


def _shown(sentence: SlottedSentence) -> ShownSentence:
    words = [_shown_word(one) for one in beside_said(sentence.sentence, sentence.slots) if _worth(one)]
    return ShownSentence(" ".join(sentence.name), sentence.sentence or "", words)


def _worth(one: SaidWord) -> bool:
    if one.slot is None or one.slot.word or one.said:
        return True
    return max((share for _, share in one.slot.alternatives), default=0.0) >= _LIKELY


def _shown_word(one: SaidWord) -> ShownWord:
    slot, said = one.slot, "" if one.said is None else one.said or "nothing"
    if slot is None:
        return ShownWord("", None, "", "", (), said)
    level = len(_BOUNDS) - bisect_right(_BOUNDS, slot.posterior) if slot.word else None
    others = [(word or "no word", _percent(share)) for word, share in slot.alternatives]
    return ShownWord(slot.word, level, _percent(slot.posterior), _time(slot), others, said)


def _percent(share: float) -> str:
    """
    >>> [_percent(share) for share in (0.0004, 0.0123, 0.5, 0.998)]
    ['under 0.1 %', '1.2 %', '50 %', 'over 99 %']
    """
    if share < 0.001 or share > 0.99:
        return "under 0.1 %" if share < 0.5 else "over 99 %"
    return f"{100 * share:.{0 if share >= 0.1 else 1}f} %"


def _time(slot: WordSlot) -> str:
    return "" if slot.time is None else f"{slot.time.start:.2f} to {slot.time.end:.2f} s"
