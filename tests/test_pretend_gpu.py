"""Training, evaluation and decoding on a (pretended) GPU: no tensor is left on the CPU to meet one of the GPU."""

import pytest
import torch
from lightning_fabric import Fabric

from mode_ssm.cli import main
from mode_ssm.config import TrainConfig
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.recognition.stream import EncoderStream
from mode_ssm.settings import read_settings
from mode_ssm.training.loop import train
from tests.pretend_gpu import GPU, PretendGPU
from tests.small import fitting, small_config, small_words, write_data

pytestmark = pytest.mark.filterwarnings("ignore:PyTorch was compiled without cuDNN")
CAUSAL = ["encoder.direction=causal", "preprocessor.smoothing=causal"]


class OnGPU(Fabric):
    device = property(lambda _: GPU)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"), trials=3)


@pytest.fixture(autouse=True)
def training_on_gpu(monkeypatch):
    monkeypatch.setattr("mode_ssm.training.loop.draw_run", lambda *_: None)
    monkeypatch.setattr("mode_ssm.data.loading.READERS_OF_A_GPU", 0)  # what they read would not be on this GPU
    monkeypatch.setattr(
        "mode_ssm.training.loop.start_fabric", lambda training: OnGPU(accelerator="cpu", precision=training.precision)
    )


@pytest.mark.parametrize(
    "words",
    [
        "encoder.stochastic_depth=0.1 augmentation.max_speed_change=0.12",
        "losses.fused=false losses.rnnt_scaling=gradient preprocessor.session_layer=affine",
        "joiner=additive predictor=lstm preprocessor.session_layer=full training.precision=bf16-mixed",
        "training.precision=bf16-mixed losses.ctc_normalisation=trial encoder.layers=4 encoder.attention_every=2",
        "encoder=gru training.clip_median_multiple=2",
        "encoder=transformer training.stages.1.freeze_encoder_updates=2",
    ],
)
def test_training_leaves_no_tensor_behind(root, tmp_path, words):
    config = read_settings(TrainConfig, fitting(small_words(root, tmp_path / "run"), words.split()))
    with PretendGPU() as gpu:
        train(config)
    assert {"aten::_ctc_loss", "aten::_fused_adamw_"} <= gpu.seen
    assert gpu.pinned == gpu.not_waited_for > 0


def test_every_command_that_computes_runs_there(root, tmp_path, monkeypatch):
    run, lm = tmp_path / "run", tmp_path / "lm"
    with PretendGPU() as gpu:
        train(small_config(root, run, *CAUSAL))
        train(small_config(root, run, *CAUSAL, "training.resume=auto", "training.stages.1.epochs=2"))
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        of_run = [f"checkpoint={run}", f"data.data_root={root}"]
        command("lm", "build", "transcripts=true", f"data.data_root={root}", f"out={lm}")
        for decoding in (["decoder=ctc"], ["decoder=rnnt"], ["decoder=rnnt", "beam_size=3"]):
            command("evaluate", *of_run, *decoding)
        for decoder in ("ctc", "rnnt", "joint"):
            command("decode", *of_run, f"lm={lm}", f"decoder={decoder}", "decode_workers=0")
        command("report", str(run))
        network = load_recogniser(str(run))
        frames = EncoderStream(network.model, 0).extend(torch.randn(40, 8))
    assert gpu.holds(frames)


def command(*words):
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0


def test_the_pretended_gpu_refuses_what_a_real_one_refuses():
    with PretendGPU():
        here, there = torch.ones(2, 3), torch.ones(2, 3, device="cuda")
        with pytest.raises(RuntimeError, match="aten::add: tensors on the GPU meet tensors on the CPU"):
            _ = here + there
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert (here.cuda() + there).cpu().tolist() == [[2.0] * 3] * 2
        assert there[torch.tensor([1, 0])].device == GPU
