"""The 41 classes of the T15 labels: the CTC and RNN-T blank, 39 ARPAbet phonemes, and the silence after a word."""

from collections.abc import Iterable, Sequence

from mode_ssm.errors import InputError

BLANK = 0  # never a label: the symbol that both heads emit for "nothing new here"
PHONEMES = (
    "BLANK AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH |"
).split()
SILENCE = PHONEMES.index("|")  # 40, written after every word, the last included
NUM_CLASSES = len(PHONEMES)  # V = 41
_ID = {symbol: index for index, symbol in enumerate(PHONEMES)}


def to_symbols(ids: Iterable[int]) -> str:
    """Write label ids as the data set writes them.

    >>> to_symbols([16, 3, 21, 25, 40])
    'HH AH L OW |'
    """
    return " ".join(PHONEMES[index] for index in ids)


def to_ids(symbols: str | Sequence[str]) -> list[int]:
    """Read phonemes separated by spaces, with or without stress digits.

    Raises:
        InputError: on a symbol that is no ARPAbet phoneme, or on BLANK, which is never a label.

    >>> to_ids("HH AH0 L OW1 |")
    [16, 3, 21, 25, 40]
    """
    names = symbols.split() if isinstance(symbols, str) else symbols
    plain = [name if name in _ID else name.rstrip("012") for name in names]
    for name in plain:
        if _ID.get(name, BLANK) == BLANK:
            raise InputError(
                f"'{name}' is not a phoneme; write ARPAbet symbols such as HH AH L OW, and | after a word."
            )
    return [_ID[name] for name in plain]
