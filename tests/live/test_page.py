"""The live page: its server on loopback, what a browser is told, and the page itself in headless Chromium."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import numpy as np
import pytest

from mode_ssm.config import DataConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.live.desk import Desk, Press
from mode_ssm.live.events import Correction, Event
from mode_ssm.live.page.opening import panels_of_network
from mode_ssm.live.page.server import PageSink
from mode_ssm.live.page.view import View, panels_of
from mode_ssm.live.sinks import Message, Signal
from tests.live.browser import CHROMIUM, Tab, opened

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


VIEW = View(T15.symbols, panels_of(range(512)), button=True)
END: Message = {
    "type": "end",
    "frame": 60,
    "time": 1.2,
    "words": ["hi", "<i>there</i>", "now"],
}
SURE: Message = {
    "type": "sure",
    "frame": 60,
    "time": 1.2,
    "end": 60,
    "posteriors": [0.9, 0.6, 0.3],
    "confidences": [0.97, 0.7, 0.4],
    "alternatives": [[], [["their", 0.3], ["", 0.1]], [["<b>", 0.5]]],
}


class Asked(Desk):
    """Keeps what is asked, for nobody decodes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Event | Press] = []

    def ask(self, what: Press | Correction) -> None:
        self.found.append(what)


@pytest.fixture
def desk() -> Asked:
    return Asked()


@pytest.fixture
def page(desk: Asked) -> Iterator[PageSink]:
    sink = PageSink(0, VIEW, desk)
    yield sink
    sink.close()


def signal() -> Signal:
    posteriors = np.log(np.full(41, 0.1 / 40, dtype=np.float32))
    posteriors[2] = np.log(0.9)
    return Signal(np.linspace(-3, 3, 512, dtype=np.float32), posteriors)


@pytest.mark.parametrize(
    ("data", "channels", "names"),
    [
        (DataConfig(), 512, ["ventral 6v, threshold crossings", "dorsal 6v, spike-band power"]),
        (DataConfig(channels="256:512"), 256, ["ventral 6v, spike-band power", "dorsal 6v, spike-band power"]),
        (DataConfig(channels="not:0:448"), 64, ["dorsal 6v, spike-band power"] * 2),
        (DataConfig(), 100, ["channels 0 to 63", "channels 64 to 99"]),
        (DataConfig(channels="600:700"), 100, ["channels 0 to 63", "channels 64 to 99"]),
        (DataConfig(source="another"), 512, ["channels 0 to 63", "channels 448 to 511"]),
    ],
)
def test_channels_are_drawn_by_array_where_arrays_are_known(data, channels, names):
    config = SimpleNamespace(data=data, preprocessor=SimpleNamespace(num_channels=channels))
    panels = panels_of_network(SimpleNamespace(config=config, participants={}))
    assert [panels[0].name, panels[-1].name] == names
    assert [channel for panel in panels for channel in panel.channels] == list(range(channels))


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


async def post(url: str, path: str, body: object, **headers: str) -> tuple[int, str]:
    origin = {"Origin": url.rstrip("/")}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}{path}", json=body, headers=origin | headers) as response,
    ):
        return response.status, await response.text()


def run_of(url: str) -> str:
    """What the page's requests must name."""
    return asyncio.run(events(url, 1))[0]["run"]


async def get(url: str, **headers: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.text(), response.headers.get("Content-Security-Policy", "")


def test_a_browser_that_comes_late_is_told_the_trial_so_far(page):
    page.tell({"type": "begin", "trial": "before"})
    for message in TOLD:
        page.tell(message)
    page.tell(HEARD | {"phonemes": ["DH"], "ms": 8.0})
    page.tell(END)
    page.tell(SURE)
    view, talk, *found = asyncio.run(events(page.url, 6))
    assert (view["symbols"], len(view["panels"]), view["button"]) == (list(T15.symbols), 8, True)
    assert talk == {"type": "talk", "down": False}
    assert found == [TOLD[0], HEARD | {"phonemes": ["HH", "AY", "DH"], "ms": 8.0}, END, SURE]


def test_a_browser_that_comes_late_is_told_what_lasts(page):
    alarm = {"type": "notice", "text": "channel 3: has not changed", "alarm": "flat", "channels": [3]}
    for message in (alarm, {"type": "lock", "open": False}, {"type": "lock", "open": True}):
        page.tell(message)
    assert asyncio.run(events(page.url, 4))[2:] == [alarm, {"type": "lock", "open": True}]


def test_a_correction_goes_to_the_desk(page, desk):
    page.tell(END)
    run = run_of(page.url)
    asked = {"run": run, "end": 60, "place": 2, "by": "  the   one "}
    assert asyncio.run(post(page.url, "correct", asked)) == (204, "")
    assert desk.found == [Correction(60, 2, "now", "the one")]


@pytest.mark.parametrize(
    ("wrong", "status", "sentence"),
    [
        ({"place": 3}, 409, "no such word"),
        ({"end": 61}, 409, "no such word"),
        ({"place": True}, 400, "has end, place and by"),
        ({"by": None}, 400, "has end, place and by"),
        ({"by": "a" * 61}, 400, "at most 60 letters"),
        ({"by": "a\x1b[2J"}, 400, "no control characters"),
        ({"run": "of another time"}, 409, "load it again"),
    ],
)
def test_a_correction_that_fits_nothing_is_refused(page, desk, wrong, status, sentence):
    page.tell(END)
    asked = {"run": run_of(page.url), "end": 60, "place": 0, "by": "high"} | wrong
    found, text = asyncio.run(post(page.url, "correct", asked))
    assert (found, sentence in text) == (status, True), text
    assert not desk.found


@pytest.mark.parametrize("path", ["talk", "correct"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {"Host": "example.org"},
        {"Content-Type": "text/plain"},
    ],
)
def test_another_page_cannot_ask_for_anything(page, desk, path, headers):
    page.tell(END)
    asked = {"run": run_of(page.url), "end": 60, "place": 0, "by": "high", "down": True}
    status, _ = asyncio.run(post(page.url, path, asked, **headers))
    assert status == 403
    assert not desk.found


def test_what_is_too_large_or_no_object_is_refused(page, desk):
    assert asyncio.run(post(page.url, "correct", {"by": "a" * 5000}))[0] == 413
    assert asyncio.run(post(page.url, "talk", ["down"]))[0] == 400
    assert not desk.found


def test_the_button_is_let_go_when_the_last_browser_leaves(page, desk):
    async def hold() -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{page.url}events") as stream:
            run = json.loads((await stream.content.readline())[6:])["run"]
            for _ in range(2):
                assert await post(page.url, "talk", {"run": run, "down": True}) == (204, "")
        for _ in range(200):
            if len(desk.found) > 1:
                return
            page.tell({"type": "signal"})  # a browser that left is seen when something is written to it
            await asyncio.sleep(0.01)

    asyncio.run(hold())
    assert desk.found == [Press(True), Press(False)]


def test_without_a_button_the_page_says_nothing_of_talk(desk):
    page = PageSink(0, VIEW._replace(button=False), desk)
    status, text = asyncio.run(post(page.url, "talk", {"run": run_of(page.url), "down": True}))
    page.close()
    assert (status, "talk=button" in text) == (409, True)
    assert not desk.found


def test_a_signal_has_the_likeliest_classes_and_every_channel(page):
    async def told() -> list[Message]:
        listening = asyncio.create_task(events(page.url, 4))
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
    assert [found["posteriors"][place] for place in (1, 2)] == [0, 229]


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
        PageSink(port, VIEW, Desk())


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_words_appear_in_a_browser_and_text_stays_text(page, tmp_path: Path, width: int, dark: bool):
    async def look() -> None:
        async with opened(page.url, tmp_path / "profile", width, dark=dark) as tab:
            await tab.until("document.getElementById('state')?.textContent.startsWith('day')")
            page.tell(TOLD[2])
            for _ in range(300):
                page.show(signal())
            page.tell(END)
            page.tell(TOLD[0])
            page.tell(TOLD[1])
            await tab.until("document.querySelector('#done li') && document.querySelector('#words .open')")
            assert await tab.value("document.querySelector('#words .open').textContent") == "<b>"
            assert await tab.value("document.querySelector('#done div').textContent") == "hi <i>there</i> now "
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


async def key(tab: Tab, kind: str, name: str) -> None:
    text = {"text": " "} if name == "Space" and kind == "keyDown" else {}
    where = {"code": name, "key": " " if name == "Space" else name}
    where |= {"windowsVirtualKeyCode": {"Space": 32, "Enter": 13, "Escape": 27}[name]}
    await tab.call("Input.dispatchKeyEvent", type=kind, **where, **text)


async def until_asked(desk: Asked, *asked: Event | Press) -> None:
    for _ in range(200):
        if desk.found == list(asked):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"asked {desk.found}, not {asked}")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_word_is_corrected_by_an_alternative_or_by_hand(page, desk, tmp_path: Path, width: int):
    async def correct() -> None:
        async with opened(page.url, tmp_path / "profile", width) as tab:
            word = "document.querySelectorAll('#done .word')[{}]"
            await tab.until(f"{word.format(2)}?.classList.contains('poor')")
            assert await tab.value(f"{word.format(0)}.className") == "word"
            assert await tab.value(f"{word.format(1)}.className") == "word doubt"
            assert await tab.value(f"{word.format(2)}.className") == "word poor"
            await tab.value(f"{word.format(1)}.click()")
            assert await tab.value("document.getElementById('howsure').textContent") == "Right with 70 %"
            shown = "[...document.querySelectorAll('#choices button')].map(b => b.innerText.replace(/\\s+/g, ' '))"
            assert await tab.value(shown) == ["their posterior 0.30", "(no word) posterior 0.10"]
            await tab.picture(tmp_path / "word.png")
            await tab.value("document.querySelector('#choices button').click()")
            await tab.until("!document.getElementById('word').open")
            page.tell({"type": "correction", "frame": 60, "time": 1.2} | desk.found[0]._asdict())
            await tab.until(f"{word.format(1)}.textContent === 'their' && {word.format(1)}.classList.contains('meant')")
            assert await tab.value(f"document.activeElement === {word.format(1)}")
            await tab.value(f"{word.format(2)}.click()")
            await tab.value("document.getElementById('by').value = 'tomorrow'")
            await tab.value("document.getElementById('put').click()")
            await until_asked(desk, Correction(60, 1, "<i>there</i>", "their"), Correction(60, 2, "now", "tomorrow"))

    page.tell(TOLD[0])
    page.tell(END)
    page.tell(SURE)
    asyncio.run(correct())


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_where_nothing_is_calibrated_the_page_says_so(page, tmp_path: Path):
    async def look() -> None:
        async with opened(page.url, tmp_path / "profile", 390) as tab:
            await tab.until("document.getElementById('sureness')?.textContent")
            assert "not calibrated" in await tab.value("document.getElementById('sureness').textContent")
            assert await tab.value("document.querySelectorAll('.doubt, .poor').length") == 0
            await tab.value("document.querySelector('#done .word').click()")
            said = await tab.value("document.getElementById('howsure').textContent")
            assert said == "Posterior 0.90, not calibrated"

    page.tell(TOLD[0])
    page.tell(END)
    page.tell(SURE | {"confidences": None})
    asyncio.run(look())


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_the_space_bar_talks_while_it_is_held_or_until_the_next_press(page, desk, tmp_path: Path):
    async def talk() -> None:
        async with opened(page.url, tmp_path / "profile", 390) as tab:
            await tab.until("document.querySelector('#talkbar:not([hidden])')")
            await key(tab, "keyDown", "Space")
            await until_asked(desk, Press(True))
            await asyncio.sleep(0.5)
            await key(tab, "keyUp", "Space")
            await until_asked(desk, Press(True), Press(False))
            await tab.until("document.getElementById('talk').getAttribute('aria-pressed') === 'false'")
            await tab.value("goesDown(); comesUp()")  # a short press stays
            await until_asked(desk, Press(True), Press(False), Press(True))
            await tab.until("document.getElementById('talk').getAttribute('aria-pressed') === 'true'")
            await tab.value("document.getElementById('talk').click()")
            await until_asked(desk, Press(True), Press(False), Press(True), Press(False))

    asyncio.run(talk())


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_alarms_and_the_lock_are_drawn_while_they_last(page, tmp_path: Path):
    flat = {"type": "notice", "frame": 9, "text": "channels 64-66: have not changed", "alarm": "flat"}

    async def look() -> None:
        async with opened(page.url, tmp_path / "profile", 1280) as tab:
            page.tell(flat | {"channels": [64, 65, 66]})
            page.tell({"type": "lock", "open": False})
            await tab.until("document.querySelector('#lock:not([hidden])')")
            assert "Locked" in await tab.value("document.getElementById('lock').textContent")
            assert await tab.value("document.getElementById('lasting').textContent") == "flat: 3 of 512 channels"
            captions = "[...document.querySelectorAll('figcaption')].map(c => c.textContent).slice(0, 2)"
            assert await tab.value(captions) == [
                "ventral 6v, threshold crossings ",
                "area 4, threshold crossings \u26a0 3 flat",
            ]
            page.tell({"type": "lock", "open": True})
            page.tell(flat | {"channels": []})
            await tab.until("document.getElementById('lastingbox').hidden")
            assert "Unlocked" in await tab.value("document.getElementById('lock').textContent")

    asyncio.run(look())
