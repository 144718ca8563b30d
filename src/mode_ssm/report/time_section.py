"""How long a run took and what memory it needed."""

import numpy as np

from mode_ssm.report.page import Section, Table
from mode_ssm.report.records import Run, Switch
from mode_ssm.report.run_charts import RunCharts, gathered


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


def time_section(run: Run) -> Section:
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
