"""What a run says of itself: before it starts, and after each epoch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mode_ssm.config import Decoder
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.checkpoint import Position
from mode_ssm.training.display import clock
from mode_ssm.training.objective import LossTerms
from mode_ssm.training.run_folder import RunFolder
from mode_ssm.training.splits import Splits

SHOWN = 20  # problems that are printed one by one


def introduction(
    splits: Splits,
    model: ModeSSM,
    folder: RunFolder,
    resumed: str,
    changes: Mapping[str, tuple[Any, Any]],
) -> Iterator[str]:
    """The data, the network, where the run goes on, and with which settings it does so that it had otherwise.

    resumed names the place, and is empty for a run that starts.
    """
    train, val = splits.train, splits.val
    parameters = sum(p.numel() for p in model.parameters())
    trials = f"{len(train)} train and {len(val) if val else 0} val trials of {len(train.sessions)} sessions"
    yield f"{trials}; {parameters / 1e6:.2f} M parameters; run folder {folder.path}"
    if not val:
        yield "There is no val split: no error rates, and the best checkpoint is the last one."
    for problem in splits.problems[:SHOWN]:
        yield f"Leaving out: {problem}"
    if splits.problems:
        yield f"{len(splits.problems)} problems found; mode-ssm inspect lists them."
    untrained = {entry.key.session for entry in val.entries} - {*splits.sessions} if val else set()
    for session in sorted(untrained):
        yield f"There are no train trials of {session}: it is decoded as a session that the network does not know."
    if resumed:
        yield f"Resuming after {resumed}"
    for key, (before, now) in changes.items():
        if key not in ("output_dir", "training.resume"):
            yield f"From here on with {key}={now}; until now it was {before}"


def epoch_summary(position: Position, terms: Sequence[LossTerms], rates: dict[Decoder, float]) -> str:
    """One line: the epoch's mean losses and the error rates after it."""
    parts = [f"{clock(position.seconds)} so far"]
    if terms:
        ctc = sum(float(t.ctc) for t in terms) / len(terms)
        rnnt = sum(float(t.rnnt) for t in terms) / len(terms)
        parts.append(f"mean loss: ctc {ctc:.3f}, rnnt {rnnt:.3f}")
        if ctc > 0 and rnnt > 0:
            parts.append(f"RNN-T/CTC ratio {rnnt / ctc:.2f}")
    parts += [f"val PER {decoder.value} {100 * rate:.2f} %" for decoder, rate in rates.items()]
    return " | ".join([*parts, f"skipped {position.skipped}"])
