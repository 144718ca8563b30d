"""Text, lexicon, posteriors and a transducer for benchmarks/words.py, all made up."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mode_ssm.decoding.transducer import State, TransducerCallables
from mode_ssm.labels import T15

FRAMES_PER_LABEL = 7
SENTENCE_WORDS = (4, 13)  # at least, and fewer than
LAST = len(T15) - 1  # the number of the boundary


def sentences(words: int, count: int, random: np.random.Generator) -> list[np.ndarray]:
    """Word indices; seven times in ten a word is followed by one of its twenty usual successors."""
    frequency = 1.0 / (np.arange(words) + 2.7)
    frequency /= frequency.sum()
    usual = np.random.default_rng(0).choice(words, size=(words, 20), p=frequency)
    lengths = random.integers(*SENTENCE_WORDS, size=count)
    result = np.empty((count, lengths.max()), dtype=np.int64)
    result[:, 0] = random.choice(words, size=count, p=frequency)
    for place in range(1, result.shape[1]):
        followed = usual[result[:, place - 1], random.geometric(0.25, size=count).clip(max=20) - 1]
        free = random.choice(words, size=count, p=frequency)
        result[:, place] = np.where(random.random(count) < 0.7, followed, free)
    return [row[:length] for row, length in zip(result, lengths, strict=True)]


def write_corpus(folder: Path, words: int, count: int) -> None:
    """A dictionary of made-up words w0, w1, ... in letters, and a text in which each occurs at least once."""
    random = np.random.default_rng(1)
    names = [spell(index) for index in range(words)]
    lengths = random.binomial(14, 0.42, size=words) + 1
    steps = (random.integers(1, LAST - 1, size=length) for length in lengths)  # no sound twice in a row
    sounds = (" ".join(T15.symbols[1 + i] for i in step.cumsum() % (LAST - 1)) for step in steps)
    (folder / "dictionary").write_text("".join(f"{n}  {s}\n" for n, s in zip(names, sounds, strict=True)))
    text = [" ".join(names[i] for i in sentence) for sentence in sentences(words, count, random)]
    text += [" ".join(names[start : start + 10]) for start in range(0, words, 10)]
    (folder / "text").write_text("\n".join(text) + "\n")


def spell(index: int) -> str:
    digits = []
    while index >= 0:
        index, digit = divmod(index, 26)
        digits.append(chr(ord("a") + digit))
        index -= 1
    return "".join(reversed(digits))


def posteriors(labels: list[int], random: np.random.Generator) -> np.ndarray:
    """(S, V) log-probabilities: each label in one frame, in which it competes with one other class and with blank."""
    frames = FRAMES_PER_LABEL * len(labels)
    logits = random.normal(0.0, 1.0, size=(frames, len(T15)))
    logits[:, T15.blank] += 9.0
    places = np.sort(random.choice(frames // 2, size=len(labels), replace=False)) * 2
    logits[places, T15.blank] -= 4.0
    logits[places, labels] += random.normal(9.0, 2.0, size=len(labels))
    logits[places, random.integers(1, len(T15), size=len(labels))] += random.normal(4.0, 2.0, size=len(labels))
    return np.asarray(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True), dtype=np.float32)


def stand_in() -> TransducerCallables:
    """Predictor and joiner of additive form, J = V."""

    def initial(size: int) -> State:
        return (torch.zeros(size, 1),)

    def predict(labels: Tensor, state: State) -> tuple[Tensor, State]:
        return -12.0 * torch.nn.functional.one_hot(labels, len(T15)).float() * (labels != T15.blank)[:, None], state

    def join(encoded: Tensor, predicted: Tensor) -> Tensor:
        return (encoded + predicted).log_softmax(-1)

    return TransducerCallables(initial, predict, join, T15.blank)
