"""What `mode-ssm lm serve` takes to start, to hold and to answer, asked as the clients of the NEJM language model ask.

    chrt -r 5 python benchmarks/lm_serve.py --words 60000 --order 3

(chrt gives all its processes the real-time priority with which BRAND runs nodes; without it, other work on the machine
is measured too.)

Text, lexicon and logits are those of benchmarks/words.py, made up. The server is a process of its own beside a
redis-server on a free port and this client, which sends a frame, waits for the partial answer, and sends the next.
Milliseconds are of the wall clock, from before a frame is added to after its answer was read; the largest may be a
pause of 50 ms that Linux gives processes of real-time priority each second in which they never rest. Processor time is
all that the server uses, Redis and final answers included; memory is the peak of resident memory of its process. Once
with the server's own parameters, once with those that the NEJM repository's clients set. Writes
benchmarks/results/lm_serve.json.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from redis import Redis
from redis.exceptions import RedisError
from words import MODEL, greedy_per, spoken
from words_inputs import write_corpus

from mode_ssm.commands.lm_build import build
from mode_ssm.config import LmConfig
from mode_ssm.labels import NEJM, T15
from mode_ssm.language.model import load_word_model
from mode_ssm.scoring import edit_counts, total

RESULT = Path(__file__).parent / "results" / "lm_serve.json"
FROM_T15 = [T15.symbols.index(symbol) for symbol in NEJM.symbols]
CLIENTS: dict[str, dict[str, float]] = {
    "parameters of the server": {},
    "parameters of the NEJM clients": {"acoustic_scale": 0.35, "blank_penalty": 90.0, "alpha": 0.55},
}


def start_redis(folder: Path) -> tuple["subprocess.Popen[bytes]", Redis, int]:
    server = shutil.which("redis-server")
    if server is None:
        sys.exit("redis-server is not installed (Debian: apt-get install redis-server).")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen([server, *options], stdout=subprocess.DEVNULL)
    client = Redis(port=port, protocol=2)
    for _ in range(500):
        try:
            client.ping()
        except RedisError:
            time.sleep(0.02)
        else:
            return process, client, port
    sys.exit("redis-server did not start.")


class Client:
    """Asks and waits, as the helpers of the NEJM repository do."""

    def __init__(self, redis: Redis) -> None:
        self._redis, self._seen = redis, dict[str, Any]()

    def ask(self, stream: str, fields: dict[str, Any], answer: str) -> dict[bytes, bytes]:
        self._redis.xadd(stream, dict[Any, Any](fields))
        return self.wait(answer)

    def wait(self, answer: str) -> dict[bytes, bytes]:
        found: Any = self._redis.xread({answer: self._seen.get(answer, "0-0")}, block=10_000, count=1)
        ((_, ((number, told),)),) = found
        self._seen[answer] = number
        return dict(told)


def ask_all(client: Client, trials: list[np.ndarray]) -> tuple[list[float], list[float], list[list[str]]]:
    """Milliseconds a partial answer, milliseconds a final one, and the sentences."""
    partial, final, sentences = [], [], []
    for trial in trials:
        client.ask("remote_lm_reset", {"done": 0}, "remote_lm_done_resetting")
        for frame in trial[:, FROM_T15]:
            start = time.perf_counter()
            client.ask("remote_lm_input", {"logits": frame.tobytes()}, "remote_lm_output_partial")
            partial.append(1000 * (time.perf_counter() - start))
        start = time.perf_counter()
        told = client.ask("remote_lm_finalize", {"done": 0}, "remote_lm_output_final")
        final.append(1000 * (time.perf_counter() - start))
        client.wait("remote_lm_done_finalizing")
        sentences.append(told[b"lm_response_final"].decode().split())
    return partial, final, sentences


def processor_ms(pid: int) -> float:
    """What a process has used."""
    columns = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")


def percentiles(values: list[float]) -> dict[str, float]:
    p50, p99, p999 = np.percentile(values, [50, 99, 99.9]).round(2).tolist()
    return {"p50": p50, "p99": p99, "p99.9": p999, "max": round(max(values), 2)}


def measure(folder: Path, trials: int) -> dict[str, Any]:
    redis, connection, port = start_redis(folder)
    command = [sys.executable, "-m", "mode_ssm", "lm", "serve", f"lm={folder / MODEL}", f"redis=127.0.0.1:{port}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            up = time.perf_counter() - start
            model = load_word_model(folder / MODEL)
            said, scores = spoken(folder, model, trials)
            truth = [[model.words[word] for word in words] for words in said]
            client, rows = Client(connection), []
            for name, parameters in CLIENTS.items():
                if parameters:
                    client.ask("remote_lm_update_params", dict(parameters), "remote_lm_done_updating_params")
                before = processor_ms(server.pid)
                partial, final, found = ask_all(client, scores)
                spent = (processor_ms(server.pid) - before) / len(partial)
                wer = total(edit_counts(words, text) for words, text in zip(truth, found, strict=True)).rate
                row = {"frames": len(partial), "partial_ms": percentiles(partial), "final_ms": percentiles(final)}
                row["processor_ms_per_frame"] = round(spent, 2)
                rows.append({"asked with": name, "sentences": len(scores), **row, "wer": round(wer, 4)})
            status = Path(f"/proc/{server.pid}/status").read_text()
        finally:
            server.terminate()
            redis.terminate()
    return {
        "seconds_until_up": round(up, 2),
        "peak_mb": round(int(status.partition("VmHWM:")[2].split()[0]) / 1024),
        "greedy_per": round(greedy_per(model, said, scores), 4),
        "answers": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=60_000)
    parser.add_argument("--sentences", type=int, default=120_000, help="of the text")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="where text and model are kept; default: none are")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        make_model(folder, options)
        result = {
            "words": options.words,
            "order": options.order,
            "text_sentences": options.sentences,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
            "scheduling": "real time" if os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO) else "usual",
            "load_before": round(os.getloadavg()[0], 1),
            **measure(folder, options.trials),
        }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def make_model(folder: Path, options: argparse.Namespace) -> None:
    if (folder / MODEL / "lm.arpa").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_corpus(folder, options.words, options.sentences)
    lexicon, text = str(folder / "dictionary"), str(folder / "text")
    settings = {"order": options.order, "max_words": options.words}
    build(LmConfig(out=str(folder / MODEL), text=text, lexicon=lexicon, **settings))


if __name__ == "__main__":
    main()
