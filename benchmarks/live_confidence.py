"""How sure words are that were committed while one spoke, beside those of whole trials that a confidence is learnt on.

    python benchmarks/live_confidence.py --run RUN --lm LM --data DIR [--sentences 150] [--noise SD] [--decoders D ...]

RUN is a causal network trained on simulated recordings of the preset demo, LM its language model (mode-ssm demo --live
makes both). Sentences of its training are simulated anew into DIR,
again and again where there are too few: half of them to learn a confidence on by a search of
whole trials, as mode-ssm tune does, half to measure it on: in whole trials, and in streams at the default rules of
commitment, whose hypotheses without the committed words are gone when the trial ends. Writes
benchmarks/results/live_confidence.json and .md.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import kept
import numpy as np
import torch
from confidence import Setting
from sentences import Said, record

from mode_ssm.batch import Trial
from mode_ssm.config import LiveConfig, WordDecoder, WordSearchConfig
from mode_ssm.language.commitment import CommittingStream, lag_frames
from mode_ssm.language.confidence import auroc, calibration_error, judge
from mode_ssm.language.model import load_word_model
from mode_ssm.language.search import word_search
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.transducer_search import TransducerFrames
from mode_ssm.language.trie import build_tree
from mode_ssm.language.word_places import WIDE, WordPlaces, add_slots, judged_words, learn_confidence, slots_of_words
from mode_ssm.language.word_windows import finished
from mode_ssm.live.sureness import Sureness
from mode_ssm.recognition.ensemble import load_ensemble
from mode_ssm.recognition.network import Recogniser
from mode_ssm.recognition.searches import transducer_callables

Judged = tuple[bool, float]  # of a word: whether it is right, and its confidence


def sentences_of(recogniser: Recogniser, count: int) -> list[Said]:
    """Of those that the network was trained on, in an order drawn by lot; again and again where there are too few."""
    dataset = recogniser.open(recogniser.checkpoint.config.data, "train")
    trials = [dataset[place] for place in range(len(dataset.entries))]
    said = {
        (recogniser.checkpoint.labels.text(trial.labels.tolist()), trial.sentence or "")
        for trial in trials
        if isinstance(trial, Trial) and trial.labels is not None
    }
    drawn = Random(0).sample(sorted(said), len(said))
    return [drawn[place % len(drawn)] for place in range(count)]


def in_streams(
    setting: Setting, trials: Sequence[SpokenTrial], decoder: WordDecoder, sureness: Sureness
) -> Iterator[Judged]:
    recogniser = setting.ensemble.recognisers[0]
    model, rules = setting.model, LiveConfig(checkpoint="", source="")
    tree, transducer = build_tree(model), transducer_callables(recogniser.model)
    search = word_search(model, tree, transducer, decoder, WordSearchConfig(), WIDE)
    lag = lag_frames(rules.commit_seconds, recogniser.frame_ms)
    for trial in trials:
        stream = CommittingStream(search, rules.commit_share, lag)
        frames = TransducerFrames(trial.encoded, trial.ctc if decoder is WordDecoder.joint else None)
        stream.step(trial.ctc if decoder is WordDecoder.ctc else frames)
        found = stream.end()
        sure = finished(sureness([trial.ctc], found))
        assert sure.confidences is not None, "one was learnt"
        for word in judge(trial.sentence or "", found[0].words if found else ()):
            yield word.right, sure.confidences[word.place]


def measure(setting: Setting, learn: Path, unseen: Path, decoder: WordDecoder) -> dict[str, Any]:
    """Figures of one decoder."""
    places = WordPlaces(setting.model, WordSearchConfig(), None, heard=setting.ensemble.heard)
    confidence = learn_confidence(setting.search(learn, decoder), places)
    if confidence is None:
        raise SystemExit("Too few words are wrong to learn a confidence; add --noise.")
    trials = setting.heard(unseen, decoder)
    sureness = Sureness(places, confidence, 5, longest=10**6)
    streamed = list(in_streams(setting, trials, decoder, sureness))
    whole = [
        (word.right, confidence(slots_of_words(one.slots)[word.place].posterior))
        for one in add_slots(setting.find(trials, decoder, WordSearchConfig()), places, confidence)
        for word in judged_words(one)
    ]
    figures = {name: figures_of(judged) for name, judged in (("whole", whole), ("streams", streamed))}
    return figures | {"sentences": len(trials), "learnt_on": confidence.words}


def figures_of(judged: Sequence[Judged]) -> dict[str, float | int]:
    right, sure = np.array([one for one, _ in judged]), np.array([one for _, one in judged])
    return {
        "words": len(right),
        "wrong": int((~right).sum()),
        "ece": calibration_error(sure, right),
        "auroc": auroc(sure, right),
    }


def table(figures: dict[str, dict[str, Any]], noise: float) -> str:
    """Markdown."""
    head = "decoder | sentences | | words, wrong | ECE | AUROC"
    lines = [
        f"Noise of {noise:g} added; learnt on whole trials.",
        "",
        f"| {head} |",
        "|---" * 6 + "|",
    ]
    for decoder, one in figures.items():
        for name in ("whole", "streams"):
            own = one[name]
            lines.append(
                f"| {decoder} | {one['sentences']} | {name} | {own['words']}, {own['wrong']} "
                f"| {own['ece']:.3f} | {own['auroc']:.3f} |"
            )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "lm", "data"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--sentences", type=int, default=150, help="to learn on, and as many to measure")
    parser.add_argument("--decoders", nargs="+", default=["ctc"], choices=[d.value for d in WordDecoder])
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    ensemble = load_ensemble(asked.run, None)
    recogniser = ensemble.recognisers[0]
    learn, unseen = Path(asked.data) / "learn", Path(asked.data) / "unseen"
    if not unseen.exists():
        said = sentences_of(recogniser, 2 * asked.sentences)
        for folder, some in ((learn, said[: asked.sentences]), (unseen, said[asked.sentences :])):
            record(folder, some, recogniser.checkpoint.sessions)
    model = load_word_model(asked.lm, recogniser.checkpoint.labels)
    setting = Setting(ensemble, model, asked.lm, asked.sentences, asked.noise)
    file = kept.file_of("live_confidence", torch.device("cpu"))
    figures = kept.read(file).get("decoders", {})
    for decoder in asked.decoders:
        figures[decoder] = measure(setting, learn, unseen, WordDecoder(decoder))
        kept.write(file, {"noise": asked.noise, "decoders": figures}, table(figures, asked.noise))


if __name__ == "__main__":
    main()
