"""Averaging of networks: by hand, and that a network averaged with itself is itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mode_ssm.config import DataConfig
from mode_ssm.decoding.transducer import TransducerCallables
from mode_ssm.errors import InputError
from mode_ssm.labels import Labels
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.transducer_search import TransducerFrames, label_search
from mode_ssm.recognition.ensemble import Ensemble, average_log_probs, average_transducers, load_ensemble
from mode_ssm.recognition.network import load_recogniser
from tests.decoding.tiny_transducer import WIDTH, TinyTransducer
from tests.language.conftest import save_network


def test_probabilities_are_averaged_not_their_logarithms() -> None:
    one, other = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.9, 0.1]])
    assert average_log_probs([one.log(), other.log()]).exp().tolist() == [pytest.approx([0.7, 0.3])]


def test_two_transducers_side_by_side_give_the_mean_at_every_label_history() -> None:
    one, other = TinyTransducer(4, seed=0), TinyTransducer(4, seed=1)
    both = average_transducers([one.callables(), other.callables()], [WIDTH, WIDTH])
    encoded = torch.cat([one.encoded(3), other.encoded(3)], dim=-1)
    out, state = both.predict(torch.zeros(3, dtype=torch.int64), both.initial(3))
    out, state = both.predict(torch.tensor([1, 2, 3]), state)
    got = both.join(encoded, out).exp()
    for row, label in enumerate((1, 2, 3)):
        tables = [
            tiny.table(part[row : row + 1], (label,))[0, 1]
            for tiny, part in zip((one, other), encoded.split(WIDTH, -1), strict=True)
        ]
        assert got[row].tolist() == pytest.approx(np.mean(np.exp(tables), axis=0))


def test_a_transducer_averaged_with_itself_searches_alike() -> None:
    tiny = TinyTransducer(5, seed=2)
    encoded, lengths = tiny.encoded(2, 6), torch.tensor([6, 4])
    labels = Labels(("_", "a", "b", "c", "d"))

    def search(model: TransducerCallables, frames: Tensor) -> list[list[WordHypothesis]]:
        trials = [TransducerFrames(trial[:size]) for trial, size in zip(frames, lengths.tolist(), strict=True)]
        return label_search(labels, model, 4, 2)(trials)

    alone = search(tiny.callables(), encoded)
    twice = average_transducers([tiny.callables()] * 2, [WIDTH] * 2)
    together = search(twice, torch.cat([encoded, encoded], dim=-1))
    assert [[h.labels for h in trial] for trial in alone] == [[h.labels for h in trial] for trial in together]


def data(root: Path, index: Path) -> DataConfig:
    return DataConfig(data_root=str(root), cache_dir=str(index))


def test_an_ensemble_of_networks(spoken_root: Path, run_folder: Path, tmp_path: Path) -> None:
    other = save_network(tmp_path / "other", 2, "predictor=lstm", "joiner.width=24")
    trials = {}
    for name, more in (("one", None), ("other", None), ("both", str(other))):
        ensemble = load_ensemble(str(other if name == "other" else run_folder), more)
        batches = ensemble.encode(data(spoken_root, tmp_path), "val", 4, for_transducer=True)
        trials[name] = {trial.key: trial for batch in batches for trial in batch}
    assert len(trials["both"]) == 6
    for key, trial in trials["both"].items():
        one, two = trials["one"][key], trials["other"][key]
        assert np.exp(trial.ctc) == pytest.approx((np.exp(one.ctc) + np.exp(two.ctc)) / 2, abs=1e-6)
        assert torch.equal(trial.encoded, torch.cat([one.encoded, two.encoded], dim=-1))
        assert (trial.sentence, trial.labels) == (one.sentence, one.labels)


def test_networks_of_other_frame_rates_are_refused(spoken_root: Path, run_folder: Path, tmp_path: Path) -> None:
    faster = save_network(tmp_path / "faster", 2, "preprocessor.stride_frames=2")
    ensemble = load_ensemble(str(run_folder), str(faster))
    with pytest.raises(InputError, match="faster.* does not read the same trials at the same frame rate"):
        list(ensemble.encode(data(spoken_root, tmp_path), "val", 4, for_transducer=False))


def test_for_ctc_nothing_of_the_transducer_is_kept(spoken_root: Path, run_folder: Path, tmp_path: Path) -> None:
    ensemble = load_ensemble(str(run_folder), None)
    (batch,) = ensemble.encode(data(spoken_root, tmp_path), "val", 10, for_transducer=False)
    assert all(trial.encoded.shape == (len(trial.ctc), 0) for trial in batch)


def test_networks_of_other_labels_are_no_ensemble(run_folder: Path) -> None:
    one = load_recogniser(str(run_folder))
    symbols = one.checkpoint.labels.symbols
    labels = Labels((*symbols[:-2], symbols[-1], symbols[-2]), one.checkpoint.labels.blank)
    other = replace(one, checkpoint=replace(one.checkpoint, path=Path("other"), labels=labels))
    sentence = rf"has {len(symbols)} classes and other {len(symbols)}, .* not the same: class {len(symbols) - 2} is"
    with pytest.raises(InputError, match=sentence):
        Ensemble([one, other])
