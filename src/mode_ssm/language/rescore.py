"""A causal language model reorders the n-best."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from mode_ssm.config import Device, RescoreConfig
from mode_ssm.device import find_device
from mode_ssm.errors import InputError
from mode_ssm.language.hypothesis import WordHypothesis, best_per_sentence
from mode_ssm.language.sentence_scorer import SentenceScorer

_NEED = "pip install 'mode-ssm[rescore]'"


def load_scorer(config: RescoreConfig, device: Device = Device.auto) -> SentenceScorer:
    """Load `rescore.model`, a folder, a .gguf file or a name of the model hub, on a GPU where there is one unless told.

    Raises:
        InputError: where transformers is not installed, the model or the prompt cannot be read, or there is no such
            device.
    """
    place = find_device(device)
    try:
        transformers: Any = import_module("transformers")
    except ImportError:
        raise InputError(f"rescore.model needs the package transformers; run {_NEED}.") from None
    path = Path(config.model or "")
    packed = path.suffix == ".gguf"
    where = str(path.parent) if packed else config.model
    more = {"gguf_file": path.name} if packed else {}
    prompt = _read_prompt_lines(config.prompt)
    try:
        with _no_progress(transformers):
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, **more)
            model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=_dtype(place), **more)
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"rescore.model={config.model} cannot be loaded ({reason}); give a model's folder.") from None
    return SentenceScorer(model.to(place), tokenizer, config.batch_size, prompt, config.written)


def _read_prompt_lines(path: str | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"rescore.prompt={path} cannot be read ({reason}); give a text of a sentence a line."
        ) from None
    if not any(lines):
        raise InputError(f"rescore.prompt={path} holds no sentence; give a text of a sentence a line.")
    return [line for line in lines if line]


@contextmanager
def _no_progress(transformers: Any) -> Iterator[None]:
    """Bars of loading belong on a terminal alone; those that .gguf files bring heed no setting. Warnings stay."""
    if Console(stderr=True).is_terminal:
        yield
        return
    transformers.utils.logging.disable_progress_bar()
    with redirect_stderr(StringIO()):
        yield


def _dtype(place: torch.device) -> torch.dtype:
    if place.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def contexts_of(recordings: Iterable[object], best: Iterable[str], size: int) -> list[tuple[str, ...]]:
    """The `size` sentences found before each one in the same recording, the nearest last; sentences in their order."""
    said: dict[object, list[str]] = {}
    found = []
    for recording, sentence in zip(recordings, best, strict=True):
        before = said.setdefault(recording, [])
        found.append(tuple(before[max(len(before) - size, 0) :]))
        if sentence:
            before.append(sentence)
    return found


def rescore(
    nbest: Sequence[list[WordHypothesis]],
    contexts: Sequence[Sequence[str]],
    scorer: SentenceScorer,
    config: RescoreConfig,
    lm_weight: float,
) -> list[list[WordHypothesis]]:
    """Move a share of the n-gram's weighted score to the other model's, and sort each n-best again."""
    asked = [(h.text, lines) for trial, lines in zip(nbest, contexts, strict=True) for h in trial]
    scores = iter(scorer([text for text, _ in asked], [lines for _, lines in asked]))
    return [
        best_per_sentence(
            (interpolate(hypothesis, next(scores), config, lm_weight) for hypothesis in trial), len(trial)
        )
        for trial in nbest
    ]


def interpolate(hypothesis: WordHypothesis, log_prob: float, config: RescoreConfig, lm_weight: float) -> WordHypothesis:
    """score + share * (weight * log P_model - lm_weight * log P_ngram)."""
    change = config.share * (config.weight * log_prob - lm_weight * hypothesis.lm)
    acoustic = hypothesis.score - lm_weight * hypothesis.lm
    return hypothesis._replace(score=hypothesis.score + change, acoustic=acoustic, neural=log_prob)
