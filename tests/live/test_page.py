"""The live page: its server on loopback, what a browser is told, and the page itself in headless Chromium."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.live.page.server import PageSink
from mode_ssm.live.sinks import Message, Signal
from tests.live.browser import CHROMIUM, opened

HEARD = {"type": "words", "frame": 53, "time": 1.08, "phonemes": ["HH", "AY"], "committed": ["hi"], "open": ["<b>"]}
TOLD: list[Message] = [
    {
        "type": "begin",
        "frame": -1,
        "time": 0.0,
        "session": "day",
        "trial": "day/val/trial_0001",
        "sentence": "Hi there.",
    },
    HEARD | {"ms": 7.25},
    {"type": "notice", "frame": 54, "time": 1.1, "text": "3 frames from frame 54 never came"},
]


@pytest.fixture
def page() -> Iterator[PageSink]:
    sink = PageSink(0, T15)
    yield sink
    sink.close()


def signal() -> Signal:
    posteriors = np.log(np.full(41, 0.1 / 40, dtype=np.float32))
    posteriors[2] = np.log(0.9)
    return Signal(np.linspace(-3, 3, 512, dtype=np.float32), posteriors)


async def events(url: str, count: int) -> list[Message]:
    found: list[Message] = []
    async with aiohttp.ClientSession() as session, session.get(f"{url}events") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        async for line in response.content:
            if line.startswith(b"data: "):
                found.append(json.loads(line[6:]))
            if len(found) == count:
                return found
    return found


async def get(url: str, **headers: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text(), response.headers.get("Content-Security-Policy", "")


def test_a_browser_that_comes_late_is_told_the_trial_so_far(page):
    page.tell({"type": "begin", "trial": "before"})
    for message in TOLD:
        page.tell(message)
    page.tell({"type": "end", "words": ["hi"]})
    found = asyncio.run(events(page.url, 3))
    assert found == [TOLD[0], TOLD[1], {"type": "end", "words": ["hi"]}]


def test_a_signal_has_the_likeliest_classes_and_every_channel(page):
    async def told() -> list[Message]:
        listening = asyncio.create_task(events(page.url, 2))
        page.tell(TOLD[0])
        while not listening.done():
            page.show(signal())
            await asyncio.sleep(0.01)
        return await listening

    found = next(message for message in asyncio.run(told()) if message["type"] == "signal")
    assert found["likely"][0] == [T15.symbols[2], 0.9]
    assert len(found["likely"]) == 5
    assert len(found["features"]) == 512
    assert (found["features"][0], found["features"][-1]) == (32, 224)


def test_the_page_asks_nothing_of_the_network(page):
    status, text, policy = asyncio.run(get(page.url))
    assert status == 200
    assert "default-src 'none'" in policy
    assert "http://" not in text
    assert "https://" not in text


def test_a_page_of_another_name_is_refused(page):
    status, text, _ = asyncio.run(get(page.url, Host="example.org"))
    assert status == 403
    assert "this machine alone" in text


def test_a_port_that_is_taken_is_named(page):
    port = int(page.url.rsplit(":", 1)[1].strip("/"))
    with pytest.raises(InputError, match=f"sink=page:{port} cannot be served.*give another port"):
        PageSink(port, T15)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_words_appear_in_a_browser_and_text_stays_text(page, tmp_path: Path, width: int, dark: bool):
    async def look() -> None:
        async with opened(page.url, tmp_path / "profile", width, dark=dark) as tab:
            await tab.until("document.getElementById('state')?.textContent.startsWith('day')")
            page.tell(TOLD[2])
            for _ in range(300):
                page.show(signal())
            page.tell({"type": "end", "words": ["hi", "<i>there</i>"]} | {"frame": 60, "time": 1.2})
            page.tell(TOLD[0])
            page.tell(TOLD[1])
            await tab.until("document.querySelector('#done li') && document.querySelector('#words .open')")
            assert await tab.value("document.querySelector('#words .open').textContent") == "<b>"
            assert await tab.value("document.querySelector('#done div').textContent") == "hi <i>there</i>"
            assert await tab.value("document.querySelector('#done small').textContent") == "said: Hi there."
            assert await tab.value("document.getElementById('phonemes').textContent") == "HH AY"
            assert "never came" in await tab.value("document.getElementById('alarms').textContent")
            assert await tab.value("document.documentElement.scrollWidth <= innerWidth")
            await tab.until("document.getElementById('p99').textContent === '7.3 ms'")
            assert {address.split("/")[2] for address in tab.requests} == {page.url.split("/")[2]}
            await tab.picture(tmp_path / "page.png")

    page.tell(TOLD[0])
    page.tell(TOLD[1])
    asyncio.run(look())
