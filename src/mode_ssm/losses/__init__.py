"""Losses: CTC and transducer, on tensors and lengths; they know no model and no stage."""

from mode_ssm.losses.rnnt import rnnt_loss

__all__ = ["rnnt_loss"]
