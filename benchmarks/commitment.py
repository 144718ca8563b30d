"""What it costs to say words while they are spoken: words of a stream beside those of whole trials.

    python benchmarks/commitment.py --run RUN --lm LM --data DIR --name NAME [--decoders ctc rnnt joint] [--trials N]

Trials of the val split of DIR go through a causal network and its word search, an encoder frame at a time, at the
default weights, under several rules for when a word stays (`mode_ssm.language.commitment`). Delays are from the
boundary after a word to the frame with which it stayed; a word that was still open at the end of its trial has that of
the end, and one whose boundary never came is not among them. Revisions are changes of a word that had been shown: each
place in which the words before and after a frame differ. Writes benchmarks/results/commitment.md.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import kept
import numpy as np
import torch

from mode_ssm.config import DataConfig, LiveConfig, WordDecoder, WordSearchConfig
from mode_ssm.data import spread
from mode_ssm.language.commitment import CommittingStream, lag_frames
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.model import load_word_model
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.transducer_search import TransducerFrames, TransducerSearch
from mode_ssm.language.trie import build_tree
from mode_ssm.language.word_graph import word_graph
from mode_ssm.language.word_stream import WordSearch
from mode_ssm.models.model import encoder_frame_ms
from mode_ssm.recognition.ensemble import Ensemble, load_ensemble
from mode_ssm.scoring import edit_counts, normalise_sentence, total


class Rule(NamedTuple):
    """When a word stays."""

    share: float
    seconds: float | None


RULES = (
    Rule(1.0, None),
    Rule(1.0, 0.4),
    Rule(0.99, None),
    Rule(LiveConfig.commit_share, LiveConfig.commit_seconds),
    Rule(0.99, 1.0),
    Rule(0.999, 1.0),
    Rule(0.99, 2.0),
)


class Streamed(NamedTuple):
    """A trial that came frame by frame."""

    words: tuple[str, ...]
    delays: list[int]  # frames
    committed: int  # words, before the end
    revisions: int


def streamed(find: WordSearch[Any], piece: Any, rule: Rule, frame_ms: float) -> Streamed:
    stream = CommittingStream(find, rule.share, lag_frames(rule.seconds, frame_ms))
    shown: tuple[str, ...] = ()
    stayed: list[int] = []  # the frame with which each word did
    revisions = 0
    for frame in range(len(piece)):
        said = stream.step(piece[frame : frame + 1])
        stayed += [frame] * (len(said.committed) - len(stayed))
        now = said.committed + said.open
        revisions += sum(before != after for before, after in zip(shown, now, strict=False))
        shown = now
    (best, *_) = stream.end()
    last = len(piece) - 1
    ends = [end for _, end in best.frames]
    committed = len(stayed)
    stayed += [last] * (len(ends) - committed)
    return Streamed(best.words, [stay - end for stay, end in zip(stayed, ends, strict=False)], committed, revisions)


def search(decoder: WordDecoder, ensemble: Ensemble, lm: str) -> WordSearch[Any]:
    model, settings = load_word_model(lm, ensemble.recognisers[0].checkpoint.labels), WordSearchConfig()
    tree = build_tree(model)
    if decoder is WordDecoder.ctc:
        return CTCWordSearch(model, tree, settings, nbest=1)
    graph, joint = word_graph(model, tree, settings), decoder is WordDecoder.joint
    return TransducerSearch(graph, ensemble.transducer, settings, nbest=1, joint=joint)


def piece_of(decoder: WordDecoder, trial: SpokenTrial) -> Any:
    """What the search of a decoder reads."""
    if decoder is WordDecoder.ctc:
        return trial.ctc
    return TransducerFrames(trial.encoded, trial.ctc if decoder is WordDecoder.joint else None)


def rates(trials: Sequence[SpokenTrial], found: Sequence[tuple[str, ...]]) -> float:
    said = (normalise_sentence(trial.sentence or "").split() for trial in trials)
    pairs = zip(said, found, strict=True)
    return total(edit_counts(words, [normalise_sentence(word) for word in got]) for words, got in pairs).rate


def measure(ensemble: Ensemble, lm: str, data: str, decoder: WordDecoder, most: int | None) -> Iterator[dict[str, Any]]:
    """First whole trials, then each rule."""
    for_transducer = decoder is not WordDecoder.ctc
    batches = ensemble.encode(DataConfig(data_root=data, num_workers=0), "val", 16, for_transducer=for_transducer)
    trials = spread([trial for batch in batches for trial in batch], most)
    find, pieces = search(decoder, ensemble, lm), [piece_of(decoder, trial) for trial in trials]
    frame_ms = encoder_frame_ms(ensemble.recognisers[0].checkpoint.config)
    whole = [find([piece])[0][0].words for piece in pieces]
    yield {"rule": "whole trials", "trials": len(trials), "wer": rates(trials, whole)}
    for rule in RULES:
        said = [streamed(find, piece, rule, frame_ms) for piece in pieces]
        delays = frame_ms / 1000 * np.concatenate([one.delays for one in said])
        words = sum(len(one.words) for one in said)
        yield {
            "rule": f"share {rule.share:g}, " + ("no age" if rule.seconds is None else f"{rule.seconds:g} s"),
            "trials": len(trials),
            "wer": rates(trials, [one.words for one in said]),
            "words": words,
            "committed": sum(one.committed for one in said),
            "delay_s": float(np.median(delays)),
            "delay_p90_s": float(np.percentile(delays, 90)),
            "revisions_a_word": sum(one.revisions for one in said) / words,
        }


def table(figures: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown."""
    lines = [
        "`python benchmarks/commitment.py`, words of streams. The rule of the defaults is "
        f"share {LiveConfig.commit_share:g}, {LiveConfig.commit_seconds:g} s.",
        "",
        "| data, decoder, trials | a word stays by | WER % | stayed before the end, of words | delay, s | p90, s "
        "| revisions a word |",
        "|---" * 7 + "|",
    ]
    for name, rows in figures.items():
        for row in rows:
            cells = [f"{name}, {row['trials']}", row["rule"], f"{100 * row['wer']:.2f}"]
            if "words" in row:
                cells += [f"{row['committed']}, {row['words']}", f"{row['delay_s']:.2f}", f"{row['delay_p90_s']:.2f}"]
                cells += [f"{row['revisions_a_word']:.3f}"]
            lines.append(f"| {' | '.join(cells + [''] * (7 - len(cells)))} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "lm", "data", "name"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--trials", type=int, help="at most, evenly spread")
    parser.add_argument("--decoders", nargs="+", default=["ctc"], choices=[d.value for d in WordDecoder])
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    ensemble = load_ensemble(asked.run, None)
    file = kept.file_of("commitment", torch.device("cpu"))
    for decoder in asked.decoders:
        rows = list(measure(ensemble, asked.lm, asked.data, WordDecoder(decoder), asked.trials))
        figures = kept.read(file) | {f"{asked.name}, {decoder}": rows}
        kept.write(file, figures, table(figures))


if __name__ == "__main__":
    main()
