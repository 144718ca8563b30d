"""CMU's AN4 census data base (1991): recorded speech as MFCC features, to try on what is not simulated.

One 10 ms audio frame is one 20 ms bin, so that speech runs at half speed. A block is a speaker, z-scored; a session is
nine or ten speakers that follow one another in an4_train.fileids, and every tenth of its utterances, from the fifth on,
is val. The data base's own test part is not read: none of its speakers has train trials. Words are spelt by the first
pronunciation in an4.dic.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mode_ssm.config import DataConfig
from mode_ssm.dictionary import dictionary_lines
from mode_ssm.errors import InputError, printable
from mode_ssm.formats.an4_files import AGAIN, DICTIONARY, IDS, TEST_IDS, TRANSCRIPTION, find_an4, samples_of
from mode_ssm.formats.files import Found, IndexedSource
from mode_ssm.formats.mfcc import check_installed, mfcc
from mode_ssm.formats.pronounced import Pronouncing, sentence_words
from mode_ssm.formats.recent import Recent
from mode_ssm.formats.scaling import z_score
from mode_ssm.index import MalformedError, Problem
from mode_ssm.labels import labels_of

SPEAKERS = 9  # of a session, or one more
MOST_SESSIONS = 12  # a month each
EVERY, FIRST = 10, 4  # the val utterances of a session, by their place
_NO_WORD = re.compile(r"<[^>]*>|\+\+[^+]*\+\+")  # <s>, </s>, <sil>, ++noise++
_LINE = re.compile(r"(.*)\(([^()]+)\)\s*")  # of a transcription: words (an251-fash-b)

Computed = dict[str, NDArray[np.float32] | MalformedError]  # the features of each file id, or what is wrong with it


class Utterance(NamedTuple):
    file_id: str  # an4_clstk/fash/an251-fash-b
    block: int  # of the session, from 1 on
    number: int  # within the block
    split: str


class An4Source(IndexedSource):
    """
    Raises:
        InputError: where the library of the features is not installed, there is no such archive or folder, or what it
            says of its recordings cannot be read.
    """

    features_name = "MFCC"
    write_again = AGAIN

    def __init__(self, config: DataConfig) -> None:
        check_installed()
        self._an4 = find_an4(config.data_root)
        texts = self._an4.texts()
        for name in (IDS, TRANSCRIPTION, DICTIONARY):
            if name not in texts:
                raise InputError(
                    f"{config.data_root} holds no etc/{name}; give an4_raw.bigendian.tar.gz, an4_sphere.tar.gz or the "
                    "folder an4 that they unpack to."
                )
        self._utterances = sessions_of(texts[IDS].split())
        self._said = dict(_said(texts[TRANSCRIPTION].splitlines()))
        self._tests = len(texts.get(TEST_IDS, "").split())
        at = self._an4.stamped
        files = {session: dict.fromkeys(("train", "val"), (at,)) for session in self._utterances}
        root = at.parent if at == self._an4.at else self._an4.at
        super().__init__(root, files, labels_of(self._an4.at, config.labels), config.max_sessions)
        self._pronouncing = Pronouncing(dictionary_lines(texts[DICTIONARY], DICTIONARY), DICTIONARY, self.labels)
        self._computed: Recent[Path, Computed] = Recent(1)  # all of them: 13 MB
        self._of_sessions: Recent[str, An4Recording] = Recent(MOST_SESSIONS)

    def recording(self, session: str, path: Path) -> "An4Recording":
        return self._of_sessions.get(session, lambda _: self._make(self._utterances[session], path))

    def file(self, session: str, split: str) -> str:
        return f"{self._an4.at.name} {session} ({split})"

    def unread(self) -> list[Problem]:
        what = f"holds {self._tests} utterances of a test part, which are not read"
        remedy = "None of their speakers has train trials."
        return [Problem(f"{self._an4.at.name} etc/{TEST_IDS}", None, what, remedy)] if self._tests else []

    def _make(self, utterances: Sequence[Utterance], path: Path) -> "An4Recording":
        computed = self._computed.get(path, lambda _: self._compute())
        return An4Recording(utterances, computed, self._said, self._pronouncing)

    def _compute(self) -> Computed:
        """The features of all utterances, z-scored by speaker.

        Raises:
            MalformedError: where the archive cannot be read.
        """
        everyone = [each.file_id for session in self._utterances.values() for each in session]
        found: Computed = {
            name: MalformedError(f"has no audio file wav/{name}.raw or .sph", AGAIN) for name in everyone
        }
        for name, content, suffix in self._an4.audio(everyone):
            try:
                found[name] = mfcc(samples_of(content, suffix))
            except MalformedError as malformed:
                what = f"({PurePosixPath(name).name}) {malformed.what}"
                found[name] = MalformedError(what, malformed.remedy, malformed.reason)
        speakers = [*dict.fromkeys(map(_speaker, everyone))]
        z_score([found[name] for name in everyone], [speakers.index(_speaker(name)) for name in everyone])
        return found


class An4Recording:
    """A session."""

    notes = ()

    def __init__(
        self, utterances: Sequence[Utterance], computed: Computed, said: dict[str, str], pronouncing: Pronouncing
    ) -> None:
        self._features = [computed[each.file_id] for each in utterances]
        self.trials = [
            _trial(each, features, said, pronouncing) for each, features in zip(utterances, self._features, strict=True)
        ]

    def features(self, place: int) -> NDArray[np.float32]:
        found = self._features[place]
        if isinstance(found, MalformedError):
            raise found
        return found


def sessions_of(file_ids: Sequence[str]) -> dict[str, list[Utterance]]:
    """Who is in which session, and where.

    Raises:
        InputError: where there is none, one stands twice, or one names no speaker.
    """
    by_speaker: dict[str, list[str]] = {}
    for file_id in file_ids:
        by_speaker.setdefault(_speaker(file_id), []).append(file_id)
    twice = [name for names in by_speaker.values() for name in names if names.count(name) > 1]
    if not file_ids or twice:
        fault = f"names {printable(twice[0])} twice" if twice else "is empty"
        raise InputError(f"etc/{IDS} {fault}; unpack or download AN4 again.")
    groups = np.array_split(np.arange(len(by_speaker)), min(MOST_SESSIONS, max(1, len(by_speaker) // SPEAKERS)))
    speakers, sessions = [*by_speaker.values()], {}
    for month, group in enumerate(groups, start=1):
        utterances = [
            (file_id, block, number)
            for block, speaker in enumerate(group, start=1)
            for number, file_id in enumerate(speakers[speaker])
        ]
        sessions[f"an4.1991.{month:02d}.{month + 9:02d}"] = [
            Utterance(*each, "val" if place % EVERY == FIRST else "train") for place, each in enumerate(utterances)
        ]
    return sessions


def _trial(
    utterance: Utterance,
    features: NDArray[np.float32] | MalformedError,
    said: dict[str, str],
    pronouncing: Pronouncing,
) -> Found:
    name, fault, labels = PurePosixPath(utterance.file_id).name, None, None
    sentence = said.get(name)
    try:
        if isinstance(features, MalformedError):
            raise features
        if sentence is None:
            raise MalformedError(f"({name}) has no line in {TRANSCRIPTION}", AGAIN)
        labels = pronouncing.labels(sentence)
    except MalformedError as malformed:
        fault = malformed
    shape = () if isinstance(features, MalformedError) else features.shape
    return Found(utterance.split, utterance.block, utterance.number, shape, labels, sentence or None, fault)


def _said(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    """The sentence of each utterance, in lower case."""
    for line in lines:
        if match := _LINE.fullmatch(line):
            yield match[2].strip(), " ".join(sentence_words(_NO_WORD.sub(" ", match[1])))


def _speaker(file_id: str) -> str:
    """
    Raises:
        InputError: where it lies in no folder of its speaker.

    >>> _speaker("an4_clstk/fash/an251-fash-b")
    'fash'
    """
    speaker = PurePosixPath(file_id).parent.name
    if not speaker:
        raise InputError(f"etc/{IDS} has {printable(file_id)}, needed is a path such as an4_clstk/fash/an251-fash-b.")
    return speaker
