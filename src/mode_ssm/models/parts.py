"""Work in parts that fit the cache: what lies between two large tensors never becomes a third."""

from torch import Tensor

_CPU_ELEMENTS, _GPU_ELEMENTS = 1 << 19, 1 << 26


def parts(rows: Tensor, elements: int) -> list[slice]:
    """Cut the first axis of a tensor for work that makes so many elements of each row, at least a row at a time."""
    room = _CPU_ELEMENTS if rows.device.type == "cpu" else _GPU_ELEMENTS
    size = max(1, room // max(1, elements))
    return [slice(start, start + size) for start in range(0, len(rows), size)]
