"""English numbers as they are read aloud."""

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "_ ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (10**3, "thousand"), (100, "hundred"))
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_ORDINALS["twelve"] = "twelfth"
_MONEY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent")}
_MOST_DIGITS = 15  # a longer number is read digit by digit, as is one with a zero in front

_NUMBER = re.compile(
    r"(?P<sign>[$£€])?(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.(?P<point>\d+)|:(?P<minutes>[0-5]\d)(?!\d))?"
    r"(?:(?P<ending>st|nd|rd|th|'?s)\b)?(?P<percent> ?%)?(?P<scale> (?:thousand|million|billion|trillion)\b)?"
)


def spell_numbers(text: str) -> str:
    """Write every number of a lower-case text in words.

    >>> spell_numbers("the 3rd of may 1984, 10:30: $1.50 or 3.5%")
    'the third of may nineteen eighty four, ten thirty: one dollar fifty cents or three point five percent'
    """
    return _NUMBER.sub(_aloud, text) if any(map(str.isdigit, text)) else text


def _aloud(found: re.Match[str]) -> str:
    """One number; from letters and hyphens that touch it, as in b12, 5pm or 20-year, spaces part it."""
    text, start, end = found.string, *found.span()
    before = " " if start and (text[start - 1].isalnum() or text[start - 1] == "-") else ""
    after = " " if end < len(text) and (text[end].isalnum() or text[end] == "-") else ""
    return before + " ".join(_words(found)) + after


def _words(found: re.Match[str]) -> list[str]:
    sign, whole, point, minutes, ending, percent, scale = found.groups()
    digits = whole.replace(",", "")
    long = len(digits) > _MOST_DIGITS
    number = 0 if long else int(digits)
    if long or (digits[0] == "0" and len(digits) > 1 and minutes is None):
        words = [_ONES[int(digit)] for digit in digits]
    elif len(whole) == 4 and not (sign or point or minutes or percent or scale):
        words = _year(number)
    else:
        words = cardinal(number)
    if sign and point and len(point) == 2 and not scale:
        return [*words, _plural(_MONEY[sign][0], number), *cardinal(int(point)), _plural(_MONEY[sign][1], int(point))]
    if point:
        words += ["point", *(_ONES[int(digit)] for digit in point)]
    if minutes is not None:
        words += _two_digits(int(minutes)) if int(minutes) else []
    if ending:
        words[-1] = _plural(words[-1], 2) if ending.endswith("s") else _ordinal(words[-1])
    words += [scale.strip()] if scale else []
    words += [_plural(_MONEY[sign][0], 2 if scale or point else number)] if sign else []
    return [*words, "percent"] if percent else words


def cardinal(number: int) -> list[str]:
    """The words of a whole number.

    >>> " ".join(cardinal(1_250_017))
    'one million two hundred fifty thousand seventeen'
    """
    for size, name in _SCALES:
        if number >= size:
            rest = cardinal(number % size) if number % size else []
            return [*cardinal(number // size), name, *rest]
    if number < len(_ONES):
        return [_ONES[number]]
    return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]


def _year(number: int) -> list[str]:
    """Four digits: 1984 and 2024 in two halves, 2005 as a number."""
    century, rest = divmod(number, 100)
    if number % 1000 < 10 or not 11 <= century <= 20:
        return cardinal(number)
    return [*cardinal(century), *(_two_digits(rest) if rest else ["hundred"])]


def _two_digits(number: int) -> list[str]:
    return ["oh", _ONES[number]] if number < 10 else cardinal(number)


def _ordinal(word: str) -> str:
    if word in _ORDINALS:
        return _ORDINALS[word]
    return f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th"


def _plural(word: str, count: int) -> str:
    if count == 1:
        return word
    if word == "penny":
        return "pence"
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("x", "s")) else f"{word}s"
