"""Streaming: however a trial is cut, the frames are those of the whole."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mode_ssm.batch import Batch
from mode_ssm.config import TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.models.model import ModeSSM, encoder_frames
from mode_ssm.recognition.stream import EncoderStream
from mode_ssm.settings import read_settings
from tests.small import SMALL, fitting

CAUSAL = ["encoder.direction=causal", "preprocessor.smoothing=causal"]
KINDS = {
    "ssm": ["encoder.layers=3", "encoder.chunk_frames=4"],
    "hybrid": ["encoder.layers=4", "encoder.attention_every=2", "encoder.attention_window=3"],
    "gru": ["encoder=gru"],
    "bare gru": ["encoder=gru", "encoder.output_projection=false", "preprocessor.projection=false"],
    "transformer": ["encoder=transformer", "encoder.max_distance=3", "preprocessor.patch_norm=true"],
    "gap": ["preprocessor.patch_frames=2", "preprocessor.stride_frames=5"],
    "plain": ["preprocessor.smoothing_sd_frames=0", "preprocessor.session_layer=none", "preprocessor.softsign=false"],
}


def make_model(*words: str) -> ModeSSM:
    torch.manual_seed(0)
    model = ModeSSM(read_settings(TrainConfig, fitting(SMALL, list(words))), num_sessions=2).eval()
    for name, parameter in model.named_parameters():
        if "session" in name or "offset" in name or "distance" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


MODELS = {kind: make_model(*CAUSAL, *words) for kind, words in KINDS.items()}


def encode(model: ModeSSM, features: torch.Tensor, session: int) -> torch.Tensor:
    labels = torch.zeros(1, 0, dtype=torch.int64)
    lengths = torch.tensor([len(features)])
    batch = Batch(features[None], lengths, labels, torch.zeros(1), torch.tensor([session]), (), ())
    with torch.inference_mode():
        return model.encode(batch).frames[0]


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(list(KINDS)),
    pieces=st.lists(st.integers(0, 30), max_size=12),
    session=st.sampled_from([-1, 1]),
)
def test_any_chopping_equals_the_whole(kind, pieces, session):
    model = MODELS[kind]
    features = torch.randn(sum(pieces), 8, generator=torch.Generator().manual_seed(len(pieces)))
    whole = encode(model, features, session)
    stream = EncoderStream(model, session)
    streamed = torch.cat([whole[:0], *(stream.extend(piece) for piece in features.split(pieces))])
    torch.testing.assert_close(streamed, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_comes_with_the_last_bin_of_its_patch(kind):
    model, features = MODELS[kind], torch.randn(70, 8)
    stream = EncoderStream(model, 0)
    count = 0
    for t, frame in enumerate(features, start=1):
        count += len(stream.extend(frame))
        assert count == encoder_frames(model.config, t)


def test_a_stream_starts_anew_for_the_next_trial():
    stream, features = EncoderStream(MODELS["hybrid"], 1), torch.randn(40, 8)
    first = stream.extend(features)
    stream.start(1)
    torch.testing.assert_close(stream.extend(features), first, rtol=0, atol=0)
    stream.start(-1)
    assert not torch.equal(stream.extend(features), first)


def test_the_future_changes_nothing():
    features = torch.randn(2, 60, 8)
    features[1, :45] = features[0, :45]
    known = encoder_frames(MODELS["ssm"].config, 45)
    first, second = (encode(MODELS["ssm"], trial, 0) for trial in features)
    torch.testing.assert_close(first[:known], second[:known], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["preprocessor.smoothing=causal"], "needs a causal encoder but this one is bidirectional; train with"),
        (["encoder.direction=causal"], "needs causal smoothing but this model's is centered; train with"),
    ],
)
def test_a_network_that_needs_the_future_is_an_error(words, sentence):
    with pytest.raises(InputError, match=sentence):
        EncoderStream(make_model(*words))


def test_training_mode_and_other_channels_are_errors():
    with pytest.raises(InputError, match=r"call model\.eval\(\) first"):
        EncoderStream(make_model(*CAUSAL).train())
    with pytest.raises(InputError, match=r"shape \(3, 7\) but the model expects \(t, 8\) or \(8,\)"):
        EncoderStream(MODELS["ssm"]).extend(torch.zeros(3, 7))
