"""Several participants in one network: maps of their own, one body, batches that mix them, and one who comes later."""

import io
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from rich.console import Console

import mode_ssm
from mode_ssm.batch import Trial, TrialKey, collate
from mode_ssm.commands.evaluate import evaluate
from mode_ssm.commands.inspect import print_inspection
from mode_ssm.commands.inspection import examine
from mode_ssm.commands.report import report
from mode_ssm.config import DataConfig, EvaluateConfig, InspectConfig, OptimizerConfig, ReportConfig, TrainConfig
from mode_ssm.data import open_source
from mode_ssm.errors import InputError
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.checkpoint import read_checkpoint
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.recognition.stream import EncoderStream
from mode_ssm.settings import read_settings
from mode_ssm.training.inherited import inherit
from mode_ssm.training.loop import train
from mode_ssm.training.optimizer import build_optimizer, set_learning_rate
from tests.data.files import make_trial, write_session
from tests.report.reading import read
from tests.small import SMALL

CHANNELS = {"p1": 8, "p2": 5, "p3": 11}
MAPPED = ["preprocessor.participant_map=linear", "preprocessor.num_channels=6"]
CAUSAL = ["encoder.direction=causal", "preprocessor.smoothing=causal"]


def write_person(root: Path, who: str, seed: int = 0) -> Path:
    for number, day in enumerate(("2023.08.11", "2023.08.13")):
        for place, (split, count) in enumerate((("train", 4), ("val", 2))):
            first = 1000 * seed + 100 * number + 10 * place
            trials = [make_trial(first + n, 90 + 4 * n, CHANNELS[who]) for n in range(count)]
            write_session(root, f"{who}.{day}", split, trials)
    return root


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("people")
    return {who: write_person(folder / who, who, seed) for seed, who in enumerate(CHANNELS)}


def config_of(run: Path, roots: list[Path], *more: str) -> TrainConfig:
    words = [f"data.roots=[{','.join(map(str, roots))}]", f"data.cache_dir={run}.index", f"output_dir={run}"]
    known = {word.partition("=")[0] for word in (*MAPPED, *more)}
    return read_settings(TrainConfig, [*(w for w in SMALL if w.partition("=")[0] not in known), *words, *MAPPED, *more])


@pytest.fixture(scope="module")
def run(roots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "two"
    return train(config_of(folder, [roots["p1"], roots["p2"]], *CAUSAL, "training.schedule.warmup_updates=0"))


def model_of(*more: str) -> ModeSSM:
    words = [word for word in SMALL if not word.startswith("preprocessor.num_channels")]
    torch.manual_seed(3)
    return ModeSSM(read_settings(TrainConfig, [*words, *MAPPED, *more]), 2, participants=CHANNELS).double().eval()


def trial_of(who: str, frames: int, seed: int) -> Trial:
    torch.manual_seed(seed)
    key = TrialKey(f"{who}.2023.08.11", "train", f"trial_{seed:04d}", 1, seed)
    return Trial(key, torch.randn(frames, CHANNELS[who]).double(), torch.tensor([3, 5]), "Hello.")


@pytest.mark.parametrize("layer", ["none", "affine", "low_rank"])
def test_trials_of_several_participants_in_one_batch_are_as_each_alone(layer: str) -> None:
    model = model_of(f"preprocessor.session_layer={layer}")
    index = {"p1.2023.08.11": 0, "p2.2023.08.11": 1}
    trials = [trial_of("p2", 60, 1), trial_of("p1", 50, 2), trial_of("p3", 44, 3), trial_of("p2", 70, 4)]
    batch = collate(trials, index)
    assert batch.features.shape == (4, 70, 11)
    together, lengths = model.encode(batch)
    padding = torch.arange(11)[None] >= torch.tensor([CHANNELS[t.key.session[:2]] for t in trials])[:, None]
    noisy = batch._replace(features=batch.features + 99.0 * padding[:, None])  # what lies in padding changes nothing
    torch.testing.assert_close(model.encode(noisy).frames, together, rtol=0, atol=0)
    for row, trial in enumerate(trials):
        alone, (length,) = model.encode(collate([trial], index))
        torch.testing.assert_close(together[row, : int(lengths[row])], alone[0, : int(length)])


def test_a_map_learns_from_its_participant_alone() -> None:
    model = model_of()
    maps = model.preprocessor.participants
    assert maps is not None
    mine, other = trial_of("p1", 60, 1), trial_of("p2", 60, 2)
    model.encode(collate([mine], {})).frames.square().sum().backward()
    alone = maps.maps[0].weight.grad.clone()
    assert maps.maps[1].weight.grad is None
    model.zero_grad()
    model.encode(collate([mine, other], {})).frames.square().sum().backward()
    torch.testing.assert_close(maps.maps[0].weight.grad, alone)
    assert maps.maps[1].weight.grad.abs().sum() > 0
    assert maps.maps[2].weight.grad is None  # so that AdamW leaves it where it is


def test_a_participant_who_has_no_map_is_a_sentence() -> None:
    stranger = Trial(TrialKey("p9.2023.08.11", "val", "t", 1, 1), torch.zeros(60, 8).double(), None, None)
    with pytest.raises(InputError, match=r"does not know the participant p9 of p9\.2023\.08\.11; it knows p1, p2, p3"):
        model_of().encode(collate([stranger], {}))


def test_two_roots_are_one_source(roots: dict[str, Path], tmp_path: Path) -> None:
    config = DataConfig(roots=[str(roots["p2"]), str(roots["p1"])], cache_dir=str(tmp_path))
    source = open_source(config)
    days = ("2023.08.11", "2023.08.13")
    assert source.sessions == tuple(f"{who}.{day}" for day in days for who in ("p1", "p2"))
    index = source.index("train", source.sessions)
    assert list(index.records) == list(source.sessions)
    assert {session: records[0].channels for session, records in index.records.items()} == {
        session: CHANNELS[session[:2]] for session in source.sessions
    }
    key = TrialKey("p2.2023.08.13", "train", "trial_0001", 1, 1)
    expected = make_trial(1000 + 100 + 1, 94, 5).features
    np.testing.assert_array_equal(source.read_features(key, index.records[key.session][1]).numpy(), expected)


def test_roots_that_do_not_go_together_are_sentences(roots: dict[str, Path], tmp_path: Path) -> None:
    again = write_person(tmp_path / "again", "p1", 7)
    for named, said in (
        ([roots["p1"], again], r"both hold a session p1\.2023\.08\.11; a session stands in one root"),
        ([roots["p1"], roots["p1"]], "names a root twice; name each once"),
    ):
        with pytest.raises(InputError, match=said):
            open_source(DataConfig(roots=[str(root) for root in named], cache_dir=str(tmp_path / "index")))
    write_person(tmp_path / "other", "p2")
    (tmp_path / "other" / "labels.yaml").write_text("symbols: [_, a, b]\nblank: _\n")
    with pytest.raises(InputError, match="has 41 classes and .* 3, and they are not the same"):
        open_source(DataConfig(roots=[str(roots["p1"]), str(tmp_path / "other")], cache_dir=str(tmp_path / "index")))


def test_one_root_or_several() -> None:
    with pytest.raises(InputError, match=r"data\.roots stands for data\.data_root, and both are given; give one"):
        read_settings(TrainConfig, ["data.roots=[a,b]", "data.data_root=c"])
    assert read_settings(TrainConfig, ["data.roots=[a,b]"]).data.words == "data.roots=[a,b]"


def test_words_go_before_the_roots_of_a_run(run: Path) -> None:
    data = read_settings(TrainConfig, [f"config={run}", "data.data_root=c"]).data
    assert (data.data_root, data.roots) == ("c", None)
    kept = read_settings(TrainConfig, [f"config={run}"]).data
    assert kept.data_root == ""
    assert kept.roots is not None
    assert len(kept.roots) == 2


def test_other_numbers_of_channels_need_maps(roots: dict[str, Path], tmp_path: Path) -> None:
    plain = config_of(
        tmp_path / "run",
        [roots["p1"], roots["p2"]],
        "preprocessor.participant_map=none",
        "preprocessor.num_channels=8",
    )
    with pytest.raises(InputError, match=r"trials of p2 of .* have 5 feature channels but .*participant_map=linear"):
        train(plain)


def test_two_are_trained_and_scored_apart(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = read_checkpoint(run / "checkpoints" / "best.safetensors")
    assert checkpoint.participants == {"p1": 8, "p2": 5}
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (last,) = [record for record in records if record["kind"] == "validation"][-1:]
    assert last["per_ctc_by_participant"].keys() == {"p1", "p2"}
    assert last["trials_by_participant"] == {"p1": 4, "p2": 4}
    page = read(report([str(run)], ReportConfig(out=str(tmp_path / "page.html"))).read_text(encoding="utf-8"))
    assert "Phoneme error rate by participant" in page.headings
    assert "Labelled trials of the last validation: p1 4, p2 4." in page.words
    assert f"{100 * last['per_ctc_by_participant']['p2']:.1f}" in page.words
    data = read_settings(EvaluateConfig, [f"checkpoint={run}"]).data
    evaluate(EvaluateConfig(str(run), data, output_dir=str(tmp_path)))
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["per_by_participant_trials"] == {"p1": 4, "p2": 4}
    rows = {(row.split(".")[0]): 0 for row in found["per_by_session"]}
    assert rows.keys() == found["per_by_participant"].keys()
    assert "p2" in capsys.readouterr().out


def test_recordings_of_a_stranger_are_not_decoded(run: Path, roots: dict[str, Path], tmp_path: Path) -> None:
    words = [f"checkpoint={run}", f"data.data_root={roots['p3']}", f"output_dir={tmp_path}"]
    with pytest.raises(InputError, match=r"has trials of p3, who is none of .* knows \(p1, p2\); .*init=RUN"):
        evaluate(read_settings(EvaluateConfig, words))


def test_from_python_and_in_a_stream_it_is_the_network_of_one(run: Path) -> None:
    with pytest.raises(InputError, match="has a map for each participant; give participant=p1 or p2"):
        mode_ssm.load(run)
    with pytest.raises(InputError, match="has no map of a participant p7; give participant=p1 or p2"):
        mode_ssm.load(run, participant="p7")
    decoder = mode_ssm.load(run, participant="p2")
    assert decoder.channels == 5
    assert decoder.sessions == ("p2.2023.08.11", "p2.2023.08.13")
    features = torch.from_numpy(make_trial(4, 80, 5).features)
    whole = load_recogniser(str(run))
    for session in ("p2.2023.08.13", "p2.2031.01.01"):
        key = TrialKey(session, "val", "t", 1, 1)
        frames = whole.model.encode(collate([Trial(key, features, None, None)], whole.session_index)).frames[0]
        expected = whole.model.ctc_log_probs(frames).detach().numpy()
        known = session if session in decoder.sessions else None
        np.testing.assert_allclose(decoder.posteriors(features, session=known), expected, rtol=1e-4, atol=1e-5)
    stream = EncoderStream(whole.model, whole.session_index["p2.2023.08.13"], person=1)
    pieces = torch.cat([stream.extend(piece) for piece in features.split(7)])
    key = TrialKey("p2.2023.08.13", "val", "t", 1, 1)
    frames = whole.model.encode(collate([Trial(key, features, None, None)], whole.session_index)).frames[0]
    torch.testing.assert_close(pieces, frames.detach(), rtol=1e-4, atol=1e-5)


def test_someone_new_from_a_run_with_the_body_frozen(
    run: Path, roots: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*CAUSAL, f"init={run}", "training.learn=[participant,session]"]
    new = train(config_of(tmp_path / "new", [roots["p3"]], *more))
    said = " ".join(capsys.readouterr().out.split())
    assert "New participants, beside p1, p2, whose maps begin anew: p3" in said
    assert "These begin anew" not in said
    before = read_checkpoint(run / "checkpoints" / "best.safetensors").model
    after = read_checkpoint(new / "checkpoints" / "last.safetensors")
    assert after.participants == {"p3": 11}
    body = [name for name in after.model if "participants" not in name and "session" not in name]
    assert all(torch.equal(after.model[name], before[name]) for name in body)


def test_known_participants_keep_their_maps_whatever_their_places(
    run: Path, roots: dict[str, Path], tmp_path: Path
) -> None:
    config = config_of(tmp_path / "run", [roots["p3"], roots["p2"]], *CAUSAL)
    model = ModeSSM(config, 4, participants={"p2": 5, "p3": 11})
    sessions = tuple(f"{who}.{day}" for day in ("2023.08.11", "2023.08.13") for who in ("p2", "p3"))
    found = inherit(model, sessions, str(run))
    there = read_checkpoint(run / "checkpoints" / "best.safetensors").model
    maps = model.preprocessor.participants
    assert maps is not None
    torch.testing.assert_close(maps.maps[0].weight, there["preprocessor.participants.maps.1.weight"])
    assert found.new_participants == ("p3",)


def test_it_is_resumed(run: Path, roots: dict[str, Path], tmp_path: Path) -> None:
    pair, words = [roots["p1"], roots["p2"]], [*CAUSAL, "training.resume=auto"]
    whole = train(config_of(tmp_path / "whole", pair, *CAUSAL, "training.stages.1.epochs=0"))
    path = tmp_path / "cut"
    train(config_of(path, pair, *CAUSAL, "training.stages.0.epochs=1", "training.stages.1.epochs=0"))
    train(config_of(path, pair, *words, "training.stages.1.epochs=0"))
    last = [read_checkpoint(folder / "checkpoints" / "last.safetensors").model for folder in (whole, path)]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])
    write_person(tmp_path / "wider", "p3", 5)
    with pytest.raises(InputError, match="was started on 4 sessions|was started on the participants"):
        train(config_of(path, [roots["p1"], roots["p3"]], *words))


def test_a_slow_body_keeps_the_order_of_the_moments() -> None:
    model = model_of()
    names = {id(p): n for n, p in model.named_parameters()}
    usual, slow = (build_optimizer(model, OptimizerConfig(), factor).param_groups for factor in (1.0, 0.1))
    assert len(usual) == 2
    orders = [[names[id(p)] for group in groups for p in group["params"]] for groups in (usual, slow)]
    assert orders[0] == orders[1]
    optimizer = build_optimizer(model, OptimizerConfig(), 0.1)
    set_learning_rate(optimizer, 1e-3)
    rates = {names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates["preprocessor.participants.maps.0.weight"] == rates["preprocessor.session.bias"] == 1e-3
    assert rates["preprocessor.patches.weight"] == rates["ctc_head.bias"] == pytest.approx(1e-4)


@pytest.mark.parametrize("one", [True, False])
def test_each_is_normalised_by_their_own_days(roots: dict[str, Path], tmp_path: Path, one: bool) -> None:
    named = [roots["p2"]] if one else [roots["p1"], roots["p2"]]
    words = ["preprocessor.normalisation=running", "training.stages.1.epochs=0"]
    found = read_checkpoint(train(config_of(tmp_path / "run", named, *words)) / "checkpoints" / "last.safetensors")
    reference = found.model["preprocessor.reference"]
    own = [make_trial(1000 + 100 + 10 * s + n, 90 + 4 * n, 5).features for s, c in ((0, 4), (1, 2)) for n in range(c)]
    rest = [make_trial(1000 + 10 * s + n, 90 + 4 * n, 5).features for s, c in ((0, 4), (1, 2)) for n in range(c)]
    mean = np.concatenate([*own, *rest]).mean(axis=0)
    np.testing.assert_allclose(reference[-1, 0, :5].numpy(), mean, rtol=1e-4, atol=1e-5)


def test_a_root_of_several_is_inspected(roots: dict[str, Path], tmp_path: Path) -> None:
    config = InspectConfig(DataConfig(roots=[str(roots["p1"]), str(roots["p2"])], cache_dir=str(tmp_path)))
    found = examine(config)
    assert [problem for problem in found.problems if "feature channels" in problem.what] == []
    assert found.channels == {8: 12, 5: 12}
    for number, (who, channels) in enumerate([("p1", 8), ("p2", 5)]):
        rows = [(day, split, n) for day in (0, 1) for split, count in ((0, 4), (1, 2)) for n in range(count)]
        own = [make_trial(1000 * number + 100 * d + 10 * s + n, 90 + 4 * n, channels).features for d, s, n in rows]
        read = found.statistics[who]
        assert read.trials == 12
        np.testing.assert_allclose(read.channel_mean, np.concatenate(own).mean(axis=0), rtol=1e-4, atol=1e-6)
    console = Console(file=io.StringIO(), width=200)
    print_inspection(found, console)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    cells = [line.split() for line in said.splitlines()]
    frames = ["90", "95", "102", "5.0", "2"]
    assert ["participant", "sessions", "channels", "train", "val", "test", "frames"] in [row[:7] for row in cells]
    assert ["p1", "2", "8", "8", "4", "-", *frames] in cells
    assert ["p2", "2", "5", "8", "4", "-", *frames] in cells
    assert "Feature values of 12 of 12 trials of p2: mean" in said
    assert "preprocessor.participant_map=linear" in said
    assert "preprocessor.num_channels" not in said


def test_as_many_trials_of_each_are_read_and_their_channels_named(roots: dict[str, Path], tmp_path: Path) -> None:
    flat = write_person(tmp_path / "p4", "p2", 9).rename(tmp_path / "flat")
    for path in flat.glob("*/*.hdf5"):
        with h5py.File(path, "a") as file:
            for trial in file.values():
                trial["input_features"][:, 3] = 0.0
    config = InspectConfig(DataConfig(roots=[str(roots["p1"]), str(flat)], cache_dir=str(tmp_path)), sample_trials=5)
    found = examine(config)
    assert {who: own.trials for who, own in found.statistics.items()} == {"p1": 2, "p2": 3}
    assert any("has channels of p2 that never change in the trials read: 3" in note.what for note in found.notes)
