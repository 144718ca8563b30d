"""What a validation records beside error rates: blank mass and the transducer's delay, each from its definition."""

import pytest
import torch

from mode_ssm.batch import collate
from mode_ssm.config import Decoder
from mode_ssm.decoding.alignment import ctc_alignment, rnnt_alignment
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.searches import align_labels
from mode_ssm.training.devices import start_fabric
from mode_ssm.training.loop import train
from mode_ssm.training.run_folder import read_metrics
from mode_ssm.training.terms import rnnt, run_terms
from mode_ssm.training.terms.rnnt import emission_delay_ms
from mode_ssm.training.validation import validate
from tests.small import SESSIONS, small_config, write_data
from tests.training.test_update import trials_of

INDEX = {session: n for n, session in enumerate(SESSIONS)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def setup(root):
    config = small_config(root, root / "run")
    torch.manual_seed(0)
    model = ModeSSM(config, 3)
    trials = trials_of(config, root)
    batches = [collate(trials[:3], INDEX), None, collate(trials[3:], INDEX)]
    return start_fabric(config.training), model.eval(), trials, batches


@pytest.fixture(scope="module")
def terms(root):
    return run_terms(small_config(root, root / "run"))


def test_blank_mass_of_ctc_is_the_mean_over_real_frames(setup, terms):
    fabric, model, trials, batches = setup
    found = validate(fabric, model, batches, terms[:1], SESSIONS)
    with torch.no_grad():
        probabilities = [model.eval().ctc_log_probs(model.encode(collate([t], INDEX)).frames)[0].exp() for t in trials]
    expected = torch.cat(probabilities)[:, 0].mean()
    assert found.blank == {"ctc": pytest.approx(float(expected), rel=1e-5)}
    record = found.record(terms)
    assert record["emission_delay_ms"] is record["blank_rnnt"] is record["per_rnnt"] is None
    assert (record["trials"], record["labels"]) == (len(trials), sum(len(trial.labels) for trial in trials))


@torch.no_grad()
def greedy_blanks(model, trial, most=3):
    """Blank probabilities along the greedy path of one trial, step by step."""
    frames = model.joiner.encoder_projection(model.encode(collate([trial], INDEX)).frames)[0]
    predicted, state = model.predict(torch.zeros(1, dtype=torch.int64), model.initial(1))
    for frame in frames:
        for _ in range(most):
            log_probs = model.join(frame[None], predicted)[0]
            yield float(log_probs[0].exp())
            best = int(log_probs.argmax())
            if best == 0:
                break
            predicted, state = model.predict(torch.tensor([best]), state)


def test_blank_mass_of_the_transducer_is_the_mean_along_the_greedy_path(setup, terms):
    fabric, model, trials, batches = setup
    with torch.no_grad():
        model.joiner.output.bias[0] += 1.0  # some blanks and some labels
    found = validate(fabric, model, batches, terms[1:], SESSIONS)
    blanks = [blank for trial in trials for blank in greedy_blanks(model.eval(), trial)]
    frames = sum((len(trial.features) - 14) // 4 + 1 for trial in trials)
    assert frames < len(blanks) < 3 * frames
    assert found.blank["rnnt"] == pytest.approx(sum(blanks) / len(blanks), rel=1e-5)


def test_labels_are_aligned_by_what_the_network_says_of_them(setup):
    _, model, trials, _ = setup
    trial = trials[0]
    with torch.no_grad():
        encoded = model.encode(collate([trial], INDEX))
        lattice = torch.stack(
            [
                torch.stack([model.join(frame[None], step[None])[0] for step in sides.predictor[0]])
                for sides in [model.transducer_inputs(encoded.frames, trial.labels[None])]
                for frame in sides.encoder[0]
            ]
        )
        emit = torch.stack([lattice[:, place, label] for place, label in enumerate(trial.labels)], dim=1)
        ctc = ctc_alignment(model.ctc_log_probs(encoded.frames)[0], trial.labels, blank=0)
    assert torch.equal(align_labels(model, encoded.frames[0], trial.labels, Decoder.ctc), ctc)
    assert torch.equal(
        align_labels(model, encoded.frames[0], trial.labels, Decoder.rnnt), rnnt_alignment(lattice[..., 0], emit)
    )


def test_the_delay_is_the_mean_over_labels_in_milliseconds(setup, monkeypatch):
    _, model, _, batches = setup

    def aligned(model, frames, labels, decoder):
        return torch.arange(len(labels)) * (2 if decoder is Decoder.rnnt else 1)  # label n is n frames late

    monkeypatch.setattr(rnnt, "align_labels", aligned)
    late = [n for length in batches[0].label_lengths.tolist() for n in range(length)]
    with torch.no_grad():
        delay = emission_delay_ms(model, model.encode(batches[0]), batches[0])
    assert delay == pytest.approx(sum(late) / len(late) * 80)  # an encoder frame is 4 frames of 20 ms


def test_a_validation_that_is_stopped_has_no_result_and_leaves_the_network_training(setup, terms):
    fabric, model, _, batches = setup
    assert validate(fabric, model, batches, terms[:1], SESSIONS, lambda: True) is None
    assert model.training


def test_a_run_records_its_stages_and_what_it_validated(root, tmp_path):
    train(small_config(root, tmp_path / "run", "training.stages.0.epochs=2"))
    records = read_metrics(tmp_path / "run")
    stages = [(r["name"], r["update"]) for r in records if r["kind"] == "stage"]
    assert stages == [("ctc_warmup", 1), ("joint_train", 11)]
    first, _, last = [r for r in records if r["kind"] == "validation"]
    assert (first["emission_delay_ms"], first["blank_rnnt"], first["per_rnnt"]) == (None, None, None)
    assert abs(last["emission_delay_ms"]) < 90 * 20
    assert 0 < last["blank_rnnt"] < 1
    assert last["seconds"] > first["seconds"] > 0
    assert last["peak_memory_mb"] >= first["peak_memory_mb"] > 50
