"""The most recently used of what is costly to open or to hold."""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """At most `most` values of this process; a copy in another one, by fork or by pickle, starts with none.

    >>> kept = Recent[int, str](2)
    >>> [kept.get(number, str) for number in (1, 2, 1, 3)], list(kept)
    (['1', '2', '1', '3'], [1, 3])
    """

    def __init__(self, most: int) -> None:
        self._most, self._process = most, os.getpid()
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __reduce__(self) -> tuple[type["Recent[Key, Value]"], tuple[int]]:
        return Recent, (self._most,)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._values)

    def get(self, key: Key, make: Callable[[Key], Value]) -> Value:
        if self._process != os.getpid():
            self._process, self._values = os.getpid(), OrderedDict()
        if key not in self._values:
            while len(self._values) >= self._most:  # before another one takes its memory
                self._values.popitem(last=False)
            self._values[key] = make(key)
        self._values.move_to_end(key)
        return self._values[key]
