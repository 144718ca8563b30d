"""A data root says its set of labels, or a setting does; what is read is checked against it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.batch import Trial, collate
from mode_ssm.errors import InputError
from mode_ssm.labels import LABELS_FILE, T15, Labels, read_labels
from tests.data.conftest import SESSIONS, Opener
from tests.data.files import FakeTrial, write_session

LETTERS = Labels((*"abc", "_", "|"), blank=3, boundary=4)
YAML = "symbols: [a, b, c, _, '|']\nblank: _\nboundary: '|'\n"


@pytest.fixture
def spelt(tmp_path: Path) -> Path:
    """One session, of which a trial has the blank as a label and another one a number that no letter has."""
    labels = [(0, 1, 4), (2, 2, 4), (0, 3, 4), (1, 5, 4)]
    write_session(tmp_path / "spelt", SESSIONS[0], "train", [FakeTrial(labels=ids) for ids in labels])
    return tmp_path / "spelt"


SYMBOLS = st.lists(st.text(st.characters(codec="utf-8", categories=["L", "N", "S"]), min_size=1), unique=True)


@given(SYMBOLS.filter(lambda symbols: len(symbols) > 3), st.booleans())
def test_plain_values_give_the_set_back(symbols: list[str], with_boundary: bool) -> None:
    labels = Labels(tuple(symbols), blank=2, boundary=1 if with_boundary else None)
    assert Labels.from_dict(labels.as_dict(), "here") == labels


def test_trials_are_checked_against_the_set_of_their_root(spelt: Path, open_root: Opener) -> None:
    (spelt / LABELS_FILE).write_text(YAML)
    dataset = open_root(data_root=str(spelt))
    assert dataset.labels == LETTERS
    assert [entry.key.group for entry in dataset.entries] == ["trial_0000", "trial_0001"]
    said = [str(problem).split(".hdf5 ")[1] for problem in dataset.problems]
    assert [sentence.split(". ")[0] for sentence in said] == [
        "trial_0002 has the blank (3) as label 1, needed are labels of 0 to 4, but not 3 (a to |)",
        "trial_0003 has 5 as label 1, needed are labels of 0 to 4, but not 3 (a to |)",
    ]


def test_a_setting_goes_before_the_root_and_no_index_is_mixed_up(
    tmp_path: Path, spelt: Path, open_root: Opener
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("symbols: [_, a, b, c, d, e]")
    for _ in range(2):  # the second time from the kept index
        assert open_root(data_root=str(spelt), labels=str(other)).labels == Labels(("_", *"abcde"))
        assert [problem.trial for problem in open_root(data_root=str(spelt)).problems] == ["trial_0000", "trial_0002"]
        (spelt / LABELS_FILE).write_text(YAML)
        assert [p.trial for p in open_root(data_root=str(spelt), labels=None).problems] == ["trial_0002", "trial_0003"]
        assert open_root(data_root=str(spelt), labels="t15").labels == T15


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("- a", "is no set of labels; write symbols: [...], and blank and boundary by symbol."),
        ("symbols: [a, b]\nblnk: a", "is no set of labels"),
        ("symbols: {a: 1}", "are not a list of texts; put each in quotes."),
        ("symbols: [_, no]", "are not a list of texts; put each in quotes."),
        ("symbols: [_, a]\nblank: 0", "is 0; give one of its symbols."),
        ("symbols: [_, a]\nboundary: b", "is 'b'; give one of its symbols."),
        ("symbols: [_, a, a]", "A set of labels has 'a' twice"),
        ("symbols: [_, a]\nblank: _\nboundary: _", "so it cannot be the word boundary too."),
        ("symbols: [_, a", "are not YAML (while parsing"),
    ],
)
def test_a_file_that_is_no_set_is_one_sentence(spelt: Path, open_root: Opener, content: str, words: str) -> None:
    (spelt / LABELS_FILE).write_text(content)
    with pytest.raises(InputError) as error:
        open_root(data_root=str(spelt))
    assert words in str(error.value)
    assert LABELS_FILE in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x.yaml cannot be read \(No such file or directory\); give data.labels=FILE"):
        read_labels(tmp_path / "x.yaml")


def test_an_unknown_source_is_one_sentence(open_root: Opener) -> None:
    with pytest.raises(InputError, match=r"data.source=wav is no format that is known; choose t15"):
        open_root(source="wav")


def test_trials_without_labels_are_of_use_where_none_are_needed(tmp_path: Path, open_root: Opener) -> None:
    write_session(tmp_path / "mixed", SESSIONS[0], "train", [FakeTrial(), FakeTrial(labels=None)])
    root = str(tmp_path / "mixed")
    assert [problem.what for problem in open_root(data_root=root).problems] == [
        "has no labels, and only a test trial can do without"
    ]
    dataset = open_root(data_root=root, labelled=False)
    assert dataset.problems == []
    trials = [dataset[0], dataset[1]]
    assert [isinstance(trial, Trial) and trial.labels is not None for trial in trials] == [True, False]
    batch = collate([trial for trial in trials if isinstance(trial, Trial)], {})
    assert batch.label_lengths.tolist() == [5, 0]
    assert batch.labelled.tolist() == [True, False]


def test_a_test_split_can_be_asked_for_labels(open_root: Opener) -> None:
    assert len(open_root("test")) == 2
    with pytest.raises(InputError, match=r"split=test has no labels to compare with: none of its 2 trials"):
        open_root("test", labelled=True)
