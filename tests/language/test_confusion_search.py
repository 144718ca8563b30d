"""Confusion networks to words: the search beside the sum over all alignments of all sentences."""

from itertools import product

import numpy as np
import pytest

from mode_ssm.labels import Labels
from mode_ssm.language.arpa import BackoffModel, NGrams
from mode_ssm.language.confusion import ConfusionScores
from mode_ssm.language.confusion_network import NOTHING
from mode_ssm.language.confusion_search import ConfusionSearch, ConfusionWeights
from mode_ssm.language.model import WordModel
from mode_ssm.language.ngram_store import NGramStore
from tests.language.test_confusion import all_alignments

LABELS = Labels(("-", "a", "b", "c", "|"), blank=0, boundary=4)


def tiny_model() -> WordModel:
    """Four words, two of them sound alike; a bigram model."""
    words = ("<unk>", "<s>", "</s>", "ab", "a", "ba", "eh")
    unigrams = np.log(np.array([1e-9, 1e-9, 0.2, 0.3, 0.2, 0.2, 0.1]), dtype=np.float32)
    ids = np.arange(7, dtype=np.int32)[:, None]
    pairs = np.array([[1, 3], [3, 5], [5, 2]], dtype=np.int32)
    probs = np.log(np.array([0.5, 0.6, 0.4], dtype=np.float32))
    backoffs = np.zeros(7, np.float32)
    backoffs[[1, 3, 5]] = np.log(np.array([0.5 / 0.7, 0.4 / 0.8, 0.6 / 0.8]))
    store = NGramStore.of(
        BackoffModel(words, (NGrams(ids, unigrams, backoffs), NGrams(pairs, probs, np.zeros(3, np.float32))))
    )
    spellings = ((0, (1, 2, 4)), (1, (1, 4)), (2, (2, 1, 4)), (3, (1, 4)))
    return WordModel(words[3:], spellings, store, np.array([3, 4, 5, 6]), LABELS)


def path_sum(scores: ConfusionScores, labels: tuple[int, ...], most_lost: int = 2) -> float:
    """log-sum over alignments with at most two phonemes lost in a row between slots."""
    total = -np.inf
    for alignment in all_alignments(len(scores.added), len(labels)):
        run, value = 0, 0.0
        for slot, place in alignment:
            if slot is None:
                run += 1
                value += scores.lost[labels[place or 0]]
            else:
                run = 0
                value += scores.added[slot] if place is None else scores.said[slot, labels[place]]
            if run > most_lost:
                break
        else:
            total = np.logaddexp(total, value)
    return float(total)


def test_the_search_finds_what_all_sentences_together_have_as_the_best() -> None:
    model = tiny_model()
    spelled = dict(model.spellings)
    for seed in range(5):
        random = np.random.default_rng(seed)
        said = np.log(random.dirichlet(np.ones(5) * 0.5, 5))
        scores = ConfusionScores(said, said[:, NOTHING] - 1.0, np.log(np.array([0.1, 0.1, 0.2, 0.1, 0.3])))
        weights = ConfusionWeights(lm_weight=0.7, word_score=0.4, beam_size=100_000, beam_threshold=1e9)
        expected = []
        for size in (0, 1, 2):
            for words in product(range(4), repeat=size):
                labels = tuple(label for word in words for label in spelled[word])
                total = path_sum(scores, labels) + 0.7 * model.sentence_score(words) + 0.4 * size
                expected.append((total, words))
        expected.sort(reverse=True)
        found = ConfusionSearch(model, weights)([scores, scores], nbest=5000)
        ranked = {sentence.words: sentence.score for sentence in found[0]}
        for total, words in expected[:6]:
            if total > -1e8:
                assert ranked[words] == pytest.approx(total, abs=1e-5)
        assert [s.score for s in found[0]] == pytest.approx([s.score for s in found[1]])
