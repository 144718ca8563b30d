"""Reordering by a second language model: the arithmetic, and a tiny transformer built here."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from mode_ssm.config import RescoreConfig
from mode_ssm.errors import InputError
from mode_ssm.language.hypothesis import WordHypothesis, best_per_sentence
from mode_ssm.language.rescore import contexts_of, interpolate, load_scorer, rescore
from mode_ssm.language.sentence_scorer import SentenceScorer

SENTENCES = ["ah bee", "bee", "ah ah ah bee", ""]


def found(text: str, score: float, lm: float) -> WordHypothesis:
    return WordHypothesis(tuple(text.split()), score, lm, ())


def test_each_sentence_counts_once_with_its_best_score() -> None:
    several = [found("a", -3.0, 0), found("b", -1.0, 0), found("a", -2.0, 0), found("c", -1.0, 0)]
    kept = best_per_sentence(several, 3)
    assert [(h.text, h.score) for h in kept] == [("b", -1.0), ("c", -1.0), ("a", -2.0)]
    assert best_per_sentence(several, 1) == kept[:1]


def test_a_share_of_the_ngram_moves_to_the_other_model() -> None:
    config = RescoreConfig(share=0.25, weight=2.0)
    changed = interpolate(found("a b", -10.0, lm=-4.0), -6.0, config, lm_weight=0.5)
    assert changed.score == pytest.approx(-10.0 - 0.25 * 0.5 * -4.0 + 0.25 * 2.0 * -6.0)


def test_the_order_follows_the_new_scores_and_a_share_of_zero_keeps_it() -> None:
    nbest = [[found("good", -1.0, -1.0), found("better", -1.5, -1.0)], []]
    opinion = {"good": -9.0, "better": -1.0}

    def scorer(sentences: list[str], contexts: list[tuple[str, ...]]) -> list[float]:
        return [opinion[sentence] for sentence in sentences]

    none: list[tuple[str, ...]] = [(), ()]
    moved: Any = rescore(nbest, none, scorer, RescoreConfig(share=0.5), lm_weight=1.0)  # type: ignore[arg-type]
    assert [(h.text, h.acoustic, h.lm, h.neural) for h in moved[0]] == [
        ("better", -0.5, -1.0, -1.0),
        ("good", 0.0, -1.0, -9.0),
    ]
    assert moved[1] == []
    kept: Any = rescore(nbest, none, scorer, RescoreConfig(share=0.0), lm_weight=1.0)  # type: ignore[arg-type]
    assert [(h.text, h.score) for h in kept[0]] == [(h.text, h.score) for h in nbest[0]]


def test_context_is_what_was_found_before_in_the_same_block() -> None:
    best = ["a", "b", "", "c", "d"]
    assert contexts_of([1, 1, 1, 2, 1], best, 1) == [(), ("a",), ("b",), (), ("b",)]
    assert contexts_of([1, 1, 1, 2, 1], best, 2) == [(), ("a",), ("a", "b"), (), ("a", "b")]
    assert contexts_of([1, 1, 1, 2, 1], best, 0) == [()] * 5


class Words:
    """The least of a tokenizer: one id a word."""

    bos_token_id: int | None = 1
    eos_token_id: int | None = 2

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [{"ah": 3, "bee": 4}[word] for word in text.split()]}


@pytest.fixture(scope="module")
def tiny() -> Any:
    transformers = pytest.importorskip("transformers", reason="the optional package transformers is not installed")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=5, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    return transformers.GPT2LMHeadModel(config).eval()


def test_scores_are_sums_of_next_word_log_probabilities_for_any_batch(tiny: Any) -> None:
    expected = []
    for sentence in SENTENCES:
        ids = [1, *Words()(sentence, add_special_tokens=False)["input_ids"], 2]
        total = 0.0
        for end in range(1, len(ids)):
            with torch.no_grad():
                logits = tiny(input_ids=torch.tensor([ids[:end]])).logits[0, -1]
            total += float(logits.log_softmax(-1)[ids[end]])
        expected.append(total)
    for batch_size in (1, 3, 8):
        assert SentenceScorer(tiny, Words(), batch_size)(SENTENCES) == pytest.approx(expected, abs=1e-4)
    assert math.fsum(expected) < 0


def test_a_model_folder_is_loaded(tiny: Any, tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    words = {"<unk>": 0, "<s>": 1, "</s>": 2, "ah": 3, "bee": 4}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>")
    fast.save_pretrained(tmp_path)
    tiny.save_pretrained(tmp_path)
    loaded = load_scorer(RescoreConfig(model=str(tmp_path), batch_size=2))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tolerance = 0.3 if device == "cuda" else 1e-4
    assert loaded(SENTENCES) == pytest.approx(SentenceScorer(tiny, Words(), 2)(SENTENCES), abs=tolerance)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the optional package transformers is not installed")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_scorer(RescoreConfig(model=str(tmp_path / "none")))


def test_without_transformers_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match=r"run pip install 'mode-ssm\[rescore\]'"):
        load_scorer(RescoreConfig(model="any"))


def test_a_tokenizer_without_a_start_cannot_score() -> None:
    tokenizer = Words()
    tokenizer.bos_token_id = tokenizer.eos_token_id = None
    with pytest.raises(InputError, match="no start or end token"):
        SentenceScorer(torch.nn.Identity(), tokenizer, 1)


def test_a_prompt_is_named_where_it_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", torch)  # not reached
    with pytest.raises(InputError, match="prompt.* cannot be read"):
        load_scorer(RescoreConfig(model="any", prompt=str(tmp_path / "none.txt")))
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(InputError, match="holds no sentence"):
        load_scorer(RescoreConfig(model="any", prompt=str(tmp_path / "empty.txt")))


class Lines(Words):
    """As Words, and 2 for the end of a line."""

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        ids = super().__call__(text, add_special_tokens)["input_ids"]
        return {"input_ids": [*ids, *[2] * text.count("\n")]}


def test_lines_before_are_conditions_and_a_cached_prompt_changes_nothing(tiny: Any) -> None:
    """Beside one pass over each whole text, without any cache."""
    prompt, contexts = ["bee ah"], [(), ("ah",), ("bee", "ah"), ("ah",)]
    expected = []
    for sentence, context in zip(SENTENCES, contexts, strict=True):
        head = [1, *(token for line in (*prompt, *context) for token in Lines()(f"{line}\n", False)["input_ids"])]
        ids = head + Lines()(f"{sentence}\n", False)["input_ids"]
        with torch.no_grad():
            log_probs = tiny(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        expected.append(sum(float(log_probs[at - 1, ids[at]]) for at in range(len(head), len(ids))))
    for batch_size in (1, 3):
        assert SentenceScorer(tiny, Lines(), batch_size, prompt)(SENTENCES, contexts) == pytest.approx(
            expected, abs=1e-4
        )


class Written(Lines):
    """Capitals count, and marks are tokens."""

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        known = {"ah": 3, "bee": 4, "Ah": 0, "Bee": 2, ".": 1, "?": 2, "!": 4}
        found = re.findall(r"\w+|[.?!\n]", text)
        return {"input_ids": [2 if token == "\n" else known[token] for token in found]}


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("prompt", [[], ["bee ah"]])
@pytest.mark.parametrize("contexts", [None, [(), ("ah",), ("bee", "ah"), ("ah",)]])
def test_sentences_as_a_tree_score_as_one_by_one(
    tiny: Any, written: bool, prompt: list[str], contexts: list[tuple[str, ...]] | None
) -> None:
    scorer, plain = (SentenceScorer(tiny, Written(), 2, prompt, written) for _ in range(2))
    assert scorer._branches
    plain._branches = False
    for sentences in (SENTENCES, ["", "ah ah bee", "ah ah", "bee"]):  # the second beside what is cached of the first
        assert scorer(sentences, contexts) == pytest.approx(plain(sentences, contexts), abs=1e-4)


def test_a_written_sentence_ends_with_any_mark(tiny: Any) -> None:
    with torch.no_grad():
        log_probs = tiny(input_ids=torch.tensor([[1, 0, 4]])).logits[0].log_softmax(-1)  # after the start, Ah bee
    end = float(log_probs[2, [1, 2, 4]].logsumexp(0))
    expected = float(log_probs[0, 0] + log_probs[1, 4]) + end
    assert SentenceScorer(tiny, Written(), 1, written=True)(["ah bee"]) == [pytest.approx(expected, abs=1e-4)]


def test_a_model_without_places_of_tokens_is_read_a_sentence_a_row(tiny: Any) -> None:
    class Recurrent(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
            return tiny(input_ids=input_ids, attention_mask=attention_mask)

    scorer = SentenceScorer(Recurrent(), Words(), 3)
    assert not scorer._branches
    assert scorer(SENTENCES) == pytest.approx(SentenceScorer(tiny, Words(), 3)(SENTENCES), abs=1e-4)
