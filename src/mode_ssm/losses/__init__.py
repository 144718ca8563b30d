"""Losses: CTC and transducer, on tensors and lengths; they know no model and no stage."""

from mode_ssm.losses.additive import additive_rnnt_loss
from mode_ssm.losses.fused import fused_rnnt_loss
from mode_ssm.losses.rnnt import rnnt_loss

__all__ = ["additive_rnnt_loss", "fused_rnnt_loss", "rnnt_loss"]
