"""The lexicon as a prefix tree in flat arrays, with the best word below each node known in advance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mode_ssm.language.model import WordModel
from mode_ssm.phonemes import NUM_CLASSES

ROOT = 0


@dataclass(frozen=True)
class PrefixTree:
    """Node 0 is the root; a word ends where its | does, at a node without children."""

    children: NDArray[np.int32]  # (nodes, V), -1 where no word goes on so
    best: NDArray[np.float64]  # (nodes,) highest unigram log-probability of the words below; 0 at the root
    words: dict[int, tuple[int, ...]]  # by the node in which they end


def build_tree(model: WordModel) -> PrefixTree:
    """Insert every spelling; memory is about 170 bytes a node."""
    size = 1 + sum(len(spelling) for _, spelling in model.spellings)
    children = np.full((size, NUM_CLASSES), -1, dtype=np.int32)
    best = np.full(size, -np.inf)
    words: dict[int, tuple[int, ...]] = {}
    nodes = 1
    for word, spelling in model.spellings:
        node = ROOT
        for label in spelling:
            if children[node, label] < 0:
                children[node, label] = nodes
                nodes += 1
            node = int(children[node, label])
            best[node] = max(best[node], model.unigrams[word])
        words[node] = (*words.get(node, ()), word)
    best[ROOT] = 0.0
    return PrefixTree(children[:nodes].copy(), best[:nodes].copy(), words)
