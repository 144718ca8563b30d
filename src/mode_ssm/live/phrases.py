"""The phrases of a lock, given as words or as phonemes, as what a spotter listens for."""

from itertools import islice, product
from pathlib import Path

from mode_ssm.config import Decoder as Head
from mode_ssm.config import LockConfig, StreamDecodingConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.language.folder import LEXICON
from mode_ssm.language.lexicon import Pronunciation, read_lexicon
from mode_ssm.language.text import spoken_words
from mode_ssm.language.vocabulary import Words, read_words
from mode_ssm.live.lock import Lock
from mode_ssm.live.spotting import PhraseSpotter
from mode_ssm.recognition.network import Recogniser

LEAST_PHONEMES = 8  # a shorter phrase is heard in what is not it
MOST_SPELLINGS = 32  # of a phrase whose words have several pronunciations, the usual ones first

Spellings = list[Pronunciation]


def open_lock(config: StreamDecodingConfig, recogniser: Recogniser) -> Lock | None:
    """The lock that the settings ask for, closed; None = they ask for none.

    Raises:
        InputError: for a phrase that is too short or has a word without a pronunciation, a closing phrase that opens
            too, or a network without a trained CTC head.
    """
    settings, labels = config.lock, recogniser.checkpoint.labels
    if settings.open is None:
        if settings.close is not None:
            raise InputError("lock.close is given without lock.open; give the phrase that opens the lock too.")
        return None
    if Head.ctc not in recogniser.heads:
        raise InputError(
            f"A lock hears its phrases by the posteriors of a CTC head, and {recogniser.checkpoint.path} has none that "
            "was trained; train with a ctc_weight, or leave lock.open out."
        )
    words = {} if settings.phonemes else _pronunciations(config, labels)
    opening = read_phrase("lock.open", settings.open, labels, None if settings.phonemes else words)
    spotter = _spotter(opening, settings, recogniser)
    closing = None
    if settings.close is not None:
        found = read_phrase("lock.close", settings.close, labels, None if settings.phonemes else words)
        if {*found} & {*opening}:
            raise InputError(
                "lock.close sounds as lock.open does; give two phrases, for what is said while it is open is decoded."
            )
        closing = _spotter(found, settings, recogniser)
    return Lock(spotter, closing, settings.seconds, config.listening.end_evidence, labels)


def read_phrase(name: str, phrase: str, labels: Labels, words: Words | None) -> Spellings:
    """Every way to say it, as label ids without boundaries.

    Args:
        name: of the setting.
        words: pronunciations; None = the phrase is given as labels.

    Raises:
        InputError: when a word has no pronunciation, a symbol is no label, or the phrase is too short.
    """
    found = _labelled(name, phrase, labels) if words is None else _worded(name, phrase, words)
    shortest = min(map(len, found))
    if shortest < LEAST_PHONEMES:
        raise InputError(
            f"{name} has {shortest} {labels.unit}s, so few that other speech sounds like it; give a phrase of at least "
            f"{LEAST_PHONEMES}."
        )
    return found


def _labelled(name: str, phrase: str, labels: Labels) -> Spellings:
    try:
        return [tuple(label for label in labels.ids(phrase) if label != labels.boundary)]
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _worded(name: str, phrase: str, words: Words) -> Spellings:
    said = spoken_words(phrase)
    silent = next((word for word in said if not words.get(word)), None)
    if silent is not None:
        raise InputError(
            f"{name} has the word '{silent}', whose pronunciation is not known; add it with mode-ssm words add and "
            "search.words=FILE, or give the phrase as phonemes with lock.phonemes=true."
        )
    return [sum(choice, ()) for choice in islice(product(*(words[word] for word in said)), MOST_SPELLINGS)]


def _pronunciations(config: StreamDecodingConfig, labels: Labels) -> Words:
    """Of the language model's lexicon, and those of search.words."""
    if config.lm is None:
        raise InputError(
            "lock.open is given as words, and without a language model their pronunciation is not known; give "
            "lm=FOLDER, or the phrase as phonemes with lock.phonemes=true."
        )
    words = read_lexicon(Path(config.lm) / LEXICON, labels)
    added = {} if config.search.words is None else read_words(Path(config.search.words), labels)
    return words | {word: (*found, *words.get(word, ())) for word, found in added.items()}


def _spotter(spellings: Spellings, settings: LockConfig, recogniser: Recogniser) -> PhraseSpotter:
    frames = max(1, round(1000 * settings.within_seconds / recogniser.frame_ms))
    return PhraseSpotter(spellings, recogniser.checkpoint.labels, settings.threshold, frames)
