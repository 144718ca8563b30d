"""`mode-ssm demo`: simulated recordings, both training stages and decoded phonemes, in about three minutes of CPU."""

import time
from collections.abc import Sequence
from pathlib import Path

from mode_ssm.commands.evaluate import Result, decode
from mode_ssm.config import Decoder, EvaluateConfig, SimulateConfig, TrainConfig
from mode_ssm.labels import Labels
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.scoring import total
from mode_ssm.settings import read_settings
from mode_ssm.simulation import simulate
from mode_ssm.training.loop import train

SHOWN = 5  # val trials printed


def demo(out: Path, settings: Sequence[str] = ()) -> None:
    """Write OUT/data (once) and OUT/runs/<date and time>, and print what was learnt.

    Args:
        settings: more key=value words for the training.
    """
    data, run = out / "data", out / "runs" / time.strftime("%Y-%m-%d_%H-%M-%S")
    training = read_settings(TrainConfig, ["experiment=demo", f"data.data_root={data}", f"output_dir={run}", *settings])
    print(f"1/3 Simulating recordings in the T15 layout: {data}")
    simulate(read_settings(SimulateConfig, [f"out={data}", "preset=demo"]))
    print("\n2/3 Training: a CTC warm-up, then CTC and RNN-T together")
    train(training)
    print("\n3/3 Decoding the val trials of all sessions with the best checkpoint")
    results = {decoder: _decode(run, data, decoder) for decoder in (Decoder.ctc, Decoder.rnnt)}
    _show(results, load_recogniser(str(run)).checkpoint.labels)
    for decoder, decoded in results.items():
        rate = 100 * total(r.errors for r in decoded).rate
        print(f"val phoneme error rate, {decoder.value}: {rate:.1f} % of {len(decoded)} simulated trials")
    print(f"\nRun folder: {run}\nPicture:    {run / 'training.png'}")


def _decode(run: Path, data: Path, decoder: Decoder) -> list[Result]:
    settings = [f"checkpoint={run}", f"data.data_root={data}", f"decoder={decoder.value}"]
    return decode(load_recogniser(str(run)), read_settings(EvaluateConfig, settings)).results


def _show(results: dict[Decoder, list[Result]], labels: Labels) -> None:
    by_ctc, by_rnnt = results[Decoder.ctc], results[Decoder.rnnt]
    step = max(len(by_ctc) // SHOWN, 1)
    for ctc, rnnt in list(zip(by_ctc, by_rnnt, strict=True))[::step][:SHOWN]:
        print(f"\n{ctc.key}: {ctc.sentence}")
        for name, ids in (("said", ctc.reference), ("ctc", ctc.hypothesis), ("rnnt", rnnt.hypothesis)):
            print(f"  {name:5s}{labels.text(ids)}")
    print()
