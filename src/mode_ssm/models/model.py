"""The whole network: features (B, T, C) -> preprocessor -> encoder -> CTC head, and predictor + joiner."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mode_ssm.batch import FRAME_MS, Batch
from mode_ssm.config import ModelConfig, NoJoinerConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import T15, Labels
from mode_ssm.models.encoder import Frames
from mode_ssm.models.joiner import Joiner
from mode_ssm.models.kinds import build_encoder, build_joiner, build_predictor, encoder_class
from mode_ssm.models.predictor import Predictor, State
from mode_ssm.models.preprocessor import Preprocessor, count_patches
from mode_ssm.t15.sessions import participant_of


def encoder_frames(config: ModelConfig, frames: Frames) -> Frames:
    """S, how many encoder frames T feature frames give; the one formula, of numbers or of tensors of lengths.

    >>> from mode_ssm.config import SSMEncoderConfig
    >>> encoder_frames(ModelConfig(encoder=SSMEncoderConfig()), 891)
    220
    """
    return encoder_class(config.encoder).output_lengths(config.encoder, count_patches(config.preprocessor, frames))


def encoder_frame_ms(config: ModelConfig) -> float:
    """From one encoder frame to the next."""
    return FRAME_MS * config.preprocessor.stride_frames * encoder_class(config.encoder).stride(config.encoder)


def first_middle_ms(config: ModelConfig) -> float:
    """The middle of the patches that the first encoder frame is made of."""
    patches, preprocessor = encoder_class(config.encoder).stride(config.encoder), config.preprocessor
    return FRAME_MS * (preprocessor.patch_frames + (patches - 1) * preprocessor.stride_frames) / 2


class Encoded(NamedTuple):
    frames: Tensor  # (B, S, D)
    lengths: Tensor  # (B,)


class TransducerInputs(NamedTuple):
    """The two sides of the joiner, projected to its width J."""

    encoder: Tensor  # (B, S, J)
    predictor: Tensor  # (B, U+1, J)


class Transducer(NamedTuple):
    predictor: Predictor
    joiner: Joiner


class ModeSSM(nn.Module):
    """A brain-to-text network with two heads over one encoder; of the CTC head alone where `joiner` is none.

    Args:
        config: sizes and kinds of the parts.
        num_sessions: sessions with parameters of their own; index -1 stands for any other.
        labels: the classes of both heads, and which of them is the blank.
        participants: with a map of their own, and how many channels each has.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_sessions: int,
        labels: Labels = T15,
        participants: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.config, self.labels = config, labels
        self.participants = dict(participants)
        width = config.encoder.width
        self.preprocessor = Preprocessor(
            config.preprocessor,
            num_sessions=num_sessions,
            width=width,
            plain=config.encoder.plain,
            channels=[*self.participants.values()],
        )
        self.encoder = build_encoder(config.encoder, self.preprocessor.width)
        self.ctc_head = nn.Linear(width, len(labels))
        has_transducer = not isinstance(config.joiner, NoJoinerConfig)
        self.predictor = build_predictor(config.predictor, labels) if has_transducer else None
        self.joiner = (
            build_joiner(config.joiner, width, config.predictor.width, len(labels)) if has_transducer else None
        )

    @property
    def transducer(self) -> Transducer:
        """What joins the encoder for the transducer's head.

        Raises:
            InputError: where there is none.
        """
        if self.predictor is None or self.joiner is None:
            raise InputError(
                "This network has no transducer (joiner=none): choose the decoder ctc, or train one with joiner=tanh."
            )
        return Transducer(self.predictor, self.joiner)

    def person(self, session: str) -> int:
        """The place of the participant of a session among those with a map; 0 where nobody has one.

        Raises:
            InputError: for one who is none of them.
        """
        who = participant_of(session)
        if self.participants and who not in self.participants:
            raise InputError(
                f"This network does not know the participant {who} of {session}; it knows "
                f"{', '.join(self.participants)}. Train with recordings of {who}, from its weights with init=RUN."
            )
        return [*self.participants].index(who) if self.participants else 0

    def encode(self, batch: Batch) -> Encoded:
        """Features of a batch to encoder frames; a trial's frames do not depend on the other trials.

        Raises:
            InputError: where participants have maps, for a trial of one who is none of them.
        """
        people = [self.person(key.session) for key in batch.keys] if self.participants else ()
        frames, lengths = self.preprocessor(
            batch.features, batch.frame_lengths, batch.session_index, new_sessions=batch.new_sessions, people=people
        )
        return Encoded(*self.encoder(frames, lengths))

    def ctc_log_probs(self, frames: Tensor) -> Tensor:
        """Encoder frames (B, S, D) to (B, S, V) log-probabilities, float32 or better also under autocast."""
        logits: Tensor = self.ctc_head(frames)
        return _log_softmax(logits)

    def transducer_inputs(self, frames: Tensor, labels: Tensor) -> TransducerInputs:
        """Encoder frames (B, S, D) and labels (B, U) to the two sides of the joiner."""
        predictor, joiner = self.transducer
        return TransducerInputs(joiner.encoder_projection(frames), joiner.predictor_projection(predictor(labels)))

    # The three callables of transducer search.

    def initial(self, hypotheses: int) -> State:
        return self.transducer.predictor.initial_state(hypotheses)

    def predict(self, labels: Tensor, state: State) -> tuple[Tensor, State]:
        """(N,) labels to (N, J) and the next state of the predictor."""
        predictor, joiner = self.transducer
        output, state = predictor.step(labels, state)
        return joiner.predictor_projection(output), state

    def join(self, encoder: Tensor, predictor: Tensor) -> Tensor:
        """Projected (N, J) and (N, J) to (N, V) log-probabilities."""
        return _log_softmax(self.transducer.joiner.logits(encoder, predictor))


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=-1)
