"""What the next update is steered by: numbers that the last ones have measured, kept in the checkpoint."""

from dataclasses import dataclass, field

from mode_ssm.config import RNNTScaling
from mode_ssm.losses import gradient_scale
from mode_ssm.training import clipping
from mode_ssm.training.objective import Weights
from mode_ssm.training.update import Update


@dataclass
class Steering:
    grad_norms: list[float] = field(default_factory=list)  # of the last updates, before clipping
    gradient_scale: float = 1.0  # of the RNN-T nats per label, with losses.rnnt_scaling=gradient
    equalising_scales: list[float] = field(default_factory=list)  # what it should have been in the last updates

    def remember(self, update: Update, weights: Weights, scaling: RNNTScaling) -> None:
        """Learn from an update, unless it was skipped or empty."""
        if update.skipped or not update.trials:
            return
        self.grad_norms = [*self.grad_norms, update.gradients.total][-clipping.WINDOW_UPDATES :]
        if scaling is RNNTScaling.gradient and weights.ctc > 0 and weights.rnnt > 0:
            self._follow(update, weights)

    def _follow(self, update: Update, weights: Weights) -> None:
        ctc_norm, rnnt_norm = update.gradients.encoder_ctc / weights.ctc, update.gradients.encoder_rnnt / weights.rnnt
        equalising = gradient_scale.equalising_scale(self.gradient_scale, ctc_norm, rnnt_norm)
        if equalising is not None:
            self.equalising_scales = [*self.equalising_scales, equalising][-gradient_scale.WINDOW_UPDATES :]
        self.gradient_scale = gradient_scale.followed_scale(self.gradient_scale, self.equalising_scales)
