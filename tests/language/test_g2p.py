"""Pronunciations learnt from a dictionary: alignments beside enumeration, and words that were held out."""

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.labels import T15, Labels
from mode_ssm.language.g2p import LearntSpelling
from mode_ssm.language.graphones import _best, _expected_counts, pad_pairs
from mode_ssm.language.lexicon import Lexicon, read_lexicon
from mode_ssm.language.pronunciation import pronounce_words

DICTIONARY = Path(__file__).parents[3] / "shared" / "text" / "cmudict-en-us.dict"
TOY = Labels(("_", "A", "B", "K", "S", "|"), blank=0, boundary=5)
SOUNDS = {"a": (1,), "b": (2,), "x": (3, 4), "h": ()}


def toy(words: list[str]) -> Lexicon:
    """A language in which x is K S and h is silent."""
    return {word: (tuple(label for letter in word for label in SOUNDS[letter]),) for word in words}


def test_expected_counts_and_the_best_alignment_equal_enumeration() -> None:
    width, rng = 3, np.random.default_rng(0)
    table = rng.dirichlet(np.ones(1 + width + width**2), size=2)
    pairs = [([0, 1, 1], [2, 0, 1, 1]), ([1], [0]), ([0, 1], [1])]
    expected, best = np.zeros_like(table), []
    for letters, labels in pairs:
        found = []
        for sizes in product(range(3), repeat=len(letters)):
            if sum(sizes) == len(labels):
                ends = np.cumsum((0, *sizes))
                parts = [labels[start:end] for start, end in pairwise(ends)]
                units = [
                    0 if not part else 1 + part[0] if len(part) == 1 else 1 + width + part[0] * width + part[1]
                    for part in parts
                ]
                found.append((np.prod([table[a, u] for a, u in zip(letters, units, strict=True)]), units))
        whole = sum(weight for weight, _ in found)
        for weight, units in found:
            for letter, unit in zip(letters, units, strict=True):
                expected[letter, unit] += weight / whole
        best.append(max(found)[1])
    padded = pad_pairs(pairs)
    np.testing.assert_allclose(_expected_counts(padded, table, width), expected)
    assert [units.tolist() for units in _best(padded, table, width)] == best


def test_a_language_with_rules_is_learnt() -> None:
    words = ["".join(letters) for size in (2, 3, 4) for letters in product("abxh", repeat=size)]
    lexicon = {word: said for word, said in toy(words).items() if said[0]}
    held_out = [word for word in lexicon if len(word) == 4][::5]
    learnt = LearntSpelling({word: said for word, said in lexicon.items() if word not in held_out}, TOY)
    assert learnt.guess(held_out) == [lexicon[word][0] for word in held_out]
    assert learnt.guess(["", "zzz", "zab", "AB"]) == [(), (), (1, 2), (1, 2)]


def test_a_small_dictionary_leaves_guesses_to_the_rules() -> None:
    found = pronounce_words(["zorp"], [{}], T15, {"a": ((3,),)})
    assert found.guessed_by == "rules"
    assert T15.text(found.lexicon["zorp"][0]) == "Z AO R P"


@pytest.mark.skipif(not DICTIONARY.is_file(), reason="the dictionary is not at ../shared/text")
def test_a_learnt_guess_beats_the_rules_on_held_out_words() -> None:
    lexicon = read_lexicon(DICTIONARY)
    words = [word for word in lexicon if word.isalpha()]
    np.random.default_rng(0).shuffle(words)
    dictionary = {word: lexicon[word] for word in words[300:6300]}
    learnt = pronounce_words(words[:300], [{}], T15, dictionary)
    rules = pronounce_words(words[:300], [{}], T15)
    assert "learnt from 6000 words" in learnt.guessed_by
    right = [sum(found.lexicon[word][0] in lexicon[word] for word in words[:300]) for found in (learnt, rules)]
    assert right[0] > 1.3 * right[1]
    assert right[0] > 0.4 * 300
