"""The frame numbers of entries, so that what is lost, doubled or late is known as such and nothing moves in time."""

from mode_ssm.live.incoming import Numbered
from mode_ssm.live.repair import LONGEST_GAP


class FrameNumbers:
    """Numbers from a count that grows by the same step with each frame.

    A count below the newest is that of a late entry, unless it lies more than three seconds back: then the source
    was started again. Steps are rounded from one entry to the next, so that a count may jitter and never drifts.

    Args:
        step: by which the count grows a frame; None = what lies between the first two entries. Where the second
            frame was lost, that is too much, which shows as soon as two frames come that follow one another.
    """

    def __init__(self, step: int | None) -> None:
        self._step, self._given = step, step is not None
        self._count: int | None = None  # of the newest frame
        self.newest = -1  # frame that was numbered

    def following(self) -> Numbered:
        """The number of an entry without a count: it follows the newest."""
        self.newest += 1
        return Numbered(self.newest)

    def of(self, count: int) -> Numbered:
        """The number of an entry with a count."""
        if self._count is None:
            return self._go_on(count, 1)
        ahead = count - self._count
        if self._step is None and ahead > 0:
            self._step = ahead
            said = f"the count in sync grows by {ahead} from the first entry to the second; taken for one frame"
            return self._go_on(count, 1, said if ahead > 1 else None)
        steps = round(ahead / (self._step or 1))
        if steps < -LONGEST_GAP:
            said = f"the count in sync went back from {self._count} to {count}: the source was started again"
            return self._go_on(count, 1, said)._replace(anew=True)
        if steps == 0 and ahead > 0 and not self._given:
            self._step = ahead
            return self._go_on(count, 1, f"the count in sync grows by {ahead} a frame; entries were lost at the start")
        return self._go_on(count, steps) if steps > 0 else Numbered(self.newest + steps)

    def _go_on(self, count: int, steps: int, said: str | None = None) -> Numbered:
        self._count = count
        self.newest += steps
        return Numbered(self.newest, said)
