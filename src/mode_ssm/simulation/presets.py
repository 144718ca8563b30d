"""The presets of `mode-ssm simulate`: which sessions and sentences, and how speech and electrodes behave.

`t15` has the sessions of the T15 copy-task data, and its speech and recordings are set so that the statistics of the
features are those published for T15. `small` is a tenth of it. `demo` is far easier than real recordings (short
delays, a vocabulary of 45 words, strong tuning, little noise) so that a small model learns it in minutes on a CPU; no
error rate on it says anything about real data.
"""

from dataclasses import dataclass, replace

from mode_ssm.errors import InputError
from mode_ssm.simulation.implant import T15_IMPLANT, Implant


@dataclass(frozen=True)
class SessionSize:
    """One recording day and its numbers of trials."""

    date: str  # YYYY.MM.DD
    train: int
    val: int
    test: int


@dataclass(frozen=True)
class Sentences:
    corpora: dict[str, float]  # the headings of sentences.txt, and the share of the blocks that each has
    random_share: float  # of the trials: random words of the corpus
    words: tuple[int, int]  # in a sentence of random words, least and most


@dataclass(frozen=True)
class Speech:
    """Timing and variability of attempted speech. Pairs are (vocalised, silent)."""

    silent_share: float  # of the blocks
    min_delay_ms: float
    delay_ms: float  # before the first phoneme, besides what each word adds
    delay_per_word_ms: float
    delay_spread: float  # log-normal
    tail_ms: float  # median of the silence after the last phoneme
    tail_spread: float
    phoneme_ms: tuple[float, float]
    gap_ms: tuple[float, float]  # mean silence between two words
    gap_shape: float  # of its gamma distribution
    duration_spread: float  # log-normal, of one phoneme
    rate_spread: float  # log-normal, of one trial
    target_spread: float  # sd of a phoneme's target from one time to the next
    max_frames: int  # longer sentences are spoken faster


@dataclass(frozen=True)
class Electrodes:
    """How 256 electrodes answer to the articulators."""

    tuning: float  # sd of the log rate due to speech, on an electrode of mean depth
    silent_gain: float  # of that when speech is silent
    rate_per_frame: float  # median threshold crossings in 20 ms
    rate_spread: float  # log-normal over electrodes
    dead_share: float  # at the first session
    half_life_days: float  # of a living electrode
    noisy_share: float  # high steady rates, no tuning
    shared_noise: float  # sd of the log rate due to noise that many electrodes share
    shared_rank: int
    wander: float  # sd of the log rate from trial to trial in a block
    hash_sd: float  # activity below threshold in the power, relative to the sd of the crossings
    hash_shape: float  # of its gamma distribution
    power_noise: float  # sd of what all electrodes of an array share in power and not in crossings


@dataclass(frozen=True)
class Preset:
    sessions: tuple[SessionSize, ...]
    sentences: Sentences
    speech: Speech
    electrodes: Electrodes
    participant: str = "t15"
    implant: Implant = T15_IMPLANT


_T15_SIZES = """
    2023.08.11 288/0/0    2023.08.13 348/35/35  2023.08.18 197/49/50  2023.08.20 278/48/49  2023.08.25 88/25/25
    2023.08.27 150/25/25  2023.09.01 297/49/50  2023.09.03 322/34/35  2023.09.24 245/35/35  2023.09.29 153/48/49
    2023.10.01 218/44/45  2023.10.06 174/36/37  2023.10.08 284/17/18  2023.10.13 155/44/45  2023.10.15 239/44/45
    2023.10.20 98/9/9     2023.10.22 134/33/40  2023.11.03 149/50/50  2023.11.04 80/15/15   2023.11.17 100/25/25
    2023.11.19 60/20/20   2023.11.26 198/44/45  2023.12.03 228/34/34  2023.12.08 198/50/50  2023.12.10 131/25/25
    2023.12.17 135/30/20  2023.12.29 198/50/50  2024.02.25 193/23/24  2024.03.03 219/0/0    2024.03.08 163/24/25
    2024.03.15 239/48/49  2024.03.17 246/48/49  2024.04.25 364/0/0    2024.04.28 150/0/0    2024.05.10 110/25/25
    2024.06.14 90/25/25   2024.07.19 169/48/49  2024.07.21 160/46/47  2024.07.28 161/48/49  2025.01.10 106/23/24
    2025.01.12 163/47/48  2025.03.14 59/24/25   2025.03.16 101/24/24  2025.03.30 165/30/36  2025.04.13 69/25/25
"""


def _read_sizes(text: str) -> tuple[SessionSize, ...]:
    items = text.split()
    counts = [tuple(map(int, c.split("/"))) for c in items[1::2]]
    return tuple(SessionSize(date, *count) for date, count in zip(items[::2], counts, strict=True))


_T15 = Preset(
    sessions=_read_sizes(_T15_SIZES),
    sentences=Sentences(corpora={"everyday": 0.9, "small vocabulary": 0.1}, random_share=0.5, words=(3, 10)),
    speech=Speech(
        silent_share=0.12,
        min_delay_ms=1000,
        delay_ms=1000,
        delay_per_word_ms=400,
        delay_spread=0.3,
        tail_ms=1700,
        tail_spread=0.25,
        phoneme_ms=(175, 130),
        gap_ms=(1480, 800),
        gap_shape=4.0,
        duration_spread=0.25,
        rate_spread=0.15,
        target_spread=0.25,
        max_frames=2475,
    ),
    electrodes=Electrodes(
        tuning=0.5,
        silent_gain=0.8,
        rate_per_frame=0.4,
        rate_spread=0.6,
        dead_share=0.05,
        half_life_days=2500,
        noisy_share=0.03,
        shared_noise=0.35,
        shared_rank=12,
        wander=0.1,
        hash_sd=0.75,
        hash_shape=2.0,
        power_noise=0.03,
    ),
)

_DEMO = Preset(
    sessions=_read_sizes("2023.08.11 80/16/0  2023.08.13 80/16/0  2023.08.18 80/16/0"),
    sentences=Sentences(corpora={"small vocabulary": 1.0}, random_share=0.3, words=(2, 5)),
    speech=replace(
        _T15.speech,
        silent_share=0.0,
        min_delay_ms=200,
        delay_ms=300,
        delay_per_word_ms=50,
        tail_ms=400,
        phoneme_ms=(170, 130),
        gap_ms=(350, 250),
        rate_spread=0.1,
        target_spread=0.1,
        max_frames=600,
    ),
    electrodes=replace(_T15.electrodes, tuning=0.8, shared_noise=0.05, dead_share=0.02, wander=0.05),
)

PRESETS = {
    "demo": _DEMO,
    "small": replace(
        _T15,
        sessions=_read_sizes(
            "2023.08.11 288/0/0  2023.08.13 150/20/20  2023.08.18 100/25/25  2023.09.03 100/25/25  "
            "2023.11.03 100/25/25  2024.03.08 100/25/25  2024.07.19 100/25/25  2025.01.10 80/25/25"
        ),
    ),
    "t15": _T15,
}


def find_preset(name: str) -> Preset:
    """
    Raises:
        InputError: on a name that is none of the presets.
    """
    if name not in PRESETS:
        raise InputError(f"There is no preset '{name}'; set preset to one of {', '.join(PRESETS)}.")
    return PRESETS[name]
