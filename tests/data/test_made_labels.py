"""Labels that are made of sentences, or of the recordings' own without some, over any source."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.batch import Trial
from mode_ssm.config import DataConfig
from mode_ssm.data import LeftOut, TrialDataset, open_split
from mode_ssm.errors import InputError
from mode_ssm.index import Reason
from mode_ssm.labels import LETTERS, T15, Labels, MadeFrom, labels_of, parse_labels
from mode_ssm.orthography import spell, write, written_words
from tests.data.conftest import SESSIONS, Opener, patches
from tests.data.files import FakeTrial, write_session

PIECES = Labels(("_", "th", "the", "e", "re", "r", "|"), boundary=6, made_from=MadeFrom.pieces)
DICTIONARY = "HELLO  HH AH0 L OW1\nHELLO(1)  HH EH0 L OW1\nYOU  Y UW1\n"


def labels_read(dataset: TrialDataset) -> list[str | None]:
    found = [dataset[place] for place in range(len(dataset))]
    assert all(isinstance(trial, Trial) for trial in found)
    return [None if t.labels is None else dataset.labels.text(t.labels.tolist()) for t in found if isinstance(t, Trial)]


def saying(root: Path, *sentences: str, labels: tuple[int, ...] | None = (16, 3, 21, 25, 40)) -> str:
    trials = [FakeTrial(np.zeros((400, 8), np.float32), labels, sentence) for sentence in sentences]
    write_session(root, SESSIONS[0], "train", trials)
    return str(root)


def test_letters_of_sentences_are_lower_case_with_the_boundary_after_each_word(
    tmp_path: Path, open_root: Opener
) -> None:
    dataset = open_root(data_root=saying(tmp_path / "a", "Don't 'go', Ann -- not yet!"), labels="letters")
    assert labels_read(dataset) == ["d o n ' t | g o | a n n | n o t | y e t |"]
    record = dataset.entries[0].record
    assert (record.labels, record.repeats) == (21, 1)
    assert dataset.labels == LETTERS


def test_what_cannot_be_written_is_named_and_counted(tmp_path: Path, open_root: Opener) -> None:
    dataset = open_root(data_root=saying(tmp_path / "a", "At 5.", "At five."), labels="letters")
    assert labels_read(dataset) == ["a t | f i v e |"]
    (problem,) = dataset.problems
    assert str(problem).endswith(
        "trial_0000 says 'At 5.', of which no label begins '5' of '5'. "
        "Add what it needs to the symbols of the labels, or leave the trial out."
    )
    assert LeftOut("train", dataset.problems, print).counts() == {Reason.unwritable.value: 1}
    with pytest.raises(InputError, match=r"has no usable train trial; the first of 1 problems: .* of which no label"):
        open_root(data_root=saying(tmp_path / "b", "5"), labels="letters")


def test_the_recordings_own_labels_are_of_no_matter_where_sentences_make_them(
    tmp_path: Path, open_root: Opener
) -> None:
    assert labels_read(open_root(data_root=saying(tmp_path / "a", "Hi", labels=(77,)), labels="letters")) == ["h i |"]


def test_a_trial_without_a_sentence_has_no_labels(tmp_path: Path, open_root: Opener) -> None:
    root = saying(tmp_path / "a", "Hi", "...")
    assert [p.what for p in open_root(data_root=root, labels="letters").problems] == [
        "has no labels, and only a test trial can do without"
    ]
    assert labels_read(open_root(data_root=root, labelled=False)) == ["h i |", None]


def test_what_was_said_in_a_bad_trial_counts_in_the_labels_of_the_network(tmp_path: Path, open_root: Opener) -> None:
    root = saying(tmp_path / "a", "Hi", "you")
    short = FakeTrial(np.zeros((2, 8), np.float32), sentence="Lost")
    write_session(tmp_path / "a", SESSIONS[1], "train", [short])
    (problem,) = open_root(data_root=root, labels="letters").problems
    assert problem.told is not None
    assert problem.told.labels == tuple(LETTERS.ids("l o s t |"))


def test_a_dictionary_makes_phonemes_for_any_source(tmp_path: Path, open_root: Opener) -> None:
    (tmp_path / "cmu.txt").write_text(DICTIONARY)
    (tmp_path / "said.yaml").write_text("from: dictionary")
    root, labels = saying(tmp_path / "a", "Hello you", "Hello Zyx", labels=(1,)), str(tmp_path / "said.yaml")
    dataset = open_root(data_root=root, labels=labels, dictionary=str(tmp_path / "cmu.txt"))
    assert labels_read(dataset) == ["HH AH L OW | Y UW |"]
    assert dataset.labels == T15
    assert "says 'zyx', which" in str(dataset.problems[0])
    (tmp_path / "said.yaml").write_text(f"from: dictionary\nsymbols: {json.dumps(T15.symbols[:40])}")
    assert labels_read(open_root()) == ["HH AH L OW Y UW"]
    with pytest.raises(InputError, match=r"made from a dictionary; give data.dictionary=FILE"):
        open_root(dictionary=None)
    with pytest.raises(InputError, match=r"data.dictionary is set and data.source=t15 does not read it; t12 or npz or"):
        open_root(dictionary="cmu.txt", labels="letters")


def test_phonemes_without_silence(tmp_path: Path, open_root: Opener) -> None:
    root = saying(tmp_path / "a", "Hello.", labels=(16, 3, 40, 40, 21, 21, 40))
    dataset = open_root(data_root=root, labels='{drop: ["|"]}')
    assert labels_read(dataset) == ["HH AH L L"]
    assert (len(dataset.labels), dataset.labels.boundary, dataset.labels.unit) == (40, None, "phoneme")
    assert (dataset.entries[0].record.labels, dataset.entries[0].record.repeats) == (4, 1)
    with_silence = open_root(labels=None)
    assert (len(with_silence.labels), with_silence.entries[0].record.labels) == (41, 7)


def test_numbers_after_a_dropped_label_move_and_the_recordings_are_checked_by_their_own_set(
    tmp_path: Path, open_root: Opener
) -> None:
    (tmp_path / "x.yaml").write_text('symbols: [a, "|", b, _, c]\nblank: _\nboundary: "|"\ndrop: ["|", a]')
    trials = [FakeTrial(labels=ids) for ids in ((0, 1, 2, 4, 1), (2, 3))]
    write_session(tmp_path / "a", SESSIONS[0], "train", trials)
    dataset = open_root(data_root=str(tmp_path / "a"), labels=str(tmp_path / "x.yaml"))
    assert dataset.labels == Labels(("b", "_", "c"), blank=1)
    assert labels_read(dataset) == ["b c"]
    assert "has the blank (3) as label 1, needed are labels of 0 to 4, but not 3" in str(dataset.problems[0])


def test_several_roots_have_one_rule(tmp_path: Path) -> None:
    roots = [str(tmp_path / name) for name in "ab"]
    saying(tmp_path / "a", "Hi")
    write_session(tmp_path / "b", SESSIONS[1], "train", [FakeTrial(sentence="You")])
    config = DataConfig(roots=roots, labels="letters", cache_dir=str(tmp_path / "cache"), channels="0:4")
    assert labels_read(open_split(config, "train", num_channels=4, encoder_frames=patches)) == ["h i |", "y o u |"]


@pytest.mark.parametrize(
    "settings",
    [
        {"labels": "{from: pieces, symbols: [_, sentence, '1', '2', '3', '5', '6', '0', '4']}"},
        {"labels": '{drop: ["|"]}'},
        {"channels": "0:4"},
    ],
)
def test_a_split_reads_the_trials_of_another_one(settings: dict[str, str], config: DataConfig) -> None:
    """As is done where two splits are held against each other."""
    for name, value in settings.items():
        setattr(config, name, value)
    channels = 4 if config.channels else 8
    train, val = (
        open_split(config, split, num_channels=channels, encoder_frames=patches) for split in ("train", "val")
    )
    entry = train.entries[0]
    features = val.source.read_features(entry.key, entry.record)
    assert features.equal(train.source.read_features(entry.key, entry.record))


@pytest.mark.parametrize(
    "yaml",
    [
        "from: letters",
        "symbols: [_, A, B]\nfrom: letters",
        "symbols: [_, th, e, '|']\nboundary: '|'\nfrom: pieces",
        "from: dictionary",
        "drop: ['|', ZH]",
    ],
)
def test_a_rule_goes_with_the_set(yaml: str, tmp_path: Path) -> None:
    labels = parse_labels(yaml, "here")
    again = labels_of(tmp_path, json.dumps(labels.as_dict()))
    assert again == labels
    assert (again.made_from, again.whole) == (labels.made_from, labels.whole)
    assert again.has_rule


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("from: sounds", "here has from: 'sounds'; labels are made from letters or pieces or dictionary."),
        ("from: [letters]", "here has from: list; labels"),
        ("from: pieces", "here has from: pieces and no symbols; list the blank and the pieces."),
        ("from: letters\ndrop: [a]", "here has from and drop; leave drop out"),
        ("drop: a", "here: drop is no list of its labels, of which the blank is none"),
        ("drop: [BLANK]", "here: drop is no list of its labels"),
        ("drop: [{a: b}]", "here: drop is no list of its labels"),
        ("symbols: [_, a]\ndrop: [a]", "here: A set of labels has 1 symbols"),
    ],
)
def test_a_rule_that_is_none_is_one_sentence(yaml: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        parse_labels(yaml, "here")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_words_are_written_in_the_longest_pieces() -> None:
    assert PIECES.text(write("There, the", PIECES)) == "the re | the |"
    assert PIECES.sentence(PIECES.ids("the re | th e |")) == "there the"
    with pytest.raises(InputError, match=r"no label begins 'x' of 'rex'; add one to the set"):
        spell("rex", PIECES)


def test_what_is_said_is_not_left_out() -> None:
    assert written_words("rock & roll\u2026 (loud)", LETTERS) == ["rock", "&", "roll", "loud"]
    with pytest.raises(InputError, match="no label begins '&'"):
        write("rock & roll", LETTERS)
    assert (
        LETTERS.text(write("dogs' so-called\u2014no\u2019un", LETTERS)) == "d o g s ' | s o - c a l l e d | n o ' u n |"
    )
    capitals = Labels(("_", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "|"), boundary=27)
    assert capitals.unit == "letter"
    assert capitals.text(write("Don't well-known", capitals)) == "D O N T | W E L L K N O W N |"


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8), max_size=5))
def test_letters_spell_what_they_were_made_of(words: list[str]) -> None:
    assert LETTERS.sentence(write(" ".join(words), LETTERS)) == " ".join(words)
