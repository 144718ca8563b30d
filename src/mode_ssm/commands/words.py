"""`mode-ssm words add | list | remove`: a file of words that decode takes besides those of a language model."""

from collections.abc import Sequence
from pathlib import Path

from mode_ssm.config import WordsConfig
from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.labels import Labels, labels_of
from mode_ssm.language.folder import LEXICON
from mode_ssm.language.lexicon import Lexicon, Pronunciation, lexicon_text, read_lexicon
from mode_ssm.language.pronunciation import pronounce_words
from mode_ssm.language.vocabulary import one_word, pronunciation, read_words, say_guesses


def add(words: Sequence[str], config: WordsConfig) -> None:
    """Put words into the file, which is made where there is none; those without phonemes get a guess, which is said.

    Raises:
        InputError: when a word or a symbol is none, or a file cannot be read or written.
    """
    labels = labels_of(Path(), config.labels)
    named = parse(words, labels)
    if not named:
        raise InputError("words add needs a word; name one, with its phonemes after it where you know them.")
    there = _there(config, labels)
    dictionary = _dictionary(config, labels)
    sources = [] if dictionary is None else [dictionary]
    guesses = pronounce_words([word for word, found in named.items() if not found], sources, labels, dictionary)
    said = {word: found or guesses.lexicon[word] for word, found in named.items()}
    for word, found in said.items():
        there[word] = tuple(dict.fromkeys((*found, *there.get(word, ()))))
    _write(Path(config.file), there, labels)
    say_guesses(guesses, labels)
    print(f"{config.file}: {len(there)} words, {len(said)} of them now: {', '.join(said)}.")


def remove(words: Sequence[str], config: WordsConfig) -> None:
    """Take words out of the file.

    Raises:
        InputError: when the file does not have one, or cannot be read or written.
    """
    labels = labels_of(Path(), config.labels)
    there = read_words(Path(config.file), labels)
    for name in words:
        if there.pop(one_word(name), None) is None:
            raise InputError(f"{config.file} has no word '{name}'; mode-ssm words list file={config.file} shows them.")
    _write(Path(config.file), there, labels)
    print(f"{config.file}: {len(there)} words.")


def show(words: Sequence[str], config: WordsConfig) -> None:
    """Print the file's words, or those named, with their phonemes.

    Raises:
        InputError: as `remove`.
    """
    labels = labels_of(Path(), config.labels)
    there = read_words(Path(config.file), labels)
    for name in [one_word(name) for name in words] or sorted(there):
        if name not in there:
            raise InputError(f"{config.file} has no word '{name}'; mode-ssm words add file={config.file} adds it.")
        for ids in there[name] or ((),):
            print(f"{name}  {labels.text(ids) or '(to be guessed)'}")


def parse(words: Sequence[str], labels: Labels) -> dict[str, tuple[Pronunciation, ...]]:
    """Names, each perhaps with its phonemes after it, in one text with it or not.

    Raises:
        InputError: when a name is no single word, or phonemes stand before any.
    """
    named: dict[str, list[str]] = {}
    last: list[str] | None = None
    for token in " ".join(words).split():
        if _is_symbol(token, labels):
            if last is None:
                raise InputError(f"'{token}' is a phoneme before any word; write the word first: Kaja K AY AH.")
            last.append(token)
        else:
            last = named.setdefault(one_word(token), [])
    return {name: (pronunciation(symbols, labels),) if symbols else () for name, symbols in named.items()}


def _is_symbol(token: str, labels: Labels) -> bool:
    return token in labels.symbols or token.rstrip("012") in labels.symbols


def _there(config: WordsConfig, labels: Labels) -> dict[str, tuple[Pronunciation, ...]]:
    path = Path(config.file)
    return read_words(path, labels) if path.exists() else {}


def _dictionary(config: WordsConfig, labels: Labels) -> Lexicon | None:
    given = Path(config.lm) / LEXICON if config.lm is not None else config.lexicon
    return None if given is None else read_lexicon(given, labels)


def _write(path: Path, words: dict[str, tuple[Pronunciation, ...]], labels: Labels) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, lexicon_text({word: found or ((),) for word, found in words.items()}, labels))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); give another file=FILE.") from None
