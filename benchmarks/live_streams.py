"""Live decoding at 50 frames a second over Redis or LSL: what was lost, how long words took to come, and memory.

    python benchmarks/live_streams.py --over redis --seconds 3600 --run RUN --lm LM --data DATA
    python benchmarks/live_streams.py --over lsl --seconds 3600 --run RUN --lm LM --data DATA
    python benchmarks/live_streams.py --over lsl --seconds 1500 --settings int8=true --name "lsl, int8"

RUN is a causal network, LM a language model and DATA the recordings whose val trials are sent (mode-ssm demo --live
makes all three); without them it is the default causal network as it was initialised, a word search with 60,000 made-up
words, and noise. `chrt -r 5` before it gives all processes the real-time priority with which BRAND runs nodes.

Processes: the feeder (live_feeder.py), `mode-ssm live`, this one, which reads the messages, and a redis-server. From
frame to words is the wall clock's time from when the feeder sent the newest frame that a message rests on until the
message was read here; a step is what `mode-ssm live` says that decoding took, sinks included. A frame is lost when it
was sent while one speaks and the command did not take it, and a message when an encoder frame has none. Memory is what
the command holds in the tenth second and at the end. Writes benchmarks/results/live_streams.json and .md.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kept
import numpy as np
import torch
from live_feeder import FEATURES, FRAME_S, REST, STATES, TRIAL, Names, feed
from live_readers import LslReader, Reader, RedisReader
from lm_serve import make_model, start_redis
from numpy.typing import NDArray
from words import MODEL

from mode_ssm.batch import Trial
from mode_ssm.config import DataConfig, TrainConfig
from mode_ssm.labels import T15
from mode_ssm.live.latency import Latency
from mode_ssm.models.model import ModeSSM, encoder_frames
from mode_ssm.recognition.checkpoint import Position, save_checkpoint, sentence_hashes
from mode_ssm.recognition.network import Recogniser, load_recogniser
from mode_ssm.settings import read_settings

RESULT = kept.RESULTS / "live_streams.json"
CAUSAL = ["encoder.direction=causal", "preprocessor.smoothing=causal"]
SETTLED_SECONDS = 10.0  # after which memory is read for the first time


def main(words: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--over", choices=["redis", "lsl"], required=True)
    parser.add_argument("--seconds", type=float, default=3600.0, help="of real time; default: 3600")
    parser.add_argument("--run", type=Path, help="a causal network; default: that of the default settings, untrained")
    parser.add_argument("--lm", type=Path, help="its language model; default: one of made-up words")
    parser.add_argument("--data", type=Path, help="recordings; default: noise")
    parser.add_argument("--settings", nargs="*", default=[], help="more of mode-ssm live, such as int8=true")
    parser.add_argument("--name", help="of the column; default: what --over says")
    parser.add_argument("--folder", type=Path, help="where what is made up is kept; default: nowhere")
    parser.add_argument("--result", type=Path, default=RESULT)
    options = parser.parse_args(words)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts this behind it has SIGINT ignored
    with tempfile.TemporaryDirectory() as temporary:
        figures = measure(options, options.folder or Path(temporary))
    table = kept.read(options.result) | {options.name or options.over: figures}
    kept.write(options.result, table, table_of(table))
    return figures


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    run, lm = options.run or _write_network(folder / "run"), options.lm or _write_model(folder)
    recogniser = load_recogniser(str(run))
    channels = recogniser.checkpoint.config.preprocessor.num_channels
    features = _recorded(recogniser, options.data) if options.data else _noise(channels)
    trials = max(1, round(options.seconds / (FRAME_S * (TRIAL + REST))))
    before = os.getloadavg()[0]
    with connected(options.over, run, lm) as (names, reader, command):
        figures = decode(names, reader, [*command, *options.settings], features, trials)
    steps = trials * encoder_frames(recogniser.checkpoint.config, TRIAL)
    return {
        "seconds": trials * (TRIAL + REST) * FRAME_S,
        "network": f"{sum(p.numel() for p in recogniser.model.parameters()) / 1e6:.1f} M parameters",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "settings": " ".join(options.settings) or "default",
        "priority": "real time" if os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO) else "usual",
        "load before and after": [round(before, 1), round(os.getloadavg()[0], 1)],
        "frames sent while one speaks": trials * TRIAL,
        "frames lost": trials * TRIAL - figures["frames"].get("taken", 0),
        "messages lost": steps - figures["from frame to words"]["steps"],
        **figures,
    }


@contextmanager
def connected(over: str, run: Path, lm: Path) -> Iterator[tuple[Names, "type[Reader]", list[str]]]:
    """What the streams are called, what reads them, and the command between them."""
    command = [sys.executable, "-m", "mode_ssm", "live", f"checkpoint={run}", f"lm={lm}"]
    if over == "lsl":
        mine = f"{os.getpid()}"
        names = Names(0, f"{FEATURES} {mine}", f"{STATES} {mine}")
        lsl = [f"source=lsl:{names.features}", f"lsl.markers={names.states}", "lsl.wait_seconds=60"]
        yield names, LslReader, [*command, *lsl, f"sink=[lsl:words {mine}]"]
        return
    with tempfile.TemporaryDirectory() as folder:
        process, client, port = start_redis(Path(folder))
        place = f"redis://127.0.0.1:{port}"
        redis = [f"source={place}/{FEATURES}", f"sink=[{place}/words]", "redis.sync_step=600"]
        try:
            yield Names(port, FEATURES, STATES), RedisReader, [*command, *redis]
        finally:
            client.close()
            process.terminate()
            process.wait()


def decode(
    names: Names, reader: "type[Reader]", command: list[str], features: NDArray[np.float32], trials: int
) -> dict[str, Any]:
    """Send all trials, read all messages, and stop the command."""
    fresh = multiprocessing.get_context("spawn")
    ready, start, late = fresh.Event(), fresh.Event(), fresh.Queue()
    feeder = fresh.Process(target=feed, args=(names, features, trials, ready, start, late), daemon=True)
    feeder.start()
    ready.wait()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as decoder:
        try:
            assert decoder.stdout is not None
            if not any(line.startswith("Source: ") for line in decoder.stdout):
                sys.exit("mode-ssm live did not start; see above.")
            messages = reader(names)
            start.set()
            heard = Heard(decoder.pid)
            while heard.ends < trials:
                heard.hear(messages)
            late_p99, latest = late.get()
            memory = _memory_mb(decoder.pid)
            decoder.send_signal(signal.SIGINT)
            told = json.loads(decoder.stdout.read().splitlines()[-1])
        finally:
            decoder.kill()
            feeder.terminate()
    return {
        "frames": told["frames"],
        "notices": heard.notices,
        "words": heard.words,
        "frame sent late, p99 and most (ms)": [round(late_p99, 1), round(latest, 1)],
        "from frame to words": heard.latency.summary(),
        "step": told["step"],
        "memory at 10 s and at the end (MB)": [heard.settled_mb or memory, memory],
    }


class Heard:
    """What the messages say."""

    def __init__(self, decoder: int) -> None:
        self._decoder, self._begun = decoder, time.monotonic()
        self.latency, self.ends, self.words, self.settled_mb = Latency(), 0, 0, 0.0
        self.notices: list[str] = []

    def hear(self, messages: Reader) -> None:
        for message, now in messages.read():
            if message["type"] == "words":
                self.latency.add(1000 * (now - message["time"]))
            elif message["type"] == "end":
                self.ends, self.words = self.ends + 1, self.words + len(message["words"] or ())
            elif message["type"] == "notice":
                self.notices = [*self.notices, message["text"]][-20:]
        if not self.settled_mb and time.monotonic() - self._begun >= SETTLED_SECONDS:
            self.settled_mb = _memory_mb(self._decoder)


def _memory_mb(process: int) -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1000, 1)


def _recorded(recogniser: Recogniser, data: Path) -> NDArray[np.float32]:
    """(n, TRIAL, C): val trials of the newest session, cut to five seconds or with rest after them."""
    dataset = recogniser.open(DataConfig(data_root=str(data)), "val", labelled=False)
    day = recogniser.checkpoint.sessions[-1]
    chosen = [dataset[place] for place, entry in enumerate(dataset.entries) if entry.key.session == day]
    trials = [trial.features.numpy()[:TRIAL] for trial in chosen if isinstance(trial, Trial)]
    return np.stack([np.pad(trial, ((0, TRIAL - len(trial)), (0, 0))) for trial in trials]).astype(np.float32)


def _noise(channels: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(1, TRIAL, channels)).astype(np.float32)


def _write_network(folder: Path) -> Path:
    config = read_settings(TrainConfig, CAUSAL)
    torch.manual_seed(0)
    network = ModeSSM(config, num_sessions=1)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
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
    return folder


def _write_model(folder: Path) -> Path:
    make_model(folder, argparse.Namespace(words=60_000, sentences=120_000, order=3))
    return folder / MODEL


def table_of(figures: dict[str, Any]) -> str:
    lines = [
        "# Live over Redis and LSL",
        "",
        "`python benchmarks/live_streams.py --over redis|lsl --seconds SECONDS --run RUN --lm LM --data DATA`, with",
        "what `mode-ssm demo --live` made; without these three it is the default network and 60,000 words.",
        "",
        f"| | {' | '.join(figures)} |",
        f"|---|{'--:|' * len(figures)}",
    ]
    lines += [_row(name, [each[name] for each in figures.values()]) for name in _PLAIN]
    for part in ("from frame to words", "step"):
        for name, unit in _TIMES.items():
            lines.append(_row(f"{part}: {unit}", [each[part][name] for each in figures.values()]))
    return "\n".join([*lines, ""])


_PLAIN = (
    "seconds",
    "network",
    "machine",
    "settings",
    "priority",
    "load before and after",
    "frames sent while one speaks",
    "frames lost",
    "messages lost",
    "notices",
    "words",
    "frame sent late, p99 and most (ms)",
    "memory at 10 s and at the end (MB)",
)
_TIMES = {
    "steps": "number",
    "p50_ms": "p50 (ms)",
    "p99_ms": "p99 (ms)",
    "p99.9_ms": "p99.9 (ms)",
    "percent_in_time": "within 80 ms (%)",
}


def _row(name: str, values: list[Any]) -> str:
    shown = [len(value) if name == "notices" else value for value in values]
    texts = [", ".join(map(str, value)) if isinstance(value, list) else str(value) for value in shown]
    return f"| {name} | {' | '.join(texts)} |"


if __name__ == "__main__":
    main()
