"""A lock that a spoken phrase opens: how often it is found, and how often other speech opens it.

    python benchmarks/lock.py --make OUT                      # simulates the harder recordings and trains on them
    python benchmarks/lock.py --run OUT/run --preset harder [--openings 400] [--hours 10]
    python benchmarks/lock.py --run DEMO/live --preset demo   # of mode-ssm demo --live

The recordings are new blocks of the sessions that the network was trained on. An opening is a trial in which the phrase
is said, every other one between other words; it is found where the lock opens in it. False openings are those in
sentences without the phrase, of the preset's corpora, whose posteriors one spotter hears one after another without a
break. A near miss is the phrase with one word replaced by another of the lexicon. The network goes over whole trials in
batches, which for a causal one gives what a stream gives; the spotter hears frame by frame. The threshold was chosen on
the phrases of `--phrases tuning`. Adds to benchmarks/results/lock.json, and writes lock.md.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import kept
import numpy as np
import torch
from numpy.typing import NDArray

from mode_ssm.batch import Trial, TrialKey, collate
from mode_ssm.config import LockConfig, SimulateConfig, TrainConfig
from mode_ssm.decoding.greedy import CTCStream
from mode_ssm.labels import T15
from mode_ssm.live.events import Floats
from mode_ssm.live.spotting import PhraseSpotter
from mode_ssm.recognition.network import Recogniser, load_recogniser
from mode_ssm.scoring import ErrorRate, edit_counts, total
from mode_ssm.settings import read_settings
from mode_ssm.simulation import simulate
from mode_ssm.simulation.corpus import SentenceSource
from mode_ssm.simulation.labels import PlannedTrial
from mode_ssm.simulation.lexicon import LEXICON, pronounce, read_lexicon
from mode_ssm.simulation.plan import BLOCK_TRIALS, PlannedSession, plan_sessions
from mode_ssm.simulation.presets import PRESETS, Sentences, SessionSize
from mode_ssm.simulation.session import RecordedTrial, SessionRecorder
from mode_ssm.training.loop import train

FRAMES_A_SECOND = 50
THRESHOLDS = (0.5, 1.0, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 4.0)
PHRASES = {
    ("harder", "tuning"): ("turn the radio on", "beautiful orange boots", "wait for the taxi", "quiet library"),
    ("harder", "test"): (
        "open the lock",
        "yellow umbrella",
        "please listen to my voice",
        "hungry spider",
        "nineteen frozen ducks",
        "my computer can listen",
        "thursday morning traffic",
        "good night moon",
    ),
    ("demo", "tuning"): ("the music will help me", "my kind computer"),
    ("demo", "test"): (
        "my computer will help me now",
        "they like my kind nurse",
        "music is my family",
        "water the nurse",
    ),
}
SETTINGS = LockConfig()
FIRST_BLOCK = {"openings": 1000, "near misses": 3000, "speech": 5000}  # beyond those that networks were trained on
PAUSE = 25  # encoder frames between two openings that count as two


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--preset", default="harder", choices=("harder", "demo"))
    parser.add_argument("--phrases", default="test", choices=("test", "tuning"))
    parser.add_argument("--openings", type=int, default=400, help="of each phrase")
    parser.add_argument("--near", type=int, default=100, help="near misses of each phrase")
    parser.add_argument("--hours", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the recordings that the network was trained on")
    options = parser.parse_args()
    add_harder_preset()
    torch.set_num_threads(1)
    if options.make is not None:
        make(options.make)
        return
    recogniser = load_recogniser(str(options.run))
    recordings = Recordings(options.preset, options.seed)
    phrases = PHRASES[options.preset, options.phrases]
    said = {phrase: openings(recogniser, recordings, phrase, place, options) for place, phrase in enumerate(phrases)}
    speech = other_speech(recogniser, recordings, phrases, options.hours)
    for phrase in phrases:
        said[phrase]["false"] = speech["false"][phrase]
    path = kept.RESULTS / "lock.json"
    figures = kept.read(path)
    figures[f"{options.preset}, {options.phrases}"] = {
        "phrases": said,
        "hours": speech["hours"],
        "per": speech["per"],
        "seed": options.seed,
    }
    kept.write(path, figures, table(figures))


def add_harder_preset() -> None:
    """The demo's pace; everyday sentences, half of them random words; targets, electrodes and noise nearer to T15's."""
    demo = PRESETS["demo"]
    PRESETS["harder"] = replace(
        demo,
        sessions=tuple(SessionSize(date, 260, 30, 0) for date in ("2023.08.11", "2023.08.13", "2023.08.18")),
        sentences=Sentences(corpora={"small vocabulary": 0.3, "everyday": 0.7}, random_share=0.5, words=(3, 8)),
        speech=replace(demo.speech, rate_spread=0.15, target_spread=0.25),
        electrodes=replace(demo.electrodes, tuning=0.65, shared_noise=0.2, dead_share=0.05, wander=0.1),
    )


def make(out: Path) -> None:
    simulate(read_settings(SimulateConfig, [f"out={out / 'data'}", "preset=harder"]))
    stage = "training.stages=[{name: ctc, epochs: 9, ctc_weight: 1.0, rnnt_weight: 0.0}]"
    causal = ["experiment=demo", "encoder.direction=causal", "preprocessor.smoothing=causal"]
    place = [f"data.data_root={out / 'data'}", f"output_dir={out / 'run'}", "training.accelerator=cpu"]
    train(read_settings(TrainConfig, [*causal, stage, *place]))


class Recordings:
    """New trials of the sessions that a network was trained on."""

    def __init__(self, preset: str, seed: int) -> None:
        self._config = read_settings(SimulateConfig, ["out=nowhere", f"preset={preset}", f"seed={seed}"])
        self._preset, self._sessions = plan_sessions(self._config)
        self._lexicon = read_lexicon(LEXICON)
        self.source = SentenceSource(self._lexicon, self._preset.sentences)

    @property
    def corpora(self) -> dict[str, float]:
        return self._preset.sentences.corpora

    def pronounce(self, sentence: str) -> tuple[int, ...]:
        return pronounce(sentence, self._lexicon)

    def words(self) -> list[str]:
        """Of the corpora that the network was trained on."""
        return sorted({word for corpus in self.corpora for word in self.source.vocabularies[corpus]})

    def record(self, sentences: Sequence[str], first_block: int) -> Iterator[tuple[str, RecordedTrial]]:
        """Each sentence said once, with its session; blocks of them go round the sessions."""
        days = [session.day for session in self._sessions]
        for number, start in enumerate(range(0, len(sentences), BLOCK_TRIALS)):
            session = self._sessions[number % len(self._sessions)]
            block = first_block + number
            trials = tuple(
                PlannedTrial("test", block, place, sentence, self.pronounce(sentence))
                for place, sentence in enumerate(sentences[start : start + BLOCK_TRIALS])
            )
            before = [day for day in days if day <= session.day]
            recorder = SessionRecorder(PlannedSession(session.name, trials), before, self._preset, self._config)
            for recorded in recorder.record(trials):
                yield session.name, recorded


class Heard(NamedTuple):
    """A trial, as the network heard it."""

    session: str
    recorded: RecordedTrial
    ctc: Floats  # (S, V) log-probabilities


@torch.inference_mode()
def hear(recogniser: Recogniser, trials: Iterable[tuple[str, RecordedTrial]]) -> Iterator[Heard]:
    """In the order given, 50 at once."""
    waiting: list[tuple[str, RecordedTrial]] = []
    for trial in trials:
        waiting.append(trial)
        if len(waiting) == BLOCK_TRIALS:
            yield from _heard(recogniser, waiting)
            waiting = []
    if waiting:
        yield from _heard(recogniser, waiting)


def _heard(recogniser: Recogniser, trials: list[tuple[str, RecordedTrial]]) -> Iterator[Heard]:
    batch = collate(
        [
            Trial(TrialKey(session, "test", "", 0, 0), torch.from_numpy(recorded.features), None, None)
            for session, recorded in trials
        ],
        recogniser.session_index,
    )
    frames, lengths = recogniser.model.encode(batch)
    ctc = recogniser.model.ctc_log_probs(frames).numpy()
    for (session, recorded), row, length in zip(trials, ctc, lengths.tolist(), strict=True):
        yield Heard(session, recorded, row[:length])


def sentences(recordings: Recordings, phrase: str, number: int, rng: np.random.Generator) -> list[str]:
    """With the phrase: every other one alone, the others with up to two words of the corpora before and after it."""
    words = recordings.words()
    around = [[" ".join(rng.choice(words, rng.integers(3))) for _ in range(2)] for _ in range(number)]
    return [phrase if place % 2 == 0 else f"{a} {phrase} {b}".strip() for place, (a, b) in enumerate(around)]


def near_misses(recordings: Recordings, phrase: str, number: int, rng: np.random.Generator) -> list[str]:
    """The phrase with one word replaced by another that sounds otherwise."""
    own = phrase.split()
    found: list[str] = []
    while len(found) < number:
        changed = list(own)
        changed[rng.integers(len(own))] = str(rng.choice(recordings.words()))
        if recordings.pronounce(" ".join(changed)) != recordings.pronounce(phrase):
            found.append(" ".join(changed))
    return found


def spotter(recogniser: Recogniser, spellings: Sequence[Sequence[int]], threshold: float) -> PhraseSpotter:
    frames = round(1000 * SETTINGS.within_seconds / recogniser.frame_ms)
    return PhraseSpotter(spellings, T15, threshold, frames)


def spelling(recordings: Recordings, phrase: str) -> list[int]:
    return [label for label in recordings.pronounce(phrase) if label != T15.boundary]


def openings(
    recogniser: Recogniser, recordings: Recordings, phrase: str, place: int, options: argparse.Namespace
) -> dict[str, Any]:
    """What becomes of trials with the phrase, and of its near misses."""
    rng = np.random.default_rng(place)
    said = sentences(recordings, phrase, options.openings, rng)
    near = near_misses(recordings, phrase, options.near, rng)
    costs, delays, leaked = [], [], 0
    for heard in hear(recogniser, recordings.record(said, FIRST_BLOCK["openings"] + 100 * place)):
        costs.append(cheapest(recogniser, recordings, phrase, heard))
        fired = opened_at(recogniser, recordings, phrase, heard)
        if fired is not None:
            delays.append((fired - last_frame(recordings, phrase, heard.recorded)) / FRAMES_A_SECOND)
            if heard.recorded.trial.sentence == phrase:
                leaked += phonemes_after(recogniser, heard, fired) > 0
    missed = hear(recogniser, recordings.record(near, FIRST_BLOCK["near misses"] + 100 * place))
    near_costs = [cheapest(recogniser, recordings, phrase, heard) for heard in missed]
    return {
        "phonemes": len(spelling(recordings, phrase)),
        "openings": len(costs),
        "found": {str(most): int(np.sum(np.array(costs) <= most)) for most in THRESHOLDS},
        "near misses": len(near_costs),
        "near misses that open": {str(most): int(np.sum(np.array(near_costs) <= most)) for most in THRESHOLDS},
        "delay, least (s)": float(min(delays)),
        "delay, median (s)": float(np.median(delays)),
        "delay, 95 % (s)": float(np.quantile(delays, 0.95)),
        "opened before its last phoneme was over": int(np.sum(np.array(delays) < 0)),
        "with phonemes after an opening by the phrase alone": int(leaked),
    }


def cheapest(recogniser: Recogniser, recordings: Recordings, phrase: str, heard: Heard) -> float:
    """Nats a phoneme of the best path of a trial."""
    never = spotter(recogniser, [spelling(recordings, phrase)], 0.0)
    return min(-float(_score(never, frame)[0]) for frame in heard.ctc)


def _score(spotting: PhraseSpotter, frame: Floats) -> NDArray[np.float64]:
    spotting.hear(frame)
    return spotting.scores


def opened_at(recogniser: Recogniser, recordings: Recordings, phrase: str, heard: Heard) -> int | None:
    """The feature frame after which the lock opens in a trial; None where it does not, or at its end."""
    spotting = spotter(recogniser, [spelling(recordings, phrase)], SETTINGS.threshold)
    fired = next((place for place, frame in enumerate(heard.ctc) if spotting.hear(frame)), None)
    preprocessor = recogniser.checkpoint.config.preprocessor
    return None if fired is None else preprocessor.patch_frames + fired * preprocessor.stride_frames


def last_frame(recordings: Recordings, phrase: str, recorded: RecordedTrial) -> int:
    """The feature frame with which the last phoneme of the phrase ends."""
    whole, labels = recordings.pronounce(phrase), recorded.trial.labels
    first = next(n for n in range(len(labels)) if labels[n : n + len(whole)] == whole)
    segment = 1 + 2 * (first + len(whole) - 2)
    return int(recorded.utterance.frames[: segment + 1].sum())


def phonemes_after(recogniser: Recogniser, heard: Heard, frame: int) -> int:
    """How many a network that begins there hears in the rest of a trial."""
    left = replace(heard.recorded, features=heard.recorded.features[frame:])
    if len(left.features) < recogniser.checkpoint.config.preprocessor.patch_frames:
        return 0
    (again,) = hear(recogniser, [(heard.session, left)])
    return sum(label != T15.boundary for label in greedy(again.ctc))


def greedy(ctc: Floats) -> list[int]:
    return [emission.label for emission in CTCStream(T15.blank).extend(torch.from_numpy(ctc))]


def other_speech(
    recogniser: Recogniser, recordings: Recordings, phrases: Sequence[str], hours: float
) -> dict[str, Any]:
    """How often sentences without the phrases open the lock, and the error rate of the first thousand."""
    rng = np.random.default_rng(0)
    whole = [recordings.pronounce(phrase) for phrase in phrases]
    together = spotter(recogniser, [spelling(recordings, phrase) for phrase in phrases], 0.0)
    frames, block = 0, FIRST_BLOCK["speech"]
    costs: list[NDArray[np.float64]] = []
    errors: list[ErrorRate] = []
    while frames < hours * 3600 * FRAMES_A_SECOND:
        said = [sentence for sentence in drawn(recordings, rng) if not holds(recordings.pronounce(sentence), whole)]
        for heard in hear(recogniser, recordings.record(said, block)):
            frames += len(heard.recorded.features)
            costs += [-_score(together, frame) for frame in heard.ctc]
            if len(errors) < 1000:
                errors.append(edit_counts(list(heard.recorded.trial.labels), greedy(heard.ctc)))
        block += len(said) // BLOCK_TRIALS + 1
        print(f"{frames / FRAMES_A_SECOND / 3600:.2f} hours", flush=True)
    table = np.array(costs)
    false = {
        phrase: {str(most): times(table[:, place] <= most) for most in THRESHOLDS}
        for place, phrase in enumerate(phrases)
    }
    return {"hours": frames / FRAMES_A_SECOND / 3600, "per": total(errors).rate, "false": false}


def drawn(recordings: Recordings, rng: np.random.Generator) -> list[str]:
    corpora = recordings.corpora
    chosen = rng.choice(list(corpora), size=600, p=list(corpora.values()))
    return [recordings.source.draw(str(corpus), rng)[0] for corpus in chosen]


def holds(labels: tuple[int, ...], phrases: Sequence[tuple[int, ...]]) -> bool:
    return any(labels[n : n + len(phrase)] == phrase for phrase in phrases for n in range(len(labels)))


def times(over: np.ndarray[Any, Any]) -> int:
    """How often a lock opens that would in each of these frames."""
    places = np.flatnonzero(over)
    return int(len(places) > 0) + int(np.sum(np.diff(places) > PAUSE))


def table(figures: dict[str, Any]) -> str:
    lines = [
        "# The lock",
        "",
        "`python benchmarks/lock.py --make OUT`, then `python benchmarks/lock.py --run OUT/run --preset harder`, and "
        "with `--phrases tuning`; `--run DEMO/live --preset demo` of `mode-ssm demo --live`. Simulated recordings, one "
        f"network each, seed 0. Threshold {SETTINGS.threshold} nats a phoneme, chosen on the tuning phrases.",
    ]
    for name, found in figures.items():
        lines += ["", *_section(name, found)]
    return "\n".join(lines) + "\n"


def _section(name: str, found: dict[str, Any]) -> list[str]:
    chosen, phrases = str(SETTINGS.threshold), found["phrases"]
    lines = [
        f"## {name} phrases",
        "",
        f"PER {100 * found['per']:.1f} %. False openings in {found['hours']:.1f} hours of other speech.",
        "",
        "| phrase | phonemes | openings found | false openings | near misses that open | opens after its end, median "
        "| 95 % | before its end | phonemes told after it |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for phrase, row in phrases.items():
        lines.append(
            f"| {phrase} | {row['phonemes']} | {row['found'][chosen]} of {row['openings']} | {row['false'][chosen]} | "
            f"{row['near misses that open'][chosen]} of {row['near misses']} | {row['delay, median (s)']:.2f} s | "
            f"{row['delay, 95 % (s)']:.2f} s | {row['opened before its last phoneme was over']} | "
            f"{row['with phonemes after an opening by the phrase alone']} |"
        )
    lines += [
        "",
        "| threshold | openings found, mean (least) | false openings, mean (most) | near misses that open |",
        "|--:|--:|--:|--:|",
    ]
    for most in map(str, THRESHOLDS):
        shares = [100 * row["found"][most] / row["openings"] for row in phrases.values()]
        false = [row["false"][most] for row in phrases.values()]
        near = [100 * row["near misses that open"][most] / row["near misses"] for row in phrases.values()]
        lines.append(
            f"| {most} | {np.mean(shares):.2f} % ({min(shares):.2f} %) | {np.mean(false):.2f} ({max(false)}) | "
            f"{np.mean(near):.1f} % |"
        )
    return lines


if __name__ == "__main__":
    main()
