"""The pages: complete, closed in themselves, and honest about what is not there."""

import shutil
from pathlib import Path

import pytest

from mode_ssm.cli import main
from tests.report.conftest import MALICIOUS, Command, Trained
from tests.report.reading import read
from tests.report.recorded import SESSIONS, write_recorded

SECTIONS = (
    "Warnings",
    "Losses",
    "Balance of the losses",
    "Gradients and steps",
    "Phoneme error rate",
    "Phoneme error rate by session",
    "Confusions of phonemes",
    "Alignments",
    "Best and worst hypotheses",
    "Settings",
    "Time and memory",
)
FIGURES = (
    "CTC loss (nats per label)",
    "RNN-T loss (scaled)",
    "Scaled RNN-T loss / CTC loss",
    "RNN-T gradient / CTC gradient at the encoder's output",
    "Gradient norm before clipping",
    "Gradient norms by part",
    "Updates whose gradient was clipped (%)",
    "Learning rate",
    "Phoneme error rate, validation (%)",
    "Blank probability, validation (mean over frames)",
    "Blank probability of the CTC head, training (mean over frames)",
    "Emission delay of RNN-T behind CTC (ms)",
    "CTC: phoneme error rate by session (%)",
    "RNN-T: phoneme error rate by session (%)",
    "Peak memory (MB)",
)


def test_a_trained_run_has_every_section(trained: Trained, make_report: Command) -> None:
    page = read(make_report(trained.run))
    assert [heading for heading in page.headings if heading in SECTIONS] == list(SECTIONS)
    assert page.tags.count("h1") == 1
    assert "first" in page.words
    for head in ("CTC", "RNN-T"):
        assert f"{head}: what was said (rows) and what was decoded (columns)" in page.headings
        assert f"{head}: most frequent errors" in page.headings
    assert "all 6 trials of the val split" in page.words
    assert page.tags.count("image") == 2
    assert "could not" not in page.words


def test_words_from_the_data_stay_words(trained: Trained, make_report: Command) -> None:
    text = make_report(trained.run)
    assert MALICIOUS in read(text).words
    assert "<script" not in text
    assert "<img" not in text


def test_every_recorded_number_has_its_figure(tmp_path: Path, make_report: Command) -> None:
    text = make_report(write_recorded(tmp_path / "run", sessions=45))
    page = read(text)
    assert set(FIGURES) <= set(page.headings)
    assert "did not record" not in page.words
    assert "lower training.optimizer.lr." in page.words
    assert "900 MB" in page.words
    assert text.count('class="event"') == 2  # the skipped update, at the foot of both losses
    for session in SESSIONS:
        assert page.words.count(session) == 2
    assert page.words.count("ctc_warmup") > 8  # the stages are named in every chart
    assert len(text) < 1_000_000


def test_what_is_not_there_is_said(tmp_path: Path, make_report: Command, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_recorded(tmp_path / "run")
    lines = [line for line in (run / "metrics.jsonl").read_text().splitlines() if '"kind": "update"' in line]
    bare = [line.replace('"grad_norms"', '"x"').replace('"clipped"', '"y"') for line in lines]
    (run / "metrics.jsonl").write_text("\n".join(bare) + "\n{cut sho")
    words = " ".join(read(make_report(run)).words.split())
    assert "This run did not record: Gradient norms by part; Updates whose gradient was clipped." in words
    assert "No validation was recorded: the data have no val split, or the first epoch has not ended." in words
    assert words.count("The run's network could not be read: ") == 3
    assert "No warning was recorded." in words
    assert "has no checkpoints/best.safetensors" in capsys.readouterr().err


def test_a_run_whose_data_are_gone(
    trained: Trained, tmp_path: Path, make_report: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    trained.data.rename(tmp_path / "elsewhere")
    try:
        page = read(make_report(tmp_path / "run"))
    finally:
        (tmp_path / "elsewhere").rename(trained.data)
    assert f"The run's data could not be read (data.data_root={trained.data} does not exist" in page.words
    assert "CTC loss (nats per label)" in page.headings
    assert "run: The run's data could not be read" in capsys.readouterr().err


def test_data_that_are_named_must_be_there(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained.run, tmp_path / "run")
    (tmp_path / "run" / "report.html").write_text("a better page")
    with pytest.raises(SystemExit) as exit_:
        main(["report", str(tmp_path / "run"), f"data.data_root={tmp_path / 'gone'}"])
    assert exit_.value.code == 2
    assert "gone does not exist" in capsys.readouterr().err
    assert (tmp_path / "run" / "report.html").read_text() == "a better page"


def test_data_may_have_moved(trained: Trained, tmp_path: Path, make_report: Command) -> None:
    shutil.copytree(trained.data, tmp_path / "moved")
    shutil.copytree(trained.run, tmp_path / "run")
    page = read(make_report(tmp_path / "run", f"data.data_root={tmp_path / 'moved'}", "max_trials=2", "alignments=0"))
    assert "2 of the 6 trials, evenly spread, of the val split" in page.words
    assert "No alignment was asked for" in page.words


def test_the_page_stands_in_the_run_folder(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", str(trained.run), "examples=1", "alignments=1"])
    path = trained.run / "report.html"
    assert f"Written: {path}" in capsys.readouterr().out
    read(path.read_text())
    assert [p.name for p in trained.run.iterdir() if p.name.startswith(".")] == []


def test_two_runs_are_compared(trained: Trained, other: Path, make_report: Command) -> None:
    page = read(make_report(trained.run, other))
    assert "Comparison of 2 runs" in page.words
    for heading in ("Phoneme error rates", "The same trials, paired", "Settings that differ", "Learning rate"):
        assert heading in page.headings
    assert "Compared with first" in page.headings
    settings = page.words[page.words.index("Settings that differ") : page.words.index("Medians of")].split()
    assert settings[settings.index("training.optimizer.lr") :][:3] == ["training.optimizer.lr", "0.001", "0.003"]
    assert "output_dir" not in settings


def test_runs_without_networks_are_compared_by_their_records(tmp_path: Path, make_report: Command) -> None:
    runs = [write_recorded(tmp_path / f"run-{n}", scale=1 - 0.05 * n, updates=80, validations=4) for n in range(10)]
    text = make_report(*runs)
    page = read(text)
    assert text.count("stroke-dasharray") < 10
    assert 'class="line dashed c1"' in text
    assert page.words.count("has no checkpoints/best.safetensors") == 10
    assert "All settings are the same." not in page.words  # each has its own data root
    assert "run-9" in page.words


def test_help_names_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["report", "--help"])
    assert exit_.value.code == 0
    printed = capsys.readouterr().out
    for key in ("out", "data.data_root", "split", "max_trials", "alignments", "examples", "batch_size"):
        assert f"  {key}=" in printed


WRONG = {
    "no run": (["report"], "the following arguments are required: RUN"),
    "settings alone": (["report", "max_trials=3"], "report needs a run folder"),
    "no folder": (["report", "nowhere"], "nowhere is not a run folder (No such file or directory: config.yaml)"),
    "unknown setting": (["report", "nowhere", "data.root=x"], "did you mean data.data_root?"),
    "out of bounds": (["report", "nowhere", "max_trials=0"], "max_trials=0 is out of range"),
    "twice": (["report", "nowhere", "./nowhere"], "A run is named twice among nowhere, ./nowhere"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_ends_with_one_sentence(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, sentence = WRONG[name]
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no update yet"),
        ('{"kind": "update"}\n', "metrics.jsonl, line 1 is damaged ('update')"),
        ("{broken\n", "metrics.jsonl, line 1 is damaged (Expecting"),
        ('{"kind": "update", "update": 1, "stage": "a", "skipped_now": 0}\n[]\n', "metrics.jsonl, line 2 is damaged"),
    ],
)
def test_a_damaged_run_is_named(text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_recorded(tmp_path / "run", updates=40, validations=2)
    (run / "metrics.jsonl").write_text(text)
    with pytest.raises(SystemExit) as exit_:
        main(["report", str(run)])
    assert exit_.value.code == 2
    assert sentence in capsys.readouterr().err


def test_labels_that_are_no_phonemes_are_called_labels(tmp_path: Path, make_report: Command) -> None:
    runs = [write_recorded(tmp_path / f"run{n}", "data.labels=letters.yaml", updates=40, validations=2) for n in (0, 1)]
    for page in (read(make_report(runs[0])), read(make_report(*runs))):
        assert any(heading.startswith("Label error rate") for heading in page.headings)
        assert not any("honeme" in heading for heading in page.headings)
