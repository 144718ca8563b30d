"""Words of real T15 decoders: phoneme strings to words, and several systems to one sentence.

    python benchmarks/t15_words.py --shared DIR --lm FOLDER

DIR holds t15_decodes/, t15_labels/ and text/. A language model is mixed from the T15 training sentences and two texts;
confusions and weights are learnt on each half of the 713 val sentences and measured on the other, which nothing of
it was seen for; `--decoded FOLDER` keeps what was found there for mode-ssm rescore, with a prompt. `--general FILE`
mixes in a general trigram of English too, the en-us.lm.bin of the wheel pocketsphinx. Without it, ten systems are drawn
out of 121 as well, five draws for each of two seeds, with weights learnt on each half of the trials.
"""

import argparse
import csv
import gzip
import json
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import kept
import numpy as np
import torch
from sphinx_lm import over, read_trigrams

from mode_ssm.commands.combine import join_systems, two_fold, word_rate
from mode_ssm.commands.phonemes import rates, write_found
from mode_ssm.config import CombineConfig, ConfusionSearchConfig
from mode_ssm.labels import T15
from mode_ssm.language.arpa import BackoffModel
from mode_ssm.language.combine import choose, even_weights
from mode_ssm.language.corpus import FIRST, Corpus
from mode_ssm.language.decoded_files import DecodedTrial, read_heard
from mode_ssm.language.folder import LEXICON, STORE
from mode_ssm.language.heard_words import Heard, learn
from mode_ssm.language.lexicon import read_lexicon, write_lexicon
from mode_ssm.language.mixing import even_model, fit_shares, mix_models
from mode_ssm.language.model import WordModel, load_word_model
from mode_ssm.language.ngram import estimate
from mode_ssm.language.ngram_store import NGramStore
from mode_ssm.language.pronunciation import lexicon_of_transcripts, pronounce_words
from mode_ssm.language.text import read_sentences, spoken_words
from mode_ssm.scoring import normalise_sentence

HELD_OUT = 10  # every tenth training sentence: for the shares of the mixture
LM_WEIGHT = 1.0  # near that of both halves: where weights of rescoring start
PROMPT = 100  # training sentences before those that a causal model judges
TEXTS = ("chat.txt.gz", "c4_everyday.txt.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--lm", type=Path, required=True, help="folder for the language model; made where it is not")
    parser.add_argument("--general", type=Path, help="en-us.lm.bin of pocketsphinx, as a further part of a new model")
    parser.add_argument("--order", type=int, default=4)
    parser.add_argument("--beam", type=int, default=300)
    parser.add_argument("--threshold", type=float, default=14.0)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--decoded", type=Path, help="folder for the sentences found, as mode-ssm decode writes them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    train = list(training(options.shared))
    if not (options.lm / LEXICON).exists():
        build(options.shared / "text", train, options.lm, options.order, options.general)
    built = time.process_time()
    search = ConfusionSearchConfig(options.beam, options.threshold)
    words = load_word_model(options.lm)
    halves = learn(read_heard(options.shared / "t15_decodes" / "val_nbest5.jsonl.gz", T15), words, search).halves
    if options.decoded is not None:
        write_prompt(options.decoded / "prompt.txt", train, halves)
        write_found(options.decoded, rates(halves, words) | {"search": {"lm_weight": LM_WEIGHT}}, halves, words)
    figures: dict[str, Any] = {
        "phonemes": phonemes(halves, train, words),
        "lm": json.loads((options.lm / "shares.json").read_text()),
        "beam": options.beam,
        "threshold": options.threshold,
        "seconds": {"lm": built - start, "tune": time.process_time() - built},
    }
    print(figures, flush=True)
    if figures["lm"].get("general"):
        kept.write(kept.RESULTS / "t15_words_general.json", figures, table(figures))
        return
    file = options.shared / "t15_decodes" / "val_words_121_systems.jsonl.gz"
    figures["systems"] = {f"seed {seed}": systems(file, seed, options.draws) for seed in (1, 2)}
    kept.write(kept.RESULTS / "t15_words.json", figures, table(figures))


def training(shared: Path) -> list[tuple[str, tuple[int, ...]]]:
    """The training sentences with their labels."""
    with gzip.open(shared / "t15_labels" / "t15_labels.csv.gz", "rt", encoding="utf-8") as file:
        return [
            (row["sentence"], tuple(T15.ids(row["phonemes"])))
            for row in csv.DictReader(file)
            if row["split"] == "train"
        ]


def build(
    text: Path, train: Sequence[tuple[str, tuple[int, ...]]], folder: Path, order: int, general: Path | None
) -> None:
    """One model of each text over the same words, mixed by shares that suit a held-out tenth of the training text.

    Words that only the dictionary has are known too, all equally rare.
    """
    dictionary = read_lexicon(text / "cmudict-en-us.dict")
    said = [spoken_words(sentence) for sentence, _ in train]
    texts = [list(read_sentences(text / name)) for name in TEXTS]
    vocabulary = sorted({word for words in said for word in words} | set(dictionary))
    others = [model_of(sentences, vocabulary, order) for sentences in texts]
    others.append(even_model(others[0].words, dictionary))
    others += [] if general is None else [over(read_trigrams(general), others[0].words)]
    part = model_of([words for n, words in enumerate(said) if n % HELD_OUT], vocabulary, order)
    stores = [NGramStore.of(model) for model in (part, *others)]
    held_out = [[stores[0].index(word) for word in words] for words in said[::HELD_OUT] if words]
    shares = fit_shares(stores, held_out)
    mixed = NGramStore.of(mix_models([model_of(said, vocabulary, order), *others], shares))
    folder.mkdir(parents=True, exist_ok=True)
    mixed.save(folder / STORE)
    lexicon = pronounce_words(vocabulary, [lexicon_of_transcripts(train), dictionary], T15, dictionary).lexicon
    facts = {
        "general": general is not None,
        "order": order,
        "words": len(vocabulary),
        "ngrams": mixed.counts,
        "shares": shares,
    }
    (folder / "shares.json").write_text(json.dumps(facts))
    write_lexicon(folder / LEXICON, lexicon)


def model_of(sentences: Sequence[Sequence[str]], vocabulary: Sequence[str], order: int) -> BackoffModel:
    corpus = Corpus()
    for words in sentences:
        corpus.add(words)
    return estimate(corpus.tokens(vocabulary), (*FIRST, *vocabulary), order)


def phonemes(halves: Sequence[Heard], train: Sequence[tuple[str, tuple[int, ...]]], words: WordModel) -> dict[str, Any]:
    known = {normalise_sentence(sentence) for sentence, _ in train}
    seen: dict[bool, list[Heard]] = {True: [], False: []}
    for heard in halves:
        seen[normalise_sentence(heard.line.sentence or "") in known].append(heard)
    groups = {"all": halves, "not in train": seen[False], "in train": seen[True]}
    return {name: rates(group, words) for name, group in groups.items()}


def write_prompt(path: Path, train: Sequence[tuple[str, tuple[int, ...]]], halves: Sequence[Heard]) -> None:
    """Some training sentences, none of them among those of val, to stand before what a causal model is to judge."""
    known = {normalise_sentence(heard.line.sentence or "") for heard in halves}
    others = [sentence.strip() for sentence, _ in train if normalise_sentence(sentence) not in known]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(Random(1).sample(others, PROMPT)) + "\n", encoding="utf-8")


def systems(file: Path, seed: int, draws: int) -> list[dict[str, float]]:
    """Word error rates of ten systems drawn together: the best one's, their mean, even weights, learnt in two folds."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    random, found = Random(seed), []
    for _ in range(draws):
        drawn = random.sample(range(len(rows[0]["system_to_hyp"])), 10)
        trials = join_systems([str(s) for s in drawn], [trials_of(rows, s) for s in drawn], CombineConfig(out="unused"))
        single = [word_rate(trials, [trial.best[k] for trial in trials]) for k in range(len(drawn))]
        even = word_rate(trials, [choose(trial.choices, even_weights(len(drawn))) for trial in trials])
        learnt = word_rate(trials, two_fold(trials))
        found.append({"best": min(single), "mean": float(np.mean(single)), "even": even, "two_fold": learnt})
        print(seed, found[-1], flush=True)
    return found


def trials_of(rows: Sequence[dict[str, Any]], system: int) -> list[DecodedTrial]:
    texts = [row["hyps"][row["system_to_hyp"][system]] for row in rows]
    return [
        DecodedTrial((str(row["id"]),), ((tuple(normalise_sentence(text).split()), 0.0),), row["ref"])
        for row, text in zip(rows, texts, strict=True)
    ]


def table(figures: dict[str, Any]) -> str:
    lm = figures["lm"]
    lines = [
        "# Words of real T15 decoders",
        "",
        f"`python benchmarks/t15_words.py --shared DIR --lm FOLDER --order {lm['order']} --beam {figures['beam']} "
        f"--threshold {figures['threshold']:g}{' --general FILE' if lm.get('general') else ''}`",
        "",
        f"Phoneme strings (five a sentence) to words by {lm['words']} words and {sum(lm['ngrams'])} n-grams; "
        "confusions, LM weight and word score from the other half of the sentences alone.",
        "",
        "| sentences | number | WER (%) | oracle of 60 (%) | OOV (%) |",
        "|---|--:|--:|--:|--:|",
    ]
    if lm.get("general"):
        lines[4] += (
            " A part of the model is the general trigram of English in the wheel pocketsphinx, which does not say of "
            f"what text it was made. Shares of T15's train sentences, chat, everyday text, single words and it: "
            f"{', '.join(f'{share:.2f}' for share in lm['shares'])}."
        )
    for name, group in figures["phonemes"].items():
        cells = " | ".join(f"{100 * group[key]:.2f}" for key in ("wer", "oracle_wer", "oov_rate"))
        lines.append(f"| {name} | {group['trials']} | {cells} |")
    if "systems" not in figures:
        return "\n".join(lines) + "\n"
    lines += [
        "",
        "Ten of 121 systems to one sentence, WER (%):",
        "",
        "| draw | best single | mean single | combined, even weights | combined, weights of the other half |",
        "|---|--:|--:|--:|--:|",
    ]
    for seed, draws in figures["systems"].items():
        for number, draw in enumerate(draws, start=1):
            lines.append(f"| {seed}, {number} | " + " | ".join(f"{100 * value:.2f}" for value in draw.values()) + " |")
        means = {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
        lines.append(f"| {seed}, mean | " + " | ".join(f"{100 * value:.2f}" for value in means.values()) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
