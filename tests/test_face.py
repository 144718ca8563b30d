"""The face for Python: its examples run, a stream equals the whole, and what does not fit is said in a sentence."""

import csv
import doctest
import io
import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mode_ssm
from mode_ssm.batch import FRAME_MS
from mode_ssm.cli import main
from mode_ssm.errors import InputError
from mode_ssm.recognition.network import load_recogniser
from tests.small import SESSIONS, small_config, small_words, write_data

CAUSAL = ["encoder.direction=causal", "preprocessor.smoothing=causal"]
FRAMES = 120
HEADS = ("ctc", "rnnt")


def features(seed: int = 0, frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A data root, a run of a causal network and one of a bidirectional network."""
    place = tmp_path_factory.mktemp("face")
    data = write_data(place / "data")
    for name, more in (("causal", CAUSAL), ("both", [])):
        mode_ssm.train(small_config(data, place / name, *more))
    return place


@pytest.fixture(scope="module")
def decoder(trained):
    return mode_ssm.load(trained / "causal")


def test_the_examples_run(trained, monkeypatch):
    monkeypatch.chdir(trained)
    Path("RUN").symlink_to("causal", target_is_directory=True)
    said = features()
    words = small_words(trained / "data", Path("RUN2"), "training.stages.1.epochs=0")
    words = [word for word in words if word != "training.stages.1.epochs=1"]
    known = {"features": said, "pieces": np.array_split(said, 7), "settings": words}
    test = doctest.DocTestFinder(recurse=False).find(mode_ssm, "mode_ssm", extraglobs=known)[0]
    told = io.StringIO()
    results = doctest.DocTestRunner().run(test, out=told.write)
    assert results.failed == 0, told.getvalue()
    assert results.attempted >= 8


@pytest.mark.parametrize("head", HEADS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, FRAMES), max_size=8))
def test_any_chopping_of_a_stream_equals_the_whole(decoder, head, cuts):
    said = features(3)
    whole = decoder.transcribe(said, session=SESSIONS[1], head=head)
    with decoder.stream(session=SESSIONS[1], head=head) as stream:
        heard = [stream.extend(piece) for piece in np.split(said, sorted(cuts))]
    joined = mode_ssm.Transcript((), (), ())
    for piece in heard:
        joined = joined + piece
    assert joined == whole


@pytest.fixture(scope="module")
def lm(trained):
    """A language model of the transcripts."""
    data = trained / "data"
    said = ["transcripts=true", f"data.data_root={data}", f"data.cache_dir={trained}"]
    command("lm", "build", f"out={trained / 'lm'}", *said)
    return trained / "lm"


@pytest.mark.parametrize("head", HEADS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 5), cuts=st.lists(st.integers(0, FRAMES), max_size=8))
def test_words_of_any_chopping_of_a_stream_are_those_of_the_whole(decoder, lm, head, seed, cuts):
    said = 3 * features(seed)
    whole = decoder.transcribe(said, session=SESSIONS[1], head=head, lm=lm, hotwords=["and"])
    agreed = {"commit_share": 1, "commit_seconds": None}
    with decoder.stream(session=SESSIONS[1], head=head, lm=lm, hotwords=["and"], **agreed) as stream:
        heard = [stream.extend(piece) for piece in np.split(said, sorted(cuts))]
        heard.append(stream.end())
    assert sum(heard[1:], heard[0]) == replace(whole, word_times=None)


@pytest.mark.parametrize("head", HEADS)
def test_words_of_an_age_stay(decoder, lm, head):
    said = 3 * features(4, 200)
    committed: list[tuple[str, ...]] = []
    likely = {"words": {"zyx": "AH"}, "hotwords": {"zyx": 60.0}}  # so that this hardly trained network says words
    with decoder.stream(head=head, lm=lm, commit_seconds=0.0, **likely) as stream:
        for frame in said:
            heard = stream.extend(frame)
            committed.append((committed[-1] if committed else ()) + heard.words)
            assert len(heard.open) <= 1  # what ended in this frame at the most
    assert committed[-1]
    nan = float("nan")
    for wrong, given_lm in ((0.4, None), (None, None), (-1.0, lm), (nan, lm)):
        with pytest.raises(InputError, match=r"give lm=FOLDER, a share from 0 to 1, and 0 or more seconds or None\."):
            decoder.stream(head=head, lm=given_lm, commit_seconds=wrong)
    for wrong, given_lm in ((0.9, None), (-0.1, lm), (1.1, lm), (nan, lm)):
        with pytest.raises(InputError, match=rf"commit_share={wrong} and commit_seconds=1\.0 say"):
            decoder.stream(head=head, lm=given_lm, commit_share=wrong)
    with pytest.raises(InputError, match="give lm=FOLDER too"):
        decoder.stream(head=head, words=["zyx"])


@pytest.mark.parametrize("head", HEADS)
def test_a_trial_does_not_depend_on_those_beside_it(decoder, head):
    trials = [features(n, frames) for n, frames in enumerate((60, 200, 14, 5, 120))]
    together = decoder.transcribe(trials, head=head)
    assert together == [decoder.transcribe(trial, head=head) for trial in trials]
    assert together[3].phonemes == ()  # shorter than a patch


def test_what_it_gives_is_that_of_evaluate(trained, decoder):
    """The same labels as the command writes for the val trials."""
    recogniser = load_recogniser(str(trained / "causal"))
    for head in HEADS:
        words = [f"checkpoint={trained / 'causal'}", f"data.data_root={trained / 'data'}", f"decoder={head}"]
        with pytest.raises(SystemExit):
            main(["evaluate", *words, f"data.cache_dir={trained / 'index'}"])
        with (trained / "causal" / "evaluation" / f"val-{head}" / "hypotheses.csv").open(encoding="utf-8") as file:
            rows = {(row["session"], row["trial"]): row["predicted_phonemes"] for row in csv.DictReader(file)}
        config = small_config(trained / "data", trained / "causal").data
        dataset = recogniser.open(config, "val")
        for place in range(len(dataset)):
            trial = dataset[place]
            said = decoder.transcribe(trial.features, session=trial.key.session, head=head)
            assert " ".join(said.phonemes) == rows[trial.key.session, str(trial.key.number)]


@pytest.mark.parametrize("head", HEADS)
def test_words_are_those_of_decode(trained, decoder, lm, head):
    data = trained / "data"
    words = [f"checkpoint={trained / 'causal'}", f"lm={lm}", f"data.data_root={data}", f"data.cache_dir={trained}"]
    command("decode", *words, f"decoder={head}")
    with (trained / "causal" / "decoding" / f"val-{head}" / "hypotheses.csv").open(encoding="utf-8") as file:
        rows = {(row["session"], row["trial"]): row for row in csv.DictReader(file)}
    dataset = load_recogniser(str(trained / "causal")).open(small_config(data, trained / "causal").data, "val")
    for place in range(len(dataset)):
        trial = dataset[place]
        said = decoder.transcribe(trial.features, session=trial.key.session, head=head, lm=lm)
        row = rows[trial.key.session, str(trial.key.number)]
        assert " ".join(said.words) == row["words"]
        assert [f"{start:.2f}" for start, _ in said.word_times] == row["starts"].split()
        assert [f"{end:.2f}" for _, end in said.word_times] == row["ends"].split()


@pytest.mark.parametrize("head", HEADS)
def test_words_and_hot_words_of_a_call(trained, decoder, lm, head, capsys):
    data = trained / "data"
    dataset = load_recogniser(str(trained / "causal")).open(small_config(data, trained / "causal").data, "val")
    trials = [dataset[place].features for place in range(len(dataset))]
    before = decoder.transcribe(trials, head=head, lm=lm)
    hot = decoder.transcribe(trials, head=head, lm=lm, words={"Zyx": "AH"}, hotwords={"zyx": 60.0})
    assert any("zyx" in said.words for said in hot)
    assert not any("zyx" in said.words for said in before)
    assert decoder.transcribe(trials, head=head, lm=lm) == before
    capsys.readouterr()
    for _ in range(2):
        decoder.transcribe(trials[:1], head=head, lm=lm, words=["Blorp"], hotwords=["blorp zyxt"])
    assert capsys.readouterr().out.count("'blorp' is a guess") <= 1
    with pytest.raises(InputError, match="give lm=FOLDER too"):
        decoder.transcribe(trials[0], head=head, hotwords=["zyx"])
    with pytest.raises(InputError, match="'New York' is 2 words"):
        decoder.transcribe(trials[0], head=head, lm=lm, words=["New York"])


def command(*words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert not end.value.code


def test_frames_and_times_belong_together(decoder):
    found = decoder.transcribe(torch.from_numpy(features(5)), head="ctc")
    assert found.phonemes
    assert all(a < b for a, b in itertools.pairwise(found.frames))
    config = decoder.model.preprocessor.config
    middles = [(f * config.stride_frames + config.patch_frames / 2) * FRAME_MS / 1000 for f in found.frames]
    assert found.times == pytest.approx(middles)


def test_posteriors_are_log_probabilities_and_their_best_path_is_the_transcript(decoder):
    log_probs = decoder.posteriors(features(7))
    assert np.exp(log_probs).sum(axis=1) == pytest.approx(np.ones(len(log_probs)), abs=1e-4)
    path = [0, *log_probs.argmax(axis=1)]
    labels = [b for a, b in itertools.pairwise(path) if b not in (a, 0)]
    assert decoder.labels.text(labels).split() == list(decoder.transcribe(features(7), head="ctc").phonemes)


def test_the_best_trained_head_decodes_unless_told(trained):
    rates = mode_ssm.load(trained / "both")._recogniser.checkpoint.position.rates
    assert set(rates) == set(HEADS)
    best = mode_ssm.load(trained / "both").head
    assert rates[best] == min(rates.values())


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda d: d.transcribe(features()[:, :5]), r"shape \(120, 5\).* give \(T, 8\)"),
        (lambda d: d.transcribe(features()[0]), r"shape \(8,\)"),
        (lambda d: d.transcribe(np.full((50, 8), np.nan, np.float32)), "NaN"),
        (lambda d: d.transcribe(np.zeros((50, 8), np.int64)), "floating-point"),
        (lambda d: d.transcribe(features(), session="t15.1999.01.01"), "not trained on a session 't15.1999.01.01'"),
        (lambda d: d.transcribe(features(), head="rnn"), "no trained head 'rnn'.* ctc or rnnt"),
        (lambda d: d.stream().extend(features()[:, :5]), "expects"),
    ],
)
def test_what_does_not_fit_is_said(decoder, call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(decoder)


def test_a_network_that_needs_the_future_cannot_stream(trained):
    with pytest.raises(InputError, match=r"encoder\.direction=causal"):
        mode_ssm.load(trained / "both").stream()


def test_an_untrained_head_is_an_error(trained):
    words = ["training.stages.1.epochs=0"]
    base = [w for w in small_words(trained / "data", trained / "ctc_only") if not w.startswith("training.stages.1.")]
    mode_ssm.train([*base, *words])
    decoder = mode_ssm.load(trained / "ctc_only")
    assert (decoder.heads, decoder.head) == (("ctc",), "ctc")
    with pytest.raises(InputError, match="no trained head 'rnnt'"):
        decoder.transcribe(features(), head="rnnt")


def test_nothing_else_is_public():
    assert sorted(mode_ssm.__all__) == dir(mode_ssm)
    for name in mode_ssm.__all__:
        assert getattr(mode_ssm, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        mode_ssm.nothing  # noqa: B018


def test_loading_a_decoder_loads_nothing_of_training():
    code = """
import sys, mode_ssm
mode_ssm.load
foreign = ("mode_ssm.training", "mode_ssm.report", "mode_ssm.commands", "lightning", "tensorboard", "matplotlib")
sys.exit(", ".join(name for name in sys.modules if name.startswith(foreign)))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stderr.strip() == ""
