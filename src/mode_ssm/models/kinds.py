"""The kinds of encoder, predictor and joiner: another is a file with its settings and its class, and a line here."""

from collections.abc import Callable
from typing import Any

from mode_ssm.config import (
    CHOICES,
    AdditiveJoinerConfig,
    EncoderConfig,
    GRUEncoderConfig,
    JoinerConfig,
    LSTMPredictorConfig,
    PredictorConfig,
    SSMEncoderConfig,
    StatelessPredictorConfig,
    TanhJoinerConfig,
    TransformerEncoderConfig,
)
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.models.encoder import Encoder
from mode_ssm.models.gru import GRUEncoder
from mode_ssm.models.joiner import AdditiveJoiner, Joiner, TanhJoiner
from mode_ssm.models.predictor import LSTMPredictor, Predictor, StatelessPredictor
from mode_ssm.models.ssm_encoder import SSMEncoder
from mode_ssm.models.transformer import TransformerEncoder

_BUILT_BY: dict[type, Callable[..., Any]] = {}


def add_kind(group: str, settings: Any, part: Callable[..., Any]) -> None:
    """Make a part of the network a choice, such as `encoder=gru`.

    Args:
        group: encoder, predictor or joiner.
        settings: its dataclass, whose `kind` is the word of the choice.
        part: its class, a subclass of `Encoder`, `Predictor` or `Joiner`.
    """
    CHOICES[group][settings.kind] = settings
    _BUILT_BY[settings] = part


add_kind("encoder", SSMEncoderConfig, SSMEncoder)
add_kind("encoder", GRUEncoderConfig, GRUEncoder)
add_kind("encoder", TransformerEncoderConfig, TransformerEncoder)
add_kind("predictor", StatelessPredictorConfig, StatelessPredictor)
add_kind("predictor", LSTMPredictorConfig, LSTMPredictor)
add_kind("joiner", TanhJoinerConfig, TanhJoiner)
add_kind("joiner", AdditiveJoinerConfig, AdditiveJoiner)


def _part(group: str, config: Any) -> Any:
    if type(config) not in _BUILT_BY:
        *kinds, last = CHOICES[group]
        raise InputError(
            f"{group}.kind={config.kind} is not a kind of {group}; choose {group}={', '.join(kinds)} or {last}."
        )
    return _BUILT_BY[type(config)]


def encoder_class(config: EncoderConfig) -> type[Encoder]:
    """Raises: InputError for settings that belong to no encoder."""
    encoder: type[Encoder] = _part("encoder", config)
    return encoder


def build_encoder(config: EncoderConfig, input_width: int | None = None) -> Encoder:
    """The encoder that a configuration names, for patches of that width; None = of the encoder's own.

    Raises:
        InputError: when there is none, or it cannot read such patches.
    """
    return encoder_class(config)(config, input_width)


def build_predictor(config: PredictorConfig, labels: Labels) -> Predictor:
    """Raises: InputError for settings that belong to no predictor."""
    predictor: Predictor = _part("predictor", config)(config, labels)
    return predictor


def build_joiner(config: JoinerConfig, encoder_width: int, predictor_width: int, classes: int) -> Joiner:
    """Raises: InputError for settings that belong to no joiner."""
    joiner: Joiner = _part("joiner", config)(config, encoder_width, predictor_width, classes)
    return joiner
