"""Interpolated Kneser-Ney beside its definition, counted by dictionaries."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.language import counting
from mode_ssm.language.arpa import LN10, read_arpa
from mode_ssm.language.arpa_writing import save_arpa
from mode_ssm.language.corpus import FIRST, Corpus
from mode_ssm.language.ngram import estimate

Gram = tuple[str, ...]
TEXT = [line.split() for line in ("a b c", "a b d", "c a", "d d b", "a c b", "b b a c", "d a", "a b c d e")]


def by_definition(sentences: list[list[str]], vocabulary: set[str], order: int) -> dict[Gram, tuple[float, float]]:
    """Probability and back-off weight of every n-gram, as Chen and Goodman 1998, section 2.8, have them."""
    seen: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
    before: dict[Gram, set[str]] = defaultdict(set)
    for sentence in sentences:
        text = ("<s>", *(word if word in vocabulary else "<unk>" for word in sentence), "</s>")
        for size in range(1, order + 1):
            for place in range(len(text) - size + 1):
                gram = text[place : place + size]
                seen[size][gram] += 1
                if place:
                    before[gram].add(text[place - 1])
    probs: dict[Gram, float] = {("<unk>",): 0.0}
    left: dict[Gram, float] = {}
    for size in range(1, order + 1):
        n = Counter(seen[size].values())
        discount = 0.0 if size == 1 else min(max(0.1, n[1]) / (n[1] + 2 * n[2]) if n[1] + n[2] else 0.1, 0.9)
        by_history: dict[Gram, dict[Gram, int]] = defaultdict(dict)
        for gram, count in seen[size].items():
            after_start = size > 1 and gram[0] == "<s>"
            by_history[gram[:-1]][gram] = count if size == order or after_start else len(before[gram])
        for history, counts in by_history.items():
            total = sum(counts.values())
            shares = {gram: max(count - discount, 0.0) / total for gram, count in counts.items()}
            left[history] = max(1.0 - sum(shares.values()), 1e-9)
            for gram, share in shares.items():
                probs[gram] = share + (left[history] * probs[gram[1:]] if size > 1 else 0.0)
    return {gram: (prob, left.get(gram, 1.0)) for gram, prob in probs.items()}


def corpus_of(sentences: list[list[str]]) -> Corpus:
    corpus = Corpus()
    for sentence in sentences:
        corpus.add(sentence)
    return corpus


def check(sentences: list[list[str]], vocabulary: set[str], order: int) -> None:
    words = sorted(vocabulary)
    model = estimate(corpus_of(sentences).tokens(words), (*FIRST, *words), order)
    expected = by_definition([s for s in sentences if s], vocabulary, order)
    found = {
        tuple(model.words[word] for word in gram): (prob, backoff)
        for part in model.orders
        for gram, prob, backoff in zip(part.words, np.exp(part.log_probs), np.exp(part.backoffs), strict=True)
    }
    assert found.keys() - {(word,) for word in words} == expected.keys() - {(word,) for word in words}
    for gram, (prob, backoff) in expected.items():
        assert found[gram][0] == pytest.approx(prob, rel=1e-6, abs=1e-30), gram
        assert found[gram][1] == pytest.approx(backoff, rel=1e-5), gram


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_estimates_are_those_of_the_definition(order: int) -> None:
    check(TEXT, set("abcde"), order)
    check(TEXT, set("abd"), order)
    check([["a", "b", "c"]], set("abc"), order)
    check([["a", "b"]] * 3 + [["a", "c"]] * 2 + [["a", "a", "a"]], set("abc"), order)


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=12), st.integers(2, 5))
@settings(deadline=None, max_examples=60)
def test_estimates_of_any_text_in_chunks_of_any_size(sentences: list[list[str]], order: int) -> None:
    if max(map(len, sentences)) + 2 < max(order, 3):
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_CHUNK", 1 + len(sentences) % 7)
        check(sentences, set("abc"), order)


def test_an_arpa_file_keeps_seven_digits(tmp_path: Path) -> None:
    model = estimate(corpus_of(TEXT).tokens("abcd"), (*FIRST, *"abcd"), 3)
    save_arpa(model, tmp_path / "lm.arpa")
    again = read_arpa(tmp_path / "lm.arpa")
    assert again.words == model.words
    for one, other in zip(model.orders, again.orders, strict=True):
        np.testing.assert_array_equal(one.words, other.words)
        np.testing.assert_allclose(one.log_probs, other.log_probs, atol=1e-7 * LN10, rtol=1e-6)
        np.testing.assert_allclose(one.backoffs, other.backoffs, atol=1e-7 * LN10, rtol=1e-6)


def test_a_corpus_counts_its_words() -> None:
    corpus = corpus_of([["one", "two"], [], ["one"]])
    assert corpus.counts() == {"one": 2, "two": 1}
    assert corpus.tokens(["two", "new"]).tolist() == [0, 2, 3, 1, 0, 2, 1]
