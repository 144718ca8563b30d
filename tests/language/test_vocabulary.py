"""Files of words and hot words: what is read, what is refused, and that decode finds them in one process and in two."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from mode_ssm.cli import main
from mode_ssm.config import DecodeConfig, WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import T15
from mode_ssm.language.model import WordModel
from mode_ssm.language.pool import CTCWordPool
from mode_ssm.language.vocabulary import load_words, parse_hotword, read_hotwords, read_words
from mode_ssm.language.weights import read_weights, write_weights
from tests.language.conftest import A, B
from tests.language.paths import posteriors


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_words_are_added_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = f"file={tmp_path / 'names.txt'}"
    assert run("words", "add", file, "Kaja", "K", "AY1", "AH", "Zorp Zoë Z OW IY") == 0
    said = capsys.readouterr().out
    assert "'zorp' is a guess from its letters: Z AO R P." in said
    assert "3 words, 3 of them now: kaja, zorp, zoe" in said
    assert run("words", "add", file, "kaja K AE Y AH") == 0
    assert read_words(tmp_path / "names.txt", T15)["kaja"] == tuple(
        map(tuple, (T15.ids("K AE Y AH"), T15.ids("K AY AH")))
    )
    capsys.readouterr()
    assert run("words", "remove", file, "zorp") == 0
    assert run("words", "list", file) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["kaja  K AE Y AH", "kaja  K AY AH", "zoe  Z OW IY"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("add",), "words add needs a word"),
        (("add", "K", "AH"), "'K' is a phoneme before any word"),
        (("add", "Kaja", "K", "|"), "The boundary follows every word"),
        (("add", "4-5-6"), "add one at a time"),
        (("remove", "zorp"), "has no word 'zorp'"),
        (("list", "zorp"), "has no word 'zorp'"),
    ],
)
def test_wrong_words_are_one_sentence(
    words: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "names.txt"
    file.write_text("kaja  K AY AH\n")
    assert run("words", words[0], f"file={file}", *words[1:]) == 2
    assert sentence in capsys.readouterr().err
    assert file.read_text() == "kaja  K AY AH\n"


def test_hot_words_have_their_own_boost_or_the_usual(tmp_path: Path) -> None:
    path = tmp_path / "hot.txt"
    path.write_text("## names\nNew York 2.5\n\nZürich\nnew\t-1\n", encoding="utf-8")
    assert read_hotwords(path, 4.0) == {("new", "york"): 2.5, ("zurich",): 4.0, ("new",): -1.0}


@pytest.mark.parametrize(
    ("line", "sentence"), [("...", "has no word"), ("york nan", "is no number of nats"), ("york 1e9", "is no number")]
)
def test_a_wrong_hot_word_is_one_sentence(line: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "hot.txt"
    path.write_text(f"kaja\n{line}\n")
    with pytest.raises(InputError, match=rf"hot\.txt, line 2: .*{sentence}"):
        read_hotwords(path, 4.0)
    with pytest.raises(InputError, match=sentence):
        parse_hotword(line)


def test_a_file_without_hot_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n## none\n")
    with pytest.raises(InputError, match="holds no hot word"):
        read_hotwords(tmp_path / "empty.txt", 4.0)
    with pytest.raises(InputError, match="cannot be read"):
        read_hotwords(tmp_path / "none.txt", 4.0)


@pytest.fixture
def settings(tmp_path: Path) -> WordSearchConfig:
    (tmp_path / "words.txt").write_text("baa  B AA\n")
    (tmp_path / "hot.txt").write_text("baa bee 9\nab\n")
    return WordSearchConfig(words=str(tmp_path / "words.txt"), hotwords=str(tmp_path / "hot.txt"))


def test_processes_of_a_pool_have_the_words_too(lm_folder: Path, settings: WordSearchConfig) -> None:
    model: WordModel = load_words(str(lm_folder), T15, settings)
    assert (model.words.index("baa"), (B, A, 40)) in model.spellings
    trials = [posteriors(12, seed).clip(-50) for seed in range(5)]
    with CTCWordPool(model, str(lm_folder), 0) as here, CTCWordPool(model, str(lm_folder), 1) as there:
        found = here.search(trials, settings, 5)
        assert found == there.search(trials, settings, 5)
    assert any("baa" in hypothesis.words for trial in found for hypothesis in trial)


@pytest.mark.parametrize("decoder", ["ctc", "rnnt", "joint"])
def test_decode_finds_added_words(decode_config: DecodeConfig, settings: WordSearchConfig, decoder: str) -> None:
    config = decode_config
    words = [f"{name}={getattr(config, name)}" for name in ("checkpoint", "lm", "output_dir")]
    data = [f"data.data_root={config.data.data_root}", f"data.cache_dir={config.data.cache_dir}"]
    hot = Path(settings.hotwords or "")
    hot.write_text("baa 60\n")
    assert (
        run("decode", *words, *data, f"decoder={decoder}", f"search.words={settings.words}", f"search.hotwords={hot}")
        == 0
    )
    with (Path(config.output_dir or "") / "hypotheses.csv").open() as file:
        assert any("baa" in row["words"].split() for row in csv.DictReader(file))


def test_kept_weights_name_no_words(tmp_path: Path, settings: WordSearchConfig) -> None:
    write_weights(tmp_path / "weights.json", settings, 0.1, "lm")
    assert read_weights(tmp_path / "weights.json")[0] == replace(settings, words=None, hotwords=None)
