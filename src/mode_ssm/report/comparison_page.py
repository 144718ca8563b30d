"""The page about several runs: error rates, paired and not, what differs in their settings, curves."""

import time
from collections.abc import Sequence

from mode_ssm.config import Decoder
from mode_ssm.report.comparison_charts import curve_charts, rate_charts
from mode_ssm.report.page import Block, Note, Page, Section, Table, Tile
from mode_ssm.report.paired import PAIRED, paired_blocks
from mode_ssm.report.records import HEAD_NAMES, Run
from mode_ssm.report.session_rates import by_date
from mode_ssm.report.settings_section import differing_settings
from mode_ssm.report.trials import Findings

UNFOLDED = 12  # rows of a table by session that need no fold


def comparison_page(findings: Sequence[Findings]) -> Page:
    runs = [found.run for found in findings]
    return Page(
        title=f"Comparison of {len(runs)} runs",
        subtitle=f"{', '.join(run.name for run in runs)}. Report of {time.strftime('%Y-%m-%d %H:%M')}.",
        tiles=[_best(runs, head) for head in Decoder],
        sections=[
            Section("rates", "Phoneme error rates", [_rates(runs), *rate_charts(runs)]),
            Section("paired", "The same trials, paired", paired_blocks(findings), PAIRED),
            Section("settings", "Settings", [differing_settings(runs)]),
            Section("curves", "Curves", curve_charts(runs), "Medians of neighbouring updates."),
            Section("sessions", "By session", _by_session(runs)),
        ],
    )


def _best(runs: Sequence[Run], head: Decoder) -> Tile:
    rates = {run.name: run.error_rates(head).y[-1] for run in runs if run.error_rates(head)}
    label = f"lowest final phoneme error rate, {HEAD_NAMES[head]}"
    if not rates:
        return Tile(label, "-", "not validated")
    name = min(rates, key=lambda run: rates[run])
    return Tile(label, f"{rates[name]:.2f} %", name)


def _rates(runs: Sequence[Run]) -> Table:
    header = ["run"] + [f"{HEAD_NAMES[head]} {which} (%)" for head in Decoder for which in ("final", "best")]
    rows = []
    for run in runs:
        cells = []
        for head in Decoder:
            rates = run.error_rates(head)
            cells += [f"{rates.y[-1]:.2f}", f"{rates.y.min():.2f}"] if rates else ["", ""]
        rows.append([run.name, *cells, f"{len(run.all_updates):,}", f"{len(run.all_updates) - len(run.updates):,}"])
    note = "Of the validations during training, all trials pooled; best is of all validations, on the same trials."
    return Table("Validation", [*header, "updates", "skipped"], rows, note, wide=True)


def _last(run: Run, key: str) -> dict[str, float]:
    return next((record[key] for record in reversed(run.validations) if record.get(key)), {})


def _by_session(runs: Sequence[Run]) -> list[Block]:
    """The last validation's rates."""
    blocks: list[Block] = []
    for head in Decoder:
        key = f"per_{head.value}_by_session"
        last = [_last(run, key) for run in runs]
        sessions = sorted({session for rates in last for session in rates}, key=by_date)
        rows = [[s, *(f"{100 * rates[s]:.2f}" if s in rates else "" for rates in last)] for s in sessions]
        title = f"{HEAD_NAMES[head]}: final phoneme error rate (%)"
        table = Table(title, ("session", *(run.name for run in runs)), rows, folded=len(rows) > UNFOLDED)
        blocks.append(table if rows else Note("No run recorded it.", title))
    return blocks
