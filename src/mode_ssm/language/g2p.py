"""A guess at how a word sounds, learnt from a dictionary: joint n-grams of letters and what they stand for.

Bisani and Ney 2008, Joint-sequence models for grapheme-to-phoneme conversion: a graphone is a letter with the labels
that it stands for; an n-gram model of graphones is estimated from the aligned dictionary, as one of words is from text,
and a beam search finds the likeliest graphones of a word's letters.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mode_ssm.labels import Labels
from mode_ssm.language.corpus import FIRST
from mode_ssm.language.graphones import MOST, Floats, Ints, align
from mode_ssm.language.lexicon import Lexicon, Pronunciation
from mode_ssm.language.ngram import estimate
from mode_ssm.language.ngram_store import NGramStore

ORDER = 8  # graphones of an n-gram
LEAST_WORDS = 5000  # a smaller dictionary teaches less than the rules know
_BEAM = 8  # hypotheses of a word
_LEAST_SHARE = 5e-4  # of a letter's graphones: rarer ones are not tried
_CHUNK = 1000  # words that are searched side by side


class _Beam(NamedTuple):
    """H hypotheses of the words of a chunk, after the same number of letters."""

    words: Ints
    states: Ints
    scores: Floats
    parents: Ints  # row of the beam before
    graphones: Ints


class LearntSpelling:
    """Learns from a lexicon, then guesses; letters that the lexicon never has are silent."""

    def __init__(self, lexicon: Lexicon, labels: Labels) -> None:
        self._width = len(labels)
        self._letters = {letter: number for number, letter in enumerate(sorted(set("".join(lexicon))))}
        self.num_words = len(lexicon)
        pairs = [
            ([self._letters[letter] for letter in word], ids)
            for word, variants in lexicon.items()
            for ids in variants
            if len(ids) <= MOST * len(word)
        ]
        units = align(pairs, len(self._letters), self._width)
        base = 1 + self._width + self._width**2
        joint = [np.array(letters) * base + found for (letters, _), found in zip(pairs, units, strict=True)]
        self._graphones, numbers = np.unique(np.concatenate(joint), return_inverse=True)
        tokens = np.insert(numbers + len(FIRST), np.cumsum([0, *map(len, joint)]), -1)
        self._ngrams = NGramStore.of(
            estimate(_with_ends(tokens), (*FIRST, *map(str, self._graphones)), min(ORDER, max(map(len, joint)) + 2))
        )
        self._units = self._graphones % base
        self._options = self._frequent(numbers, self._graphones // base)

    def _frequent(self, numbers: Ints, letters: Ints) -> Ints:
        """(letters, most) the graphones worth trying for each letter, filled up with -1."""
        counts = np.bincount(numbers)
        shares = counts / np.bincount(letters, counts)[letters]
        kept = defaultdict(list)
        for number in np.flatnonzero(shares >= _LEAST_SHARE):
            kept[int(letters[number])].append(int(number))
        table = np.full((len(self._letters), max(map(len, kept.values()))), -1)
        for letter, found in kept.items():
            table[letter, : len(found)] = found
        return table

    def guess(self, words: Sequence[str]) -> list[Pronunciation]:
        """The likeliest labels of each word; none where no letter is known, or all are silent."""
        spelt = [[self._letters[letter] for letter in word.lower() if letter in self._letters] for word in words]
        found: list[Pronunciation] = [()] * len(words)
        by_length = defaultdict(list)
        for place, letters in enumerate(spelt):
            by_length[len(letters)].append(place)
        by_length.pop(0, None)
        for places in by_length.values():
            for start in range(0, len(places), _CHUNK):
                chunk = places[start : start + _CHUNK]
                for place, ids in zip(chunk, self._search(np.array([spelt[p] for p in chunk])), strict=True):
                    found[place] = ids
        return found

    def _search(self, letters: Ints) -> Iterator[Pronunciation]:
        """The best graphones of words (N, L) of one length."""
        words = np.arange(len(letters))
        start = np.full(len(letters), self._ngrams.start)
        beams = [_Beam(words, start, np.zeros(len(letters)), words, words)]
        for column in letters.T:
            beams.append(self._extend(beams[-1], column))
        last = beams[-1]
        scores = last.scores + self._ngrams.finish(last.states)
        ranks = np.lexsort((-scores, last.words))
        rows = ranks[_first_of_each(last.words[ranks])]
        chosen = []
        for beam in beams[:0:-1]:
            chosen.append(self._units[beam.graphones[rows]])
            rows = beam.parents[rows]
        return (self._labels_of(units) for units in np.array(chosen[::-1]).T)

    def _extend(self, beam: _Beam, letters: Ints) -> _Beam:
        options = self._options[letters[beam.words]]
        parents, columns = np.nonzero(options >= 0)
        graphones = options[parents, columns]
        states, gained = self._ngrams.score(beam.states[parents], graphones + len(FIRST))
        scores, words = beam.scores[parents] + gained, beam.words[parents]
        ranks = np.lexsort((-scores, states, words))  # of hypotheses with one future, the best
        ranks = ranks[_first_of_each(words[ranks] * (int(states.max()) + 1) + states[ranks])]
        ranks = ranks[np.lexsort((-scores[ranks], words[ranks]))]
        firsts = np.flatnonzero(_first_of_each(words[ranks]))
        places = np.arange(len(ranks)) - np.repeat(firsts, np.diff(firsts, append=len(ranks)))
        kept = ranks[places < _BEAM]
        return _Beam(words[kept], states[kept], scores[kept], parents[kept], graphones[kept])

    def _labels_of(self, units: Ints) -> Pronunciation:
        ids: list[int] = []
        for unit in units.tolist():
            if unit > self._width:
                ids += divmod(unit - 1 - self._width, self._width)
            elif unit:
                ids.append(unit - 1)
        return tuple(ids)


def _first_of_each(ordered: Ints) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return np.concatenate(([True], ordered[1:] != ordered[:-1]))


def _with_ends(tokens: Ints) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
    """Each -1 becomes the end of a word and the start of the next."""
    marks = np.flatnonzero(tokens == -1)
    whole = np.insert(tokens, marks[1:-1], -1)
    marks = np.flatnonzero(whole == -1)
    whole[marks[::2]], whole[marks[1::2]] = 0, 1
    return whole.astype(np.int32)
