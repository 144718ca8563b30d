"""`mode-ssm submit`: write the competition's CSV (`id,text`), and find what is wrong with one.

An id is the place of a trial in the split, by session, block and trial, from 0.
"""

from collections.abc import Sequence
from pathlib import Path

from mode_ssm.batch import TrialKey
from mode_ssm.commands.score import read_columns
from mode_ssm.commands.transcripts import submission_order
from mode_ssm.config import SubmitConfig
from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.scoring import normalise_sentence

SHOWN = 20  # problems of one file that are printed


def submit(config: SubmitConfig) -> int:
    """Write or check a submission; the exit status is 1 where the checked file has a problem.

    Raises:
        InputError: when the hypotheses do not give a valid submission, or anything named cannot be read.
    """
    if config.check is not None and (config.hypotheses is not None or config.out is not None):
        raise InputError("check=FILE only checks; give it alone, or hypotheses=FILE and out=FILE to write.")
    keys = submission_order(config.data, config.split)
    if config.check is not None:
        return _print_problems(config.check, check_submission(config.check, keys))
    if config.hypotheses is None or config.out is None:
        raise InputError("Give hypotheses=FILE (hypotheses.csv of mode-ssm decode) and out=FILE, or check=FILE.")
    texts = read_hypotheses(config.hypotheses, keys, config.empty_text)
    try:
        Path(config.out).parent.mkdir(parents=True, exist_ok=True)
        replace_text(Path(config.out), "".join(["id,text\n", *(f"{i},{text}\n" for i, text in enumerate(texts))]))
    except OSError as error:
        raise InputError(f"{config.out} cannot be written ({error.strerror}); give another out=FILE.") from None
    return _print_problems(config.out, check_submission(config.out, keys))


def read_hypotheses(path: str, keys: Sequence[TrialKey], empty_text: str | None) -> list[str]:
    """The normalised text of each trial, in the order of the keys.

    Raises:
        InputError: on a trial that is doubled or of another split, one without text where empty_text is null, or a
            session that is missing.
    """
    texts: dict[tuple[str, str, str], str] = {}
    for session, block, trial, words in read_columns(path, "session", "block", "trial", "words"):
        if (session, block, trial) in texts:
            raise InputError(f"{path} has {session}, block {block}, trial {trial} twice; decode the split again.")
        texts[session, block, trial] = normalise_sentence(words)
    sessions, result, without = {session for session, _, _ in texts}, [], []
    for key in keys:
        text = texts.pop((key.session, str(key.block), str(key.number)), None)
        if text is None and key.session not in sessions:
            raise InputError(f"{path} lacks {key}, and its session; decode the whole split, without max_sessions.")
        if not text and empty_text is None:
            what = f"{path} has no words for {key}" if text is not None else f"{path} lacks {key}"
            raise InputError(f"{what}; set empty_text to what should stand where a trial could not be decoded.")
        if not text:
            without.append(key)
        result.append(text or normalise_sentence(empty_text or ""))
    if without:
        print(f"{len(without)} of {len(keys)} trials have no words ({without[0]}, ...): empty_text stands there.")
    if texts:
        raise InputError(f"{path} has {' '.join(next(iter(texts)))}, which is not in this split; choose its split.")
    return result


def check_submission(path: str | Path, keys: Sequence[TrialKey]) -> list[str]:
    """Name everything that is wrong: missing, doubled, foreign or misplaced ids, empty texts, bad characters.

    Raises:
        InputError: when the file is not a CSV with the columns id and text.
    """
    rows = read_columns(path, "id", "text")
    expected = {str(index): key for index, key in enumerate(keys)}
    problems = []
    seen: set[str] = set()
    last = -1
    for number, (name, text) in enumerate(rows, start=2):
        where = f"Row {number}, id {name}"
        if name not in expected:
            problems.append(f"{where}: not an id; they are whole numbers from 0 to {len(keys) - 1}.")
            continue
        if name in seen:
            problems.append(f"{where}: doubled; leave one row for {expected[name]}.")
        elif int(name) < last:
            problems.append(f"{where}: out of order, after id {last}; sort the rows by id.")
        problems += [f"{where}: {what}" for what in _text_problems(text)]
        seen.add(name)
        last = max(last, int(name))
    return problems + [f"Id {name}: missing; it is {key}." for name, key in expected.items() if name not in seen]


def _text_problems(text: str) -> list[str]:
    if not normalise_sentence(text):
        return ["empty; every trial needs words."]
    if text != normalise_sentence(text):
        return [f"'{text}' would be scored as '{normalise_sentence(text)}'; write only a-z, -, ' and single spaces."]
    return []


def _print_problems(path: str, problems: list[str]) -> int:
    for problem in problems[:SHOWN]:
        print(problem)
    if len(problems) > SHOWN:
        print(f"... and {len(problems) - SHOWN} more.")
    print(f"{path}: {f'{len(problems)} problems' if problems else 'a valid submission'}.")
    return 1 if problems else 0
