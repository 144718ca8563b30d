"""Sentences as a tree of tokens, so that what many of them begin with goes through a model once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class TokenTree(NamedTuple):
    """L nodes, parents first; several roots are possible."""

    tokens: list[int]  # (L,)
    parents: list[int]  # (L,) -1 for a root
    depths: list[int]  # (L,) 0 for a root
    paths: list[list[int]]  # of each row its nodes

    def ancestors(self) -> Tensor:
        """(L, L) whether a node is another's ancestor, or the node itself."""
        found = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                found[node] |= found[parent]
        return found


def grow(rows: Sequence[Sequence[int]]) -> TokenTree:
    """The tree of some rows of tokens.

    >>> grow([[5, 6], [5, 7]])
    TokenTree(tokens=[5, 6, 7], parents=[-1, 0, 0], depths=[0, 1, 1], paths=[[0, 1], [0, 2]])
    """
    tree, known = TokenTree([], [], [], []), dict[tuple[int, int], int]()
    for row in rows:
        node, path = -1, []
        for depth, token in enumerate(row):
            parent, node = node, known.setdefault((node, token), len(tree.tokens))
            if node == len(tree.tokens):
                tree.tokens.append(token)
                tree.parents.append(parent)
                tree.depths.append(depth)
            path.append(node)
        tree.paths.append(path)
    return tree
