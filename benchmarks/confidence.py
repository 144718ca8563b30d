"""Times, confidences and alternatives of words, beside what a simulation knows.

    python benchmarks/confidence.py --run RUN --lm LM --learn DIR --unseen DIR [--noise SD] [--decoders ctc rnnt joint]

DIR are folders of `mode-ssm simulate` with one set of sessions and other sentences, whose val splits are searched at
the default weights. `--noise` adds white noise of that standard deviation to the recordings, for there must be wrong
words. A confidence is learnt on the first and measured on the second. Times are of the words that are right, beside the
simulator's phonemes; a wrong word's alternatives are right where the word said, or none where none was said, is among
the first five.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import kept
import numpy as np
import torch
from rapidfuzz.distance import Levenshtein

from mode_ssm.batch import FRAME_MS
from mode_ssm.commands.word_results import word_errors_of
from mode_ssm.config import DataConfig, WordDecoder, WordSearchConfig
from mode_ssm.data import spread
from mode_ssm.labels import T15
from mode_ssm.language.confidence import auroc, calibration_error
from mode_ssm.language.model import WordModel, load_word_model
from mode_ssm.language.pool import CTCWordPool
from mode_ssm.language.search import Found, search_ctc, search_transducer
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.trie import build_tree
from mode_ssm.language.word_places import WIDE, WordPlaces, add_slots, judged_words, learn_confidence, slots_of_words
from mode_ssm.language.word_times import frame_clock
from mode_ssm.recognition.ensemble import Ensemble, load_ensemble
from mode_ssm.scoring import normalise_sentence, total

FIVE = 5


@dataclass
class Setting:
    ensemble: Ensemble
    model: WordModel
    lm: str
    sentences: int | None
    noise: float

    def search(self, root: Path, decoder: WordDecoder) -> list[Found]:
        """Of the val split; of some sentences, evenly spread, where the setting says so."""
        return self.find(self.heard(root, decoder), decoder, WordSearchConfig())

    def heard(self, root: Path, decoder: WordDecoder) -> list[SpokenTrial]:
        with TemporaryDirectory() as folder:
            noisy(root, Path(folder), self.noise)
            data = DataConfig(data_root=folder, num_workers=0)
            batches = list(self.ensemble.encode(data, "val", 16, for_transducer=decoder is not WordDecoder.ctc))
        return spread([trial for batch in batches for trial in batch], self.sentences)

    def find(self, trials: list[SpokenTrial], decoder: WordDecoder, settings: WordSearchConfig) -> list[Found]:
        if decoder is WordDecoder.ctc:
            with CTCWordPool(self.model, self.lm, 0) as pool:
                return search_ctc(trials, pool, settings, WIDE)
        tree, transducer = build_tree(self.model), self.ensemble.transducer
        groups = [trials[start : start + 16] for start in range(0, len(trials), 16)]
        return list(search_transducer(groups, self.model, tree, transducer, decoder, settings, WIDE))


def noisy(root: Path, folder: Path, noise: float) -> None:
    """The val splits with noise added; the seed of a session is its place."""
    for place, file in enumerate(sorted(root.glob("*/data_val.hdf5"))):
        (folder / file.parent.name).mkdir()
        random = np.random.default_rng(place)
        with h5py.File(file) as there, h5py.File(folder / file.parent.name / file.name, "w") as here:
            for name, group in there.items():
                there.copy(group, here)
                features = here[name]["input_features"]
                values = features[:]
                features[:] = values + noise * random.standard_normal(values.shape, dtype=np.float32)


def true_times(root: Path, found: Found) -> list[tuple[float, float]]:
    """Start and end of each word in seconds, by the simulator's phoneme of every frame."""
    key = found.trial.key
    with h5py.File(root / key.session / "truth.hdf5") as file:
        labels = file[f"{key.split}/{key.group}/alignment"][:].astype(int)
    changes = np.flatnonzero(np.diff(labels, prepend=-1))
    words: list[list[float]] = [[]]
    for start, end in zip(changes, [*changes[1:], len(labels)], strict=True):
        if labels[start] == T15.boundary:
            words.append([])
        elif labels[start] != T15.blank:
            words[-1] += [start * FRAME_MS / 1000, end * FRAME_MS / 1000]
    return [(word[0], word[-1]) for word in words if word]


def time_errors(root: Path, found: Found) -> Iterator[tuple[float, float]]:
    """Of each right word, by how much its start and its end are too late, in seconds."""
    said, slots = normalise_sentence(found.trial.sentence or "").split(), slots_of_words(found.slots)
    true = true_times(root, found)
    if len(true) != len(said):  # a word that is none in the text, or several
        return
    for step in Levenshtein.opcodes(said, [normalise_sentence(slot.word) for slot in slots]):
        for place in range(step.src_end - step.src_start if step.tag == "equal" else 0):
            time = slots[step.dest_start + place].time
            assert time is not None
            start, end = true[step.src_start + place]
            yield time.start - start, time.end - end


def measure(setting: Setting, learn: Path, unseen: Path, decoder: WordDecoder) -> dict[str, Any]:
    """Figures of one decoder."""
    clock = frame_clock(setting.ensemble.recognisers[0].checkpoint.config)
    places = WordPlaces(setting.model, WordSearchConfig(), clock, heard=setting.ensemble.heard)
    confidence = learn_confidence(setting.search(learn, decoder), places)
    if confidence is None:
        raise SystemExit("Too few words are wrong to learn a confidence; add --noise.")
    found = add_slots(setting.search(unseen, decoder), places, confidence)
    judged = [(word, slots_of_words(one.slots)[word.place]) for one in found for word in judged_words(one)]
    right = np.array([word.right for word, _ in judged])
    raw = np.array([slot.posterior for _, slot in judged])
    sure = np.array([confidence(value) for value in raw])
    wrong = [(word.said or "", slot.alternatives[:FIVE]) for word, slot in judged if not word.right]
    known = sum(said in [normalise_sentence(other) for other, _ in others] for said, others in wrong)
    errors = 1000 * np.array([pair for one in found for pair in time_errors(unseen, one)])
    return {
        "sentences": len(found),
        "wer": total(map(word_errors_of, found)).rate,
        "words": len(right),
        "wrong": len(wrong),
        "start_ms": float(np.median(np.abs(errors[:, 0]))),
        "end_ms": float(np.median(np.abs(errors[:, 1]))),
        "timed_words": len(errors),
        "ece": calibration_error(sure, right),
        "ece_raw": calibration_error(raw, right),
        "auroc": auroc(sure, right),
        "true_among_five": known / max(len(wrong), 1),
        "temperature": confidence.temperature,
        "learnt_on": confidence.words,
    }


def table(figures: dict[str, dict[str, Any]], noise: float) -> str:
    """Markdown."""
    head = (
        "decoder | sentences | WER % | words, wrong | start, ms | end, ms | of words | ECE | raw ECE | AUROC | in 5, %"
    )
    lines = [f"Noise of {noise:g} added.", "", f"| {head} |", "|---" * 11 + "|"]
    for decoder, one in figures.items():
        lines.append(
            f"| {decoder} | {one['sentences']} | {100 * one['wer']:.1f} | {one['words']}, {one['wrong']} "
            f"| {one['start_ms']:.0f} | {one['end_ms']:.0f} | {one['timed_words']} | {one['ece']:.3f} "
            f"| {one['ece_raw']:.3f} | {one['auroc']:.3f} | {100 * one['true_among_five']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "lm", "learn", "unseen"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--sentences", type=int, help="of each folder at most, evenly spread")
    parser.add_argument(
        "--decoders", nargs="+", default=["ctc", "rnnt", "joint"], choices=[d.value for d in WordDecoder]
    )
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    ensemble = load_ensemble(asked.run, None)
    model = load_word_model(asked.lm, ensemble.recognisers[0].checkpoint.labels)
    setting = Setting(ensemble, model, asked.lm, asked.sentences, asked.noise)
    file = kept.file_of("confidence", torch.device("cpu"))
    figures = kept.read(file).get("decoders", {})
    for decoder in asked.decoders:
        figures[decoder] = measure(setting, Path(asked.learn), Path(asked.unseen), WordDecoder(decoder))
        kept.write(file, {"noise": asked.noise, "decoders": figures}, table(figures, asked.noise))


if __name__ == "__main__":
    main()
