"""What a page must know first: the channels by array, the names of classes, and what may be asked."""

from collections.abc import Sequence
from typing import NamedTuple

from mode_ssm.simulation.implant import ARRAY_ELECTRODES, ARRAYS, ELECTRODES

_KINDS = ("threshold crossings", "spike-band power")  # T15's features, of all electrodes each
T15_CHANNELS = len(_KINDS) * ELECTRODES
_BLOCK = 64  # channels drawn together where nothing is known of arrays


class Panel(NamedTuple):
    """Channels that are drawn together."""

    name: str
    channels: list[int]  # as the network numbers them


class View(NamedTuple):
    symbols: Sequence[str]  # of the classes
    panels: list[Panel]
    button: bool  # whether the page says when someone speaks


def panels_of(kept: Sequence[int]) -> list[Panel]:
    """By feature and array, of a network that reads these of T15's 512 channels, in this order.

    >>> [(panel.name, len(panel.channels)) for panel in panels_of(range(60, 70))]
    [('ventral 6v, threshold crossings', 4), ('area 4, threshold crossings', 6)]
    """
    names = [f"{array.name}, {kind}" for kind in _KINDS for array in ARRAYS]
    panels = [Panel(name, []) for name in names]
    for channel, original in enumerate(kept):
        panels[original // ARRAY_ELECTRODES].channels.append(channel)
    return [panel for panel in panels if panel.channels]


def blocks_of(channels: int) -> list[Panel]:
    """In blocks, of a network that reads something else.

    >>> [panel.name for panel in blocks_of(100)]
    ['channels 0 to 63', 'channels 64 to 99']
    """
    starts = range(0, channels, _BLOCK)
    blocks = [list(range(start, min(start + _BLOCK, channels))) for start in starts]
    return [Panel(f"channels {block[0]} to {block[-1]}", block) for block in blocks]
