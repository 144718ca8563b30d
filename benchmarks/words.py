"""Time, memory and errors of word decoding with a large lexicon and an n-gram model, on one core.

    python benchmarks/words.py --words 60000 --order 3

Text, lexicon and posteriors are made up: words of random phonemes, frequencies by Zipf's law, sentences in which a word
has few usual successors, and posteriors as a network of about 10 % phoneme errors would give them, with seven encoder
frames (80 ms each) a phoneme. The transducer is a stand-in of additive form: its encoder frames are the same posteriors
and its predictor makes the last label improbable until another has come. Each decoder runs in a fresh process, whose
peak of resident memory is that of Python, torch and all. Trials are searched side by side as `mode-ssm decode` does by
default, then some of them alone, frame by frame, as a stream, of which each step is timed, words committed with it.
Where flashlight-text is installed, its decoder and ours take turns on single trials. Writes
benchmarks/results/words.json.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from words_inputs import posteriors, sentences, spell, stand_in, write_corpus

from mode_ssm.commands.lm_build import build
from mode_ssm.config import DecodeConfig, LmConfig, WordSearchConfig
from mode_ssm.decoding.ctc import ctc_greedy
from mode_ssm.labels import T15
from mode_ssm.language.commitment import CommittingStream
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.lexicon import read_lexicon
from mode_ssm.language.model import WordModel, load_word_model
from mode_ssm.language.transducer_search import TransducerFrames, TransducerSearch
from mode_ssm.language.trie import build_tree
from mode_ssm.language.word_graph import word_graph
from mode_ssm.language.word_stream import WordSearch
from mode_ssm.scoring import edit_counts, total

RESULT = Path(__file__).parent / "results" / "words.json"
FRAME_SECONDS = 0.08
MODEL = "lm"  # folder of the language model
DECODERS = ("ctc", "rnnt", "joint")
PEER = "flashlight"
SIDE_BY_SIDE = DecodeConfig.batch_size  # trials
STREAMED = 6  # trials


def measure(folder: Path, decoder: str, trials: int) -> dict[str, Any]:
    """Load, then search; seconds are of processor time of this one thread."""
    torch.set_num_threads(1)
    before = peak_mb()
    start = time.process_time()
    model = load_word_model(folder / MODEL)
    tree = build_tree(model)
    load_s = time.process_time() - start
    said, scores = spoken(folder, model, trials)
    find, pieces = search(decoder, model, tree), [piece(decoder, trial) for trial in scores]
    start = time.process_time()
    found = [
        list(best.words) for at in range(0, len(pieces), SIDE_BY_SIDE) for best, *_ in find(pieces[at:][:SIDE_BY_SIDE])
    ]
    search_s = time.process_time() - start
    frames = sum(map(len, scores))
    wer = total(edit_counts([model.words[i] for i in words], text) for words, text in zip(said, found, strict=True))
    return {
        "decoder": decoder,
        "load_s": round(load_s, 2),
        "ms_per_frame": round(1000 * search_s / frames, 3),
        "real_time_factor": round(search_s / frames / FRAME_SECONDS, 4),
        **steps(find, pieces[:STREAMED]),
        "peak_mb": round(peak_mb()),
        "peak_mb_before_loading": round(before),
        "greedy_per": round(greedy_per(model, said, scores), 4),
        "wer": round(wer.rate, 4),
    }


def spoken(folder: Path, model: WordModel, trials: int) -> tuple[list[list[int]], list[np.ndarray]]:
    """New sentences of the same kind as the text, as word indices of the model, and their posteriors."""
    random = np.random.default_rng(2)
    place = {name: index for index, name in enumerate(model.words)}
    spelling = dict(reversed(model.spellings))
    count = len(read_lexicon(folder / MODEL / "lexicon.txt"))
    said = [[place[spell(int(i))] for i in sentence] for sentence in sentences(count, trials, random)]
    said = [[word for word in words if word in spelling] for words in said]
    labels = [[label for word in words for label in spelling[word]] for words in said]
    return said, [posteriors(ids, random) for ids in labels]


def search(decoder: str, model: WordModel, tree: Any) -> WordSearch[Any]:
    settings = WordSearchConfig(internal_lm_weight=0.0)
    if decoder == "ctc":
        return CTCWordSearch(model, tree, settings, nbest=1)
    graph, joint = word_graph(model, tree, settings), decoder == "joint"
    return TransducerSearch(graph, stand_in(), settings, nbest=1, joint=joint)


def piece(decoder: str, trial: np.ndarray) -> Any:
    """What the search of a decoder reads of a trial."""
    return trial if decoder == "ctc" else TransducerFrames(torch.from_numpy(trial), trial)


def steps(find: WordSearch[Any], trials: list[Any]) -> dict[str, Any]:
    """Processor time of one frame of one trial that comes as a stream, with the words committed by agreement."""
    took = []
    for trial in trials:
        stream = CommittingStream(find)
        for frame in range(len(trial)):
            start = time.process_time()
            stream.step(trial[frame : frame + 1])
            took.append(1000 * (time.process_time() - start))
        stream.end()
    median, rare = np.percentile(took, [50, 99]).round(2).tolist()
    return {"steps": len(took), "step_ms_p50": median, "step_ms_p99": rare}


def beside_peer(folder: Path, trials: int) -> dict[str, Any]:
    """Our CTC search and flashlight-text's, in turn on each trial."""
    from words_flashlight import FlashlightSearch, in_turn

    model = load_word_model(folder / MODEL)
    said, scores = spoken(folder, model, trials)
    peer = FlashlightSearch(model, folder / MODEL / "lm.arpa", WordSearchConfig())
    truth = [[model.words[i] for i in words] for words in said]
    return in_turn(search("ctc", model, build_tree(model)), peer, truth, scores)


def greedy_per(model: WordModel, said: list[list[int]], scores: list[np.ndarray]) -> float:
    spelling = dict(reversed(model.spellings))
    found = [ctc_greedy(torch.from_numpy(trial)[None], torch.tensor([len(trial)]), T15.blank)[0] for trial in scores]
    labels = [[label for word in words for label in spelling[word]] for words in said]
    return total(edit_counts(truth, got) for truth, got in zip(labels, found, strict=True)).rate


def peak_mb() -> float:
    """Of this process alone; getrusage would count what its parent held when it was forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=60_000)
    parser.add_argument("--sentences", type=int, default=120_000, help="of the text")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--folder", type=Path, help="where text and model are kept; default: none are")
    parser.add_argument("--measure", choices=(*DECODERS, PEER), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        peer = options.measure == PEER
        found = beside_peer if peer else partial(measure, decoder=options.measure)
        print(json.dumps(found(options.folder, trials=options.trials)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        result = run(folder, options)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    start = time.process_time()
    if not (folder / MODEL / "lm.arpa").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_corpus(folder, options.words, options.sentences)
        build(
            LmConfig(
                out=str(folder / MODEL),
                text=str(folder / "text"),
                lexicon=str(folder / "dictionary"),
                order=options.order,
                max_words=options.words,
            )
        )
    rows = []
    for decoder in (*DECODERS, *([PEER] if find_spec("flashlight") else [])):
        command = [sys.executable, __file__, "--folder", str(folder), "--trials", str(options.trials)]
        done = subprocess.run([*command, "--measure", decoder], check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
    return {
        "words": options.words,
        "order": options.order,
        "text_sentences": options.sentences,
        "ngrams": (folder / MODEL / "lm.arpa").read_text()[:200].partition("\n\n")[0].splitlines()[1:],
        "build_s": round(time.process_time() - start, 1),
        "machine": f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}, one thread",
        "trials": {"all": options.trials, "side_by_side": SIDE_BY_SIDE, "streamed": STREAMED},
        "decoders": rows[: len(DECODERS)],
        "peer": rows[len(DECODERS) :] or "flashlight-text is not installed",
    }


if __name__ == "__main__":
    main()
