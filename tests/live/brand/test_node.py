"""The node as BRAND starts it, on a real server with a small supergraph."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from mode_ssm.config import NodeConfig
from mode_ssm.errors import InputError
from mode_ssm.live.brand.supergraph import read_parameters
from mode_ssm.settings import settings_from_file
from tests.live.redis_rig import PATIENCE, RedisProcess, Rig
from tests.live.test_live import SESSION, live, messages

NODE, STATE = "decoder", "decoder_state"
ROOT = Path(__file__).parents[3]


def load_graph(process: RedisProcess, **parameters: object) -> None:
    nodes = {
        "binning": {"nickname": "binning", "parameters": {"bin": 20}},
        NODE: {"name": "mode_ssm_decoder", "nickname": NODE, "parameters": parameters},
    }
    process.client.xadd("supergraph_stream", {"data": json.dumps({"graph_name": "test", "nodes": nodes})})


@contextmanager
def started(process: RedisProcess) -> Iterator["subprocess.Popen[str]"]:
    words = ["-n", NODE, "-i", "nowhere", "-p", "1", "-s", str(process.socket), "--machine", "rig"]
    command = [sys.executable, "-m", "mode_ssm", "node", *words]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as node:
        yield node


def wait_for(process: RedisProcess, stream: str, field: bytes, value: bytes | None = None) -> bytes:
    """The first entry with that field, and that value where one is given."""
    after = "0-0"
    for _ in range(PATIENCE):
        for number, fields in dict(process.client.xread({stream: after}, block=1000)).get(stream.encode(), []):
            after = number
            if field in fields and value in (None, fields[field]):
                return fields[field]
    raise AssertionError(f"{stream} has no {field!r} {value!r}")


def states_of(process: RedisProcess) -> list[str]:
    return [fields[b"status"].decode() for _, fields in process.client.xrange(STATE)]


def test_a_node_decodes_a_trial_and_ends_by_sigint(laboratory, redis_process, rig, tmp_path, capsys):
    said = tmp_path / "said.jsonl"
    live(capsys, laboratory, f"source=replay:{SESSION}/val/trial_0000", f"sink=[jsonl:{said}]")
    end = next(message for message in messages(said) if message["type"] == "end")
    redis = {"session": SESSION, "sync_step": 600}
    load_graph(redis_process, checkpoint=str(laboratory.run), lm=str(laboratory.lm), redis=redis)
    with h5py.File(laboratory.data / SESSION / "data_val.hdf5") as file:
        features = file["trial_0000"]["input_features"][:]
    with started(redis_process) as node:
        wait_for(redis_process, STATE, b"status", b"NODE_READY")
        play(rig, features)
        final = wait_for(redis_process, NODE, b"final_decoded_sentence").decode()
        node.send_signal(signal.SIGINT)
        node.communicate(timeout=PATIENCE)
    assert node.returncode == 0
    assert final == " ".join(end["words"])
    told = states_of(redis_process)  # a busy machine may be warned of more than once
    assert list(dict.fromkeys(told)) == ["NODE_STARTED", "NODE_READY", "NODE_WARNING", "NODE_SHUTDOWN"]
    assert redis_process.client.get("final_decoded_sentence_current") == final.encode()
    assert redis_process.client.get("partial_decoded_sentence_current") == b""
    check_output(redis_process, messages(said))


def test_behind_a_closed_lock_no_stream_and_no_key_tells_anything(laboratory, redis_process, rig):
    lock = {"open": "B AA | ZH UH | OY TH | ZH AA", "phonemes": True, "threshold": 0.01}  # noise opens it at more
    load_graph(redis_process, checkpoint=str(laboratory.run), lm=str(laboratory.lm), lock=lock)
    with started(redis_process) as node:
        wait_for(redis_process, STATE, b"status", b"NODE_READY")
        play(rig, np.random.default_rng(0).standard_normal((200, 8), dtype=np.float32))
        wait_for(redis_process, STATE, b"status", b"NODE_WARNING")
        node.send_signal(signal.SIGINT)
        node.communicate(timeout=PATIENCE)
    states = list(dict.fromkeys(states_of(redis_process)))  # a busy machine may be told more than once
    assert states == ["NODE_STARTED", "NODE_READY", "NODE_INFO", "NODE_WARNING", "NODE_SHUTDOWN"]
    told = {key.decode() for key in redis_process.client.scan_iter()}
    assert told == {"supergraph_stream", STATE, "binnedFeatures_20ms", "task_state"}


def play(rig: Rig, features: np.ndarray) -> None:
    rig.state("go")
    for frame in features:
        rig.frame(frame)
    rig.frame(features[-1], len(features) - 1)  # twice, which is warned of
    rig.state("end_trial")


def check_output(process: RedisProcess, told: list[dict]) -> None:
    entries = [fields for _, fields in process.client.xrange(NODE)]
    assert b"start" in entries[0]
    assert b"end" in entries[-2]
    logits = [np.frombuffer(entry[b"logits"], dtype="<f4") for entry in entries if b"logits" in entry]
    words = [message for message in told if message["type"] == "words"]
    assert len(logits) == len(words)
    assert all(values.shape == (41,) and np.exp(values).sum() == pytest.approx(1, abs=1e-3) for values in logits)
    partial = [e[b"partial_decoded_sentence"].decode() for e in entries if b"partial_decoded_sentence" in e]
    assert partial == [" ".join(message["committed"] + message["open"]) for message in words]
    counts = [json.loads(entry[b"sync"])["nsp"] for entry in entries if b"logits" in entry]
    assert counts == [30_000 + 600 * message["frame"] for message in words]
    assert {len(entry[b"ts"]) for entry in entries} == {8}


def test_a_parameter_that_is_none_is_a_fatal_error(redis_process):
    load_graph(redis_process, checkpoint="runs/one", RNN_path="there")
    with started(redis_process) as node:
        _, error = node.communicate(timeout=PATIENCE)
    assert node.returncode == 2
    assert states_of(redis_process) == ["NODE_STARTED", "NODE_FATAL_ERROR"]
    assert "The parameters of decoder in supergraph_stream: " in error
    ((_, fatal),) = redis_process.client.xrevrange(STATE, count=1)
    assert "RNN_path" in fatal[b"message"].decode()


def test_the_newest_graph_counts(redis_process):
    load_graph(redis_process, checkpoint="old")
    load_graph(redis_process, checkpoint="new", commit_seconds=2, search={"lm_weight": 0.5}, redis={"speaking": ["go"]})
    config = read_parameters(redis_process.client, NODE)
    assert (config.checkpoint, config.commit_seconds, config.search.lm_weight) == ("new", 2.0, 0.5)
    assert config.redis.speaking == ["go"]


def test_what_is_no_graph_is_said(redis_process):
    with pytest.raises(InputError, match="supergraph_stream is empty; load a graph with the node decoder first"):
        read_parameters(redis_process.client, NODE)
    redis_process.client.xadd("supergraph_stream", {"data": "[]"})
    with pytest.raises(InputError, match="holds no graph .*load one again"):
        read_parameters(redis_process.client, NODE)
    load_graph(redis_process, checkpoint="run")
    with pytest.raises(InputError, match="has no node typist, but binning, decoder"):
        read_parameters(redis_process.client, "typist")


def test_the_graph_and_the_makefile_that_we_give_fit(tmp_path):
    folder = ROOT / "integrations" / "brand"
    graph = yaml.safe_load((folder / "mode_ssm_decoder.yaml").read_text(encoding="utf-8"))
    (node,) = graph["nodes"]
    assert {"name", "nickname", "module", "run_priority", "parameters"} <= set(node)
    config = settings_from_file(NodeConfig, json.dumps(node["parameters"]), "the graph")
    assert config.redis.sync_step == 600
    (tmp_path / "Makefile").write_text((folder / "Makefile").read_text(encoding="utf-8"))
    subprocess.run(["make", "-s", "MODE_SSM=/bin/echo"], cwd=tmp_path, check=True)
    made = [str(tmp_path / f"{node['name']}.bin"), "-n", NODE]
    assert subprocess.run(made, capture_output=True, text=True, check=True).stdout == f"node -n {NODE}\n"
