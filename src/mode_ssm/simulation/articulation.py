"""Phonemes as articulatory targets, and how long and how fast they are moved to.

Each phoneme is described by where and how the vocal tract is narrowed, in the terms of the phonetic alphabet
(place, manner, voicing; for vowels height, backness and rounding), as degrees between -1 and 1 on fourteen
articulators. Rest is zero everywhere. Stops, affricates and diphthongs have two parts, written with a `>`: closure and
release, or the two vowels that are glided between.
"""

import numpy as np
from numpy.typing import NDArray

from mode_ssm.labels import T15

FloatArray = NDArray[np.float32]

FRAME_MS = 20  # as in mode_ssm.batch, whose import would load torch into every worker process

ARTICULATORS = (
    "effort",  # 1 while speech is produced, 0 at rest
    "lips",  # 1 closed, 0.7 lip against teeth, 0 open
    "tip",  # narrowing by the tongue tip
    "tip_place",  # -1 at the teeth, 0 at the ridge, 1 behind it
    "body",  # narrowing by the tongue body at the soft palate
    "height",  # vowels: 1 close, -1 open
    "backness",  # 1 back, -1 front
    "rounding",
    "voicing",
    "nasality",  # the soft palate lowered
    "stop",  # the airway fully closed
    "frication",  # turbulence
    "lateral",
    "rhotic",
)
MOVEMENT_MS = (30, 35, 30, 35, 45, 50, 50, 40, 30, 40, 30, 30, 35, 45)  # 1 / natural frequency of each articulator

_TARGETS = {
    "AA": "voicing=1 height=-1 backness=0.6",
    "AE": "voicing=1 height=-0.8 backness=-0.8",
    "AH": "voicing=1 height=-0.2 backness=0.1",
    "AO": "voicing=1 height=-0.6 backness=1 rounding=0.7",
    "AW": "voicing=1 height=-1 backness=0.1 > voicing=1 height=0.5 backness=0.9 rounding=0.9",
    "AY": "voicing=1 height=-1 backness=0.2 > voicing=1 height=0.8 backness=-0.8",
    "EH": "voicing=1 height=-0.3 backness=-0.8",
    "ER": "voicing=1 rhotic=1 body=0.2 rounding=0.2",
    "EY": "voicing=1 height=0.2 backness=-0.9 > voicing=1 height=0.9 backness=-1",
    "IH": "voicing=1 height=0.6 backness=-0.6",
    "IY": "voicing=1 height=1 backness=-1",
    "OW": "voicing=1 height=0 backness=0.9 rounding=0.8 > voicing=1 height=0.7 backness=1 rounding=1",
    "OY": "voicing=1 height=-0.4 backness=1 rounding=0.9 > voicing=1 height=0.8 backness=-0.8",
    "UH": "voicing=1 height=0.6 backness=0.6 rounding=0.6",
    "UW": "voicing=1 height=1 backness=0.8 rounding=1",
    "P": "lips=1 stop=1 > lips=0.3 frication=0.4",
    "B": "lips=1 stop=1 voicing=0.8 > lips=0.3 voicing=1",
    "T": "tip=1 stop=1 > tip=0.3 frication=0.4",
    "D": "tip=1 stop=1 voicing=0.8 > tip=0.3 voicing=1",
    "K": "body=1 stop=1 backness=0.5 > body=0.3 frication=0.4",
    "G": "body=1 stop=1 backness=0.5 voicing=0.8 > body=0.3 voicing=1",
    "CH": "tip=1 tip_place=0.8 stop=1 > tip=0.7 tip_place=1 frication=1 rounding=0.3",
    "JH": "tip=1 tip_place=0.8 stop=1 voicing=0.8 > tip=0.7 tip_place=1 frication=0.8 rounding=0.3 voicing=1",
    "F": "lips=0.7 frication=0.8",
    "V": "lips=0.7 frication=0.6 voicing=1",
    "TH": "tip=0.7 tip_place=-1 frication=0.6",
    "DH": "tip=0.7 tip_place=-1 frication=0.4 voicing=1",
    "S": "tip=0.8 frication=1",
    "Z": "tip=0.8 frication=0.8 voicing=1",
    "SH": "tip=0.7 tip_place=1 frication=1 rounding=0.4",
    "ZH": "tip=0.7 tip_place=1 frication=0.8 rounding=0.4 voicing=1",
    "HH": "frication=0.5 body=-0.3",
    "M": "lips=1 voicing=1 nasality=1",
    "N": "tip=1 voicing=1 nasality=1",
    "NG": "body=1 voicing=1 nasality=1 backness=0.5",
    "L": "tip=0.8 lateral=1 voicing=1",
    "R": "tip=0.4 tip_place=0.6 rhotic=1 rounding=0.5 voicing=1",
    "W": "lips=0.4 rounding=1 body=0.5 height=0.8 backness=0.8 voicing=1",
    "Y": "body=0.5 height=1 backness=-1 tip=0.2 voicing=1",
    "|": "effort=0.4",  # the mouth comes to rest after a word
}

_DURATIONS = {  # relative to the mean phoneme
    "AA AO AE": 1.35,
    "AW AY OY EY OW": 1.5,
    "IY UW ER": 1.25,
    "AH EH IH UH": 1.0,
    "P T K": 0.9,
    "B D G": 0.8,
    "CH JH": 1.1,
    "F TH S SH": 1.1,
    "V DH Z ZH": 0.85,
    "HH": 0.75,
    "M N NG": 0.85,
    "L R W Y": 0.8,
    "|": 0.8,
}


def _read_target(text: str) -> FloatArray:
    values = {"effort": 1.0}
    for item in text.split():
        name, _, degree = item.partition("=")
        values[name] = float(degree)
    return np.array([values.pop(name, 0.0) for name in ARTICULATORS], dtype=np.float32)


def _read_targets() -> FloatArray:
    """(classes, 2 parts, articulators)."""
    table = np.zeros((len(T15), 2, len(ARTICULATORS)), dtype=np.float32)
    for symbol, text in _TARGETS.items():
        first, _, second = text.partition(">")
        table[T15.symbols.index(symbol)] = _read_target(first), _read_target(second or first)
    return table


TARGETS = _read_targets()
RELATIVE_DURATION = np.zeros(len(T15))
for _symbols, _duration in _DURATIONS.items():
    RELATIVE_DURATION[[T15.symbols.index(s) for s in _symbols.split()]] = _duration


def movement_response(frame_ms: float, speed: float = 1.0) -> FloatArray:
    """How each articulator answers a step of its target in every frame after it: (articulators, frames), sum 1.

    A critically damped second-order system, as in the task dynamics of speech (Saltzman & Munhall 1989): with natural
    frequency w the step response is 1 - (1 + w t) exp(-w t). `speed` multiplies every w.
    """
    w = speed / np.array(MOVEMENT_MS)[:, None]
    t = frame_ms * np.arange(25)
    step = 1 - (1 + w * t) * np.exp(-w * t)
    response = np.diff(step, axis=1)
    return np.asarray(response / response.sum(axis=1, keepdims=True), dtype=np.float32)
