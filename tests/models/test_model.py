"""The whole network: a trial's outputs are its own, whatever stands beside or behind it."""

import pytest
import torch

from mode_ssm.batch import Batch, Trial, TrialKey, collate
from mode_ssm.config import Decoder, TrainConfig
from mode_ssm.labels import Labels
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.searches import SearchOptions, align_labels, recognise
from mode_ssm.settings import read_settings
from tests.small import SMALL, fitting

KEY = TrialKey("t15.2023.08.11", "train", "trial_0000", 1, 0)


def make_batch(lengths, padding, seed=0):
    torch.manual_seed(seed)
    features = torch.full((len(lengths), max(lengths) + 7, 8), padding, dtype=torch.float64)
    for row, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(length)
        features[row, :length] = torch.randn(length, 8, generator=generator, dtype=torch.float64)
    labels = torch.tensor([[5, 6, 7]]).expand(len(lengths), 3)
    ones = torch.full((len(lengths),), 3)
    index = torch.tensor([0, 1, -1, 2][: len(lengths)])
    return Batch(features, torch.tensor(lengths), labels, ones, index, (KEY,) * len(lengths), (None,) * len(lengths))


@pytest.mark.parametrize("encoder", ["ssm", "gru"])
@pytest.mark.parametrize("direction", ["bidirectional", "causal"])
@pytest.mark.parametrize("session_layer", ["none", "affine", "low_rank", "full"])
def test_a_trial_does_not_depend_on_its_neighbours_or_padding(encoder, direction, session_layer):
    words = [f"encoder={encoder}", f"encoder.direction={direction}", f"preprocessor.session_layer={session_layer}"]
    config = read_settings(TrainConfig, fitting(SMALL, words))
    model = ModeSSM(config, num_sessions=3).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # away from the identity at the start
            parameter.add_(0.05 * torch.randn_like(parameter))
        together = make_batch([90, 61, 33, 75], padding=1e3)
        frames, lengths = model.encode(together)
        for row in range(4):
            alone = together._replace(
                features=together.features[row : row + 1, : together.frame_lengths[row]],
                frame_lengths=together.frame_lengths[row : row + 1],
                session_index=together.session_index[row : row + 1],
            )
            own, own_length = model.encode(alone)
            assert own_length.item() == lengths[row].item()
            torch.testing.assert_close(frames[row, : own.shape[1]], own[0], rtol=1e-10, atol=1e-10)


def test_ctc_log_probs_are_normalised_and_float32_under_autocast():
    model = ModeSSM(read_settings(TrainConfig, SMALL), num_sessions=3).eval()
    batch = make_batch([90, 61], padding=0.0)
    batch = batch._replace(features=batch.features.float())
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        log_probs = model.ctc_log_probs(model.encode(batch).frames)
    assert log_probs.dtype == torch.float32
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:2]))


@pytest.mark.parametrize("order", [[4, 0, 1, 2, 3], [2, 4, 0, 3, 1]], ids=["blank last", "blank in the middle"])
def test_the_classes_and_the_blank_are_those_of_the_labels(order):
    config = read_settings(TrainConfig, SMALL)
    symbols = ("_", "a", "b", "c", "d")
    back = torch.tensor(order).argsort()
    plain = ModeSSM(config, 3, Labels(symbols)).eval()
    other = ModeSSM(config, 3, Labels(tuple(symbols[n] for n in back.tolist()), blank=order[0])).eval()
    by_class = [name for name, tensor in plain.state_dict().items() if len(tensor) == 5]
    assert len(by_class) == 5  # weight and bias of both heads, and the predictor's embedding
    other.load_state_dict({n: t[back] if n in by_class else t for n, t in plain.state_dict().items()})
    batch = make_batch([90, 61], padding=0.0)
    batch = batch._replace(features=batch.features.float())
    encoded, labels = plain.encode(batch), torch.tensor([1, 3, 3])
    for decoder in Decoder:
        found = recognise(plain, encoded, decoder, SearchOptions())
        assert any(found)
        assert recognise(other, encoded, decoder, SearchOptions()) == [[order[n] for n in trial] for trial in found]
        frames = align_labels(plain, encoded.frames[0], labels, decoder)
        assert torch.equal(align_labels(other, encoded.frames[0], torch.tensor(order)[labels], decoder), frames)


def test_a_batch_of_known_sessions_alone_says_so_and_gives_the_same():
    trial = Trial(KEY, torch.randn(60, 8), torch.tensor([5, 6]), None)
    known, new = collate([trial], {KEY.session: 1}), collate([trial], {})
    assert (known.new_sessions, new.new_sessions) == (False, True)
    assert new.to(torch.device("cpu")).new_sessions
    model = ModeSSM(read_settings(TrainConfig, SMALL), num_sessions=3).eval()
    torch.nn.init.normal_(model.preprocessor.session.bias)
    looked = known._replace(new_sessions=True)
    torch.testing.assert_close(model.encode(looked).frames, model.encode(known).frames, rtol=0, atol=0)
    assert not torch.allclose(model.encode(new).frames, model.encode(known).frames)
