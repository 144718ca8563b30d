"""Rows of what every toolkit has: a device for each command, the run's own data, train and val, the heads of a run."""

import json
from collections.abc import Callable

import pytest

from mode_ssm.cli import main
from mode_ssm.recognition.checkpoint import read_checkpoint
from mode_ssm.scoring import sentence_hash
from tests.inputs.counts import NO_RNNT, TWO_STAGES, WHOLE, counts, rows_of, words
from tests.inputs.mended import TRAIN
from tests.inputs.row import Place, Row, nothing

COMMANDS = {
    "evaluate": "evaluate {run} output_dir={at}/out",
    "decode": "decode {run} lm={lm} output_dir={at}/out",
    "tune": "tune {run} lm={lm} tries=1",
    "posteriors": "posteriors {run} out={at}/p.npz",
    "report": "report {run} out={at}/page.html",
}
OTHERS = {
    "rescore": "rescore {at}/out out={at}/again rescore.model=any",
    "live": "live {run} source=replay:t15.2023.08.11/val",
}


def gpu(there: bool) -> Callable[[Place], None]:
    """PyTorch says that there is a GPU, which nothing can use here, or that there is none."""

    def make(place: Place) -> None:
        place.own("run")
        write_decoded(place)
        place.monkeypatch.setattr("torch.cuda.is_available", lambda: there)

    return make


def write_decoded(place: Place) -> None:
    (place.at / "out").mkdir()
    place.write("out/hypotheses.csv", "session,block,trial,sentence,words\na,1,0,We.,we\n")
    nbest = [{"words": "we", "score": -1.0, "acoustic": -1.0, "ngram": -1.0}]
    place.write("out/nbest.jsonl", json.dumps({"session": "a", "block": 1, "trial": 0, "nbest": nbest}) + "\n")
    place.write("out/decode.json", '{"search": {"lm_weight": 1.0}}')


NO_GPU = "device=cuda but PyTorch finds no GPU; set device=cpu or auto."
DEVICES = [
    *(Row(17, f"{n} on no GPU", gpu(False), f"{c} device=cuda", 2, NO_GPU) for n, c in (COMMANDS | OTHERS).items()),
    *(Row(17, f"{n} beside a GPU", gpu(True), f"{c} device=cpu", 0, "!GPU") for n, c in COMMANDS.items()),
    Row(17, "live beside a GPU", gpu(True), f"{OTHERS['live']} device=cpu", 2, "causal"),
]


def another_default(place: Place) -> None:
    place.monkeypatch.setenv("MODE_SSM_DATA", str(place.at / "elsewhere"))


OWN = [
    Row(17, "evaluated where it was trained", another_default, COMMANDS["evaluate"], 0, "", counts, WHOLE),
    Row(17, "decoded where it was trained", another_default, COMMANDS["decode"], 0, "", words, (10, 4, 4)),
    Row(17, "decoded there, test", another_default, f"{COMMANDS['decode']} split=test", 0, "", rows_of, 4),
    Row(17, "tuned where it was trained", another_default, COMMANDS["tune"], 0, "Best of 1 on 4 sentences"),
    Row(17, "posteriors where it was trained", another_default, COMMANDS["posteriors"], 0, "4 trials"),
    Row(17, "another root that is not there", nothing, f"{COMMANDS['evaluate']} data.data_root={{at}}/no", 2, "at"),
]


def trained(words: str) -> Callable[[Place], None]:
    """A run that is trained before the command."""

    def make(place: Place) -> None:
        place.own("root")
        with pytest.raises(SystemExit) as stopped:
            main(place.words(f"train {TRAIN} {TWO_STAGES} {words}"))
        assert stopped.value.code == 0

    return make


def val_sentence_is_known(place: Place) -> object:
    """Whether a sentence that val alone has counts as trained on."""
    hashes = read_checkpoint(place.at / "new" / "checkpoints" / "last.safetensors").sentence_hashes.tolist()
    return sentence_hash("We see no.") in hashes


def unseen_trials(place: Place) -> object:
    return json.loads((place.at / "out" / "evaluation.json").read_text())["trials_unseen_sentences"]


BOTH = "training.stages.0.splits=[train,val] training.stages.1.splits=[train,val]"
TEST = "training.stages.0.splits=[train,test]"
EVALUATE_NEW = "evaluate {at}/new output_dir={at}/out"
SPLITS = [
    Row(17, "train alone", nothing, f"train {TRAIN} {TWO_STAGES}", 0, "12 train", val_sentence_is_known, False),
    Row(17, "train and val", nothing, f"train {TRAIN} {TWO_STAGES} {BOTH}", 0, "16 tr", val_sentence_is_known, True),
    Row(17, "train, evaluated", trained(""), EVALUATE_NEW, 0, "!trained on", unseen_trials, 2),
    Row(17, "train and val, evaluated", trained(BOTH), EVALUATE_NEW, 0, "", unseen_trials, 0),
    Row(17, "a split that is none", nothing, f"train {TRAIN} training.stages.0.splits=[train,dev]", 2, "dev"),
    Row(17, "no split", nothing, f"train {TRAIN} training.stages.0.splits=[]", 2, "splits"),
    Row(
        17,
        "a test split without labels",
        nothing,
        f"train {TRAIN} {TWO_STAGES} {TEST}",
        0,
        ("4 of 16 train trials have", "Batch 3/3", "!4/4"),
    ),
    Row(17, "that alone", nothing, f"train {TRAIN} training.stages.0.splits=[test]", 2, "no trial of its"),
]

SESSION_ALONE = "training.learn=[session] training.stages.1.epochs=0"
HEADS = [
    Row(17, "inherited, rnnt", trained(f"init={{run}} {SESSION_ALONE}"), f"{EVALUATE_NEW} decoder=rnnt", 0),
    Row(17, "inherited, the default", trained(f"init={{run}} {SESSION_ALONE}"), EVALUATE_NEW, 0, "val, ctc"),
    Row(
        17,
        "a predictor that begins anew and never learns",
        trained(f"init={{run}} predictor.width=12 {SESSION_ALONE}"),
        f"{EVALUATE_NEW} decoder=rnnt",
        2,
        NO_RNNT,
    ),
    Row(17, "heads that never learn", trained("training.learn=[session]"), EVALUATE_NEW, 2, "no trained head to deco"),
    Row(17, "one that learns", trained("training.learn=[ctc_head]"), f"{EVALUATE_NEW} decoder=rnnt", 2, NO_RNNT),
]


def without_see(place: Place) -> None:
    """A lexicon that lacks a word which is said in two of four trials."""
    path = place.lm / "lexicon.txt"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("see")))


def two_systems(place: Place) -> None:
    """One says the first word wrong, the other the second; of a second trial nobody knows what was said."""
    for name, heard in (("a", "he see no"), ("b", "we saw no")):
        first = {"id": 1, "words": heard, "sentence": "We see no."}
        place.write(f"{name}.jsonl", f'{json.dumps(first)}\n{{"id": 2, "words": "go"}}\n')


def best_of_candidates(place: Place) -> object:
    found = json.loads((place.at / "out" / "combine.json").read_text())
    return found["trials"], found["trials_labelled"], found["reference_words"], found["oracle_wer"]


COMBINED = ("3 words of 1 trials", "(oracle)", "1 of 2 trials say nothing of what was said")
BOUNDS = [
    Row(17, "bounds of tune", nothing, COMMANDS["tune"], 0, "% (oracle); 0 of 10 words are outside the lexicon"),
    Row(17, "bounds of tune, a word less", without_see, COMMANDS["tune"], 0, "% (oracle); 2 of 10 words are outside"),
    Row(17, "bounds of decode", without_see, COMMANDS["decode"], 0, ("(oracle)", "(OOV) │ 20.00")),
    Row(
        17,
        "bounds of combine",
        two_systems,
        "combine {at}/a.jsonl {at}/b.jsonl out={at}/out",
        0,
        COMBINED,
        best_of_candidates,
        (2, 1, 3, 0.0),
    ),
]

ROWS = [*DEVICES, *OWN, *SPLITS, *HEADS, *BOUNDS]
