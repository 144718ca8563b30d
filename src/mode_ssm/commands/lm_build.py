"""`mode-ssm lm build`: a language model and a lexicon from text files and from the training sentences."""

import json
from collections import Counter
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from mode_ssm.commands.transcripts import Transcript, read_transcripts
from mode_ssm.config import LmConfig
from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.language.lexicon import Lexicon, cmudict_lexicon, read_lexicon, write_lexicon
from mode_ssm.language.model import ARPA, LEXICON
from mode_ssm.language.ngram import write_arpa
from mode_ssm.language.pronunciation import Pronounced, lexicon_of_transcripts, pronounce_words
from mode_ssm.phonemes import to_symbols
from mode_ssm.scoring import normalise_sentence

SUMMARY = "lm.json"
SHOWN = 20  # guessed words that are printed; all of them stand in lm.json


def build(config: LmConfig) -> None:
    """Write lm.arpa, lexicon.txt and lm.json, and name the words whose pronunciation is a guess.

    Raises:
        InputError: when there is no sentence, or anything named cannot be read or written.
    """
    if config.text is None and not config.transcripts:
        raise InputError("There is nothing to build a language model from; give text=FILE or transcripts=true.")
    files = _text_files(config.text) if config.text is not None else []
    transcripts = read_transcripts(config.data) if config.transcripts else []
    counts = Counter(word for words in _sentences(files, transcripts) for word in words)
    vocabulary = _vocabulary(counts, transcripts, config)
    pronounced = pronounce_words(vocabulary, _sources(config, transcripts))
    folder = Path(config.out)
    summary = {
        "order": config.order,
        "words": len(vocabulary),
        "text_words": counts.total(),
        "text_words_outside": counts.total() - sum(counts[word] for word in vocabulary),
        "guessed": pronounced.guessed,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_arpa(_sentences(files, transcripts), frozenset(vocabulary), config.order, folder / ARPA)
        write_lexicon(folder / LEXICON, pronounced.lexicon)
        replace_text(folder / SUMMARY, json.dumps(summary, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}); give another out=FOLDER.") from None
    _print_summary(folder, counts, pronounced)


def _text_files(pattern: str) -> list[Path]:
    files = [Path(name) for name in sorted(glob(pattern)) if Path(name).is_file()]
    if not files:
        raise InputError(f"text={pattern} matches no file; give a text file with a sentence a line.")
    return files


def _sources(config: LmConfig, transcripts: list[Transcript]) -> list[Lexicon]:
    """Where pronunciations are looked up, the first to have a word first."""
    sources = [lexicon_of_transcripts(transcripts)]
    if config.lexicon is not None:
        sources.append(cmudict_lexicon() if config.lexicon == "cmudict" else read_lexicon(config.lexicon))
    return sources


def _sentences(files: list[Path], transcripts: list[Transcript]) -> Iterator[list[str]]:
    """Normalised words of every sentence, read anew each time so that a large text is never held."""
    for sentence, _ in transcripts:
        yield normalise_sentence(sentence).split()
    for path in files:
        try:
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    yield normalise_sentence(line.replace("\u2019", "'")).split()
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 text (byte {error.start}); convert or unpack it first.") from None
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); give another text=FILE.") from None


def _vocabulary(counts: Counter[str], transcripts: list[Transcript], config: LmConfig) -> list[str]:
    """The words to decode, most frequent first: all those of the transcripts, then those of the text."""
    spoken = {word for words in _sentences([], transcripts) for word in words}
    ranked = [word for word, count in counts.most_common() if count >= config.min_count and _is_word(word)]
    kept = [word for word in ranked if word in spoken]
    kept += [word for word in ranked if word not in spoken][: max(config.max_words - len(kept), 0)]
    if not kept:
        raise InputError("The text holds no word that could be decoded; give other text or lower min_count.")
    return kept


def _is_word(word: str) -> bool:
    return any(letter.isalpha() for letter in word)


def _print_summary(folder: Path, counts: Counter[str], pronounced: Pronounced) -> None:
    lexicon, guessed = pronounced
    print(f"{folder}: {len(lexicon)} words, from {counts.total()} words of text.")
    if guessed:
        shown = ", ".join(f"{word} ({to_symbols(lexicon[word][0])})" for word in guessed[:SHOWN])
        more = f" and {len(guessed) - SHOWN} more, listed in {SUMMARY}" if len(guessed) > SHOWN else ""
        print(f"The pronunciation of {len(guessed)} words is a guess from their letters: {shown}{more}.")
