"""Where a word's pronunciation comes from: the labels of its own recordings, a dictionary, and at last a guess."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from mode_ssm.labels import T15, Labels
from mode_ssm.language.g2p import LEAST_WORDS, LearntSpelling
from mode_ssm.language.lexicon import Lexicon, Pronunciation
from mode_ssm.language.spelling import add_s, guess_pronunciation
from mode_ssm.language.text import spoken_words
from mode_ssm.orthography import spell


class Pronounced(NamedTuple):
    lexicon: Lexicon
    guessed: tuple[str, ...]  # words that no source knew, in the order given
    guessed_by: str  # how


def lexicon_of_transcripts(transcripts: Iterable[tuple[str, Sequence[int]]], labels: Labels = T15) -> Lexicon:
    """Read pronunciations off labelled sentences; a sentence whose boundaries do not match its words is left out.

    transcripts pair a sentence with its label ids. The most frequent pronunciation of a word comes first.
    """
    counts: dict[str, Counter[Pronunciation]] = defaultdict(Counter)
    for sentence, said in transcripts:
        words = spoken_words(sentence)
        spoken = labels.words(said)
        if len(words) == len(spoken):
            for word, ids in zip(words, spoken, strict=True):
                counts[word][ids] += 1
    return {word: tuple(ids for ids, _ in found.most_common()) for word, found in counts.items()}


def pronounce_words(
    words: Iterable[str], sources: Sequence[Lexicon], labels: Labels = T15, dictionary: Lexicon | None = None
) -> Pronounced:
    """Pronounce each word by the first source that has it, by its parts, or by a guess.

    Labels that spell words, letters and word pieces, need no guess. Parts are those of well-known, and the word before
    's or s' where it is a possessive. A guess is learnt from the dictionary where there is a large one; else, and for
    what that gives no sound, it is by rules.

    Raises:
        InputError: where a word must be guessed by rules and the labels are not ARPAbet phonemes, or where labels that
            spell cannot spell it.
    """
    if labels.spells:
        words = [*words]
        sources = [*sources, {word: (spell(word, labels),) for word in words}]
    lexicon = {word: _look_up(word, sources, labels) for word in words}
    unknown = tuple(word for word, found in lexicon.items() if not found)
    guesses: list[Pronunciation] = [()] * len(unknown)
    how = "rules"
    if unknown and dictionary is not None and len(dictionary) >= LEAST_WORDS:
        guesses = LearntSpelling(dictionary, labels).guess(unknown)
        how = f"joint n-grams of letters and labels, learnt from {len(dictionary)} words; rules where these are silent"
    for word, guess in zip(unknown, guesses, strict=True):
        lexicon[word] = (guess or tuple(labels.ids(guess_pronunciation(word))),)
    return Pronounced(lexicon, unknown, how)


def _look_up(word: str, sources: Sequence[Lexicon], labels: Labels) -> tuple[Pronunciation, ...]:
    for source in sources:
        if word in source:
            return source[word]
    if "-" in word.strip("-"):
        parts = [_look_up(part, sources, labels)[:2] for part in word.split("-") if part]
        return tuple(sum(choice, ()) for choice in product(*parts))
    if word.endswith(("'s", "s'")) and len(word) > 2:
        owner = _look_up(word[:-2] if word.endswith("'s") else word[:-1], sources, labels)
        return tuple(_add_s(ids, labels) for ids in owner) if word.endswith("'s") else owner
    return ()


def _add_s(ids: Pronunciation, labels: Labels) -> Pronunciation:
    return tuple(labels.ids(add_s([labels.symbols[number] for number in ids])))
