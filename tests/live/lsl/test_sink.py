"""What was decoded, in two LSL streams that liblsl reads again."""

import json

import numpy as np
import pylsl
import pytest

from mode_ssm.labels import T15
from mode_ssm.live.lsl.sink import LslSink
from mode_ssm.live.sinks import Signal

pytestmark = pytest.mark.usefixtures("lsl")


def reader_of(name: str) -> pylsl.StreamInlet:
    (found,) = pylsl.resolve_byprop("name", name, 1, 10.0)
    inlet = pylsl.StreamInlet(found)  # which keeps what came, when its sender has ended
    inlet.open_stream(10.0)
    return inlet


def test_messages_are_markers_and_posteriors_are_numbers():
    sink = LslSink("decoder", T15, has_posteriors=True)
    words, posteriors = reader_of("decoder_words"), reader_of("decoder_posteriors")
    message = {"type": "end", "frame": 7, "words": ["naïve", "semi;colon"]}
    values = np.linspace(-9, 0, len(T15.symbols), dtype=np.float32)
    before = pylsl.local_clock()
    sink.tell(message)
    sink.show(Signal(np.zeros(3, dtype=np.float32), None))  # of a frame without posteriors
    sink.show(Signal(np.zeros(3, dtype=np.float32), values))
    sink.close()
    (text,), stamp = words.pull_sample(10.0)
    assert json.loads(text) == message
    assert before <= stamp <= pylsl.local_clock()
    sample, stamp = posteriors.pull_sample(10.0)
    assert np.float32(sample).tolist() == values.tolist()
    assert before <= stamp <= pylsl.local_clock()


def test_the_streams_say_what_they_hold():
    sink = LslSink("described", T15, has_posteriors=True)
    info = reader_of("described_posteriors").info(10.0)
    assert info.get_channel_labels() == list(T15.symbols)
    assert reader_of("described_words").info(10.0).type() == "Markers"
    sink.close()


def test_without_a_ctc_head_there_are_no_posteriors():
    sink = LslSink("transducer", T15, has_posteriors=False)
    sink.show(Signal(np.zeros(3, dtype=np.float32), None))
    assert not pylsl.resolve_byprop("name", "transducer_posteriors", 1, 0.5)
    sink.close()
