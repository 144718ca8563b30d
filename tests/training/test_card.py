"""The card of a run holds what the run's own files say."""

import json
from pathlib import Path

import torch

from mode_ssm.recognition.checkpoint import find_checkpoint, read_checkpoint
from mode_ssm.training.loop import train
from tests.small import SESSIONS, small_config, write_data


def test_a_card_says_what_was_trained_and_how_well(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data")
    run = train(small_config(root, tmp_path / "run", "training.seed=7", "output_dir=" + str(tmp_path / "a|run")))
    card = (run / "card.md").read_text(encoding="utf-8")
    assert card.startswith("# a|run\n")
    assert f"From `{root}`; 3 sessions: {', '.join(SESSIONS)}." in card
    assert "| trained on | 18 | 3 |" in card
    assert "| validated on | 6 | 2 |" in card
    validations = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = [record for record in validations if record["kind"] == "validation"][-1]
    for head, title in (("ctc", "CTC"), ("rnnt", "RNN-T")):
        assert f"| {title} | {100 * best[f'per_{head}']:.2f} | 6 | {best['labels']} |" in card
    checkpoint = read_checkpoint(find_checkpoint(run))
    assert f"{sum(tensor.numel() for tensor in checkpoint.model.values() if tensor.is_floating_point()):,} " in card
    assert f"{best['update']:,} updates, of which 0 were skipped" in card
    assert "seed 7, 1 process, precision" in card
    assert "| training.seed | 7 | 0 |" in card
    assert f"| torch | {torch.__version__.split('+')[0]}" in card
    assert "follows from the licence of the recordings" in card
    assert "output_dir" not in card


def test_a_run_without_validations_says_so(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data")
    for session in SESSIONS[1:]:
        (root / session / "data_val.hdf5").unlink()
    run = train(small_config(root, tmp_path / "run"))
    card = (run / "card.md").read_text(encoding="utf-8")
    assert "None: the run has not validated." in card
    assert "validated on" not in card
