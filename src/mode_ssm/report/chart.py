"""Line charts as inline SVG: colours come from the page's style sheet, so they follow its light and dark themes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup

from mode_ssm.report.axes import Axis, fitted_axis, tick_text
from mode_ssm.report.curves import Curve
from mode_ssm.report.records import Floats, Switch

WIDTH, HEIGHT = 460, 244  # units of the drawing, about pixels
LEFT, RIGHT, TOP, BOTTOM = 50, 442, 22, 206
CHARACTER = 6.6  # width of one, about
CROWD = 40  # points, beyond which their dots are small


@dataclass(frozen=True)
class Line:
    label: str
    colour: str  # a class of the style sheet, c0 ... c7
    curve: Curve
    dots: bool = False  # mark the single points
    dashed: bool = False


@dataclass(frozen=True)
class LineChart:
    """Lines over updates.

    Args:
        healthy: a range of values that is drawn as a band.
        events: updates that get a mark at the foot.
        span: updates that the axis reaches over at least.
    """

    lines: Sequence[Line]
    unit: str  # of the values, or what they are
    log: bool = False
    floor: float | None = None  # a value that the axis reaches down to
    switches: Sequence[Switch] = ()
    healthy: tuple[float, float] | None = None
    events: Floats = field(default_factory=lambda: np.zeros(0))
    span: Sequence[float] = ()

    def draw(self) -> Markup:
        """The chart; a single drawing without names that others could share."""
        x, y = self._axes()
        parts = [self._band(y), _grid(x, y), self._stages(x)]
        parts += [_range(line, x, y) for line in self.lines] + [_stroke(line, x, y) for line in self.lines]
        parts += [Markup('<path class="event" d="M{:.1f} {}v-8"/>').format(at, BOTTOM) for at in x.place(self.events)]
        name = ", ".join(line.label for line in self.lines)
        return Markup(
            '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}'
            '<text x="{}" y="{}" text-anchor="end">update</text></svg>'
        ).format(WIDTH, HEIGHT, f"{name}: {self.unit}", Markup().join(parts), RIGHT, HEIGHT - 5)

    def _axes(self) -> tuple[Axis, Axis]:
        updates = [line.curve.x for line in self.lines] + [np.array([float(s.update) for s in self.switches])]
        x = np.concatenate([*updates, self.events, np.array(self.span, dtype=np.float64)])
        y = np.concatenate([_extent(line.curve) for line in self.lines] + [np.array(self.healthy or ())])
        first, last = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)
        return (
            Axis(first, max(last, first + 1), LEFT, RIGHT),
            fitted_axis(y, BOTTOM, TOP, log=self.log, floor=self.floor),
        )

    def _band(self, y: Axis) -> Markup:
        if self.healthy is None:
            return Markup()
        low, high = y.place(self.healthy)
        return Markup('<rect class="healthy" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
            LEFT, high, RIGHT - LEFT, low - high
        )

    def _stages(self, x: Axis) -> Markup:
        """A line where each stage begins, and its name where there is room for it."""
        places = x.place([switch.update for switch in self.switches])
        parts = []
        for switch, at, following in zip(self.switches, places, [*places, RIGHT][1:], strict=True):
            parts.append(Markup('<path class="switch" d="M{:.1f} {}V{}"/>').format(at, TOP - 16, BOTTOM))
            if following - at > CHARACTER * len(switch.name) + 8:
                text = '<text class="stage" x="{:.1f}" y="{}">{}</text>'
                parts.append(Markup(text).format(at + 4, TOP - 8, switch.name))
        return Markup().join(parts)


def _grid(x: Axis, y: Axis) -> Markup:
    parts = []
    for value in y.ticks():
        at = float(y.place(value))
        parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(LEFT, at, RIGHT))
        text = '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        parts.append(Markup(text).format(LEFT - 6, at + 4, tick_text(value)))
    for value in x.ticks():
        at = float(x.place(value))
        parts.append(Markup('<path class="grid" d="M{:.1f} {}v4"/>').format(at, BOTTOM))
        text = '<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
        parts.append(Markup(text).format(at, BOTTOM + 17, tick_text(value)))
    return Markup().join(parts)


def _extent(curve: Curve) -> Floats:
    """What the axis should hold: all of the line, and all of its range but single spikes."""
    return np.concatenate([curve.y, *(np.quantile(edge, [0.1, 0.9]) for edge in (curve.low, curve.high) if len(edge))])


def _path(x: Floats, y: Floats) -> str:
    return "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _range(line: Line, x: Axis, y: Axis) -> Markup:
    """What the updates that share a point spread over."""
    curve = line.curve
    if not (curve.high > curve.low).any():
        return Markup()
    around = np.concatenate([curve.x, curve.x[::-1]]), np.concatenate([curve.high, curve.low[::-1]])
    path = _path(x.place(around[0]), y.place(around[1]))
    return Markup('<path class="range {}" d="M{}Z"/>').format(line.colour, path)


def _stroke(line: Line, x: Axis, y: Axis) -> Markup:
    shown = line.curve.y > 0 if y.log else np.full(len(line.curve.y), True)
    places = x.place(line.curve.x[shown]), y.place(line.curve.y[shown])
    if not len(places[0]):
        return Markup()
    kind = "line dashed" if line.dashed else "line"
    parts = [Markup('<path class="{} {}" d="M{}"/>').format(kind, line.colour, _path(*places))]
    if line.dots or len(places[0]) == 1:
        dot = '<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>update {:.0f}: {:.3g}</title></circle>'
        radius = 2.6 if len(places[0]) <= CROWD else 1.5
        values = zip(*places, line.curve.x[shown], line.curve.y[shown], strict=True)
        parts += [Markup(dot).format(line.colour, a, b, radius, at, value) for a, b, at, value in values]
    return Markup().join(parts)
