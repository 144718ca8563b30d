"""Words and hot phrases beside a language model: read from files or given by name, and pronounced where they are not.

A file of words is a dictionary in CMU format, in which a word may stand alone; a file of hot words has a word or a
phrase a line, perhaps with a boost after it. Both may hold comment lines that begin with ##.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mode_ssm.config import WordSearchConfig
from mode_ssm.dictionary import read_dictionary
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.language.added_words import extend_model
from mode_ssm.language.lexicon import Lexicon, Pronunciation
from mode_ssm.language.model import Additions, WordModel, load_word_model
from mode_ssm.language.pronunciation import Pronounced, pronounce_words
from mode_ssm.language.text import spoken_words

Words = Mapping[str, tuple[Pronunciation, ...]]  # those without a pronunciation are to be guessed
_MOST_BOOST = 1000.0


class Completed(NamedTuple):
    additions: Additions
    guesses: Pronounced


def complete(model: WordModel, words: Words, phrases: Mapping[tuple[str, ...], float]) -> Completed:
    """What can be added to a model: words that have no pronunciation, there or here, get one from their letters.

    Raises:
        InputError: where a word must be guessed and the labels are not ARPAbet phonemes.
    """
    known = set(model.words)
    needed = dict.fromkeys(words) | dict.fromkeys(word for phrase in phrases for word in phrase)
    silent = [word for word in needed if not words.get(word) and word not in known]
    lexicon = lexicon_of(model) if silent else {}
    guesses = pronounce_words(silent, [lexicon], model.labels, lexicon)
    spoken = {word: found for word, found in words.items() if found}
    return Completed(Additions(spoken | guesses.lexicon, phrases), guesses)


def lexicon_of(model: WordModel) -> Lexicon:
    """The pronunciations of a model, without the boundary."""
    found: dict[str, list[Pronunciation]] = defaultdict(list)
    for word, spelling in model.spellings:
        found[model.words[word]].append(spelling[:-1])
    return {word: tuple(variants) for word, variants in found.items()}


def load_words(folder: str, labels: Labels, settings: WordSearchConfig) -> WordModel:
    """A language model with the words and hot words of the settings; says which pronunciations are guesses.

    Raises:
        InputError: when a file cannot be read, or holds what is no word or no boost.
    """
    model = load_word_model(folder, labels)
    if settings.words is None and settings.hotwords is None:
        return model
    words = {} if settings.words is None else read_words(Path(settings.words), labels)
    phrases = {} if settings.hotwords is None else read_hotwords(Path(settings.hotwords), settings.hotword_boost)
    additions, guesses = complete(model, words, phrases)
    say_guesses(guesses, labels)
    return extend_model(model, additions)


def say_guesses(guesses: Pronounced, labels: Labels) -> None:
    for word in guesses.guessed:
        print(f"The pronunciation of '{word}' is a guess from its letters: {labels.text(guesses.lexicon[word][0])}.")


def read_words(path: Path, labels: Labels) -> dict[str, tuple[Pronunciation, ...]]:
    """Words with their pronunciations; none where a word stands alone.

    Raises:
        InputError: on a file that cannot be read, what is not one word, or symbols that are no labels.
    """
    entries: dict[str, dict[Pronunciation, None]] = {}
    for place, word, symbols in read_dictionary(path):
        try:
            found = entries.setdefault(one_word(word), {})
            if symbols:
                found[pronunciation(symbols, labels)] = None
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
    return {word: tuple(variants) for word, variants in entries.items()}


def one_word(name: str) -> str:
    """A name as texts and searches have it.

    Raises:
        InputError: when it is none, or several.

    >>> one_word("Zoë")
    'zoe'
    """
    words = spoken_words(name)
    if len(words) != 1:
        raise InputError(f"'{name}' is {len(words)} words; add one at a time (hot words may be phrases).")
    return words[0]


def pronunciation(symbols: Iterable[str], labels: Labels) -> Pronunciation:
    """Label ids of symbols.

    Raises:
        InputError: when one is no label, or the boundary.
    """
    ids = tuple(labels.ids(tuple(symbols)))
    if labels.boundary in ids:
        raise InputError("The boundary follows every word of itself; leave it out of the pronunciation.")
    return ids


def read_hotwords(path: Path, boost: float) -> dict[tuple[str, ...], float]:
    """Phrases with their boosts; `boost` is that of lines without one.

    Raises:
        InputError: on a file that cannot be read, a line without a word, a boost that is no usual number, or no line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InputError(f"The hot words {path} cannot be read ({reason}); give a text file, one a line.") from None
    found: dict[tuple[str, ...], float] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("##"):
            try:
                phrase, own = parse_hotword(line)
            except InputError as error:
                raise InputError(f"{path}, line {number}: {error}") from None
            found[phrase] = boost if own is None else own
    if not found:
        raise InputError(f"{path} holds no hot word; write a word or a phrase a line, perhaps with a boost after it.")
    return found


def parse_hotword(line: str) -> tuple[tuple[str, ...], float | None]:
    """The words of a line, and the boost at its end.

    Raises:
        InputError: where there is no word, or the boost is beyond 1000 nats.

    >>> parse_hotword("New York 2.5"), parse_hotword("Zürich")
    ((('new', 'york'), 2.5), (('zurich',), None))
    """
    words = line.split()
    boost = _number(words[-1]) if len(words) > 1 else None
    phrase = tuple(spoken_words(" ".join(words if boost is None else words[:-1])))
    if not phrase:
        raise InputError(f"'{line.strip()}' has no word; write a word or a phrase, perhaps with a boost after it.")
    if boost is not None and not abs(boost) <= _MOST_BOOST:
        raise InputError(f"the boost {words[-1]} is no number of nats from -1000 to 1000; usual ones are 1 to 10.")
    return phrase, boost


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
