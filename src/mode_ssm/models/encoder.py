"""What an encoder is: patches (B, S', P) in, encoder frames (B, S, D) out, whole trials or a frame at a time."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from mode_ssm.config import EncoderConfig
from mode_ssm.errors import InputError

Frames = TypeVar("Frames", int, Tensor)


class Encoder(nn.Module, ABC):
    """The base of all encoders; one that gives fewer frames than it reads says so in `stride` and `output_lengths`.

    Args:
        config: the settings of its kind.
        input_width: P, of the patches; None = as wide as the encoder.

    Raises:
        InputError: for patches of a width that it cannot read.
    """

    reads_any_width: ClassVar[bool] = False

    def __init__(self, config: EncoderConfig, input_width: int | None = None) -> None:
        super().__init__()
        self.config: Any = config  # of the kind's own class
        if not self.reads_any_width and input_width not in (None, config.width):
            raise InputError(
                f"The encoder is {config.width} wide and the patches {input_width}, and encoder={config.kind} reads "
                "frames of its own width; set preprocessor.projection=true, or encoder=gru, which reads any width."
            )

    @classmethod
    def stride(cls, config: Any) -> int:  # noqa: ARG003
        """Patches from the beginning of one encoder frame to that of the next."""
        return 1

    @classmethod
    def output_lengths(cls, config: Any, patches: Frames) -> Frames:  # noqa: ARG003
        """How many encoder frames so many patches give."""
        return patches

    @abstractmethod
    def forward(self, patches: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, S', P) patches of trials with (B,) lengths to (B, S, D) frames and their lengths.

        What comes out of padding means nothing, and changes nothing that does not.
        """

    @abstractmethod
    def initial_state(self, trials: int) -> Any:
        """What a causal encoder knows before the first patch, opaque to others."""

    @abstractmethod
    def step(self, patch: Tensor, state: Any) -> tuple[Tensor | None, Any]:
        """Read the next patch (B, P) of each trial, in eval mode: the encoder frame (B, D) that it ends, if any."""
