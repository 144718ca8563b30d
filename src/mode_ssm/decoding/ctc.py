"""Labels from CTC log-probabilities by the best path (Graves et al. 2006, Connectionist temporal classification)."""

from torch import Tensor


def ctc_greedy(log_probs: Tensor, lengths: Tensor, blank: int) -> list[list[int]]:
    """Decode each trial by its best class a frame: repeats are merged, then blanks dropped.

    log_probs (B, S, V) may be logits as well; frames past a trial's length are ignored.
    """
    best = log_probs.argmax(dim=-1).cpu()
    paths = [row[:length].unique_consecutive().tolist() for row, length in zip(best, lengths.tolist(), strict=True)]
    return [[label for label in path if label != blank] for path in paths]
