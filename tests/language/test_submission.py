"""mode-ssm submit: from a decoded test split to the competition's CSV, and every fault of one."""

from dataclasses import replace
from pathlib import Path

import pytest

from mode_ssm.batch import TrialKey
from mode_ssm.commands.decode import decode
from mode_ssm.commands.score import read_columns
from mode_ssm.commands.submit import check_submission, submit
from mode_ssm.config import DecodeConfig, SubmitConfig
from mode_ssm.errors import InputError
from tests.language.conftest import SESSION


def test_a_decoded_test_split_becomes_a_valid_submission(
    decode_config: DecodeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decode(replace(decode_config, split="test"))
    out = tmp_path / "submission.csv"
    hypotheses = str(Path(decode_config.output_dir or "") / "hypotheses.csv")
    asked = SubmitConfig(data=decode_config.data, hypotheses=hypotheses, out=str(out), empty_text="the")
    assert submit(asked) == 0
    decoded = read_columns(hypotheses, "words")
    assert read_columns(out, "id", "text") == [(str(place), text or "the") for place, (text,) in enumerate(decoded)]
    assert submit(SubmitConfig(data=decode_config.data, check=str(out))) == 0
    assert "a valid submission" in capsys.readouterr().out


KEYS = [TrialKey(SESSION, "test", f"trial_{n:04d}", 1, n) for n in range(4)]


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        ("0,a\n1,b\n2,c\n3,d\n", []),
        ("0,a\n1,b\n3,d\n", ["Id 2: missing; it is t15.2023.08.13/test/trial_0002."]),
        ("0,a\n1,b\n1,b\n2,c\n3,d\n", ["Row 4, id 1: doubled"]),
        ("0,a\n2,c\n1,b\n3,d\n", ["Row 4, id 1: out of order, after id 2"]),
        ("0,a\n1, \n2,c\n3,\n", ["Row 3, id 1: empty", "Row 5, id 3: empty"]),
        (
            "0,A b\n1,b 2\n2,c  d\n3,it's well-known\n",
            ["Row 2, id 0: 'A b' would", "Row 3, id 1: 'b 2'", "Row 4, id 2"],
        ),
        ("0,a\n1,b\n2,c\n3,d\n4,e\nx,f\n", ["Row 6, id 4: not an id", "Row 7, id x: not an id"]),
    ],
)
def test_each_fault_of_a_submission_is_named(tmp_path: Path, rows: str, problems: list[str]) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("id,text\n" + rows)
    found = check_submission(path, KEYS)
    assert len(found) == len(problems)
    for got, expected in zip(found, problems, strict=True):
        assert got.startswith(expected)


def test_a_faulty_submission_exits_with_one_and_names_the_first_twenty(
    decode_config: DecodeConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "submission.csv"
    path.write_text("id,text\n" + "".join(f"{n},\n" for n in range(30)))
    assert submit(SubmitConfig(data=decode_config.data, check=str(path))) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert lines[-2:] == ["... and 10 more.", f"{path}: 30 problems."]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("drop", "lacks .*set empty_text to what should stand where"),
        ("double", "twice"),
        ("empty", "no words for .*set empty_text"),
        ("foreign", "which is not in this split"),
    ],
)
def test_hypotheses_that_give_no_submission_are_named(
    decode_config: DecodeConfig, tmp_path: Path, change: str, sentence: str
) -> None:
    rows = [f"{SESSION},{2 - number % 2},{number},ah" for number in range(6)]
    if change == "drop":
        rows.pop()
    elif change == "empty":
        rows[2] = rows[2].removesuffix("ah")
    else:
        rows.append(rows[0] if change == "double" else f"{SESSION},9,9,ah")
    path = tmp_path / "hypotheses.csv"
    path.write_text("\n".join(["session,block,trial,words", *rows]) + "\n")
    with pytest.raises(InputError, match=sentence):
        submit(SubmitConfig(data=decode_config.data, hypotheses=str(path), out=str(tmp_path / "out.csv")))


def test_submit_says_what_it_needs(decode_config: DecodeConfig) -> None:
    with pytest.raises(InputError, match="Give hypotheses=FILE .* or check=FILE"):
        submit(SubmitConfig(data=decode_config.data))
    with pytest.raises(InputError, match="check=FILE only checks; give it alone"):
        submit(SubmitConfig(data=decode_config.data, check="a.csv", out="b.csv"))
