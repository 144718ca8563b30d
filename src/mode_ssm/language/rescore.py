"""A causal language model from Hugging Face transformers that reorders the n-best.

What stands before a sentence, a prompt of sentences of its kind or those decoded before it, each on its own line, tells
the model what to expect.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from copy import deepcopy
from importlib import import_module
from inspect import signature
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from mode_ssm.config import Device, RescoreConfig
from mode_ssm.device import find_device
from mode_ssm.errors import InputError
from mode_ssm.language.hypothesis import WordHypothesis, best_per_sentence

_NEED = "pip install 'mode-ssm[rescore]'"


class SentenceScorer:
    """log P(sentence | lines before it): on a GPU in bfloat16 (float16 on an older one), else in float32.

    What the model makes of the prompt is computed once, and each sentence in its context once.

    Raises:
        InputError: where the tokenizer has no token to start with.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_size: int, prompt: Sequence[str] = ()) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._known: dict[tuple[tuple[str, ...], str], float] = {}
        starts = (tokenizer.bos_token_id, tokenizer.eos_token_id)
        start = next((token for token in starts if token is not None), None)
        if start is None:
            raise InputError("The language model's tokenizer has no start or end token; choose another rescore.model.")
        self._prompt = [start, *(token for line in prompt for token in self._tokens(f"{line}\n"))]
        new = "cache" in signature(model.forward).parameters  # the name in newer transformers
        self._cache_name = "cache" if new else "past_key_values"
        self._prompt_cache = self._read_prompt() if prompt else None

    def __call__(self, sentences: Sequence[str], contexts: Sequence[Sequence[str]] | None = None) -> list[float]:
        """Natural log-probability of each sentence after the lines of its context.

        The end is part of it: of a line where lines stand before it, else of a text, where the tokenizer has that.
        """
        before = [()] * len(sentences) if contexts is None else [tuple(lines) for lines in contexts]
        asked = list(zip(before, sentences, strict=True))
        new = sorted(set(asked) - set(self._known), key=lambda one: len("".join(one[0])) + len(one[1]))
        stderr = Console(stderr=True)
        starts = range(0, len(new), self._batch_size)
        for at in track(starts, "rescoring", console=stderr, transient=True, disable=not stderr.is_terminal):
            some = new[at : at + self._batch_size]
            self._known |= zip(some, self._score_batch(some), strict=True)
        return [self._known[one] for one in asked]

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    @torch.no_grad()
    def _read_prompt(self) -> Any:
        """What the model keeps of all but the prompt's last token."""
        ids = torch.tensor([self._prompt[:-1]], device=self._model.device)
        return getattr(self._model(input_ids=ids, use_cache=True), self._cache_name)

    def _split(self, context: Sequence[str], sentence: str) -> tuple[list[int], list[int]]:
        """The tokens that stand before a sentence, after what is cached, and its own."""
        head = self._prompt[-1:] if self._prompt_cache is not None else self._prompt
        lines = [token for line in context for token in self._tokens(f"{line}\n")]
        if context or self._prompt_cache is not None:
            return [*head, *lines], self._tokens(f"{sentence}\n")
        end = [] if self._tokenizer.eos_token_id is None else [self._tokenizer.eos_token_id]
        return [*head, *lines], [*self._tokens(sentence), *end]

    @torch.no_grad()
    def _score_batch(self, asked: Sequence[tuple[Sequence[str], str]]) -> list[float]:
        parts = [self._split(*one) for one in asked]
        rows = [head + tail for head, tail in parts]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=self._model.device)
        places = torch.arange(longest)
        ends = torch.tensor([len(row) for row in rows])[:, None]
        starts = torch.tensor([len(head) for head, _ in parts])[:, None]
        counted = ((places >= starts) & (places < ends))[:, 1:].to(ids.device)
        logits = self._logits(ids, (places < ends).long().to(ids.device))[:, :-1].float()
        log_probs = logits.log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0]
        return [float(score) for score in (log_probs * counted).sum(dim=1)]

    def _logits(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self._prompt_cache is None:
            plain: torch.Tensor = self._model(input_ids=ids, attention_mask=mask).logits
            return plain
        past = deepcopy(self._prompt_cache)
        past.batch_repeat_interleave(len(ids))
        mask = torch.cat([mask.new_ones(len(ids), len(self._prompt) - 1), mask], dim=1)
        cached = {self._cache_name: past, "use_cache": True}
        after: torch.Tensor = self._model(input_ids=ids, attention_mask=mask, **cached).logits
        return after


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
    return SentenceScorer(model.to(place), tokenizer, config.batch_size, prompt)


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
