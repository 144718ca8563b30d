"""Recordings of any format, written in T15's layout: trial by trial, one file at a time.

source -> the index of a session's part of a split -> its trials, read and written one by one -> data_<split>.hdf5 ->
its line in the journal (mode_ssm.data.converted). What is ended at any moment goes on after the last line.
"""

from collections.abc import Callable
from pathlib import Path

import yaml

from mode_ssm.batch import Trial
from mode_ssm.config import BadTrial, ConvertConfig, DataConfig
from mode_ssm.data.converted import Converted, Origin
from mode_ssm.data.dataset import TrialEntry, bad_trial, read_trial
from mode_ssm.data.opening import split_entries
from mode_ssm.data.source import READ_BY, SOURCES, SPLITS, Source, open_source
from mode_ssm.data.stamps import Stamps, changed_file, stamps_of, utf8
from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.index import MalformedError, Problem, Remedy
from mode_ssm.labels import LABELS_FILE, T15
from mode_ssm.t15.sessions import file_name
from mode_ssm.t15.writing import Said, SessionWriter

T15_LAYOUT = "t15"
SETTINGS = (*READ_BY, "labels", "max_sessions", "channels")  # which determine what is written
FILES = ("dictionary", "labels")  # those of them that may name a file
OnTrial = Callable[[str, int, int], object]  # the file, how many of its trials are written, of how many


class Conversion:
    """A source, and the folder that it is written to.

    Raises:
        InputError: where there is no such source, or the folder holds something else.
    """

    def __init__(self, config: ConvertConfig) -> None:
        self._data, self.out = _data_config(config), Path(config.out)
        self._root = Path(self._data.data_root)
        _check_apart(self._root, self.out)
        try:
            self._source: Source = open_source(self._data)
        except InputError as error:
            raise InputError(f"from={config.from_}: {error}") from None
        settings = {name: getattr(config, name) for name in SETTINGS if getattr(config, name) is not None}
        self.origin = Origin(
            self._data.source,
            utf8(str(self._root.resolve())),
            settings | {name: str(path.resolve()) for name, path in self._named_files().items()},
            self._source.labels.as_dict(),
            self._stamps(),
        )
        unread = self._source.index(SPLITS[0], []).unread
        self.converted = Converted(self.out, self.origin, [*dict.fromkeys(unread)])

    def run(self, on_trial: OnTrial) -> None:
        """Write what is not complete.

        Raises:
            InputError: where the folder cannot be written, the source changes meanwhile, none of its trials is sound,
                or one is not and on_bad_trial=error.
        """
        try:
            self.converted.write()
            if self._source.labels != T15:
                text = yaml.safe_dump(self._source.labels.as_dict(), sort_keys=False, allow_unicode=True)
                replace_text(self.out / LABELS_FILE, text)
            for session in self._source.sessions:
                for split in SPLITS:
                    if not self.converted.has(file_name(session, split)):
                        self._write(session, split, on_trial)
            if self.converted.trials:
                self.converted.write(complete=True)
        except (OSError, RuntimeError) as error:  # h5py raises the latter on closing a file
            raise InputError(
                f"{self.out} cannot be written ({error}); make room and run the same command again."
            ) from error
        if not self.converted.trials:
            lost = self.converted.left_out
            first = f"; the first of {len(lost)} problems: {lost[0]}" if lost else ", for it holds no trial."
            raise InputError(f"Nothing of {self.origin} can be converted{first}")

    def _write(self, session: str, split: str, on_trial: OnTrial) -> None:
        index = self._source.index(split, [session])
        entries = split_entries(self._source, index, split)
        left_out = [*index.problems]
        with SessionWriter(self.out / session) as files:
            for place, entry in enumerate(entries):
                self._stop_at(left_out)
                try:
                    trial = _sound(self._source, entry)
                except MalformedError as malformed:
                    left_out.append(bad_trial(self._source, entry, malformed))
                    continue
                _add(files, trial, entry)
                on_trial(file_name(session, split), place + 1, len(entries))
        self._stop_at(left_out)
        if what := changed_file(self.origin.files, self._stamps()):
            raise InputError(f"{self.origin} has changed while it was read ({what}); convert to another folder.")
        if entries or left_out or index.notes:
            written = len(entries) + len(index.problems) - len(left_out)
            self.converted.add(file_name(session, split), written, left_out, index.notes)

    def _stop_at(self, left_out: list[Problem]) -> None:
        if left_out and self._data.on_bad_trial is BadTrial.error:
            raise InputError(f"{left_out[0]} (on_bad_trial=skip leaves bad trials out.)")

    def _stamps(self) -> Stamps:
        return stamps_of(self._root, self._named_files().values())

    def _named_files(self) -> dict[str, Path]:
        named = {name: Path(getattr(self._data, name) or "") for name in FILES}
        return {name: path for name, path in named.items() if path.is_file()}


def _data_config(config: ConvertConfig) -> DataConfig:
    name, colon, root = config.from_.partition(":")
    formats = [known for known in SOURCES if known != T15_LAYOUT]
    if name == T15_LAYOUT:
        raise InputError(f"from={config.from_} is in the T15 layout already; choose {' or '.join(formats)}.")
    if name not in formats or not colon or not root:
        raise InputError(
            f"from={config.from_} is no NAME:PATH of a format that is known; NAME is {' or '.join(formats)}."
        )
    chosen = {setting: getattr(config, setting) for setting in SETTINGS}
    return DataConfig(data_root=str(Path(root).expanduser()), source=name, on_bad_trial=config.on_bad_trial, **chosen)


def _check_apart(root: Path, out: Path) -> None:
    """Files written below the source would be taken for changes of it."""
    if out.resolve() == root.resolve() or root.resolve() in out.resolve().parents:
        raise InputError(f"out={out} lies in the folder that is converted, {root}; set out to a folder elsewhere.")


def _sound(source: Source, entry: TrialEntry) -> Trial:
    """Raises: MalformedError, where a trial is not, or its sentence cannot stand in HDF5."""
    trial = read_trial(source, entry)
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in trial.sentence or ""):
        raise MalformedError(
            "has a sentence with a NUL or half a character, which HDF5 cannot hold",
            Remedy("Write the sentence again", "remove the trial"),
        )
    return trial


def _add(files: SessionWriter, trial: Trial, entry: TrialEntry) -> None:
    key, labels = entry.key, None if trial.labels is None else trial.labels.tolist()
    said = None if labels is None and trial.sentence is None else Said(labels, trial.sentence)
    files.add(key.split, trial.features.numpy(), key.block, key.number, said, name=key.group)
