"""The page as data: sections of blocks, each of which a template of its own turns into HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import ClassVar, NamedTuple, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mode_ssm.report.chart import LineChart


class Block(Protocol):
    """A part of a section; `template` names the file that draws it as `block`."""

    template: ClassVar[str]


class LegendEntry(NamedTuple):
    label: str
    colour: str  # a class of the style sheet
    dashed: bool = False


@dataclass(frozen=True)
class Figure:
    """A drawing with its legend and the sentence that says what healthy looks like."""

    template: ClassVar[str] = "figure.html"
    title: str
    drawing: Markup
    healthy: str
    legend: Sequence[LegendEntry] = ()
    wide: bool = False  # takes the whole width, and scrolls in its box where there is less


def chart_figure(title: str, chart: LineChart, healthy: str, *, named: bool = False) -> Figure:
    """A line chart as a figure; one line needs no legend unless it is to be `named`."""
    shown = chart.lines if named or len(chart.lines) > 1 else ()
    entries = [LegendEntry(line.label, line.colour, line.dashed) for line in shown]
    return Figure(f"{title} ({chart.unit})" if chart.unit else title, chart.draw(), healthy, entries)


@dataclass(frozen=True)
class Note:
    """What stands where a figure cannot: in words, why not."""

    template: ClassVar[str] = "note.html"
    text: str
    title: str = ""


@dataclass(frozen=True)
class Table:
    """Text in cells, the first columns words and the others numbers."""

    template: ClassVar[str] = "table.html"
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    words: int = 1  # columns of text; the others are numbers
    wide: bool = False
    folded: bool = False  # behind its title, to be opened


class Section(NamedTuple):
    name: str  # of the link to it
    title: str
    blocks: Sequence[Block]
    intro: str = ""


class Tile(NamedTuple):
    """A number at the head of the page."""

    label: str
    value: str
    more: str = ""


class Page(NamedTuple):
    title: str
    subtitle: str
    tiles: Sequence[Tile]
    sections: Sequence[Section]


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("mode_ssm.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["draw"] = _draw
    return templates


def _draw(block: Block) -> Markup:
    return Markup(_templates().get_template(block.template).render(block=block))


def render(page: Page) -> str:
    """One HTML file that needs nothing else."""
    style = files("mode_ssm.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    return _templates().get_template("page.html").render(page=page, style=Markup(style))
