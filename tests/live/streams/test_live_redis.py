"""The command on a real server: frames in by one stream, words out by another, and a server killed in between."""

import json
import os
import signal
import subprocess
import sys
import time

import h5py

from tests.live.redis_rig import FEATURES, PATIENCE, RedisProcess, Rig
from tests.live.test_live import SESSION, live, messages, wait_for_source

WORDS = "words"


def next_end(process: RedisProcess, after_frame: int = -1) -> dict:
    """The first message of the server that ends a trial behind a frame.

    The server loses all messages after each; one of before may come again, where the server was killed before it
    had answered.
    """
    after = "0-0"
    for _ in range(PATIENCE):
        for number, fields in dict(process.client.xread({WORDS: after}, block=1000)).get(WORDS.encode(), []):
            after = number.decode()
            message = json.loads(fields[b"message"])
            if message["type"] == "end" and message["frame"] > after_frame:
                return message
    raise AssertionError("no trial ended")


def test_words_are_those_of_a_replay_and_a_killed_server_is_survived(laboratory, redis_process, rig, tmp_path, capsys):
    live(capsys, laboratory, f"source=replay:{SESSION}/val", f"sink=[jsonl:{tmp_path / 'said.jsonl'}]")
    replayed = [m["words"] for m in messages(tmp_path / "said.jsonl") if m["type"] == "end"]
    with h5py.File(laboratory.data / SESSION / "data_val.hdf5") as file:
        trials = [file[name]["input_features"][:] for name in sorted(file)]
    named = [f"checkpoint={laboratory.run}", f"lm={laboratory.lm}", f"redis.session={SESSION}", "redis.sync_step=600"]
    named += [f"source=redis://{redis_process.address}/{FEATURES}", f"sink=[redis://{redis_process.address}/{WORDS}]"]
    command = [sys.executable, "-m", "mode_ssm", "live", *named]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as decoder:
        wait_for_source(decoder, f"redis://{redis_process.address}/{FEATURES}")
        play(rig, trials[0])
        first = next_end(redis_process)
        redis_process.kill()
        time.sleep(0.3)
        redis_process.start()
        play(rig, trials[1])
        second = next_end(redis_process, first["frame"])
        redis_process.client.flushall()
        play(rig, trials[2])
        third = next_end(redis_process, second["frame"])
        decoder.send_signal(signal.SIGINT)
        told, error = decoder.communicate(timeout=PATIENCE)
    assert [first["words"], second["words"], third["words"]] == replayed
    assert decoder.returncode == 130
    assert json.loads(told.splitlines()[-1])["frames"] == {"taken": sum(map(len, trials))}
    assert error.strip().endswith("mode-ssm: stopped.")


def play(rig: Rig, features) -> None:
    """A trial as fast as it can be written."""
    rig.state("go")
    for frame in features:
        rig.frame(frame)
    rig.state("freeze")
