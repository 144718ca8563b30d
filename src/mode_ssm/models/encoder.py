"""The choice of an encoder: frames (B, S, D) in, frames (B, S, D) out."""

from mode_ssm.config import EncoderConfig, GRUEncoderConfig, SSMEncoderConfig
from mode_ssm.errors import InputError
from mode_ssm.models.gru import GRUEncoder
from mode_ssm.models.ssm_encoder import SSMEncoder

Encoder = SSMEncoder | GRUEncoder


def build_encoder(config: EncoderConfig) -> Encoder:
    """Make the encoder that the settings ask for.

    Raises:
        InputError: when `encoder` is not one of the choices.
    """
    if isinstance(config, SSMEncoderConfig):
        return SSMEncoder(config)
    if isinstance(config, GRUEncoderConfig):
        return GRUEncoder(config)
    raise InputError(f"encoder.kind={config.kind} is not an encoder; choose encoder=ssm or encoder=gru.")
