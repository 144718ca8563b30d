"""CMU Sphinx's trigrams, packed here by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.errors import InputError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from sphinx_lm import BASE, BINS, MAGIC, over, read_trigrams

WORDS = ("</s>", "<s>", "a", "b")


def packed(records: list[list[tuple[int, int]]]) -> bytes:
    """(value, bits) one after another, the lowest bits first, and what follows every such array."""
    whole = at = 0
    for value, bits in (field for record in records for field in record):
        whole |= value << at
        at += bits
    return whole.to_bytes((at + 7) // 8, "little") + bytes(8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """P(b | a) and so on by bins; room for one more pair than there are, as in the file of pocketsphinx."""
    bins = np.arange(3 * BINS, dtype="<f4") * -1.0
    unigrams = np.array([(-10, 0, 0), (-20, -2, 1), (-30, -3, 1), (-40, -4, 2), (0, 0, 3)], "<f4,<f4,<u4")
    pairs = [(3, 5, 6), (1, 7, 8), (2, 9, 10), (0, 0, 0)]  # first word, bins of back-off and probability
    begins = [0, 0, 0, 1]  # of the trigrams that end with each; after the last, their number
    two = [[(w, 3), (b, 16), (p, 16), (begin, 1)] for (w, b, p), begin in zip(pairs, begins, strict=True)]
    three = [[(1, 3), (11, 16)], [(0, 3), (0, 16)]]  # <s> a b
    head = MAGIC + bytes([3]) + np.array([4, 4, 1, 1], "<u4").tobytes()
    end = (12).to_bytes(4, "little") + b"".join(word.encode() + b"\0" for word in WORDS)
    path = tmp_path / "en-us.lm.bin"
    path.write_bytes(head + bins.tobytes() + unigrams.tobytes() + packed([*two, [(0, 36)]]) + packed(three) + end)
    return path


def test_trigrams_are_read(file: Path) -> None:
    model = read_trigrams(file)
    assert model.words == WORDS
    one, two, three = model.orders
    np.testing.assert_allclose(one.log_probs, BASE * np.array([-10, -20, -30, -40]), rtol=1e-6)
    assert two.words.tolist() == [[3, 0], [1, 2], [2, 3]]
    np.testing.assert_allclose(two.log_probs, -BASE * np.array([6, 8, 10]), rtol=1e-6)
    np.testing.assert_allclose(two.backoffs, -BASE * (BINS + np.array([5, 7, 9])), rtol=1e-6)
    assert three.words.tolist() == [[1, 2, 3]]
    np.testing.assert_allclose(three.log_probs, -BASE * (2 * BINS + 11), rtol=1e-6)


def test_a_model_is_restricted_to_words(file: Path) -> None:
    model = over(read_trigrams(file), ("<s>", "</s>", "<unk>", "b", "c"))
    assert [order.words.tolist() for order in model.orders[1:]] == [[[3, 1]], []]
    np.testing.assert_allclose(model.orders[0].log_probs[[0, 1, 3]], BASE * np.array([-20, -10, -40]), rtol=1e-6)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lm.bin").write_bytes(b"Trie Language Model\x04")
    with pytest.raises(InputError, match=r"lm\.bin is no trigram of CMU Sphinx"):
        read_trigrams(tmp_path / "lm.bin")
