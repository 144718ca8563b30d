"""`mode-ssm demo --live`: a small causal network, trained once, and words on a page while a simulated session plays."""

from collections.abc import Sequence
from pathlib import Path

from mode_ssm.commands.live import live
from mode_ssm.commands.lm_build import build
from mode_ssm.config import LiveConfig, LmConfig, SimulateConfig, TrainConfig
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.settings import read_settings
from mode_ssm.simulation import simulate
from mode_ssm.training.loop import train

CAUSAL = ("experiment=demo", "encoder.direction=causal", "preprocessor.smoothing=causal")


def live_demo(out: Path, settings: Sequence[str] = (), playing: Sequence[str] = ()) -> None:
    """Write OUT/data, OUT/live and OUT/lm, each once, then play the newest session's val trials at the speed of speech.

    Args:
        settings: more key=value words for the training.
        playing: more key=value words for the playing.
    """
    data, run, lm = out / "data", out / "live", out / "lm"
    print(f"1/4 Simulating recordings in the T15 layout: {data}")
    simulate(read_settings(SimulateConfig, [f"out={data}", "preset=demo"]))
    print(f"\n2/4 Training a network that hears only the past: {run}")
    place = [f"data.data_root={data}", f"output_dir={run}", "training.resume=auto"]
    train(read_settings(TrainConfig, [*CAUSAL, *place, *settings]))
    print(f"\n3/4 A language model of the training sentences: {lm}")
    if not (lm / "lm.json").exists():
        build(read_settings(LmConfig, ["transcripts=true", f"data.data_root={data}", f"out={lm}"]))
    session = load_recogniser(str(run)).checkpoint.sessions[-1]
    print(f"\n4/4 Playing {session}: open the page that is named below")
    source = [f"source=replay:{session}/val", f"data.data_root={data}", "sink=[console,page]"]
    live(read_settings(LiveConfig, [f"checkpoint={run}", f"lm={lm}", *source, *playing]))
