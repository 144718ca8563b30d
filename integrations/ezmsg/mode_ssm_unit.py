"""An ezmsg unit that decodes: features in as AxisArray, and out the messages of `mode-ssm live`, a dictionary each.

An example to copy. It gives events to mode_ssm's own live session, which runs in a thread, so that the graph goes on.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Iterator

import ezmsg.core as ez
import numpy as np
from ezmsg.util.messages.axisarray import AxisArray

from mode_ssm.commands.live import as_trained, open_decoder
from mode_ssm.config import LiveConfig
from mode_ssm.errors import InputError
from mode_ssm.live.events import Begin, End, Event, Frames
from mode_ssm.live.session import LiveSession
from mode_ssm.live.sinks import Message, Signal
from mode_ssm.recognition.network import load_recogniser

FRAME_S = 0.02


class ModeSSMSettings(ez.Settings):
    checkpoint: str  # a run folder or a checkpoint of a causal network
    lm: str | None = None  # its language model; None = phonemes alone
    session: str | None = None  # the day of the network to decode as
    listen: bool = False  # find by itself when someone speaks


class ModeSSMState(ez.State):
    events: queue.Queue[Event | None]  # None = there are no more
    messages: queue.Queue[Message | None]
    decoding: threading.Thread
    start: float | None = None  # seconds of the time axis at frame 0
    speaking: bool = False


class ModeSSM(ez.Unit):
    """Decodes frames of 20 ms, raw or normalised as those that the network was trained with.

    A message of features has the dimensions time and ch, and 0.02 s as the gain of its time axis, whose offset numbers
    the frames, so that a message that never came is noticed. `attrs["speaking"]` says whether someone speaks; with
    listen=True the network finds that.
    """

    SETTINGS = ModeSSMSettings
    STATE = ModeSSMState
    INPUT_FEATURES = ez.InputStream(AxisArray)
    OUTPUT_MESSAGES = ez.OutputStream(dict)

    async def initialize(self) -> None:
        settings, state = self.SETTINGS, self.STATE
        state.events, state.messages = queue.Queue(), queue.Queue()
        config = LiveConfig(checkpoint=settings.checkpoint, lm=settings.lm, source="ezmsg", listen=settings.listen)
        recogniser = load_recogniser(config.checkpoint, config.device)
        spoken, identity = open_decoder(config, recogniser)
        channels = recogniser.checkpoint.config.preprocessor.num_channels
        session = LiveSession(spoken, [Outlet(state.messages)], channels, identity, config.watch)
        events = as_trained(until_none(state.events), recogniser)
        state.decoding = threading.Thread(target=session.run, args=(events,), name="decodes", daemon=True)
        state.decoding.start()
        if settings.listen:
            state.events.put(Begin(settings.session))

    async def shutdown(self) -> None:
        self.STATE.events.put(None)
        await asyncio.to_thread(self.STATE.decoding.join)
        self.STATE.messages.put(None)

    @ez.subscriber(INPUT_FEATURES)
    async def on_features(self, message: AxisArray) -> None:
        state = self.STATE
        speaks = self.SETTINGS.listen or bool(message.attrs.get("speaking", False))
        frames = self._frames(message)
        if speaks and not state.speaking and not self.SETTINGS.listen:
            state.events.put(Begin(self.SETTINGS.session))
        if speaks:
            state.events.put(frames)
        elif state.speaking:
            state.events.put(End())
        state.speaking = speaks

    @ez.publisher(OUTPUT_MESSAGES)
    async def tell(self) -> AsyncGenerator:
        while (message := await asyncio.to_thread(self.STATE.messages.get)) is not None:
            yield self.OUTPUT_MESSAGES, message

    def _frames(self, message: AxisArray) -> Frames:
        axis = message.axes["time"]
        if abs(axis.gain - FRAME_S) > 1e-6:
            raise InputError(f"A message of features has a sample each {axis.gain} s; bin features in {FRAME_S} s.")
        if self.STATE.start is None:
            self.STATE.start = axis.offset
        features = np.asarray(message.data, dtype=np.float32)
        if message.dims != ["time", "ch"]:
            raise InputError(f"A message of features has the dimensions {message.dims}; give it time and ch.")
        number = round((axis.offset - self.STATE.start) / FRAME_S)
        return Frames(number, axis.offset + len(features) * FRAME_S, features)


class Outlet:
    """A sink of the session: what it is told goes to the unit."""

    def __init__(self, messages: "queue.Queue[Message | None]") -> None:
        self._messages = messages

    def tell(self, message: Message) -> None:
        self._messages.put(message)

    def show(self, signal: Signal) -> None:
        """Nothing: messages hold what was decoded."""

    def close(self) -> None:
        """Nothing is open."""


def until_none(events: "queue.Queue[Event | None]") -> Iterator[Event]:
    while (event := events.get()) is not None:
        yield event
