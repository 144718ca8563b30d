"""`mode-ssm lm info`: what a language model holds, and how well it foretells a text."""

from pathlib import Path

from mode_ssm.commands.lm_build import text_files
from mode_ssm.config import LmInfoConfig
from mode_ssm.dictionary import read_dictionary
from mode_ssm.language.folder import LEXICON, open_model
from mode_ssm.language.perplexity import measure
from mode_ssm.language.text import read_sentences


def info(config: LmInfoConfig) -> None:
    """Print order, n-grams, words, size on disk and, with a text, perplexity and the rate of unknown words.

    Raises:
        InputError: when a file cannot be read.
    """
    folder = Path(config.lm)
    ngrams = open_model(folder)
    lines = list(read_dictionary(folder / LEXICON))
    words = {line.word.lower() for line in lines}
    outside = sum(ngrams.index(word) == ngrams.unknown for word in words)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    by_order = ", ".join(f"{count} of order {size}" for size, count in enumerate(ngrams.counts, start=1))
    print(f"{folder}: order {ngrams.order}, n-grams: {by_order}.")
    print(f"{len(words)} words with {len(lines)} pronunciations; {outside} of them are not in the n-gram model.")
    print(f"{size / 1e6:.1f} MB on disk.")
    for path in text_files(config.text) if config.text is not None else []:
        print(f"{path}: {measure(ngrams, read_sentences(path))}.")
