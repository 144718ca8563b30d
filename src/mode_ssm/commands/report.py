"""`mode-ssm report RUN ...`: read the runs, decode what can be decoded, write the page."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mode_ssm.config import ReportConfig
from mode_ssm.device import find_device
from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.report.comparison_page import comparison_page
from mode_ssm.report.decoded_runs import decode_run
from mode_ssm.report.page import render
from mode_ssm.report.records import read_runs
from mode_ssm.report.run_page import run_page
from mode_ssm.report.word_section import find_words


def report(words: Sequence[str], config: ReportConfig) -> Path:
    """Write the page about one run, or about how several compare, and return its path.

    Where a run's network or data cannot be read, the page says so in their place, and so does stderr.

    Args:
        words: run folders.

    Raises:
        InputError: on a folder without a run, a data root that was given and that no run can
            decode, a folder of decoded words that was given and is none, or a page that cannot be written.
    """
    find_device(config.device)
    runs = read_runs(words)
    if config.decoded is not None and len(runs) > 1:
        raise InputError("decoded=FOLDER is shown on the page about one run; name one run, or leave it out.")
    found_words = find_words(runs[0], config)
    decoded = [decode_run(run, config) for run in runs]
    unread = [found for found in decoded if found.network and not found.decoded]
    if config.data.data_root is not None and unread and not any(found.decoded for found in decoded):
        raise InputError(f"{unread[0].run.name}: {unread[0].problem}")
    for found in decoded:
        if found.problem:
            print(f"{found.run.name}: {found.problem} The rest of the report is made without.", file=sys.stderr)
    page = run_page(decoded[0], found_words, config) if len(runs) == 1 else comparison_page(decoded)
    name = "report.html" if len(runs) == 1 else "comparison.html"
    path = Path(config.out) if config.out else runs[0].path / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, render(page))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); give another one with out=FILE.") from None
    return path
