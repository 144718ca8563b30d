"""What an update leaves to the next: running statistics, which travel in the checkpoint's position."""

from collections.abc import Mapping, Sequence
from typing import Any

from mode_ssm.config import TrainingConfig
from mode_ssm.training.clipping import WINDOW_UPDATES, clip_bound
from mode_ssm.training.objective import Weighted
from mode_ssm.training.terms import Term
from mode_ssm.training.update import Update


class RunningStatistics:
    """The last gradient norms, and what each term of the run keeps.

    Args:
        saved: what `state` gave when the run stopped; empty for one that starts.
    """

    def __init__(self, terms: Sequence[Term], saved: Mapping[str, Any]) -> None:
        self.terms = terms
        self.grad_norms: list[float] = saved.get("grad_norms", [])  # before clipping
        states = saved.get("terms", {})
        for term in terms:
            if term.name in states:
                term.load_state(states[term.name])

    def state(self) -> dict[str, Any]:
        states = {term.name: state for term in self.terms if (state := term.state())}
        return {"grad_norms": self.grad_norms, "terms": states}

    def bound(self, training: TrainingConfig) -> float:
        """The largest gradient norm that the next update may have."""
        return clip_bound(training, self.grad_norms)

    def follow(self, update: Update, objective: Sequence[Weighted]) -> None:
        """Learn from an update, unless it was skipped or empty."""
        if update.skipped or not update.trials:
            return
        self.grad_norms = [*self.grad_norms, update.gradients.total][-WINDOW_UPDATES:]
        found = update.gradients.encoder
        norms = {term.name: found[term.name] / weight for term, weight in objective if term.name in found}
        first, *further = self.terms
        for term in further:
            if term.name in norms and first.name in norms:
                term.follow(norms[term.name], norms[first.name])
