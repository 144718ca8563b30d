"""The page about one run."""

import time
from collections import Counter

import numpy as np

from mode_ssm.config import Decoder, ReportConfig
from mode_ssm.report.page import Block, Note, Page, Section, Table, Tile
from mode_ssm.report.records import HEAD_NAMES, Run
from mode_ssm.report.settings_section import settings_section
from mode_ssm.report.time_section import duration, time_section
from mode_ssm.report.training_sections import training_sections
from mode_ssm.report.trial_sections import trial_sections
from mode_ssm.report.trials import Findings
from mode_ssm.report.validation_sections import validation_sections

WARNINGS = 40  # shown


def run_page(findings: Findings, config: ReportConfig) -> Page:
    run = findings.run
    return Page(
        title=run.name,
        subtitle=_data(findings),
        tiles=[*(_rate(run, head) for head in Decoder), *_sizes(findings)],
        sections=[
            _warnings(run),
            *training_sections(run),
            *validation_sections(run),
            *trial_sections(findings, config),
            settings_section(run),
            time_section(run),
        ],
    )


def _data(findings: Findings) -> str:
    run, network = findings.run, findings.network
    kinds = f"{run.config.encoder.kind} encoder, {run.config.joiner.kind} joiner"
    sessions = f"{len(network.checkpoint.sessions)} sessions of " if network else ""
    made = time.strftime("%Y-%m-%d %H:%M")
    return f"Trained on {sessions}{run.config.data.data_root}; {kinds}. Report of {made}."


def _rate(run: Run, head: Decoder) -> Tile:
    rates = run.error_rates(head)
    label = f"phoneme error rate, {HEAD_NAMES[head]}"
    if not rates:
        return Tile(label, "-", "not validated")
    return Tile(label, f"{rates.y[-1]:.2f} %", f"final; best {rates.y.min():.2f} %")


def _sizes(findings: Findings) -> list[Tile]:
    run, network = findings.run, findings.network
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
