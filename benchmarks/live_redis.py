"""Live decoding over Redis at 50 frames a second: entries that were lost, and how long words took to come back.

    chrt -r 5 python benchmarks/live_redis.py --minutes 60

(chrt gives all its processes the real-time priority with which BRAND runs nodes; without it, other work on the machine
is measured too.)

Four processes: a redis-server, `mode-ssm live` with the default causal network (as it was initialised: what was learnt
changes little in speed) and a word search, a rig that adds a frame of made-up features each 20 ms, in trials of 5 s
with 1 s between, and this one, which reads the messages. Milliseconds are of the wall clock: from before the rig added
the newest frame that a message rests on to after the message was read; and of decoding alone, as the command says it. A
frame is lost when the command did not take it, and a message when an encoder frame has none. Writes
benchmarks/results/live_redis.json.
"""

import argparse
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lm_serve import make_model, start_redis
from redis import Redis
from words import MODEL

from mode_ssm.config import TrainConfig
from mode_ssm.labels import T15
from mode_ssm.live.latency import Latency
from mode_ssm.models.model import ModeSSM, encoder_frames
from mode_ssm.recognition.checkpoint import Position, save_checkpoint, sentence_hashes
from mode_ssm.settings import read_settings

RESULT = Path(__file__).parent / "results" / "live_redis.json"
FEATURES, STATES, WORDS = "binnedFeatures_20ms", "task_state", "words"
TRIAL, PAUSE = 250, 50  # frames
FRAME_S = 0.02
CAUSAL = ["encoder.direction=causal", "preprocessor.smoothing=causal"]


def write_network(folder: Path) -> TrainConfig:
    config = read_settings(TrainConfig, CAUSAL)
    torch.manual_seed(0)
    network = ModeSSM(config, num_sessions=1)
    (folder / "checkpoints").mkdir(parents=True)
    save_checkpoint(
        folder / "checkpoints" / "best.safetensors",
        config=config,
        labels=T15,
        sessions=("t15.2023.08.11",),
        position=Position(stage=1),
        model=network,
        optimizer=torch.optim.AdamW(network.parameters()),
        sentence_hashes=sentence_hashes([]),
    )
    return config


def play(port: int, trials: int, channels: int) -> None:
    """The rig: each frame at its time, in a process of its own."""
    client = Redis(port=port, protocol=2)
    features = np.random.default_rng(0).normal(size=(TRIAL, channels)).astype("<f4")
    start = time.monotonic()
    for number in range(trials * (TRIAL + PAUSE)):
        place = number % (TRIAL + PAUSE)
        time.sleep(max(0.0, start + number * FRAME_S - time.monotonic()))
        if place in (0, TRIAL):
            client.xadd(STATES, {"state": "start_trial" if place else "go"})
            time.sleep(0.002)
        client.xadd(
            FEATURES,
            {
                "ts": np.uint64(time.monotonic_ns()).tobytes(),
                "sync": json.dumps({"nsp": 600 * number}),
                "samples": features[place % TRIAL].tobytes(),
            },
        )
    client.xadd(STATES, {"state": "start_trial"})


def listen(client: Redis, trials: int) -> tuple[Latency, int]:
    """Latencies of all messages with words, up to the end of the last trial, and the number of notices."""
    latency, ends, notices, after = Latency(), 0, 0, "0-0"
    while ends < trials:
        found: Any = client.xread({WORDS: after}, block=60_000)
        if not found:
            sys.exit("No message came for a minute.")
        for number, fields in found[0][1]:
            after, message = number, json.loads(fields[b"message"])
            if message["type"] == "words":
                latency.add(1000 * (time.monotonic() - message["time"]))
            ends += message["type"] == "end"
            notices += message["type"] == "notice"
        client.xtrim(WORDS, maxlen=1000)
        client.xtrim(FEATURES, maxlen=3000)
    return latency, notices


def measure(folder: Path, trials: int) -> dict[str, Any]:
    config = write_network(folder / "run")
    redis, client, port = start_redis(folder)
    place = f"redis://127.0.0.1:{port}"
    named = [f"checkpoint={folder / 'run'}", f"lm={folder / MODEL}", f"source={place}/{FEATURES}"]
    named += [f"sink=[{place}/{WORDS}]", "redis.sync_step=600"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mode_ssm", "live", *named]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as decoder:
        try:
            assert decoder.stdout is not None
            decoder.stdout.readline()
            channels = config.preprocessor.num_channels
            rig = multiprocessing.get_context("spawn").Process(target=play, args=(port, trials, channels))
            rig.start()
            latency, notices = listen(client, trials)
            rig.join()
            decoder.send_signal(signal.SIGINT)
            told = json.loads(decoder.stdout.read().splitlines()[-1])
        finally:
            decoder.kill()
            redis.terminate()
    frames = told["frames"]
    steps = trials * encoder_frames(config, TRIAL)
    return {
        "frames_written_while_one_speaks": trials * TRIAL,
        "frames": frames,
        "frames_lost": trials * TRIAL - frames.get("taken", 0),
        "messages_lost": steps - latency.steps,
        "notices": notices,
        "from_frame_to_message": latency.summary(),
        "decoding_alone": told["step"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="of real time")
    parser.add_argument("--words", type=int, default=60_000)
    parser.add_argument("--sentences", type=int, default=120_000, help="of the language model's text")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the language model is kept; default: none is")
    options = parser.parse_args()
    trials = max(1, round(options.minutes * 60 / (FRAME_S * (TRIAL + PAUSE))))
    scheduling = "real time" if os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO) else "usual"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.folder is not None:
            make_model(options.folder, options)
            (folder / MODEL).symlink_to((options.folder / MODEL).resolve())
        make_model(folder, options)
        result = {
            "minutes": round(trials * (TRIAL + PAUSE) * FRAME_S / 60, 2),
            "trials": trials,
            "words": options.words,
            "order": options.order,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "scheduling": scheduling,
            "load_before": round(os.getloadavg()[0], 1),
            **measure(folder, trials),
        }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
