"""Words and hot phrases that become known while a language model is in use: names, say, or what is about to be said.

Neither the tree nor the n-gram model is built again: added words stand in a small tree beside the large one.
"""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mode_ssm.errors import InputError
from mode_ssm.language.model import Additions, WordModel
from mode_ssm.language.phrase_boosts import PhraseBoosts
from mode_ssm.language.trie import PrefixTree, Spelling, graft, grow_tree, raise_best


def add_words(model: WordModel, tree: PrefixTree, additions: Additions) -> tuple[WordModel, PrefixTree]:
    """The model and its tree with more words, or more pronunciations of words that they have, and with hot phrases.

    Args:
        model: stays as it is, as does the tree; it has no hot phrases yet.
        tree: of the model's lexicon.
        additions: see `extend_model`.

    Raises:
        InputError: as `extend_model`.
    """
    larger = extend_model(model, additions)
    new = larger.spellings[len(model.spellings) :]
    if new:
        tree = graft(tree, grow_tree(new, larger.unigrams, model.labels))
    hot = {phrase[0] for phrase in additions.phrases}
    own = model.spellings_of([model.places[word] for word in hot if word in model.places])
    found = own + [spelling for spelling in new if larger.words[spelling[0]] in hot]
    return larger, raise_best(tree, found, larger.unigrams) if found else tree


def extend_model(model: WordModel, additions: Additions) -> WordModel:
    """The model alone, of which `build_tree` makes the tree anew.

    A word that the n-gram model lacks is worth, without context, as much as one of W equally likely words, W being the
    size of the lexicon: the probability of unknown words is shifted to that.

    Raises:
        InputError: for a pronunciation that holds the blank or the boundary, a new word without one, or a phrase with a
            word that is neither in the model nor added.
    """
    new = [name for name in additions.words if name not in model.places]
    place = ChainMap({name: len(model.words) + n for n, name in enumerate(new)}, model.places)
    numbers = np.concatenate([model.numbers, np.array([model.ngrams.index(name) for name in new], np.int64)])
    bonus = np.concatenate([model.bonuses, np.zeros(len(new))])
    touched = np.array([place[name] for name in additions.words], np.int64)
    unknown = touched[numbers[touched] == model.ngrams.unknown]
    bonus[unknown] = -np.log(len(model.words)) - model.ngrams.unigrams[model.ngrams.unknown]
    return replace(
        model,
        words=(*model.words, *new),
        spellings=(*model.spellings, *_new_spellings(model, additions, place)),
        numbers=numbers,
        bonus=bonus,
        additions=additions,
        boosts=_boosts(additions.phrases, place),
    )


def _new_spellings(model: WordModel, additions: Additions, place: Mapping[str, int]) -> list[Spelling]:
    """Those that the model does not have."""
    boundary = model.labels.boundary
    assert boundary is not None
    touched = {place[name] for name in additions.words}
    had = set(model.spellings_of(sorted(touched)))
    silent = {model.labels.blank, boundary}
    found: dict[Spelling, None] = {}
    for name, pronunciations in additions.words.items():
        if any(not ids or silent & {*ids} for ids in pronunciations) or not (pronunciations or name in model.places):
            raise InputError(f"'{name}' cannot be added so; give a new word its phonemes, without blank and boundary.")
        found |= dict.fromkeys((place[name], (*ids, boundary)) for ids in pronunciations)
    return [entry for entry in found if entry not in had]


def _boosts(phrases: Mapping[tuple[str, ...], float], place: Mapping[str, int]) -> PhraseBoosts | None:
    unknown = [word for phrase in phrases for word in phrase if word not in place]
    if unknown:
        raise InputError(f"'{unknown[0]}' of a hot phrase is not in the lexicon; add it with its phonemes.")
    if not phrases:
        return None
    return PhraseBoosts({tuple(place[w] for w in phrase): boost for phrase, boost in phrases.items()}, len(place))
