"""Hours with pauses: speech found by the network itself, beside trials that were cut by the simulator.

    python benchmarks/listening.py --run RUN --lm LM [--minutes 60] [--preset demo] [--simulate KEY=VALUE ...]

RUN is a causal network trained on the preset's recordings, LM its language model (mode-ssm demo --live makes both). The
val trials of its sessions are played one after another, again and again, each after a rest of its own length in which
the simulated electrodes go on and nobody speaks. Thresholds are those that `mode-ssm listening RUN` learnt, where it
did. Phonemes of the pieces of speech that were found are compared with those of the trials that they overlap; what
overlaps none is false. Writes benchmarks/results/listening.json and .md.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import kept
import numpy as np
import torch

from mode_ssm.config import Decoder as Head
from mode_ssm.config import ListenConfig, SimulateConfig, WordSearchConfig
from mode_ssm.labels import T15
from mode_ssm.language.commitment import CommittingStream
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.trie import build_tree
from mode_ssm.language.vocabulary import load_words
from mode_ssm.live.events import Begin, Floats
from mode_ssm.live.listening import ContinuousSpeech
from mode_ssm.live.spoken import Heard, LiveWords, Said, SpokenTrials, Told
from mode_ssm.live.thresholds import thresholds_file, with_learnt
from mode_ssm.recognition.network import load_recogniser
from mode_ssm.scoring import ErrorRate, edit_counts, total
from mode_ssm.settings import read_settings
from mode_ssm.simulation.plan import plan_sessions
from mode_ssm.simulation.population import build_population
from mode_ssm.simulation.presets import Preset
from mode_ssm.simulation.recording import BlockScale, log_rates, record_features
from mode_ssm.simulation.session import RecordedTrial, SessionRecorder
from mode_ssm.simulation.speech import Mode, Utterance, move

FRAMES_A_SECOND = 50


@dataclass
class Spoken:
    """A piece of speech: as it was said, or as it was found. Times in frames of the whole."""

    begin: int
    end: int
    phonemes: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    told: int = 0  # when its end was


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--lm", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--seed", type=int, default=0, help="of the recordings that the network was trained on")
    parser.add_argument("--simulate", nargs="*", default=[], help="more settings of these, such as max_sessions=6")
    parser.add_argument("--name", default="listening", help="of the files in benchmarks/results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recogniser = load_recogniser(str(options.run))
    model = load_words(str(options.lm), recogniser.checkpoint.labels, WordSearchConfig())
    search = CTCWordSearch(model, build_tree(model), WordSearchConfig(), nbest=1)
    words = LiveWords(partial(CommittingStream, search), lambda heard: heard.ctc)
    cut = SpokenTrials(recogniser, Head.ctc, words)
    thresholds = with_learnt(ListenConfig(), thresholds_file(recogniser.checkpoint.path))
    listening = ContinuousSpeech(recogniser, Head.ctc, words, thresholds)
    said, found, cut_errors, frame, day = [], [], [], 0, ""
    listened: list[Spoken] = []
    for session, trial, rest in _endless(options):
        if frame >= options.minutes * 60 * FRAMES_A_SECOND:
            break
        sound = trial.utterance.frames
        phonemes = [T15.symbols[label] for label in trial.trial.labels]
        begin = frame + len(rest) + int(sound[0])
        said.append(Spoken(begin, frame + len(rest) + int(sound[:-1].sum()), phonemes))
        cut_errors.append(edit_counts(phonemes, _phonemes(cut, session, trial.features)))
        if session != day:
            _keep(listening.begin(Begin(session)), frame, listened)
            day = session
        for features in (rest, trial.features):
            _listen(listening, features, frame, listened)
            frame += len(features)
    _keep(listening.end(), frame, listened)
    found = [piece for piece in listened if piece.told]
    figures = _figures(said, found, cut_errors, frame) | {"preset": options.preset}
    kept.write(kept.RESULTS / f"{options.name}.json", figures, _table(figures))


def _endless(options: argparse.Namespace) -> Iterator[tuple[str, RecordedTrial, Floats]]:
    """Val trials with the rest before each, z-scored as the trials' block is."""
    config = read_settings(
        SimulateConfig, ["out=nowhere", f"preset={options.preset}", f"seed={options.seed}", *options.simulate]
    )
    preset, sessions = plan_sessions(config)
    rng = np.random.default_rng(0)
    while True:
        for session in sessions:
            days = [other.day for other in sessions if other.day <= session.day]
            recorder = SessionRecorder(session, days, preset, config)
            for block in recorder.blocks():
                if not any(trial.split == "val" for trial in block):
                    continue
                scale = BlockScale()
                trials = list(recorder.record_raw(block, scale))
                for trial in trials:
                    scale.scale(trial.features)
                    if trial.trial.split == "val":
                        rest = _rest(len(trial.features), days, preset, config, rng)
                        scale.scale(rest)
                        yield session.name, trial, rest


def _rest(
    frames: int,
    days: list[int],
    preset: Preset,
    config: SimulateConfig,
    rng: np.random.Generator,
) -> Floats:
    """(T, C) raw features while nobody speaks."""
    population = build_population(preset.electrodes, days, config.drift_days, config.seed)
    quiet = Utterance(np.array([T15.blank]), np.array([frames]), Mode.vocalised)
    rates = log_rates(move(quiet, preset.speech.target_spread, rng), population, 1.0, rng)
    return record_features(rates, population, preset.electrodes, config.spike_regularity, rng)


def _phonemes(cut: SpokenTrials, session: str, features: Floats) -> list[str]:
    cut.begin(Begin(session))
    step = cut.extend(features)
    return [] if step is None else [symbol for told in step.told if isinstance(told, Heard) for symbol in told.phonemes]


def _listen(listening: ContinuousSpeech, features: Floats, first: int, into: list[Spoken]) -> None:
    for place in range(len(features)):
        step = listening.extend(features[place : place + 1])
        if step is not None:
            _keep(step.told, first + place, into)


def _keep(several: list[Told], frame: int, into: list[Spoken]) -> None:
    for told in several:
        if isinstance(told, Begin):
            into.append(Spoken(frame, frame))
        elif isinstance(told, Heard):
            into[-1].phonemes += told.phonemes
        elif isinstance(told, Said):
            into[-1].words = list(told.words or ())
            into[-1].told = into[-1].end = frame


def _figures(said: list[Spoken], found: list[Spoken], cut: list[ErrorRate], frames: int) -> dict[str, object]:
    groups: list[tuple[list[Spoken], list[Spoken]]] = []  # trials, and the pieces that overlap them, in order
    false: list[Spoken] = []
    for piece in found:
        over = [trial for trial in said if trial.begin < piece.end and piece.begin < trial.end + FRAMES_A_SECOND]
        known = groups[-1][0] if groups else []
        if not over:
            false.append(piece)
        elif any(trial is other for trial in over for other in known):
            groups[-1][1].append(piece)
            known += [trial for trial in over if not any(trial is other for other in known)]
        else:
            groups.append((over, [piece]))
    errors = [edit_counts(_joined(trials), _joined(pieces)) for trials, pieces in groups]
    delays = [(pieces[-1].told - trials[-1].end) / FRAMES_A_SECOND for trials, pieces in groups]
    heard = {id(trial) for trials, _ in groups for trial in trials}
    left = [trial for trial in said if id(trial) not in heard]
    lost = [edit_counts(trial.phonemes, []) for trial in left]
    added = [edit_counts([], piece.phonemes) for piece in false]
    speech = sum(trial.end - trial.begin for trial in said)
    rest = (frames - speech) / FRAMES_A_SECOND / 60
    return {
        "minutes": frames / FRAMES_A_SECOND / 60,
        "trials": len(said),
        "found": len(said) - len(left),
        "pieces": len(found),
        "trials in a piece with another": sum(len(trials) for trials, _ in groups if len(trials) > 1),
        "false pieces": len(false),
        "minutes of rest": rest,
        "false words a minute of rest": sum(len(piece.words) for piece in false) / rest,
        "per cut": total(cut).rate,
        "per found": total([*errors, *lost, *added]).rate,
        "end told after, median (s)": median(delays),
        "end told after, 95 % (s)": float(np.quantile(delays, 0.95)),
    }


def _joined(several: list[Spoken]) -> list[str]:
    return [symbol for spoken in several for symbol in spoken.phonemes]


def _table(figures: dict[str, object]) -> str:
    lines = [
        "# Speech and rest",
        "",
        f"`python benchmarks/listening.py --run RUN --lm LM --minutes {figures['minutes']:.0f}`: simulated "
        f"recordings ({figures['preset']}), far easier than real ones.",
        "",
        "| | |",
        "|---|--:|",
    ]
    for name, value in figures.items():
        if isinstance(value, int | float):
            rate = name.startswith("per ")
            shown = f"{100 * value:.2f} %" if rate else f"{value:.2f}" if isinstance(value, float) else f"{value}"
            lines.append(f"| {name.replace('per ', 'PER, ')} | {shown} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
