"""A term that no other file knows: it trains, is balanced, logged, watched and drawn, on trials without labels too."""

from dataclasses import replace

import pytest
import torch

from mode_ssm.batch import collate, length_mask
from mode_ssm.cli import main
from mode_ssm.config import TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.checkpoint import read_checkpoint
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.settings import read_settings
from mode_ssm.training.display import outcome
from mode_ssm.training.history import Alarm
from mode_ssm.training.loop import train
from mode_ssm.training.objective import Weighted
from mode_ssm.training.picture import draw_run
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.schedule import check_stages
from mode_ssm.training.terms import TERMS, Measured, Term, TermLoss, run_terms
from tests.data.files import make_trial, write_session
from tests.report.reading import read
from tests.small import SESSIONS, SMALL, small_config, write_data
from tests.training.test_update import PLAIN, objective, step, trials_of

UNLABELLED = 4  # trials of the test split


class Energy(Term):
    """The mean square of what the encoder gives: it needs no labels."""

    name = "energy"
    title = "Energy"
    unit = "per frame and channel"
    healthy = "Healthy: falls."
    needs_labels = False
    measured = (Measured("energy_trials", "Trials that have energy", "trials", "Healthy: as many as there are."),)
    carried = ("seen",)
    scaling_hint = "another weight"

    def __init__(self, losses):
        super().__init__(losses)
        self.seen = 0

    def loss(self, given):
        frames, lengths = given.encoded
        real = length_mask(lengths, frames.shape[1])
        squares = frames[real].float().square().mean(dim=-1).sum()
        return TermLoss(squares / given.size.encoder_frames, {"energy_trials": torch.tensor(float(len(lengths)))})

    def follow(self, gradient, first):
        assert gradient > 0
        assert first > 0
        self.seen += 1

    def update_alarms(self, first):
        return (Alarm("energy_alarm", lambda history: "Energy!" if history.last("loss_energy", 3) else None),)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(TERMS, Energy.name, Energy)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three labelled sessions, of which the last has trials without labels as well."""
    root = write_data(tmp_path_factory.mktemp("data") / "root")
    trials = [replace(make_trial(700 + n, 90 + 8 * n), labels=None) for n in range(UNLABELLED)]
    write_session(root, SESSIONS[2], "test", trials)
    return root


STAGES = """
training.stages=[{name: energy, splits: [train, test], weights: {energy: 0.5}}, {name: ctc, rnnt_weight: 0},
 {name: all, splits: [train, test], weights: {ctc: 0.3, rnnt: 1.0, energy: 0.1}, energy_ramp_updates: 3}]
""".replace("\n", "")


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TERMS, Energy.name, Energy)
        patch.setattr("mode_ssm.training.loop.draw_run", lambda *_: None)
        words = [word for word in SMALL if "stages" not in word]
        given = [*words, STAGES, f"data.data_root={root}", f"data.cache_dir={root}.index"]
        return train(read_settings(TrainConfig, [*given, f"output_dir={tmp_path_factory.mktemp('run') / 'run'}"]))


def updates_of(run, stage):
    return [r for r in read_metrics(run) if r["kind"] == "update" and r["stage"] == stage]


def test_its_loss_is_a_mean_over_all_trials_and_the_others_are_over_the_labelled(root):
    config = small_config(root, root / "run", *PLAIN, "training.stages.1.energy_weight=1")
    labelled = trials_of(config, root)
    silent = [type(trial)(trial.key, trial.features + 1, None, None) for trial in labelled[:2]]
    terms = run_terms(config)
    alone, _ = step(config, [labelled], objective(config))
    trained = [Weighted(term, weight) for term, weight in zip(terms, (0.3, 1.0, 1.0), strict=True)]
    groups = [[labelled[0], silent[0], labelled[1]], [silent[1]], labelled[2:]]
    mixed, _ = step(config, groups, trained)
    for key in ("loss_ctc", "loss_rnnt", "loss_rnnt_raw", "rnnt_scale", "blank_ctc"):
        assert mixed.numbers[key] == pytest.approx(alone.numbers[key], rel=1e-6)
    assert mixed.gradients.encoder["ctc"] == pytest.approx(alone.gradients.encoder["ctc"], rel=1e-6)
    torch.manual_seed(0)
    model = ModeSSM(config, 3).double()
    batch = collate([*labelled, *silent], {session: n for n, session in enumerate(SESSIONS)})
    frames, lengths = model.encode(batch._replace(features=batch.features.double()))
    real = torch.cat([row[:length] for row, length in zip(frames, lengths.tolist(), strict=True)])
    assert mixed.numbers["loss_energy"] == pytest.approx(real.square().mean().item(), rel=1e-5)
    assert mixed.trials == 6
    gradient = torch.autograd.grad(real.square().mean(), frames)[0].norm()
    assert mixed.gradients.encoder["energy"] == pytest.approx(float(gradient), rel=1e-5)


def test_it_trains_on_trials_without_labels_and_moves_the_network(root, run):
    updates = updates_of(run, "energy")
    trials = 18 + UNLABELLED
    assert sum(r["energy_trials"] for r in updates) == trials
    assert [r["loss"] for r in updates] == pytest.approx([0.5 * r["loss_energy"] for r in updates])
    assert all(r["loss_ctc"] is r["encoder_grad_ctc"] is r["rnnt_ctc_ratio"] is None for r in updates)
    assert all(r["encoder_grad_energy"] > 0 and r["grad_norms"]["ctc_head"] is None for r in updates)
    assert sum(1 for _ in updates_of(run, "ctc")) < len(updates)  # that stage has the labelled trials alone


def test_it_is_held_against_the_first_term(run):
    updates = updates_of(run, "all")
    assert all(r["energy_ctc_ratio"] == r["loss_energy"] / r["loss_ctc"] for r in updates if r["loss_ctc"])
    measured = [r for r in updates if r["encoder_grad_ctc"]]
    ratios = [r["encoder_grad_energy"] / r["encoder_grad_ctc"] for r in measured]
    assert [r["encoder_grad_ratio_energy"] for r in measured] == ratios
    assert {r["encoder_grad_ratio"] for r in measured} != {None}
    weighted = [0.3 * r["loss_ctc"] + r["loss_rnnt"] + 0.1 * r["loss_energy"] for r in updates[3:]]
    assert [r["loss"] for r in updates[3:]] == pytest.approx(weighted, rel=1e-5)
    checkpoint = read_checkpoint(run / "checkpoints" / "last.safetensors")
    assert checkpoint.position.running["terms"]["energy"] == {"seen": len(measured)}


def test_its_own_alarm_is_heard_and_named(run):
    assert ("energy_alarm", "energy") in {(r["rule"], r["stage"]) for r in read_metrics(run) if r["kind"] == "warning"}


def test_it_is_not_validated_and_the_run_says_so(root, run, tmp_path, capsys):
    validations = [r for r in read_metrics(run) if r["kind"] == "validation"]
    assert [r["stage"] for r in validations] == ["ctc", "all"]
    assert not any("per_energy" in r for r in validations)
    words = ["training.stages.0.weights={energy: 1}", "training.stages.1.epochs=0", "training.stages.0.splits=[test]"]
    alone = train(small_config(root, tmp_path / "alone", *words))
    printed = capsys.readouterr().out
    assert "Energy has no head to decode: it is trained and logged, not validated." in printed
    assert "(energy " in printed
    with pytest.raises(InputError, match="has no trained head to decode with"):
        load_recogniser(str(alone)).head(None)


def test_each_stage_keeps_its_best_and_the_runs_is_the_last_validated(run):
    folder = run / "checkpoints"
    assert sorted(path.stem for path in folder.iterdir()) == ["best", "best-all", "best-ctc", "best-energy", "last"]
    stages = {name: read_checkpoint(folder / f"{name}.safetensors").position.stage for name in ("best-ctc", "best-all")}
    assert stages == {"best-ctc": 1, "best-all": 2}
    assert (folder / "best.safetensors").samefile(folder / "best-all.safetensors")


def test_a_stage_that_validates_nothing_leaves_the_best_of_those_before(root, tmp_path):
    words = ["training.stages.1.weights={energy: 1}", "training.stages.1.epochs=2"]
    folder = train(small_config(root, tmp_path / "run", *words)) / "checkpoints"
    assert read_checkpoint(folder / "best.safetensors").position.stage == 0
    assert read_checkpoint(folder / "best-joint_train.safetensors").position.epoch == 2


def test_it_is_drawn(root, run, tmp_path, monkeypatch):
    terms = run_terms(load_recogniser(str(run)).checkpoint.config)
    drawn = {}
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, *_, **__: drawn.update(figure=figure))
    monkeypatch.setattr("mode_ssm.files.Path.replace", lambda *_: None)
    draw_run(run, terms)
    labels = [line.get_label() for line in drawn["figure"].axes[0].lines]
    assert {"CTC (nats per label)", "RNN-T (scaled)", "Energy (per frame and channel)"} <= set(labels)
    assert "Energy loss / CTC loss" in drawn["figure"].axes[2].get_legend_handles_labels()[1]


def test_it_is_reported(run, tmp_path):
    page = tmp_path / "page.html"
    with pytest.raises(SystemExit) as end:
        main(["report", str(run), f"out={page}", "max_trials=2", "alignments=0"])
    assert end.value.code == 0
    found = read(page.read_text())
    assert "Energy loss (per frame and channel)" in found.headings
    assert "Energy loss / CTC loss" in found.headings
    assert "Energy gradient / CTC gradient at the encoder's output" in found.headings
    assert "Trials that have energy" in found.headings
    assert "Energy has no head to decode, so it is not validated." in found.words


def test_what_came_of_a_run_is_said_with_its_denominators(run, root):
    terms = run_terms(load_recogniser(str(run)).checkpoint.config)
    said = "\n".join(outcome(type("Folder", (), {"path": run, "best": run / "best"}), str(root), terms))
    last = [r for r in read_metrics(run) if r["kind"] == "validation"][-1]
    rates = f"ctc {100 * last['per_ctc']:.2f} %, rnnt {100 * last['per_rnnt']:.2f} % of 6 trials"
    assert f"Best of stage all, after its epoch 1: val PER {rates}" in said
    assert f"mode-ssm report {run}" in said


def test_an_unknown_term_is_an_error_that_lists_the_known():
    with pytest.raises(InputError, match=r"stages\.0 has a weight for 'cct', which is no term .* ctc, rnnt, energy"):
        check_stages(read_settings(TrainConfig, [*SMALL, "training.stages.0.weights={cct: 1}"]))


def test_a_term_that_needs_labels_is_refused_where_there_are_none(root, tmp_path):
    config = small_config(root, tmp_path / "run", "training.stages.1.splits=[test]")
    with pytest.raises(InputError, match=r"stages\.1 trains ctc and rnnt, which needs labels, and no trial of its"):
        train(config)
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
