"""What hot words and phrases are worth to a word search.

Each time that a phrase is said, its boost is gained. A search cannot wait for the last word, so it gains a part of the
boost with each word and gives it back where the phrase breaks off: an automaton over words (Aho and Corasick 1975,
Efficient string matching) says how much of which phrase the last words are. A finished sentence has gained the boosts
of the phrases that are in it, overlapping ones too.
"""

from collections.abc import Mapping

import numpy as np

from mode_ssm.language.segments import Flags, Floats, Ints

_NOTHING = 0  # the state in which no phrase has begun
Phrase = tuple[int, ...]  # word numbers


class PhraseBoosts:
    """The automaton of phrases with their boosts in nats; one below 0 is taken where the phrase is whole.

    Attributes:
        states: how many there are; state 0 is that of the start.
        most: no word gains more.
    """

    def __init__(self, phrases: Mapping[Phrase, float], words: int) -> None:
        parents, lasts, ends = _grow(phrases)
        self.states = len(parents)
        self._words = words
        self._hot = np.zeros(words, np.bool_)
        self._hot[lasts[1:]] = True
        keys = parents[1:] * words + lasts[1:]
        order = np.argsort(keys)
        self._keys, self._children = keys[order], 1 + order
        self._fail = np.zeros(self.states, np.int64)
        self._whole, self._part = np.zeros(self.states), np.zeros(self.states)
        np.add.at(self._whole, ends, list(phrases.values()))
        self._share(phrases)
        for state in range(1, self.states):  # shorter ones have smaller numbers
            parent = parents[state]
            if parent != _NOTHING:
                self._fail[state] = self._step(self._fail[parent : parent + 1], lasts[state : state + 1])[0]
            self._whole[state] += self._whole[self._fail[state]]
            self._part[state] = max(self._part[state], self._part[self._fail[state]])
        self.most = float(np.max(self._whole + self._part - self._part[parents]))

    def _share(self, phrases: Mapping[Phrase, float]) -> None:
        """How much of a boost is gained before a phrase is whole: as much as of its words."""
        for phrase, boost in phrases.items():
            state = np.zeros(1, np.int64)
            for place, word in enumerate(phrase[:-1], start=1):
                state = self._child(state, np.array([word]))
                self._part[state] = np.maximum(self._part[state], boost * place / len(phrase))

    def _child(self, states: Ints, words: Ints) -> Ints:
        """The states one word further in the same phrase, or -1."""
        sought = states * self._words + words
        place = np.minimum(np.searchsorted(self._keys, sought), len(self._keys) - 1)
        return np.where(self._keys[place] == sought, self._children[place], -1)

    def _step(self, states: Ints, words: Ints) -> Ints:
        """The longest beginning of a phrase that the last words are, one word later."""
        after = np.zeros(len(states), np.int64)
        rows = np.flatnonzero(self._hot[words])
        tried = states[rows]
        while len(rows):
            child = self._child(tried, words[rows])
            after[rows] = np.maximum(child, _NOTHING)
            more: Flags = (child < 0) & (tried != _NOTHING)
            rows, tried = rows[more], self._fail[tried[more]]
        return after

    def score(self, states: Ints, words: Ints) -> tuple[Ints, Floats]:
        """The states after words, and what is gained; all (N,)."""
        after = self._step(states, words)
        return after, self._whole[after] + self._part[after] - self._part[states]

    def finish(self, states: Ints) -> Floats:
        """(N,) what is given back where the sentence ends."""
        return -self._part[states]

    def first(self) -> Floats:
        """(words,) what each word gains where no phrase has begun."""
        gains = np.zeros(self._words)
        hot = np.flatnonzero(self._hot)
        gains[hot] = self.score(np.zeros(len(hot), np.int64), hot)[1]
        return gains


def _grow(phrases: Mapping[Phrase, float]) -> tuple[Ints, Ints, Ints]:
    """The prefixes of all phrases, shorter ones first: of each its parent and last word; and each phrase's own."""
    prefixes = sorted({phrase[:size] for phrase in phrases for size in range(1, len(phrase) + 1)}, key=len)
    number = {(): _NOTHING} | {prefix: place for place, prefix in enumerate(prefixes, start=1)}
    parents = np.array([_NOTHING, *(number[prefix[:-1]] for prefix in prefixes)])
    lasts = np.array([0, *(prefix[-1] for prefix in prefixes)])
    return parents, lasts, np.array([number[phrase] for phrase in phrases], np.int64)
