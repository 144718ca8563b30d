"""The electrode arrays of a participant: where they lie, and how many electrodes each has."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

ELECTRODES = 256  # of T15
ARRAY_ELECTRODES = 64


@dataclass(frozen=True)
class ArrayDesign:
    """An array of electrodes in one area."""

    name: str
    strength: float  # of its tuning
    density: float  # share of articulators and velocities that an electrode answers to
    lead_frames: int  # of the activity over the movement, in the middle of the array; one less and more at its ends


ARRAYS = (
    ArrayDesign("ventral 6v", strength=1.3, density=0.5, lead_frames=5),
    ArrayDesign("area 4", strength=1.2, density=0.35, lead_frames=3),
    ArrayDesign("55b", strength=0.7, density=0.3, lead_frames=7),
    ArrayDesign("dorsal 6v", strength=0.8, density=0.35, lead_frames=6),
)


@dataclass(frozen=True)
class Implant:
    """Arrays of so many electrodes each; an electrode gives two channels."""

    arrays: tuple[ArrayDesign, ...] = ARRAYS
    array_electrodes: int = ARRAY_ELECTRODES

    @property
    def electrodes(self) -> int:
        return self.array_electrodes * len(self.arrays)

    @property
    def channels(self) -> int:
        """Crossings, then power."""
        return 2 * self.electrodes

    @property
    def spread_frames(self) -> NDArray[np.int64]:
        """(electrodes,) by which each leads more or less than the middle of its array."""
        return np.tile(np.arange(self.array_electrodes) * 3 // self.array_electrodes - 1, len(self.arrays))

    def per_electrode(self, field: str) -> FloatArray:
        """(electrodes,) a value of each one's array."""
        return np.repeat([getattr(array, field) for array in self.arrays], self.array_electrodes).astype(np.float32)


T15_IMPLANT = Implant()
