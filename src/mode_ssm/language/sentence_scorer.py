"""A causal language model from Hugging Face transformers as a judge of sentences.

What stands before a sentence, a prompt of sentences of its kind or those decoded before it, each on its own line, tells
the model what to expect.
"""

from collections.abc import Sequence
from copy import deepcopy
from inspect import signature
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from mode_ssm.errors import InputError
from mode_ssm.language.token_tree import TokenTree, grow

_MARKS = (".", "?", "!")  # that end a written sentence
_BRANCHES = 4  # times as many sentences at once where they are a tree


class SentenceScorer:
    """log P(sentence | lines before it): on a GPU in bfloat16 (float16 on an older one), else in float32.

    What the model makes of the prompt is computed once, and each sentence in its context once. Where the model can be
    told what each token follows, so is what several sentences begin with.

    Raises:
        InputError: where the tokenizer has no token to start with.
    """

    def __init__(
        self, model: Any, tokenizer: Any, batch_size: int, prompt: Sequence[str] = (), written: bool = False
    ) -> None:
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
        self._marks = [self._tokens(mark)[0] for mark in _MARKS] if written else []
        self._branches = _can_branch(model)

    def __call__(self, sentences: Sequence[str], contexts: Sequence[Sequence[str]] | None = None) -> list[float]:
        """Natural log-probability of each sentence after the lines of its context.

        The end is part of it: any of the marks that end a written sentence; else that of a line where lines stand
        before it, or of a text, where the tokenizer has that.
        """
        before = [()] * len(sentences) if contexts is None else [tuple(lines) for lines in contexts]
        asked = list(zip(before, sentences, strict=True))
        new = sorted(set(asked) - set(self._known), key=None if self._branches else _size)
        size = self._batch_size * (_BRANCHES if self._branches else 1)
        score = self._score_tree if self._branches else self._score_batch
        stderr = Console(stderr=True)
        starts = range(0, len(new), size)
        for at in track(starts, "rescoring", console=stderr, transient=True, disable=not stderr.is_terminal):
            some = new[at : at + size]
            self._known |= zip(some, score(some), strict=True)
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
        if self._marks:
            context = [f"{as_written(line)}." for line in context]
        lines = [token for line in context for token in self._tokens(f"{line}\n")]
        if self._marks:
            return [*head, *lines], [*self._tokens(as_written(sentence)), self._marks[0]]
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
        logits = self._logits(ids, (places < ends).long().to(ids.device))[:, :-1].float().log_softmax(-1)
        log_probs = logits.gather(2, ids[:, 1:, None])[..., 0]
        if self._marks:
            each, last = torch.arange(len(ids)), ends[:, 0] - 2
            log_probs[each, last] = logits[each, last][:, self._marks].logsumexp(1)
        return [float(score) for score in (log_probs * counted).sum(dim=1)]

    @torch.no_grad()
    def _score_tree(self, asked: Sequence[tuple[Sequence[str], str]]) -> list[float]:
        parts = [self._split(*one) for one in asked]
        tree = grow([head + tail[:-1] for head, tail in parts])
        logits = self._tree_logits(tree)
        whole, found = logits.logsumexp(1), []
        for (head, tail), path in zip(parts, tree.paths, strict=True):
            if not tail:
                found.append(0.0)
                continue
            nodes = path[len(head) - 1 :]  # what each token of the tail follows
            ended = logits[nodes[-1], self._marks or tail[-1:]].logsumexp(0)
            found.append(float(logits[nodes[:-1], tail[:-1]].sum() + ended - whole[nodes].sum()))
        return found

    def _tree_logits(self, tree: TokenTree) -> torch.Tensor:
        """(L, V) after each node."""
        before = 0 if self._prompt_cache is None else len(self._prompt) - 1
        device, size = self._model.device, len(tree.tokens)
        seen = torch.cat([torch.ones(size, before, dtype=torch.bool), tree.ancestors()], dim=1)
        mask = torch.zeros(size, before + size, dtype=self._model.dtype)
        mask.masked_fill_(~seen, torch.finfo(mask.dtype).min)
        cached = {} if self._prompt_cache is None else {self._cache_name: self._prompt_cache, "use_cache": True}
        logits: torch.Tensor = self._model(
            input_ids=torch.tensor([tree.tokens], device=device),
            attention_mask=mask[None, None].to(device),
            position_ids=before + torch.tensor([tree.depths], device=device),
            **cached,
        ).logits[0]
        if self._prompt_cache is not None:
            self._prompt_cache.crop(-size)
        return logits.float()

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


def as_written(sentence: str) -> str:
    """
    >>> as_written("if i'm right i stay")
    "If I'm right I stay"
    """
    words = [word.capitalize() if word == "i" or word.startswith("i'") else word for word in sentence.split()]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]]) if words else ""


def _size(asked: tuple[Sequence[str], str]) -> int:
    return len("".join(asked[0])) + len(asked[1])


def _can_branch(model: Any) -> bool:
    """Whether the model's attention takes a mask of its own and the places of tokens."""
    attention = getattr(getattr(model, "config", None), "_attn_implementation", None)
    return attention in ("sdpa", "eager") and "position_ids" in signature(model.forward).parameters
