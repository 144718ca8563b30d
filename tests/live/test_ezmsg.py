"""The example unit in a graph of ezmsg, between a unit that plays a trial and one that keeps what is told."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.live.redis_rig import PATIENCE
from tests.live.test_live import SESSION, live, messages

ROOT = Path(__file__).parents[2]

GRAPH = """
import json, sys
from collections.abc import AsyncGenerator
import ezmsg.core as ez
import numpy as np
from ezmsg.util.messages.axisarray import AxisArray, LinearAxis
from mode_ssm_unit import ModeSSM, ModeSSMSettings

FEATURES, RUN, LM, SESSION, SAID = sys.argv[1:]


class Amplifier(ez.Unit):
    OUTPUT = ez.OutputStream(AxisArray)

    @ez.publisher(OUTPUT)
    async def play(self) -> AsyncGenerator:
        features = np.load(FEATURES)
        for first in range(0, len(features) + 8, 4):  # and eight frames of rest
            speaking = first < len(features)
            data = features[first : first + 4] if speaking else np.zeros((4, features.shape[1]), np.float32)
            axis = LinearAxis(unit="s", gain=0.02, offset=100.0 + 0.02 * first)
            yield self.OUTPUT, AxisArray(data, ["time", "ch"], {"time": axis}, {"speaking": speaking})


class Keep(ez.Unit):
    INPUT = ez.InputStream(dict)

    @ez.subscriber(INPUT)
    async def keep(self, message: dict) -> None:
        with open(SAID, "a") as file:
            file.write(json.dumps(message) + "\\n")
        if message["type"] == "end":
            raise ez.NormalTermination


if __name__ == "__main__":
    amplifier, keep = Amplifier(), Keep()
    decoder = ModeSSM(ModeSSMSettings(checkpoint=RUN, lm=LM, session=SESSION))
    ez.run(
        AMPLIFIER=amplifier,
        DECODER=decoder,
        KEEP=keep,
        connections=((amplifier.OUTPUT, decoder.INPUT_FEATURES), (decoder.OUTPUT_MESSAGES, keep.INPUT)),
    )
"""


@pytest.mark.skipif(find_spec("ezmsg") is None, reason="ezmsg is not installed (pip install ezmsg)")
def test_the_unit_says_what_a_replay_says(laboratory, tmp_path, capsys):
    said = tmp_path / "said.jsonl"
    live(capsys, laboratory, f"source=replay:{SESSION}/val/trial_0000", f"sink=[jsonl:{tmp_path / 'replayed.jsonl'}]")
    with h5py.File(laboratory.data / SESSION / "data_val.hdf5") as file:
        np.save(tmp_path / "features.npy", file["trial_0000"]["input_features"][:])
    (tmp_path / "graph.py").write_text(GRAPH, encoding="utf-8")
    place = os.pathsep.join([str(ROOT / "integrations" / "ezmsg"), os.environ.get("PYTHONPATH", "")])
    named = [str(tmp_path / "features.npy"), str(laboratory.run), str(laboratory.lm), SESSION, str(said)]
    environment = os.environ | {"PYTHONPATH": place, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(tmp_path / "graph.py"), *named], env=environment, check=True, timeout=PATIENCE)
    replayed = [message for message in messages(tmp_path / "replayed.jsonl") if message["type"] in ("words", "end")]
    told = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    assert told[-1]["words"] == replayed[-1]["words"]
    phonemes = [[p for message in several for p in message.get("phonemes", ())] for several in (told, replayed)]
    assert phonemes[0] == phonemes[1]
