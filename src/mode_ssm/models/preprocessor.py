"""From recorded features to encoder frames: smoothing, the session's correction, and patches of several frames."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mode_ssm.batch import length_mask
from mode_ssm.config import Normalisation, ParticipantMap, PreprocessorConfig, SessionLayer
from mode_ssm.models.convolution import cut_patches, project_patches
from mode_ssm.models.encoder import Frames
from mode_ssm.models.masking import random_runs
from mode_ssm.models.participant_map import ParticipantMaps
from mode_ssm.models.pointwise import Dropout, softsign
from mode_ssm.models.session_layer import SessionTransform
from mode_ssm.models.smoothing import GaussianSmoothing


def count_patches(config: PreprocessorConfig, frames: Frames) -> Frames:
    """How many whole patches so many feature frames give.

    >>> count_patches(PreprocessorConfig(patch_frames=14, stride_frames=4), 891)
    220
    """
    whole = (frames - config.patch_frames) // config.stride_frames + 1
    return whole.clamp(min=0) if isinstance(whole, Tensor) else max(whole, 0)


class Preprocessor(nn.Module):
    """Smooth, correct for the session, squash, cut into overlapping patches, and project to the model's width.

    Smoothing comes first: it is linear, as the session's map is, and so needs no gradient. Patch s holds the
    feature frames s * stride ... s * stride + patch - 1; a patch that reaches into padding is not made. Features come
    normalised: where that is done by the trials before, the `reference` of a new day is kept here.

    Where each participant has a map, it comes after the smoothing, and what follows reads `num_channels` features of
    its making. The softsign is its last step; there is a second one after the session's correction.

    Args:
        channels: of each participant, for their maps.
    """

    reference: Tensor

    def __init__(
        self,
        config: PreprocessorConfig,
        *,
        num_sessions: int,
        width: int,
        plain: bool = False,
        channels: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.config, self.plain = config, plain
        self.smoothing = (
            GaussianSmoothing(config.smoothing, config.smoothing_sd_frames) if config.smoothing_sd_frames > 0 else None
        )
        self.participants = (
            None
            if config.participant_map is ParticipantMap.none
            else ParticipantMaps(channels, config.num_channels, plain=plain)
        )
        self.session = (
            None
            if config.session_layer is SessionLayer.none
            else SessionTransform(
                config.session_layer,
                num_sessions=num_sessions,
                channels=config.num_channels,
                rank=config.session_rank,
            )
        )
        if config.normalisation is Normalisation.running:  # mean and variance with which a day after training begins
            shape = (2, config.num_channels) if self.participants is None else (len(channels), 2, max(channels))
            self.register_buffer("reference", torch.zeros(shape, dtype=torch.float64))
        patch = config.patch_frames * config.num_channels
        self.width = width if config.projection else patch  # of the frames
        self.patch_norm = nn.LayerNorm(patch) if config.patch_norm else None
        self.patches = nn.Linear(patch, width) if config.projection else None
        self.norm = nn.LayerNorm(width) if config.projection else None
        self.dropout = Dropout(config.dropout, plain=plain)

    def forward(
        self,
        features: Tensor,
        frame_lengths: Tensor,
        session_index: Tensor,
        *,
        new_sessions: bool = True,
        people: Sequence[int] = (),
    ) -> tuple[Tensor, Tensor]:
        """Turn (B, T, C) features into (B, S, D) frames and their (B,) lengths; what lies in padding never matters.

        `people` says whose each trial is, where participants have maps.
        """
        mask = length_mask(frame_lengths, features.shape[1])
        features = features.masked_fill(~mask[..., None], 0.0)
        if self.smoothing is not None:
            features = self.smoothing(features, mask)
        session = None
        if self.session is not None:
            session = partial(self.session, session_index=session_index, new_sessions=new_sessions)
        features = self.correct(features, session, people)
        lengths = count_patches(self.config, frame_lengths)
        if self.patches is None:
            features = self.dropout(features)
        return self.project(features, self._hidden(lengths, features.shape[1])), lengths

    def correct(self, features: Tensor, session: Callable[[Tensor], Tensor] | None, people: Sequence[int]) -> Tensor:
        """Apply the participant's map, that of the session and the softsign to (B, T, C) features, frame by frame."""
        if self.participants is not None:
            features = self.participants(features, people)
            if session is None:
                return features
        if session is not None:
            features = session(features)
        return softsign(features, plain=self.plain) if self.config.softsign else features

    def project(self, features: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Turn (B, T, C) corrected features into (B, S, D) frames; patches where (B, S) `hidden` is true are 0."""
        if features.shape[1] < self.config.patch_frames:
            return features.new_zeros(features.shape[0], 0, self.width)
        patch, stride = self.config.patch_frames, self.config.stride_frames
        several = features.shape[1] >= patch + stride  # patches, of which a convolution spares the copy
        if several and isinstance(self.patches, nn.Linear) and self.patch_norm is None:
            weight, bias = self.patches.weight, self.patches.bias
            frames = project_patches(features, weight, bias, patch=patch, stride=stride)
            if hidden is not None:
                frames = torch.where(hidden[..., None], bias.to(frames.dtype), frames)
        else:
            frames = cut_patches(features, patch=patch, stride=stride)
            frames = frames if hidden is None else frames.masked_fill(hidden[..., None], 0.0)
            frames = frames if self.patch_norm is None else self.patch_norm(frames)
            frames = frames if self.patches is None else self.patches(frames)
        return frames if self.norm is None else self.dropout(self.norm(frames))

    def _hidden(self, lengths: Tensor, frames: int) -> Tensor | None:
        """Which patches of a padded batch of `frames` feature frames to hide, (B, S)."""
        if not self.training or self.config.patch_masks == 0:
            return None
        count, fraction = self.config.patch_masks, self.config.patch_mask_max_fraction
        return random_runs(lengths, count_patches(self.config, frames), count=count, max_fraction=fraction)
