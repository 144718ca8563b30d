"""A causal language model from Hugging Face transformers that reorders the n-best."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from mode_ssm.config import RescoreConfig
from mode_ssm.errors import InputError
from mode_ssm.language.hypothesis import WordHypothesis, best_per_sentence


class SentenceScorer:
    """log P(sentence) of a causal language model: on a GPU in bfloat16 (float16 on an older one), else in float32."""

    def __init__(self, model: Any, tokenizer: Any, batch_size: int) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        starts = (tokenizer.bos_token_id, tokenizer.eos_token_id)
        self._start = next((token for token in starts if token is not None), None)
        if self._start is None:
            raise InputError("The language model's tokenizer has no start or end token; choose another rescore.model.")

    def __call__(self, sentences: Sequence[str]) -> list[float]:
        """Natural log-probability of each sentence, its end included where the tokenizer has an end token."""
        order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]))
        scores = [0.0] * len(sentences)
        starts = range(0, len(order), self._batch_size)
        stderr = Console(stderr=True)
        for start in track(starts, "rescoring", console=stderr, transient=True, disable=not stderr.is_terminal):
            places = order[start : start + self._batch_size]
            for place, score in zip(places, self._score_batch([sentences[p] for p in places]), strict=True):
                scores[place] = score
        return scores

    @torch.no_grad()
    def _score_batch(self, sentences: list[str]) -> list[float]:
        end = [] if self._tokenizer.eos_token_id is None else [self._tokenizer.eos_token_id]
        rows = [
            [self._start, *self._tokenizer(sentence, add_special_tokens=False)["input_ids"], *end]
            for sentence in sentences
        ]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=self._model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=ids.device)
        logits = self._model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        log_probs = logits.log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
        return [float(score) for score in (log_probs * mask[:, 1:]).sum(dim=1)]


def load_scorer(config: RescoreConfig) -> SentenceScorer:
    """Load `rescore.model`, a folder or a name of the model hub.

    Raises:
        InputError: where transformers is not installed, or the model cannot be loaded.
    """
    try:
        transformers: Any = import_module("transformers")
    except ImportError:
        raise InputError("rescore.model needs transformers; run pip install transformers.") from None
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(config.model)
        model = transformers.AutoModelForCausalLM.from_pretrained(config.model, dtype=_dtype())
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"rescore.model={config.model} cannot be loaded ({reason}); give a model's folder.") from None
    return SentenceScorer(model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer, config.batch_size)


def _dtype() -> torch.dtype:
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def rescore(
    nbest: Sequence[list[WordHypothesis]], scorer: SentenceScorer, config: RescoreConfig, lm_weight: float
) -> list[list[WordHypothesis]]:
    """Move a share of the n-gram's weighted score to the other model's, and sort each n-best again."""
    scores = iter(scorer([hypothesis.text for trial in nbest for hypothesis in trial]))
    return [
        best_per_sentence(
            (interpolate(hypothesis, next(scores), config, lm_weight) for hypothesis in trial), len(trial)
        )
        for trial in nbest
    ]


def interpolate(hypothesis: WordHypothesis, log_prob: float, config: RescoreConfig, lm_weight: float) -> WordHypothesis:
    """score + share * (weight * log P_model - lm_weight * log P_ngram)."""
    change = config.share * (config.weight * log_prob - lm_weight * hypothesis.lm)
    return hypothesis._replace(score=hypothesis.score + change)
