"""Words that become known while a language model is in use: names, say, or words that are about to be needed.

Neither the tree nor the n-gram model is built again: added words stand in a small tree beside the large one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mode_ssm.errors import InputError
from mode_ssm.language.lexicon import Pronunciation
from mode_ssm.language.model import WordModel
from mode_ssm.language.trie import PrefixTree, graft, grow_tree


def add_words(
    model: WordModel, tree: PrefixTree, words: Mapping[str, Sequence[Pronunciation]], boost: float = 0.0
) -> tuple[WordModel, PrefixTree]:
    """The model and its tree with more words, or more pronunciations of words that they have.

    A word that the n-gram model lacks is worth, without context, as much as one of W equally likely words, W being the
    size of the lexicon: the probability of unknown words is shifted to that.

    Args:
        model: stays as it is, as does the tree.
        tree: of the model's lexicon.
        words: by name, each with its pronunciations in label ids; with none, a word of the lexicon keeps its own.
        boost: nats that each of the words gets besides its n-gram score; `lm_weight` applies to both.

    Raises:
        InputError: for a new word without a pronunciation, or a pronunciation that holds the blank or the boundary.
    """
    place = {name: index for index, name in enumerate(model.words)}
    new = [name for name in words if name not in place]
    place |= {name: len(place) + n for n, name in enumerate(new)}
    numbers = np.concatenate([model.numbers, np.array([model.ngrams.index(name) for name in new], np.int64)])
    bonus = np.concatenate([model.bonuses, np.zeros(len(new))])
    touched = np.array([place[name] for name in words], np.int64)
    scores = model.ngrams.unigrams[numbers[touched]]
    unknown = numbers[touched] == model.ngrams.unknown
    bonus[touched] = boost + np.where(unknown, -np.log(len(model.words)) - scores, 0.0)
    spellings = _spellings(model, words, place)
    larger = replace(
        model,
        words=(*model.words, *new),
        spellings=(*model.spellings, *spellings),
        numbers=numbers,
        bonus=bonus,
        most=max(model.most, boost),
    )
    return larger, graft(tree, grow_tree(spellings, larger.unigrams, model.labels))


def _spellings(
    model: WordModel, words: Mapping[str, Sequence[Pronunciation]], place: Mapping[str, int]
) -> list[tuple[int, tuple[int, ...]]]:
    boundary = model.labels.boundary
    assert boundary is not None
    own = {place[name] for name, pronunciations in words.items() if not pronunciations}
    found = [entry for entry in model.spellings if entry[0] in own] if own else []
    silent = {model.labels.blank, boundary}
    for name, pronunciations in words.items():
        if any(not ids or silent & {*ids} for ids in pronunciations) or not (pronunciations or name in model.words):
            raise InputError(f"'{name}' cannot be added so; give a new word its phonemes, without blank and boundary.")
        found += [(place[name], (*ids, boundary)) for ids in pronunciations]
    return found
