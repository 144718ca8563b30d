"""Pages in a real browser: no console message, and no page that scrolls sideways, on a desk and on a telephone."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mode_ssm.cli import main
from tests.report.conftest import Trained
from tests.report.recorded import write_recorded
from tests.report.test_words import write_decoded_run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = {"desk": 1280, "telephone": 390}
# A frame of the wanted width, since a headless window has a least width; the page comes in as text, so that the
# script of the frame's owner may measure it.
OWNER = """<!DOCTYPE html><title>waiting</title><iframe width="{width}" height="900" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const boxes = [...page.body.querySelectorAll("svg text")].map((text) => text.getBoundingClientRect().height);
  document.title = "measured " + page.documentElement.scrollWidth + " " + Math.min(...boxes.filter((h) => h > 0));
}});
</script>
"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def pages(trained: Trained, other: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    recorded = write_recorded(folder / "a-run-with-a-rather-long-name-that-has-no-place-to-break-it", sessions=45)
    write_decoded_run(recorded, "val-ctc")
    runs = {"trained": [trained.run], "recorded": [recorded], "compared": [trained.run, other, recorded]}
    for name, words in runs.items():
        with pytest.raises(SystemExit) as exit_:
            main(["report", *map(str, words), f"out={folder / name}.html"])
        assert exit_.value.code == 0
    return {name: folder / f"{name}.html" for name in runs}


def browse(page: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    """Load a page without a window, give it time to settle, and print what it has become."""
    assert BROWSER is not None
    options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --enable-logging=stderr --v=0".split()
    where = [f"--user-data-dir={profile}", "--virtual-time-budget=5000", "--dump-dom", f"file://{page}"]
    return subprocess.run([BROWSER, *options, *where], capture_output=True, text=True, timeout=600, check=True)


def console(run: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in run.stderr.splitlines() if ":CONSOLE" in line]


@pytest.mark.parametrize("name", ["trained", "recorded", "compared"])
def test_a_page_is_silent_and_fits(name: str, pages: dict[str, Path], tmp_path: Path) -> None:
    for width in WIDTHS.values():
        owner = tmp_path / f"{width}.html"
        owner.write_text(OWNER.format(width=width, page=html.escape(pages[name].read_text())))
        shown = browse(owner, tmp_path / "profile")
        assert console(shown) == []
        measured = re.search(r"<title>measured (\d+) ([\d.]+)</title>", shown.stdout)
        assert measured, shown.stdout[:300]
        assert int(measured[1]) <= width
        assert float(measured[2]) >= 9  # pixels of the lowest line of text in a figure


def test_the_browser_reports_what_goes_wrong(tmp_path: Path) -> None:
    """The two measures above see an error and a page that is too wide."""
    bad = '<div style="width:2000px">wide</div><svg><text y="20">x</text></svg><script>nothing.here()</script>'
    owner = tmp_path / "bad.html"
    owner.write_text(OWNER.format(width=390, page=html.escape(bad)))
    shown = browse(owner, tmp_path / "profile")
    assert any("nothing is not defined" in line for line in console(shown))
    measured = re.search(r"<title>measured (\d+) ", shown.stdout)
    assert measured
    assert int(measured[1]) >= 2000
