"""A part of many, evenly spread over the whole."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def spread(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most so many of the items, evenly spread and in their order; None = all."""
    count = len(items) if most is None else min(most, len(items))
    return [items[i * len(items) // count] for i in range(count)]
