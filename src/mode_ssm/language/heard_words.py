"""N-best phoneme strings to words, and what of that is learnt on labelled lines: the confusions and the weights."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mode_ssm.config import ConfusionSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.files import parse_json
from mode_ssm.labels import Labels
from mode_ssm.language.confusion import ConfusionModel, learn_confusions, read_confusions, write_confusions
from mode_ssm.language.confusion_edits import Pair
from mode_ssm.language.confusion_network import ConfusionNetwork, confusion_network
from mode_ssm.language.confusion_search import ConfusionSearch, ConfusionWeights, HeardSentence
from mode_ssm.language.decoded_files import HeardLine
from mode_ssm.language.model import WordModel
from mode_ssm.scoring import ErrorRate, edit_counts, normalise_sentence

Words = tuple[str, ...]
_TOGETHER = 64  # lines searched side by side
_FOLDS = 3  # of the lines that weights are learnt on
_LM_WEIGHTS = np.arange(4, 18) / 10
_WORD_SCORES = np.arange(-2, 9) / 2
TRIED = 60  # hypotheses of a line among which weights choose


class HeardSettings(NamedTuple):
    """What goes with a confusion model; scores are natural logarithms, and the model's own have weight 1."""

    lm_weight: float = ConfusionWeights.lm_weight
    word_score: float = 0.0
    prior_weight: float = 0.6  # of the phonemes' frequencies, which posteriors are divided by
    temperature: float = 4.0  # divides the scores of a decoder's strings


class Heard(NamedTuple):
    """One line with the sentences found for it."""

    line: HeardLine
    found: list[HeardSentence]  # best first


class Learnt(NamedTuple):
    model: ConfusionModel
    settings: HeardSettings
    halves: list[Heard]  # all lines in order, each half decoded with what was learnt on the other alone


def networks(lines: Sequence[HeardLine], labels: Labels, settings: HeardSettings) -> list[ConfusionNetwork]:
    return [confusion_network(line.nbest, len(labels), settings.temperature) for line in lines]


def find_words(
    lines: Sequence[HeardLine],
    model: ConfusionModel,
    words: WordModel,
    settings: HeardSettings,
    search: ConfusionSearchConfig,
    nbest: int,
) -> list[Heard]:
    """The best sentences of each line, in the order of the lines."""
    weights = ConfusionWeights(settings.lm_weight, settings.word_score, search.beam_size, search.beam_threshold)
    run = ConfusionSearch(words, weights)
    scores = [model.score(network, settings.prior_weight) for network in networks(lines, words.labels, settings)]
    order = sorted(range(len(lines)), key=lambda place: len(scores[place].added))
    found: list[list[HeardSentence]] = [[] for _ in lines]
    for start in range(0, len(order), _TOGETHER):
        places = order[start : start + _TOGETHER]
        for place, sentences in zip(places, run([scores[p] for p in places], nbest), strict=True):
            found[place] = sentences
    return [Heard(line, sentences) for line, sentences in zip(lines, found, strict=True)]


def learn(lines: Sequence[HeardLine], words: WordModel, search: ConfusionSearchConfig) -> Learnt:
    """Learn from labelled lines: confusions on all, and the weights that suit halves decoded with each other's.

    Those halves also say what to expect: each is decoded with confusions and weights that nothing of it was seen for.

    Raises:
        InputError: where there are too few lines that say what was said, or no phonemes of them are known.
    """
    if len(lines) < 2 * _FOLDS:
        raise InputError(
            f"{len(lines)} lines say what was said; {2 * _FOLDS} or more labelled lines are needed to learn from."
        )
    halves: list[list[Heard]] = []
    for half in (0, 1):
        other = lines[1 - half :: 2]
        settings = tune_weights(decode_folds(other, words, search), words, HeardSettings())
        model = learn_confusions(pairs_of(other, words, settings), len(words.labels))
        halves.append(find_words(lines[half::2], model, words, settings, search, TRIED))
    in_order = [halves[place % 2][place // 2] for place in range(len(lines))]
    settings = tune_weights(in_order, words, HeardSettings())
    return Learnt(learn_confusions(pairs_of(lines, words, settings), len(words.labels)), settings, in_order)


def decode_folds(lines: Sequence[HeardLine], words: WordModel, search: ConfusionSearchConfig) -> list[Heard]:
    """Every line with the sentences found by the confusions of the other folds, in the order of the lines."""
    start = HeardSettings()
    found: dict[int, Heard] = {}
    for fold in range(_FOLDS):
        others = [line for place, line in enumerate(lines) if place % _FOLDS != fold]
        model = learn_confusions(pairs_of(others, words, start), len(words.labels))
        places = range(fold, len(lines), _FOLDS)
        found |= zip(places, find_words(lines[fold::_FOLDS], model, words, start, search, TRIED), strict=True)
    return [found[place] for place in range(len(lines))]


def pairs_of(lines: Sequence[HeardLine], words: WordModel, settings: HeardSettings) -> list[Pair]:
    """Lines with the phonemes that were said: those given, else those of the words where the lexicon has them all."""
    usual: dict[str, tuple[int, ...]] = {}
    for word, spelling in words.spellings:
        usual.setdefault(words.words[word], spelling)
    pairs = []
    for line, network in zip(lines, networks(lines, words.labels, settings), strict=True):
        said = line.phonemes
        if said is None and all(word in usual for word in words_said(line)):
            said = tuple(label for word in words_said(line) for label in usual[word])
        if said:
            pairs.append(Pair(said, network))
    return pairs


def tune_weights(heard: Sequence[Heard], words: WordModel, settings: HeardSettings) -> HeardSettings:
    """The weights under which the n-best's first sentences have the fewest word errors; of equal ones, the first."""
    nothing = [HeardSentence((), 0.0, 0.0, 0.0)]
    parts = []
    for one in heard:
        choices = one.found or nothing
        table = np.array([[s.channel, s.lm, len(s.words)] for s in choices])
        parts.append((table, np.array([_errors(one.line, s, words).edits for s in choices])))

    def edits(weights: tuple[float, float]) -> int:
        factors = np.array([1.0, *weights])
        return sum(int(errors[np.argmax(table @ factors)]) for table, errors in parts)

    best = min(product(_LM_WEIGHTS.tolist(), _WORD_SCORES.tolist()), key=edits)
    return settings._replace(lm_weight=best[0], word_score=best[1])


def words_said(line: HeardLine) -> Words:
    return tuple(normalise_sentence(line.sentence or "").split())


def errors_of(heard: Heard, words: WordModel) -> ErrorRate:
    """Word errors of the best sentence; of none where nothing was found."""
    best = heard.found[0] if heard.found else HeardSentence((), 0.0, 0.0, 0.0)
    return _errors(heard.line, best, words)


def oracle_errors_of(heard: Heard, words: WordModel) -> ErrorRate:
    """Word errors of the most accurate sentence of the n-best."""
    choices = heard.found or [HeardSentence((), 0.0, 0.0, 0.0)]
    return min((_errors(heard.line, choice, words) for choice in choices), key=lambda errors: errors.edits)


def _errors(line: HeardLine, sentence: HeardSentence, words: WordModel) -> ErrorRate:
    return edit_counts(words_said(line), tuple(words.words[word] for word in sentence.words))


def write_heard(path: Path, learnt: Learnt, labels: Labels) -> None:
    """Keep what was learnt in one file.

    Raises:
        InputError: when it cannot be written.
    """
    write_confusions(path, learnt.model, labels, learnt.settings._asdict())


def read_heard_model(path: Path, labels: Labels) -> tuple[ConfusionModel, HeardSettings]:
    """Read what `write_heard` wrote.

    Raises:
        InputError: when there is no such file, or it is for other labels.
    """
    model = read_confusions(path, labels)
    kept = parse_json(path.read_text(encoding="utf-8")).get("search")
    if not isinstance(kept, dict) or set(kept) != set(HeardSettings._fields):
        raise InputError(f"{path} has no weights for its confusions; mode-ssm tune phonemes=FILE writes both.")
    values = [kept[name] for name in HeardSettings._fields]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values) or kept["temperature"] <= 0:
        raise InputError(f"{path} has weights that are no numbers ({kept}); learn them anew by mode-ssm tune.")
    return model, HeardSettings(*map(float, values))
