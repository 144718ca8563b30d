"""When someone may speak: the states of a task as BRAND's sentence tasks give them."""

from collections.abc import Iterator, Mapping, Sequence

from mode_ssm.live.events import Begin, End

_STATES = (b"state", b"taskState")  # fields, the newer name first
_SENTENCES = (b"sentence", b"sentenceCue", b"cue")
_TRIALS = (b"trial", b"trialNum", b"trial_num")


class TaskStates:
    """Trials out of states: one begins with a state in which one speaks and ends with any other.

    Args:
        speaking: the states in which one speaks.
        session: the day of the trials, where the entries do not say it.
    """

    def __init__(self, speaking: Sequence[str], session: str | None) -> None:
        self._speaking, self._session = frozenset(speaking), session
        self.begun: Begin | None = None  # the trial that is under way

    def take(self, fields: Mapping[bytes, bytes]) -> Iterator[Begin | End]:
        """What an entry of the stream of states begins or ends; an entry without a state changes nothing."""
        state = _text(fields, _STATES)
        if state is None:
            return
        trial = _text(fields, _TRIALS)
        speaks = state in self._speaking
        if self.begun is not None and not (speaks and trial == self.begun.trial):
            self.begun = None
            yield End()
        if speaks and self.begun is None:
            self.begun = Begin(_text(fields, (b"session",)) or self._session, trial, _text(fields, _SENTENCES))
            yield self.begun


def _text(fields: Mapping[bytes, bytes], names: Sequence[bytes]) -> str | None:
    found = next((fields[name] for name in names if name in fields), None)
    return None if found is None else found.decode("utf-8", errors="replace").strip()
