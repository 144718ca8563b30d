"""N-gram scores beside KenLM's and beside back-off written out; the file that is mapped."""

import itertools
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.errors import InputError
from mode_ssm.language.arpa import LN10, BackoffModel, read_arpa
from mode_ssm.language.ngram_store import NGramStore, map_store, open_ngrams

# "b c d" stands without its ending "c d", "d a b" without its context "d a", and "b" without a back-off weight.
ARPA = """\\data\\
ngram 1=7
ngram 2=6
ngram 3=4

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.3
-0.9\t</s>
-0.8\ta\t-0.25
-0.7\tb
-0.6\tc\t0.1
-1.1\td\t-0.4

\\2-grams:
-0.4\t<s> a\t-0.2
-0.3\ta b\t-0.15
-0.5\tb c\t-0.05
-0.6\tc </s>
-0.2\tb b
-0.9\ta <unk>\t-0.35

\\3-grams:
-0.1\t<s> a b
-0.2\ta b c
-0.05\tb c d
-0.3\td a b

\\end\\
"""


def random_arpa(rng: np.random.Generator, order: int, width: int, per_order: int, missing: float) -> str:
    """A model whose n-grams and numbers are drawn; each context is there, but a share of the endings may be missing."""
    words = ["<unk>", "<s>", "</s>", *(f"w{number}" for number in range(width))]
    orders: list[list[tuple[str, ...]]] = [[(word,) for word in words]]
    for _ in range(1, order):
        contexts = [gram for gram in orders[-1] if gram[-1] != "</s>"]
        drawn = {(*contexts[i], words[j]) for i, j in rng.integers((0, 2), (len(contexts), len(words)), (per_order, 2))}
        orders.append(sorted(gram for gram in drawn if gram[1:] in set(orders[-1]) or rng.random() < missing))
    lines = ["\\data\\", *(f"ngram {size}={len(grams)}" for size, grams in enumerate(orders, 1)), ""]
    for size, grams in enumerate(orders, 1):
        lines.append(f"\\{size}-grams:")
        for gram in grams:
            backoff = f"\t{-rng.random():.6f}" if size < order and rng.random() < 0.7 and gram[-1] != "</s>" else ""
            lines.append(f"{-3 * rng.random():.6f}\t{' '.join(gram)}{backoff}")
        lines.append("")
    return "\n".join([*lines, "\\end\\", ""])


class PlainBackoff:
    """The definition (Katz 1987), by dictionaries: p(w | h), or backoff(h) p(w | h without its first word)."""

    def __init__(self, model: BackoffModel) -> None:
        self.grams = {
            tuple(model.words[word] for word in gram): (float(log_prob), float(backoff))
            for order in model.orders
            for gram, log_prob, backoff in zip(*order, strict=True)
        }
        self.order = len(model.orders)

    def log_prob(self, history: tuple[str, ...], word: str) -> float:
        history = history[max(len(history) - self.order + 1, 0) :]
        word = word if (word,) in self.grams else "<unk>"
        if (*history, word) in self.grams:
            return self.grams[*history, word][0]
        return self.grams.get(history, (0.0, 0.0))[1] + self.log_prob(history[1:], word)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_scores_by_hand(tmp_path: Path) -> None:
    store = NGramStore.of(read_arpa(write(tmp_path / "lm.arpa", ARPA)))
    a, b, c, d = map(store.index, "abcd")
    expected = {
        (a, b, c, d): -0.4 - 0.1 - 0.2 - 0.05 + (-0.4 - 0.9),  # d </s>: back-off of d, as "c d" is no context
        (d, a, b): (-0.3 - 1.1) + (-0.4 - 0.8) + -0.3 + (-0.15 + 0.0 - 0.9),
        (b, b, b): (-0.3 - 0.7) - 0.2 - 0.2 - 0.9,
        (): -0.3 - 0.9,
        (a, store.index("never")): -0.4 + (-0.2 - 0.9) + (-0.35 - 0.9),
    }
    for words, log10 in expected.items():
        assert store.sentence_score(words) / LN10 == pytest.approx(log10, abs=1e-6), words
    assert store.counts == (7, 7, 4)  # the context "d a" is added
    assert store.order == 3


@given(st.integers(0, 10**6), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_scores_equal_the_definition_with_any_n_grams_missing(tmp_path_factory, seed: int, order: int) -> None:
    rng = np.random.default_rng(seed)
    path = write(tmp_path_factory.mktemp("lm") / "lm.arpa", random_arpa(rng, order, 5, 30, missing=1.0))
    whole = read_arpa(path)
    keep = [rng.random(len(part.log_probs)) < 0.7 for part in whole.orders]
    keep[0][:] = True
    model = BackoffModel(
        whole.words, tuple(type(part)(*(x[kept] for x in part)) for part, kept in zip(whole.orders, keep, strict=True))
    )
    store, plain = NGramStore.of(model), PlainBackoff(model)
    for length in range(4):
        for words in itertools.islice(itertools.product(range(2, 8), repeat=length), 60):
            states = [np.array([store.start]), np.array([store.empty])]
            for state, history in zip(states, (("<s>",), ()), strict=True):
                for word in words:
                    state, log_prob = store.score(state, [word])
                    assert log_prob[0] == pytest.approx(plain.log_prob(history, store.words[word]), abs=1e-5)
                    history = (*history, store.words[word])
                assert store.finish(state)[0] == pytest.approx(plain.log_prob(history, "</s>"), abs=1e-5)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_scores_equal_kenlm_on_100000_queries(tmp_path: Path, order: int) -> None:
    kenlm = pytest.importorskip("flashlight.lib.text.decoder.kenlm", reason="flashlight-text's KenLM is not installed")
    from flashlight.lib.text.dictionary import Dictionary

    rng = np.random.default_rng(order)
    path = write(tmp_path / "lm.arpa", random_arpa(rng, order, 12, 4000, missing=0.05))
    words = [*(f"w{number}" for number in range(12)), "never", "seen"]
    peer, store = kenlm.KenLM(str(path), Dictionary(words)), NGramStore.of(read_arpa(path))
    numbers = np.array([store.index(word) for word in words])
    sentences, steps = 4000, 25
    states = np.where(np.arange(sentences) % 4 == 0, store.empty, store.start)
    peer_states = [peer.start(number % 4 == 0) for number in range(sentences)]
    for _ in range(steps):
        drawn = rng.integers(len(words), size=sentences)
        states, log_probs = store.score(states, numbers[drawn])
        found = [peer.score(state, int(word)) for state, word in zip(peer_states, drawn, strict=True)]
        np.testing.assert_allclose(log_probs / LN10, [score for _, score in found], rtol=0, atol=1e-5)
        peer_states = [state for state, _ in found]
    ends = [peer.finish(state)[1] for state in peer_states]
    np.testing.assert_allclose(store.finish(states) / LN10, ends, rtol=0, atol=1e-5)


def test_states_that_score_alike_are_one(tmp_path: Path) -> None:
    store = NGramStore.of(read_arpa(write(tmp_path / "lm.arpa", ARPA)))
    a, b, d = map(store.index, "abd")
    after_d_b = store.score(store.score([store.empty], [d]).states, [b]).states
    assert store.score([store.empty], [b]).states == after_d_b
    assert store.score([store.empty], [store.index("never")]).states == store.empty
    assert store.score([store.start], [a]).states != store.score([store.empty], [a]).states


def test_words_are_found_in_either_case(tmp_path: Path) -> None:
    text = ARPA.replace("\td\t", "\tDOG\t").replace(" d\n", " DOG\n").replace("\td a", "\tDOG a")
    store = NGramStore.of(read_arpa(write(tmp_path / "lm.arpa", text)))
    assert store.words[store.index("dog")] == "DOG"
    assert store.index("DOG") == store.index("dog") != store.unknown
    assert store.index("A") == store.index("a")
    assert store.index("cat") == store.unknown
    assert store.unigrams[store.index("dog")] / LN10 == pytest.approx(-1.1)


def test_a_mapped_file_scores_as_the_model_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    model = read_arpa(write(tmp_path / "lm.arpa", random_arpa(rng, 3, 30, 300, missing=0.3)))
    store = NGramStore.of(model)
    store.save(tmp_path / "lm.ngram")
    mapped = map_store(tmp_path / "lm.ngram")
    assert (mapped.words, mapped.order, mapped.counts) == (store.words, 3, store.counts)
    states, words = rng.integers(0, store.counts[0], 500), rng.integers(0, 33, 500)
    for one, other in zip(store.score(states, words), mapped.score(states, words), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_store_is_written_beside_its_arpa_and_again_when_that_is_newer(tmp_path: Path) -> None:
    arpa, file = write(tmp_path / "lm.arpa", ARPA), tmp_path / "lm.ngram"
    assert open_ngrams(file, arpa).unigrams[3] / LN10 == pytest.approx(-0.8)
    first = file.stat().st_mtime_ns
    open_ngrams(file, arpa)
    assert file.stat().st_mtime_ns == first
    write(arpa, ARPA.replace("-0.8\ta", "-0.75\ta"))
    os.utime(arpa, ns=(first + 10**9, first + 10**9))
    assert open_ngrams(file, arpa).unigrams[3] / LN10 == pytest.approx(-0.75)
    arpa.unlink()
    assert open_ngrams(file, arpa).unigrams[3] / LN10 == pytest.approx(-0.75)


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(store: NGramStore, path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(NGramStore, "save", refuse)
    with caplog.at_level(logging.WARNING):
        store = open_ngrams(tmp_path / "lm.ngram", write(tmp_path / "lm.arpa", ARPA))
    assert store.order == 3
    assert "cannot be written (Permission denied)" in caplog.text


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no whole n-gram model of this version"),
        (b"\x00\xff" * 4096, "no whole n-gram model of this version"),
        (b"[1]".ljust(5000), "no whole n-gram model of this version"),
        (b'{"format": "MODE-SSM n-grams, version 0"}'.ljust(5000), "no whole n-gram model of this version"),
    ],
)
def test_what_is_no_store_is_said(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "lm.ngram").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        map_store(tmp_path / "lm.ngram")


def test_a_part_of_a_store_is_said(tmp_path: Path) -> None:
    path = tmp_path / "lm.ngram"
    NGramStore.of(read_arpa(write(tmp_path / "lm.arpa", ARPA))).save(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="no whole n-gram model"):
        map_store(path)
    with pytest.raises(InputError, match=r"There is no .*lm\.arpa; build"):
        open_ngrams(tmp_path / "none.ngram", tmp_path / "none" / "lm.arpa")
