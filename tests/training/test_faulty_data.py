"""Recordings with faults in them: the run goes on, says what it left out, and its weights stay finite."""

import numpy as np
import pytest
import torch

from mode_ssm.errors import InputError
from mode_ssm.recognition.checkpoint import read_checkpoint
from mode_ssm.training.loop import train
from mode_ssm.training.run_folder import read_metrics
from tests.data.files import FakeTrial, make_trial, write_session
from tests.small import SESSIONS, small_config

LEFT_OUT = {
    "NaN": "has 1 NaN or infinite feature values, the first at frame 3, channel 2",
}
FAULTS = ("NaN", "all zero", "label too long", "spike of 1e30", "spike of 1e30 in one frame")


def faulty_trial(fault: str) -> FakeTrial:
    trial = make_trial(7, 90)
    match fault:
        case "NaN":
            trial.features[3, 2] = np.nan
        case "all zero":
            trial.features[:] = 0
        case "label too long":
            trial.labels = [1 + n % 2 for n in range(60)]
        case "spike of 1e30":
            trial.features[:, ::2] = 1e30
        case _:
            trial.features[40] = -1e30
    return trial


def test_batches_and_val_trials_that_cannot_be_read_at_all_do_not_end_the_run(tmp_path, capsys):
    write_session(tmp_path / "data", SESSIONS[0], "train", [make_trial(0, 90), faulty_trial("NaN")])
    write_session(tmp_path / "data", SESSIONS[0], "val", [faulty_trial("NaN")])
    train(small_config(tmp_path / "data", tmp_path / "run", "training.batch_size=1"))
    assert capsys.readouterr().out.count("None of the 1 val trials could be read: no error rates") == 2
    records = read_metrics(tmp_path / "run")
    assert [r["grad_norm"] is None for r in records if r["kind"] == "update"].count(True) == 2
    assert all(r["per_ctc"] is None and r["per_rnnt"] is None for r in records if r["kind"] == "validation")
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / "best.safetensors").position.update == 4


def test_an_epoch_without_a_readable_trial_ends_the_run(tmp_path, capsys):
    write_session(tmp_path / "data", SESSIONS[0], "train", [faulty_trial("NaN"), faulty_trial("NaN")])
    with pytest.raises(InputError, match="None of the 2 train trials could be read in this epoch; mode-ssm inspect"):
        train(small_config(tmp_path / "data", tmp_path / "run"))
    assert "Batch 1/1 (100%) | no readable trial |" in capsys.readouterr().out


def test_a_session_without_train_trials_is_one_that_the_network_does_not_know(tmp_path, capsys):
    for session in SESSIONS[:2]:
        write_session(tmp_path / "data", session, "train", [make_trial(n, 90) for n in range(4)])
    for session in SESSIONS:
        write_session(tmp_path / "data", session, "val", [make_trial(9, 90)])
    train(small_config(tmp_path / "data", tmp_path / "run"))
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors")
    assert checkpoint.sessions == SESSIONS[:2]
    assert f"no train trials of {SESSIONS[2]}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("softsign", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_trial_does_not_end_the_run(tmp_path, capsys, fault, softsign):
    for session in SESSIONS:
        trials = [make_trial(n, 90) for n in range(4)]
        write_session(tmp_path / "data", session, "train", [*trials, faulty_trial(fault)])
        write_session(tmp_path / "data", session, "val", trials[:2])
    config = small_config(tmp_path / "data", tmp_path / "run", f"preprocessor.softsign={softsign}".lower())
    train(config)
    printed = " ".join(capsys.readouterr().out.split())
    if fault in LEFT_OUT:  # what is wrong with labels is known at once, features are looked at when they are read
        epochs = 2 if fault == "NaN" else 1
        assert printed.count("Leaving out: ") == printed.count(LEFT_OUT[fault]) == epochs * len(SESSIONS)
    if fault == "label too long":  # of no use to CTC, of use to the transducer
        assert f"3 of 15 train trials ({SESSIONS[0]}/train/trial_0004) may have too few encoder frames" in printed
    updates = [r for r in read_metrics(tmp_path / "run") if r["kind"] == "update"]
    skipped = sum(r["skipped_now"] for r in updates)
    assert updates[-1]["skipped"] == skipped == printed.count("Skipping batch ")
    assert skipped == 0 or (not softsign and fault.startswith("spike"))
    assert all(r["loss"] is not None for r in updates if not r["skipped_now"])
    weights = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors").model
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
