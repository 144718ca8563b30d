"""The page about one run."""

import time
from collections import Counter

import numpy as np

from mode_ssm.config import ReportConfig
from mode_ssm.report.decoded_runs import DecodedRun
from mode_ssm.report.page import Block, Note, Page, Section, Table, Tile
from mode_ssm.report.records import Run, Switch
from mode_ssm.report.run_charts import RunCharts, gathered
from mode_ssm.report.settings_section import settings_section
from mode_ssm.report.training_sections import training_sections
from mode_ssm.report.trial_sections import trial_sections
from mode_ssm.report.validation_sections import validation_sections
from mode_ssm.report.word_section import DecodedWords, word_section, word_tiles
from mode_ssm.training.terms import Term

WARNINGS = 40  # shown


def run_page(examined: DecodedRun, words: DecodedWords, config: ReportConfig) -> Page:
    run = examined.run
    return Page(
        title=run.name,
        subtitle=_data(examined),
        tiles=[*(_rate(run, head, examined.unit) for head in run.heads), *word_tiles(words), *_sizes(examined)],
        sections=[
            _warnings(run),
            *training_sections(run),
            *validation_sections(run, examined.unit),
            *trial_sections(examined, config),
            word_section(words, config),
            settings_section(run),
            _time(run),
        ],
    )


def _data(examined: DecodedRun) -> str:
    run, network = examined.run, examined.network
    kinds = f"{run.config.encoder.kind} encoder, {run.config.joiner.kind} joiner"
    sessions = f"{len(network.checkpoint.sessions)} sessions of " if network else ""
    made = time.strftime("%Y-%m-%d %H:%M")
    return f"Trained on {sessions}{run.config.data.place}; {kinds}. Report of {made}."


def _rate(run: Run, head: Term, unit: str) -> Tile:
    rates = run.error_rates(head)
    label = f"{unit} error rate, {head.title}"
    if not rates:
        return Tile(label, "-", "not validated")
    return Tile(label, f"{rates.y[-1]:.2f} %", f"final; best {rates.y.min():.2f} %")


def _sizes(examined: DecodedRun) -> list[Tile]:
    run, network = examined.run, examined.network
    parameters = sum(p.numel() for p in network.model.parameters()) if network else None
    memory = run.series("peak_memory_mb", "validation")
    clipped = run.series("clipped")
    skipped = len(run.all_updates) - len(run.updates)
    return [
        Tile("parameters", f"{parameters / 1e6:.2f} M" if parameters else "unknown"),
        Tile("training time", duration(run.seconds) if run.seconds else "unknown"),
        Tile("peak memory", f"{memory.y.max():,.0f} MB") if memory else Tile("peak memory", "-", "not recorded"),
        Tile("updates", f"{len(run.all_updates):,}", f"{skipped:,} skipped"),
        Tile("clipped", f"{100 * np.mean(clipped.y):.0f} %", "of the updates")
        if clipped
        else Tile("clipped", "-", "not recorded"),
    ]


def _warnings(run: Run) -> Section:
    found = run.of_kind("warning")
    if not found:
        return Section("warnings", "Warnings", [Note("No warning was recorded.")])
    rows = [(f"{w['update']:,}", w["stage"], w["text"]) for w in found[:WARNINGS]]
    counts = ", ".join(f"{rule} {count:,}" for rule, count in Counter(w["rule"] for w in found).most_common())
    blocks: list[Block] = [
        Table(f"{len(found):,} in all: {counts}", ("update", "stage", "warning"), rows, words=3, wide=True)
    ]
    if len(found) > WARNINGS:
        blocks.append(Note(f"The first {WARNINGS} are shown; the others stand in metrics.jsonl as kind=warning."))
    return Section("warnings", "Warnings", blocks)


def duration(seconds: float) -> str:
    """
    >>> [duration(s) for s in (42, 108, 1500, 7500)]
    ['42 s', '1 min 48 s', '25 min', '2 h 05 min']
    """
    minutes, second = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    if minutes >= 10:
        return f"{minutes} min"
    return f"{minutes} min {second:02d} s" if minutes else f"{second} s"


def _time(run: Run) -> Section:
    charts = RunCharts(run)
    total = f"{duration(run.seconds)} of training up to the last checkpoint." if run.seconds else ""
    header = ("stage", "updates", "skipped", "feature frames a second")
    ends = [*(switch.update for switch in run.switches), np.inf]
    rows = [_stage(run, *stage) for stage in zip(run.switches, ends[1:], strict=True)]
    return Section(
        "time",
        "Time and memory",
        gathered(
            [
                Table("Stages", header, rows, total),
                charts.figure(
                    "Speed",
                    charts.lines({"frames_per_s": ("feature frames a second", "c0")}),
                    "Healthy: level within a stage; the joint stage is slower, since it computes both losses. Dips are "
                    "a busy machine or slow storage.",
                    unit="feature frames a second",
                    floor=0.0,
                ),
                charts.figure(
                    "Peak memory",
                    charts.validated("peak_memory_mb", "peak memory", "c4"),
                    "Healthy: level after the first epoch of each stage; a steady rise is a leak.",
                    unit="MB",
                    floor=0.0,
                ),
            ]
        ),
    )


def _stage(run: Run, begin: Switch, end: float) -> tuple[str, ...]:
    inside = [record for record in run.all_updates if begin.update <= record["update"] < end]
    speeds = [record["frames_per_s"] for record in inside if record.get("frames_per_s")]
    skipped = sum(record["skipped_now"] for record in inside)
    return begin.name, f"{len(inside):,}", f"{skipped:,}", f"{np.median(speeds):,.0f}" if speeds else ""
