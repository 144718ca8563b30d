"""An encoder of another frame rate is one file and one line: this one halves it, and trains, evaluates and streams."""

import json
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from mode_ssm.batch import collate
from mode_ssm.config import CHOICES, Decoder, EncoderConfig, TrainConfig
from mode_ssm.models.encoder import Encoder, Frames
from mode_ssm.models.kinds import add_kind
from mode_ssm.models.model import encoder_frame_ms, encoder_frames, first_middle_ms
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.recognition.searches import SearchOptions, recognise
from mode_ssm.recognition.stream import EncoderStream
from mode_ssm.settings import read_settings
from mode_ssm.training.loop import train
from tests.small import SMALL, write_data


@dataclass
class PairsConfig(EncoderConfig):
    kind: str = "pairs"
    slope: float = 0.1


class Pairs(Encoder):
    """Two patches, side by side, through a linear map and a leaky ReLU; an odd one at the end is left out."""

    def __init__(self, config: PairsConfig, input_width: int | None = None) -> None:
        super().__init__(config, input_width)
        self.map = nn.Linear(2 * config.width, config.width)

    @classmethod
    def stride(cls, config: PairsConfig) -> int:
        return 2

    @classmethod
    def output_lengths(cls, config: PairsConfig, patches: Frames) -> Frames:
        return patches // 2

    def forward(self, patches: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        pairs = patches[:, : patches.shape[1] // 2 * 2].unflatten(1, (-1, 2)).flatten(2)
        return self._squash(self.map(pairs)), lengths // 2

    def initial_state(self, trials: int) -> Tensor | None:
        return None

    def step(self, patch: Tensor, state: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        if state is None:
            return None, patch
        return self._squash(self.map(torch.cat([state, patch], dim=1))), None

    def _squash(self, frames: Tensor) -> Tensor:
        return nn.functional.leaky_relu(frames, self.config.slope)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(CHOICES, "encoder", dict(CHOICES["encoder"]))
    add_kind("encoder", PairsConfig, Pairs)


def words(*more: str) -> list[str]:
    small = [word for word in SMALL if word.split("=")[0] not in ("encoder.state_size", "encoder.head_width")]
    causal = ["encoder.direction=causal", "preprocessor.smoothing=causal"]
    return [*small, "encoder=pairs", "encoder.slope=0.2", *causal, "augmentation.max_cut_frames=0", *more]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def run(root, tmp_path):
    paths = [f"data.data_root={root}", f"data.cache_dir={root}.index", f"output_dir={tmp_path / 'run'}"]
    return train(read_settings(TrainConfig, words(*paths)))


def test_it_trains_evaluates_and_streams(run, root):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    updates = [record for record in records if record["kind"] == "update"]
    assert updates
    assert all(record["loss"] > 0 and record["grad_norms"]["encoder"] > 0 for record in updates)
    network = load_recogniser(str(run))
    assert isinstance(network.model.encoder, Pairs)
    data = network.checkpoint.config.data
    dataset = network.open(data, "val")
    trial = dataset[0]
    encoded = network.model.encode(collate([trial], network.session_index))
    assert encoded.lengths.item() == encoded.frames.shape[1] == ((len(trial.features) - 14) // 4 + 1) // 2
    for decoder in Decoder:
        assert len(recognise(network.model, encoded, decoder, SearchOptions())) == 1
    stream = EncoderStream(network.model, network.session_index[trial.key.session])
    streamed = torch.cat([stream.extend(piece) for piece in trial.features.split(7)])
    torch.testing.assert_close(streamed, encoded.frames[0], rtol=0, atol=1e-5)


def test_its_frame_rate_reaches_whoever_asks():
    config = read_settings(TrainConfig, words())
    assert encoder_frames(config, 90) == 10
    assert encoder_frames(config, torch.tensor([90, 14, 18, 2])).tolist() == [10, 0, 1, 0]
    assert encoder_frame_ms(config) == 160
    assert first_middle_ms(config) == 20 * (14 + 4) / 2  # the first frame is made of feature frames 0 ... 17
