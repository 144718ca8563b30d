"""Half a minute of benchmarks/live_streams.py: at 50 frames a second nothing is lost on the way."""

import json
import sys
from pathlib import Path

import pytest

from tests.live.redis_rig import REDIS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))


@pytest.mark.parametrize("over", ["redis", "lsl"])
def test_half_a_minute_loses_nothing(laboratory, tmp_path, request, over):
    if over == "lsl":
        request.getfixturevalue("lsl")
    elif REDIS is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    pytest.importorskip("redis")
    import live_streams

    result = tmp_path / "figures.json"
    named = ["--run", str(laboratory.run), "--lm", str(laboratory.lm), "--data", str(laboratory.data)]
    figures = live_streams.main(["--over", over, "--seconds", "30", "--result", str(result), *named])
    assert figures["frames"] == {"taken": 5 * 250}
    assert (figures["frames lost"], figures["messages lost"], figures["notices"]) == (0, 0, [])
    assert figures["from frame to words"]["steps"] == figures["step"]["steps"] == 5 * 60
    settled, end = figures["memory at 10 s and at the end (MB)"]
    assert end < settled + 50
    assert json.loads(result.read_text()) == {over: figures}
    assert "| frames lost | 0 |" in result.with_suffix(".md").read_text()
