"""`mode-ssm lm import`: what others have, an ARPA file or a binary of KenLM and a lexicon, as a folder of ours."""

from collections.abc import Iterator
from pathlib import Path

from mode_ssm.config import LmImportConfig
from mode_ssm.dictionary import DictionaryLine, read_dictionary
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels, labels_of
from mode_ssm.language.arpa import END, START, UNKNOWN, BackoffModel, read_arpa
from mode_ssm.language.folder import check_replaceable, write_folder
from mode_ssm.language.kenlm import KenLMFile
from mode_ssm.language.kenlm_file import is_binary
from mode_ssm.language.lexicon import Lexicon, lexicon_text
from mode_ssm.language.ngram_scores import NGramScores
from mode_ssm.language.ngram_store import NGramStore

_BOUNDARY, _BLANK = ("SIL", "|", "<sil>"), ("BLANK", "<blk>", "<blank>")  # names that others have for these
SHOWN = 10  # words named of those that do not match


def import_model(config: LmImportConfig) -> None:
    """Write the folder, and tell which words have no pronunciation or are not in the model.

    Raises:
        InputError: when a file cannot be read, or has symbols that are not among the labels.
    """
    folder = Path(config.out)
    check_replaceable(folder)
    labels = labels_of(Path(), config.labels)
    path = _ngram_file(config)
    if config.tokens is not None:
        _check_tokens(Path(config.tokens), labels)
    lexicon = _read_lexicon(Path(config.lexicon), labels)
    model, ngrams = _open(path, binary=config.arpa is None)
    outside = [word for word in lexicon if ngrams.index(word) == ngrams.unknown]
    silent = [word for word in ngrams.words if word not in (START, END, UNKNOWN) and word.lower() not in lexicon]
    summary = {"order": ngrams.order, "words": len(lexicon), "ngrams": str(path), "lexicon": config.lexicon}
    write_folder(folder, model, lexicon_text(lexicon, labels), summary)
    print(f"{folder}: {len(lexicon)} words, n-grams of order {ngrams.order}.")
    _tell("words of the model have no pronunciation and cannot be decoded", silent, len(ngrams.words))
    _tell("words of the lexicon are not in the model and score as <unk>", outside, len(lexicon))


def _ngram_file(config: LmImportConfig) -> Path:
    if (config.arpa is None) == (config.binary is None):
        raise InputError("lm import needs the n-gram model, as arpa=FILE or as binary=FILE of KenLM; give one of both.")
    path = Path(config.arpa or config.binary or "")
    if config.arpa is not None and is_binary(path):
        raise InputError(f"{path} is a binary of KenLM; give it as binary={path}.")
    return path


def _open(path: Path, binary: bool) -> tuple[BackoffModel | Path, NGramScores]:
    """What the folder is written from, and its scores."""
    if binary:
        return path, KenLMFile(path)
    model = read_arpa(path)
    return model, NGramStore.of(model)


def _check_tokens(path: Path, labels: Labels) -> None:
    try:
        symbols = path.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"tokens={path} cannot be read as text ({error}); give a list of symbols.") from None
    _check_symbols((symbol for symbol in symbols if not symbol.isdigit()), str(path), labels)


def _check_symbols(symbols: Iterator[str], place: str, labels: Labels) -> None:
    known = {*labels.symbols, *_BOUNDARY, *_BLANK}
    missing = sorted({symbol for symbol in symbols if symbol not in known and symbol.rstrip("012") not in known})
    if missing:
        raise InputError(
            f"{place} has symbols that are not among the labels: {', '.join(missing[:20])}; set labels=FILE."
        )


def _read_lexicon(path: Path, labels: Labels) -> Lexicon:
    """Entries such as <s> and [noise], which are no words, are left out."""
    lines = [line for line in read_dictionary(path) if line.word[0] not in "<[!"]
    _check_symbols((symbol for line in lines for symbol in line.symbols), str(path), labels)
    entries: dict[str, dict[tuple[int, ...], None]] = {}
    for line in lines:
        entries.setdefault(line.word.lower(), {})[_ids(line, labels)] = None
    return {word: tuple(found) for word, found in entries.items()}


def _ids(line: DictionaryLine, labels: Labels) -> tuple[int, ...]:
    sounds = [symbol for symbol in line.symbols if symbol not in _BOUNDARY]
    if not sounds or any(symbol in _BLANK for symbol in sounds):
        raise InputError(f"{line.place} needs a word and its labels, such as: HELLO HH AH L OW SIL.")
    return tuple(labels.ids(sounds))


def _tell(what: str, words: list[str], total: int) -> None:
    if words:
        more = ", ..." if len(words) > SHOWN else ""
        print(f"{len(words)} of {total} {what}: {', '.join(words[:SHOWN])}{more}.")
