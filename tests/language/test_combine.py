"""Several systems' sentences to one: alignment, votes, expected errors and learnt weights, beside enumeration."""

import csv
import gzip
import json
from itertools import product
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from mode_ssm.commands.combine import combine, join_systems, read_system_weights
from mode_ssm.config import CombineConfig
from mode_ssm.errors import InputError
from mode_ssm.language.combine import SystemWeights, choose, even_weights, learn_weights
from mode_ssm.language.combine_network import NOTHING, Candidate, Vote, align, candidates, word_network
from mode_ssm.language.decoded_files import read_decoded

WORDS = st.lists(st.sampled_from(["a", "b", "the", "them"]), max_size=5).map(tuple)


def votes_of(*sentences: str) -> list[Vote]:
    found: dict[tuple[str, ...], np.ndarray] = {}
    for number, text in enumerate(sentences):
        found.setdefault(tuple(text.split()), np.zeros(len(sentences)))[number] += 1.0
    return [Vote(words, shares) for words, shares in found.items()]


@given(st.lists(WORDS, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_every_slot_has_all_votes_and_each_sentence_is_a_path(sentences: list[tuple[str, ...]]) -> None:
    votes = votes_of(*(" ".join(words) for words in sentences))
    slots = word_network(votes)
    for slot in slots:
        assert np.sum(list(slot.values()), axis=0) == pytest.approx(np.ones(len(sentences)))
    given_sentences = set(sentences)
    assert given_sentences <= {tuple(w for w in path if w) for path in product(*slots)}
    assert given_sentences <= {choice.words for choice in candidates(votes, limit=2)}


@given(WORDS, WORDS)
@settings(deadline=None)
def test_two_sentences_are_aligned_by_a_shortest_path(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    slots = word_network([Vote(one, np.ones(1))])
    path = align(slots, other)
    assert tuple(word for _, word in path if word != NOTHING) == other
    assert [slot for slot, _ in path if slot is not None] == list(range(len(one)))
    changed = sum(slot is None or word != one[slot] for slot, word in path)
    assert changed == Levenshtein.distance(one, other)


def test_the_majority_of_each_word_wins() -> None:
    votes = votes_of("we went to town", "we want to town", "he went to town", "we went to down", "we went too town")
    assert choose(candidates(votes, 60), even_weights(5)) == ("we", "went", "to", "town")


def test_a_word_that_most_do_not_have_goes() -> None:
    votes = votes_of("it is is fine", "it is fine", "it is fine too")
    assert choose(candidates(votes, 60), even_weights(3)) == ("it", "is", "fine")


def test_a_system_of_more_weight_is_followed() -> None:
    votes = votes_of("bad", "bad", "good")
    assert choose(candidates(votes, 9), even_weights(3)) == ("bad",)
    assert choose(candidates(votes, 9), SystemWeights((1.0, 1.0, 3.0))) == ("good",)


def test_the_sentence_chosen_has_the_least_expected_errors() -> None:
    choices = candidates(votes_of("a b c", "a b d", "e f d", "e f c"), 60)
    weights = SystemWeights((0.7, 0.5, 0.4, 0.6), whole=0.3)
    scores = [float(c.agreement @ np.array(weights.votes)) + 0.3 * c.whole for c in choices]
    shares = np.exp(scores) / np.exp(scores).sum()
    risks = {
        c.words: sum(p * Levenshtein.distance(c.words, d.words) for p, d in zip(shares, choices, strict=True))
        for c in choices
    }
    assert risks[choose(choices, weights)] == pytest.approx(min(risks.values()), abs=1e-2)


def test_agreement_counts_the_words_a_system_shares() -> None:
    found = {c.words: c for c in candidates(votes_of("a b c", "a x c", "a b"), 60)}
    assert found["a", "b", "c"].agreement.tolist() == [3.0, 2.0, 2.0]
    assert found["a", "b"].agreement.tolist() == [2.0, 1.0, 3.0]
    assert found["a", "x", "c"].whole == pytest.approx(1 / 3)
    assert found["a", "x"].whole == 0.0


def test_weights_are_learnt_from_who_is_right() -> None:
    random = np.random.default_rng(0)
    trials = []
    for _ in range(60):
        said = tuple(random.choice(["a", "b", "c", "d"], 4).tolist())
        wrong = ["".join(w) if random.random() > 0.5 else "x" for w in said]
        votes = votes_of(" ".join(said), " ".join(wrong), " ".join(wrong))
        trials.append((said, candidates(votes, 60)))
    weights = learn_weights(trials)
    assert weights.votes[0] > sum(weights.votes[1:])
    assert all(choose(choices, weights) == said for said, choices in trials)


def test_where_all_agree_nothing_can_be_learnt() -> None:
    with pytest.raises(InputError, match="agree on every labelled trial"):
        learn_weights([(("a",), [Candidate(("a",), np.ones(2), 1.0)])])


def write_systems(folder: Path) -> list[str]:
    header = "session,block,trial,sentence,words\n"
    rows = ["s,1,0,Ah bee!,{}\n", "s,1,1,Ab ah.,{}\n"]
    texts = {"one.csv": ("ah bee", "ab ah"), "two.csv": ("ah b", "ab ah"), "three.csv": ("a bee", "ab a")}
    for name, words in texts.items():
        lines = [row.format(text) for row, text in zip(rows, words, strict=True)]
        (folder / name).write_text(header + "".join(lines))
    nbest = [
        {"session": "s", "block": 1, "trial": 0, "nbest": [{"words": "ah bee", "score": -1.0}]},
        {
            "session": "s",
            "block": 1,
            "trial": 1,
            "nbest": [{"words": "a", "score": -2}, {"words": "ab ah", "score": 0}],
        },
    ]
    with gzip.open(folder / "four.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(line) + "\n" for line in nbest)
    return [str(folder / name) for name in (*texts, "four.jsonl.gz")]


def test_files_to_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = write_systems(tmp_path)
    combine(files, CombineConfig(out=str(tmp_path / "out"), learn=True))
    rows = list(csv.DictReader((tmp_path / "out" / "hypotheses.csv").read_text().splitlines()))
    assert [row["words"] for row in rows] == ["ah bee", "ab ah"]
    assert [row["trial"] for row in rows] == ["0", "1"]
    summary = json.loads((tmp_path / "out" / "combine.json").read_text())
    assert summary["wer_systems"] == pytest.approx([0.0, 0.25, 0.5, 0.0])
    assert summary["wer"] == 0.0
    assert "combined" in capsys.readouterr().out
    kept = read_system_weights(tmp_path / "out" / "combine.json", 4)
    combine(files, CombineConfig(out=str(tmp_path / "again"), weights=str(tmp_path / "out" / "combine.json")))
    assert read_system_weights(tmp_path / "again" / "combine.json", 4) == kept
    with pytest.raises(InputError, match="has weights for 4 systems, not 2"):
        combine(files[:2], CombineConfig(out=str(tmp_path / "x"), weights=str(tmp_path / "out" / "combine.json")))


def test_an_nbest_spreads_its_vote(tmp_path: Path) -> None:
    files = write_systems(tmp_path)[2:]
    trials = join_systems(files, [read_decoded(path) for path in files], CombineConfig(out="out", score_weight=0.5))
    found = {choice.words: choice for choice in trials[1].choices}
    share = 1 / (1 + np.exp(-1.0))
    assert found["ab", "ah"].whole == pytest.approx(share / 2)
    assert found["ab", "a"].agreement.tolist() == pytest.approx([2.0, 1.0])


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "session,block,trial\ns,1,0\n", "lacks 'words'; it has session, block, trial"),
        ("a.csv", "id,words\n", "holds no trial"),
        ("a.csv", "id,words\n1,ah\n1,bee\n", "has trial 1 twice"),
        ("a.jsonl", '{"id": 1, "words": "ah"}\nnonsense\n', "line 2, is not JSON"),
        ("a.jsonl", "[1]\n", "line 1, is no object"),
        ("a.jsonl", '{"id": 1, "nbest": [{"words": "ah", "score": "high"}]}\n', "'high' is no score"),
        ("a.jsonl", '{"id": 1, "words": 3}\n', "line 1: .*correct the line"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, text: str, problem: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}.*{problem}"):
        read_decoded(tmp_path / name)


def test_files_of_other_trials_are_named(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("id,sentence,words\n1,Ah.,ah\n2,Bee.,bee\n")
    two.write_text("id,sentence,words\n1,Ah.,ah\n")
    config = CombineConfig(out=str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"two\.csv lacks trial 2 of .*one\.csv"):
        combine([str(one), str(two)], config)
    with pytest.raises(InputError, match=r"two\.csv lacks trial 2 of .*one\.csv"):
        combine([str(two), str(one)], config)
    two.write_text("id,sentence,words\n1,Awe.,ah\n2,Bee.,bee\n")
    with pytest.raises(InputError, match="differ in what was said in trial 1: ah / awe"):
        combine([str(one), str(two)], config)
    with pytest.raises(InputError, match="name two or more"):
        combine([str(one)], config)
    assert not (tmp_path / "out").exists()


def test_learning_needs_sentences(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("id,words\n1,ah\n")
    files = [str(tmp_path / name) for name in ("one.csv", "two.csv")]
    with pytest.raises(InputError, match="learn=true needs trials with sentences"):
        combine(files, CombineConfig(out=str(tmp_path / "out"), learn=True))
    with pytest.raises(InputError, match="give one of both"):
        combine(files, CombineConfig(out=str(tmp_path / "out"), learn=True, weights="combine.json"))


REAL = Path(__file__).parents[3] / "shared" / "t15_decodes" / "val_words_121_systems.jsonl.gz"


@pytest.mark.skipif(not REAL.is_file(), reason="T15's hypotheses are not at ../shared/t15_decodes")
def test_ten_real_systems_together_are_better_than_the_best_of_them(tmp_path: Path) -> None:
    with gzip.open(REAL, "rt") as lines:
        entries = [json.loads(line) for line in lines][:200]
    for system in Random(1).sample(range(121), 10):
        trials = [
            {"id": e["id"], "sentence": e["ref"], "words": e["hyps"][e["system_to_hyp"][system]]} for e in entries
        ]
        (tmp_path / f"{system}.jsonl").write_text("".join(json.dumps(trial) + "\n" for trial in trials))
    files = sorted(str(path) for path in tmp_path.glob("*.jsonl"))
    combine(files, CombineConfig(out=str(tmp_path / "out"), learn=True))
    summary = json.loads((tmp_path / "out" / "combine.json").read_text())
    assert summary["wer_two_fold"] < min(summary["wer_systems"])
