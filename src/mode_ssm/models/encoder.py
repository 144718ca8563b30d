"""The choice of an encoder: frames (B, S, input width) in, frames (B, S, D) out."""

from mode_ssm.config import EncoderConfig, GRUEncoderConfig, SSMEncoderConfig, TransformerEncoderConfig
from mode_ssm.errors import InputError
from mode_ssm.models.gru import GRUEncoder
from mode_ssm.models.ssm_encoder import SSMEncoder
from mode_ssm.models.transformer import TransformerEncoder

Encoder = SSMEncoder | GRUEncoder | TransformerEncoder


def build_encoder(config: EncoderConfig, input_width: int | None = None) -> Encoder:
    """Make the encoder that the settings ask for.

    Args:
        config: of one of the choices.
        input_width: of the frames that come in; None = the encoder's own.

    Raises:
        InputError: when `encoder` is not one of the choices, or cannot read frames of that width.
    """
    input_width = input_width or config.width
    if isinstance(config, GRUEncoderConfig):
        return GRUEncoder(config, input_width)
    if input_width != config.width:
        raise InputError(
            f"The encoder is {config.width} wide and the patches {input_width}, and encoder={config.kind} reads frames "
            "of its own width; set preprocessor.projection=true, or encoder=gru, which reads any width."
        )
    if isinstance(config, SSMEncoderConfig):
        return SSMEncoder(config)
    if isinstance(config, TransformerEncoderConfig):
        return TransformerEncoder(config)
    raise InputError(f"encoder.kind={config.kind} is not an encoder; choose encoder=ssm, gru or transformer.")
