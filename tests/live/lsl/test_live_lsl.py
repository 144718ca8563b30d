"""The command on real streams: frames and markers in, words and posteriors out."""

import json
import os
import signal
import subprocess
import sys

import h5py
import pylsl
import pytest

from mode_ssm.labels import T15
from tests.live.lsl.test_sink import reader_of
from tests.live.lsl_rig import Amplifier, Marks
from tests.live.redis_rig import PATIENCE
from tests.live.test_live import SESSION, live, messages, wait_for_source
from tests.small import CHANNELS

pytestmark = pytest.mark.usefixtures("lsl")


def next_message(words: pylsl.StreamInlet, kind: str) -> dict:
    while True:
        sample, _ = words.pull_sample(PATIENCE)
        assert sample is not None, f"no {kind} came"
        message = json.loads(sample[0])
        if message["type"] == kind:
            return message


def test_words_are_those_of_a_replay(laboratory, tmp_path, capsys):
    live(capsys, laboratory, f"source=replay:{SESSION}/val", f"sink=[jsonl:{tmp_path / 'said.jsonl'}]")
    replayed = [m for m in messages(tmp_path / "said.jsonl") if m["type"] == "end"]
    with h5py.File(laboratory.data / SESSION / "data_val.hdf5") as file:
        trials = [file[name]["input_features"][:] for name in sorted(file)]
    amplifier, marks = Amplifier("array", CHANNELS), Marks("task")
    named = [f"checkpoint={laboratory.run}", f"lm={laboratory.lm}", f"lsl.session={SESSION}", "lsl.markers=task"]
    command = [sys.executable, "-m", "mode_ssm", "live", *named, "source=lsl:array", "sink=[lsl:decoder]"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as decoder:
        wait_for_source(decoder, "lsl:array, from here on\n")
        words, posteriors = reader_of("decoder_words"), reader_of("decoder_posteriors")
        amplifier.wait_for_reader()
        marks.wait_for_reader()
        told = []
        for trial in trials:
            number = amplifier.number_now() - len(trial) - 2  # all of it has just been said
            marks.mark("begin", amplifier.time(number) - 0.01)
            for frame in trial:
                amplifier.frame(number, frame)
                number += 1
            marks.mark("end", amplifier.time(number) - 0.01)
            told.append(next_message(words, "end"))
        decoder.send_signal(signal.SIGINT)
        printed, error = decoder.communicate(timeout=PATIENCE)
    assert [m["words"] for m in told] == [m["words"] for m in replayed]
    assert json.loads(printed.splitlines()[-1])["frames"] == {"taken": sum(map(len, trials))}
    assert decoder.returncode == 130, error
    sample, _ = posteriors.pull_sample(5.0)
    assert len(sample) == len(T15.symbols)
