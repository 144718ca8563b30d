"""The terms that a stage may train, by name: each is a file here and a line below."""

from collections.abc import Sequence

from mode_ssm.config import StageConfig, TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.training.terms.ctc import CTC
from mode_ssm.training.terms.rnnt import RNNT
from mode_ssm.training.terms.term import GreedyPath, Measured, Term, TermInput, TermLoss

TERMS: dict[str, type[Term]] = {
    CTC.name: CTC,
    RNNT.name: RNNT,
}

__all__ = ["TERMS", "GreedyPath", "Measured", "Term", "TermInput", "TermLoss", "run_terms", "trained"]


def run_terms(config: TrainConfig) -> tuple[Term, ...]:
    """The terms that the stages of a run name, those with a weight of 0 included, in the order of TERMS.

    Raises:
        InputError: for a name that is no term's.
    """
    for index, stage in enumerate(config.training.stages):
        for name in stage.weights:
            if name not in TERMS:
                raise InputError(
                    f"training.stages.{index} has a weight for '{name}', which is no term of an objective; there are "
                    f"{', '.join(TERMS)}."
                )
    named = {name for stage in config.training.stages for name in stage.weights}
    return tuple(term(config.losses) for name, term in TERMS.items() if name in named)


def trained(terms: Sequence[Term], stage: StageConfig) -> list[Term]:
    """Those that a stage gives a weight."""
    return [term for term in terms if stage.weights.get(term.name, 0.0) > 0]
