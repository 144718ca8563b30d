"""The sections about validations: error rates, blanks and delay over time, and error rates by session."""

from mode_ssm.config import Decoder
from mode_ssm.report.page import Block, Note, Section
from mode_ssm.report.records import Run
from mode_ssm.report.run_charts import Missing, RunCharts, gathered, wants_log
from mode_ssm.report.session_rates import session_table

NOT_VALIDATED = "No validation was recorded: the data have no val split, or the first epoch has not ended."


def validation_sections(run: Run) -> list[Section]:
    if not run.validations:
        notes = [Note(NOT_VALIDATED)]
        return [
            Section("rates", "Phoneme error rate", notes),
            Section("sessions", "Phoneme error rate by session", notes),
        ]
    return [
        Section("rates", "Phoneme error rate", gathered(_rates(RunCharts(run)))),
        Section("sessions", "Phoneme error rate by session", _sessions(run)),
    ]


def _rates(charts: RunCharts) -> list[Block | Missing]:
    run = charts.run
    rates = charts.by_head(run.error_rates)
    log = wants_log(rates)
    return [
        charts.figure(
            "Phoneme error rate, validation",
            rates,
            "Healthy: both heads fall to the end; RNN-T starts its stage near 100 % and meets CTC within some epochs. "
            "A rate that rises while the loss falls is over-fitting.",
            unit="%",
            log=log,
            floor=None if log else 0.0,
        ),
        charts.figure(
            "Blank probability, validation",
            charts.by_head(lambda head: run.series(f"blank_{head.value}", "validation")),
            "Healthy: rises in the first updates, since blank is learnt first, then settles well below 1. A head that "
            "stays at 1 has learnt to say nothing.",
            unit="mean over frames",
            floor=0.0,
        ),
        charts.figure(
            "Blank probability of the CTC head, training",
            charts.lines({"blank_ctc": ("CTC", "ctc")}),
            "Healthy: as in validation, with more noise.",
            unit="mean over frames",
            floor=0.0,
        ),
        charts.figure(
            "Emission delay of RNN-T behind CTC",
            charts.validated("emission_delay_ms", "delay", "rnnt"),
            "Healthy: a few hundred milliseconds or less, and steady. A delay that grows to seconds is a transducer "
            "that waits for the end of the sentence; losses.fastemit_lambda rewards early labels.",
            unit="ms",
            floor=0.0,
        ),
    ]


def _sessions(run: Run) -> list[Block]:
    tables = [table for head in Decoder if (table := session_table(run.validations, head))]
    return list(tables) or [Note("The validations have no rates by session.")]
