"""The sentences that come with the package, and sentences of random words from their vocabulary."""

from functools import cached_property
from pathlib import Path

import numpy as np

from mode_ssm.simulation.lexicon import Lexicon, pronounce, words_of
from mode_ssm.simulation.presets import Sentences

SENTENCES = Path(__file__).with_name("sentences.txt")


def read_sentences(path: Path) -> dict[str, tuple[str, ...]]:
    """The sentences, one a line, by the heading (`# name`) above them."""
    corpora: dict[str, list[str]] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            name = line.removeprefix("#").strip()
        elif line.strip():
            corpora.setdefault(name, []).append(line.strip())
    return {name: tuple(sentences) for name, sentences in corpora.items()}


class SentenceSource:
    """Draws what is to be said. As in the T15 data, all sentences of a block come from one corpus."""

    def __init__(self, lexicon: Lexicon, design: Sentences) -> None:
        self.lexicon = lexicon
        self.design = design
        self.corpora = read_sentences(SENTENCES)

    @cached_property
    def vocabularies(self) -> dict[str, list[str]]:
        return {name: sorted({w for s in lines for w in words_of(s)}) for name, lines in self.corpora.items()}

    def draw_corpus(self, rng: np.random.Generator) -> str:
        """The corpus of a block."""
        return str(rng.choice(list(self.design.corpora), p=list(self.design.corpora.values())))

    def draw(self, corpus: str, rng: np.random.Generator) -> tuple[str, tuple[int, ...]]:
        """A sentence and its labels.

        Raises:
            InputError: on a word that the lexicon has not.
        """
        sentence = self.corpora[corpus][rng.integers(len(self.corpora[corpus]))]
        if rng.random() < self.design.random_share:
            least, most = self.design.words
            vocabulary = self.vocabularies[corpus]
            chosen = rng.integers(len(vocabulary), size=rng.integers(least, most + 1))
            sentence = " ".join(vocabulary[i] for i in chosen).capitalize() + "."
        return sentence, pronounce(sentence, self.lexicon)
