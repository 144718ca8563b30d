"""The slots of a decoded sentence beside the words that were said."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

from mode_ssm.language.word_slots import WordSlot
from mode_ssm.scoring import has_words, normalise_sentence


class SaidWord(NamedTuple):
    """A slot, or None for a word left out where there is no slot; and what was said there.

    `said` is None where it was the slot's own word or where nobody knows, and "" where nothing was said.
    """

    slot: WordSlot | None
    said: str | None


def beside_said(sentence: str | None, slots: Sequence[WordSlot]) -> list[SaidWord]:
    """By a shortest alignment of the words, both normalised; a word left out stands in a free slot if there is one.

    >>> found = [WordSlot(word, 0.8, ()) for word in ("he", "", "here", "no")]
    >>> [(one.slot and one.slot.word, one.said) for one in beside_said("He is here now then.", found)]
    [('he', None), ('', 'is'), ('here', None), ('no', 'now'), (None, 'then')]
    """
    words = [normalise_sentence(slot.word) for slot in slots if slot.word]
    said = normalise_sentence(sentence or "").split()
    instead, left_out = _differences(said, words) if has_words(sentence) else ({}, {})
    result, place = [], 0
    for slot in slots:
        waiting = left_out.get(place, [])
        if slot.word:
            result += [SaidWord(None, word) for word in waiting]
            waiting.clear()
            result.append(SaidWord(slot, instead.get(place)))
            place += 1
        else:
            result.append(SaidWord(slot, waiting.pop(0) if waiting else None))
    return [*result, *(SaidWord(None, word) for word in left_out.get(place, []))]


def _differences(said: Sequence[str], words: Sequence[str]) -> tuple[dict[int, str], dict[int, list[str]]]:
    """What was said in place of words found, by their number, and what was left out before each."""
    instead: dict[int, str] = {}
    left_out: dict[int, list[str]] = defaultdict(list)
    for step in Levenshtein.opcodes(said, words):
        if step.tag == "delete":
            left_out[step.dest_start] += said[step.src_start : step.src_end]
        elif step.tag != "equal":
            for offset, place in enumerate(range(step.dest_start, step.dest_end)):
                instead[place] = said[step.src_start + offset] if step.tag == "replace" else ""
    return instead, left_out
