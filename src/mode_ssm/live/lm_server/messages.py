"""What clients and the server of a language model say in Redis: names of streams and the form of their entries."""

from collections.abc import Mapping, Sequence

import numpy as np

from mode_ssm.labels import NEJM
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.live.events import Floats

RESET, UPDATE, INPUT, FINALIZE = (  # in the order in which those of one millisecond are answered
    "remote_lm_reset",
    "remote_lm_update_params",
    "remote_lm_input",
    "remote_lm_finalize",
)
DONE_RESETTING, DONE_UPDATING, DONE_FINALIZING = (
    "remote_lm_done_resetting",
    "remote_lm_done_updating_params",
    "remote_lm_done_finalizing",
)
PARTIAL, FINAL, PARAMETERS = "remote_lm_output_partial", "remote_lm_output_final", "remote_lm_args"
CONTEXT = "contextual_decoding_current_context"  # a key: what was said before
DONE = {"done": 1}

Fields = Mapping[str, str | int | float]


def read_logits(fields: Mapping[bytes, bytes]) -> tuple[Floats, str | None]:
    """(s, 41) finite logits, blank, silence, then the phonemes; and in words what was left out of an entry."""
    raw = fields.get(b"logits", b"")
    if not raw or len(raw) % (4 * len(NEJM)):
        said = f"an entry of {INPUT} has {len(raw)} bytes of logits, not {4 * len(NEJM)} a frame; left out"
        return np.zeros((0, len(NEJM)), dtype=np.float32), said
    logits = np.frombuffer(raw, dtype="<f4").reshape(-1, len(NEJM))
    finite = np.isfinite(logits).all(axis=1)
    if finite.all():
        return logits, None
    return logits[finite], f"{int((~finite).sum())} frames of logits are not finite; left out"


def partial_answer(words: Sequence[str]) -> Fields:
    """The best sentence so far."""
    return {"lm_response_partial": sentence(words)}


def final_answer(found: Sequence[WordHypothesis], acoustic_scale: float, context: str) -> Fields:
    """The best sentence, and of each candidate five fields: sentence; acoustic; n-gram; LLM; total score.

    The total is acoustic_scale * acoustic + n-gram, as clients expect. That of a large language model is 0: there is
    none.
    """
    scoring = []
    for each in (hypothesis for hypothesis in found if hypothesis.words):
        acoustic = each.score - each.lm / acoustic_scale
        scoring.append(f"{sentence(each.words)};{acoustic};{each.lm};0.0;{acoustic_scale * each.score}")
    best = sentence(found[0].words) if found else ""
    return {"lm_response_final": best, "scoring": ";".join(scoring), "context_str": context}


def sentence(words: Sequence[str]) -> str:
    """Words as clients take them apart: a semicolon would end the field.

    >>> sentence(["so;", "what"])
    'so, what'
    """
    return " ".join(words).replace(";", ",")
