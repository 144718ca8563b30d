"""Streaming: features come in, in pieces of any size, and encoder frames go out as soon as they can be known."""

import copy

import torch
from torch import Tensor, nn

from mode_ssm.config import Direction, Smoothing
from mode_ssm.errors import InputError
from mode_ssm.models.encoder import Encoder
from mode_ssm.models.folded_layer import FoldedLayer
from mode_ssm.models.int8 import pack
from mode_ssm.models.model import ModeSSM
from mode_ssm.models.preprocessor import count_patches
from mode_ssm.models.ssm_layer import SSMLayer


class EncoderStream:
    """Trials on their way through a causal network, one after another.

    However a trial is cut into pieces, the frames that come out are those of `ModeSSM.encode` for the whole trial. An
    encoder frame comes with the last feature frame that it is made of.

    Args:
        model: a network with a causal encoder and, if it smooths, causal smoothing; in eval mode. The stream has a copy
            of its encoder as it is now.
        session_index: the first trial's session; -1 for one that the model has not seen.
        person: whose it is, of the participants who have maps.
        int8: weights of 8 bits in its copy of the large projections, whose frames are then close to those of the model
            and no longer equal, on a CPU.

    Raises:
        InputError: when the network needs the future, or its encoder has no projections to pack.
    """

    def __init__(self, model: ModeSSM, session_index: int = -1, *, person: int = 0, int8: bool = False) -> None:
        _require_causal(model)
        self._preprocessor = copy.deepcopy(model.preprocessor) if int8 else model.preprocessor
        self._encoder = _for_single_frames(model.encoder)
        if int8:
            pack(self._preprocessor)
            pack(self._encoder)
        self._device = model.ctc_head.weight.device
        self.start(session_index, person)

    def start(self, session_index: int, person: int = 0) -> None:
        """Begin a new trial."""
        device, width = self._device, self._preprocessor.config.num_channels
        maps, session = self._preprocessor.participants, self._preprocessor.session
        self._person, self._channels = person, width if maps is None else maps.channels[person]
        self._session = None if session is None else session.map_of(session_index)
        self._waiting: list[Tensor] = []  # pieces that complete no patch yet
        self._recent = torch.zeros(0, self._channels, device=device)  # unsmoothed frames that smoothing still looks at
        self._patch = torch.zeros(0, width, device=device)  # corrected frames that the next patches need
        self._ahead = 0  # frames to drop before the next patch, where the stride is longer than the patch
        self._state = self._encoder.initial_state(1)

    def forget(self) -> None:
        """Begin the encoder's state anew where it stands; frames that a patch still needs stay."""
        self._state = self._encoder.initial_state(1)

    @torch.inference_mode()
    def extend(self, features: Tensor) -> Tensor:
        """Take the next (t, C) features, or one frame (C,), and give the (s, D) encoder frames that they complete.

        Raises:
            InputError: when the features have another number of channels.
        """
        channels = self._channels
        if features.shape[-1] != channels or features.dim() not in (1, 2):
            raise InputError(
                f"A piece of features has the shape {tuple(features.shape)} but the model expects (t, {channels}) or "
                f"({channels},); give feature frames of {channels} channels."
            )
        self._waiting.append(features.reshape(-1, channels).to(self._recent, copy=True))
        out = [self._recent.new_zeros(0, self._encoder.config.width)]
        if sum(map(len, self._waiting)) < self._ahead + self._preprocessor.config.patch_frames - len(self._patch):
            return out[0]
        patches = self._patches(self._corrected(torch.cat(self._waiting)))
        self._waiting.clear()
        for s in range(len(patches)):
            encoded, self._state = self._encoder.step(patches[s : s + 1], self._state)
            if encoded is not None:
                out.append(encoded)
        return torch.cat(out)

    def _corrected(self, piece: Tensor) -> Tensor:
        smoothing = self._preprocessor.smoothing
        if smoothing is not None:
            known = torch.cat([self._recent, piece])
            self._recent = known[max(0, len(known) - smoothing.past) :]
            piece = smoothing.last(known, len(piece))
        return self._preprocessor.correct(piece[None], self._session, (self._person,))[0]

    def _patches(self, corrected: Tensor) -> Tensor:
        known = torch.cat([self._patch, corrected])
        skipped = min(self._ahead, len(known))
        known = known[skipped:]
        complete = count_patches(self._preprocessor.config, len(known))
        used = complete * self._preprocessor.config.stride_frames
        self._ahead += max(0, used - len(known)) - skipped
        self._patch = known[used:]
        return self._preprocessor.project(known[None])[0]


def _for_single_frames(encoder: Encoder) -> Encoder:
    """A copy with folded state-space layers, whose wider projections lie in memory by column, where a product with one
    frame reads them faster.
    """
    encoder = copy.deepcopy(encoder)
    for name, module in [*encoder.named_modules()]:
        if isinstance(module, SSMLayer):
            encoder.set_submodule(name, FoldedLayer(module))
    for module in encoder.modules():
        if isinstance(module, nn.Linear) and module.out_features > module.in_features:
            module.weight = nn.Parameter(module.weight.detach().t().contiguous().t())
    return encoder


def _require_causal(model: ModeSSM) -> None:
    direction, preprocessor = model.encoder.config.direction, model.preprocessor.config
    if direction is not Direction.causal:
        raise InputError(
            f"Streaming needs a causal encoder but this one is {direction}; train with encoder.direction=causal."
        )
    if preprocessor.smoothing is not Smoothing.causal and preprocessor.smoothing_sd_frames > 0:
        raise InputError(
            f"Streaming needs causal smoothing but this model's is {preprocessor.smoothing}; train with "
            "preprocessor.smoothing=causal."
        )
    if model.training:
        raise InputError("Streaming needs a model in eval mode; call model.eval() first.")
