"""Where a word's pronunciation comes from: the labels of its own recordings, a dictionary, and at last a guess."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from mode_ssm.language.lexicon import Lexicon, Pronunciation
from mode_ssm.language.spelling import add_s, guess_pronunciation
from mode_ssm.phonemes import SILENCE
from mode_ssm.scoring import normalise_sentence


class Pronounced(NamedTuple):
    lexicon: Lexicon
    guessed: tuple[str, ...]  # words that no source knew, in the order given


def lexicon_of_transcripts(transcripts: Iterable[tuple[str, Sequence[int]]]) -> Lexicon:
    """Read pronunciations off labelled sentences; a sentence whose | do not match its words is left out.

    transcripts pair a sentence with its label ids. The most frequent pronunciation of a word comes first.
    """
    counts: dict[str, Counter[Pronunciation]] = defaultdict(Counter)
    for sentence, labels in transcripts:
        words = normalise_sentence(sentence).split()
        spoken = split_words(labels)
        if len(words) == len(spoken):
            for word, ids in zip(words, spoken, strict=True):
                counts[word][ids] += 1
    return {word: tuple(ids for ids, _ in found.most_common()) for word, found in counts.items()}


def split_words(labels: Sequence[int]) -> list[Pronunciation]:
    """Cut label ids at | into words; empty ones are dropped.

    >>> split_words([16, 3, 40, 21, 40])
    [(16, 3), (21,)]
    """
    words: list[Pronunciation] = []
    start = 0
    for end, label in enumerate([*labels, SILENCE]):
        if label == SILENCE:
            if end > start:
                words.append(tuple(labels[start:end]))
            start = end + 1
    return words


def pronounce_words(words: Iterable[str], sources: Sequence[Lexicon]) -> Pronounced:
    """Pronounce each normalised word by the first source that has it, by its parts, or by a guess.

    Parts are those of well-known, and the word before 's or s' where it is a possessive.
    """
    lexicon: Lexicon = {}
    guessed = []
    for word in words:
        found = _look_up(word, sources)
        if not found:
            guessed.append(word)
            found = (guess_pronunciation(word),)
        lexicon[word] = found
    return Pronounced(lexicon, tuple(guessed))


def _look_up(word: str, sources: Sequence[Lexicon]) -> tuple[Pronunciation, ...]:
    for source in sources:
        if word in source:
            return source[word]
    if "-" in word.strip("-"):
        parts = [_look_up(part, sources)[:2] for part in word.split("-") if part]
        return tuple(sum(choice, ()) for choice in product(*parts))
    if word.endswith(("'s", "s'")) and len(word) > 2:
        owner = _look_up(word[:-2] if word.endswith("'s") else word[:-1], sources)
        return tuple(add_s(ids) for ids in owner) if word.endswith("'s") else owner
    return ()
