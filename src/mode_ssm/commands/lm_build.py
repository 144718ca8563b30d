"""`mode-ssm lm build`: a language model and a lexicon from text files and from the training sentences."""

from collections.abc import Iterator
from glob import glob
from pathlib import Path

from mode_ssm.config import DataConfig, LmConfig
from mode_ssm.data import open_source
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels, labels_of
from mode_ssm.language.corpus import FIRST, Corpus
from mode_ssm.language.folder import STORE, SUMMARY, check_replaceable, write_folder
from mode_ssm.language.lexicon import Lexicon, cmudict_lexicon, lexicon_text, read_lexicon
from mode_ssm.language.ngram import estimate
from mode_ssm.language.ngram_store import map_store
from mode_ssm.language.perplexity import measure
from mode_ssm.language.pronunciation import Pronounced, lexicon_of_transcripts, pronounce_words
from mode_ssm.language.text import read_sentences, spoken_words

Spoken = tuple[str, tuple[int, ...]]  # a sentence and its labels
COMPARED = 5  # words that labels and a dictionary share, below which nothing is said of them
SHOWN = 20  # guessed words that are printed; all of them stand in lm.json


def build(config: LmConfig) -> None:
    """Write the folder of a language model, and name the words whose pronunciation is a guess.

    Raises:
        InputError: when there is no sentence, or anything named cannot be read or written.
    """
    if config.text is None and not config.transcripts:
        raise InputError("There is nothing to build a language model from; give text=FILE or transcripts=true.")
    folder = Path(config.out)
    check_replaceable(folder)
    files = text_files(config.text) if config.text is not None else []
    transcripts = _transcripts(config.data, "train") if config.transcripts else []
    held_out = _transcripts(config.data, config.split) if config.split is not None else []
    labels = open_source(config.data).labels if config.transcripts else labels_of(Path(), config.data.labels or "t15")
    corpus = Corpus()
    for words in _sentences(files, transcripts):
        corpus.add(words)
    counts = corpus.counts()
    vocabulary = _vocabulary(counts, transcripts, config)
    model = estimate(corpus.tokens(vocabulary), (*FIRST, *vocabulary), config.order)
    dictionary, heard = _dictionary(config.lexicon, labels), lexicon_of_transcripts(transcripts, labels)
    if dictionary is not None:
        _check_dictionary(dictionary, heard, labels)
    sources = [heard, dictionary or {}]
    pronounced = pronounce_words(vocabulary, sources, labels, dictionary)
    said = sum(counts.values())
    summary = {
        "order": config.order,
        "words": len(vocabulary),
        "text_words": said,
        "text_words_outside": said - sum(counts[word] for word in vocabulary),
        "guessed": pronounced.guessed,
        "guessed_by": pronounced.guessed_by,
    }
    write_folder(folder, model, lexicon_text(pronounced.lexicon, labels), summary)
    print(f"{folder}: {len(vocabulary)} words, from {said} words of text.")
    _print_guesses(pronounced, labels)
    if held_out:
        found = measure(map_store(folder / STORE), (spoken_words(sentence) for sentence, _ in held_out))
        print(f"{config.split}: {found}.")


def _transcripts(data: DataConfig, split: str) -> list[Spoken]:
    from mode_ssm.commands.transcripts import read_transcripts  # late: it imports torch, which text alone does not need

    return [(transcript.sentence, transcript.labels) for transcript in read_transcripts(data, split)]


def text_files(pattern: str) -> list[Path]:
    """The file of that very name, or those that match it as a pattern.

    Raises:
        InputError: when there is none.
    """
    names = [pattern] if Path(pattern).is_file() else sorted(glob(pattern))
    files = [Path(name) for name in names if Path(name).is_file()]
    if not files:
        raise InputError(f"text={pattern} matches no file; give a text file with a sentence a line.")
    return files


def _dictionary(given: str | None, labels: Labels) -> Lexicon | None:
    if given is None:
        return None
    return cmudict_lexicon(labels) if given == "cmudict" else read_lexicon(given, labels)


def _check_dictionary(dictionary: Lexicon, heard: Lexicon, labels: Labels) -> None:
    """Raises: InputError, where the labels of the training sentences say hardly any word as the dictionary does."""
    both = [word for word in heard if word in dictionary]
    agree = [word for word in both if {*heard[word]} & {*dictionary[word]}]
    if len(both) >= COMPARED and len(agree) < 0.1 * len(both):
        word = next(word for word in both if word not in agree)
        raise InputError(
            f"Of {len(both)} words of the training sentences that the dictionary has, {len(agree)} are labelled as it "
            f"says them; {word} is {labels.text(dictionary[word][0])} there and {labels.text(heard[word][0])} in the "
            "labels. Say the order of the classes with data.labels=FILE.yaml, or give another lexicon."
        )


def _sentences(files: list[Path], transcripts: list[Spoken]) -> Iterator[list[str]]:
    for sentence, _ in transcripts:
        yield spoken_words(sentence)
    for path in files:
        yield from read_sentences(path)


def _vocabulary(counts: dict[str, int], transcripts: list[Spoken], config: LmConfig) -> list[str]:
    """The words to decode, most frequent first: all those of the transcripts, then those of the text."""
    spoken = {word for words in _sentences([], transcripts) for word in words}
    ranked = sorted(counts, key=lambda word: -counts[word])
    kept = [word for word in ranked if word in spoken]
    others = [word for word in ranked if word not in spoken and counts[word] >= config.min_count]
    kept += others[: max(config.max_words - len(kept), 0)]
    if not kept:
        raise InputError("The text holds no word that could be decoded; give other text or lower min_count.")
    return kept


def _print_guesses(pronounced: Pronounced, labels: Labels) -> None:
    lexicon, guessed = pronounced.lexicon, pronounced.guessed
    if guessed:
        shown = ", ".join(f"{word} ({labels.text(lexicon[word][0])})" for word in guessed[:SHOWN])
        more = f" and {len(guessed) - SHOWN} more, listed in {SUMMARY}" if len(guessed) > SHOWN else ""
        print(f"The pronunciation of {len(guessed)} words is a guess from their letters: {shown}{more}.")
