"""Binaries of KenLM: scores and words as from the ARPA file they were built from; broken files.

kenlm/ holds one made-up trigram in the kinds that build_binary of KenLM 0.3.0 writes. Of the quantised ones every
value has a bin of its own:

    build_binary probing lm.arpa probing.bin
    build_binary -r "1.arpa 2.arpa" probing lm.arpa rest.bin
    build_binary trie lm.arpa trie.bin
    build_binary -q 7 -b 6 trie lm.arpa quantised.bin
    build_binary -a 3 trie lm.arpa array.bin
    build_binary -q 6 -b 7 -a 64 trie lm.arpa quantised_array.bin
"""

import itertools
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mode_ssm.config import Merge, WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.language.arpa import LN10, read_arpa
from mode_ssm.language.ctc_search import CTCWordSearch
from mode_ssm.language.kenlm import KenLMFile
from mode_ssm.language.lexicon import write_lexicon
from mode_ssm.language.model import load_word_model
from mode_ssm.language.ngram_store import NGramStore
from mode_ssm.language.trie import build_tree
from tests.language.conftest import LEXICON
from tests.language.paths import posteriors
from tests.language.test_lm_commands import fails, run

FILES = Path(__file__).parent / "kenlm"
ARPA = FILES / "lm.arpa"
KINDS = ("probing", "rest", "trie", "quantised", "array", "quantised_array")
WORDS = ("ah", "awe", "ab", "bee", "été", "never")


def binary(kind: str) -> Path:
    return FILES / f"{kind}.bin"


@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_those_of_the_arpa_file(kind: str) -> None:
    model, store = KenLMFile(binary(kind)), NGramStore.of(read_arpa(ARPA))
    assert (model.order, model.counts, set(model.words)) == (store.order, store.counts, set(store.words))
    histories = list(itertools.product(WORDS, repeat=4))
    for first in ("start", "empty"):
        states = np.full(len(histories), getattr(model, first))
        others = np.full(len(histories), getattr(store, first))
        for said in zip(*histories, strict=True):
            states, log_probs = model.score(states, [model.index(word) for word in said])
            others, expected = store.score(others, [store.index(word) for word in said])
            np.testing.assert_allclose(log_probs, expected, rtol=0, atol=2e-5)
        np.testing.assert_allclose(model.finish(states), store.finish(others), rtol=0, atol=2e-5)
        pairs = set(zip(states.tolist(), others.tolist(), strict=True))  # states that score alike are one in both
        assert len(pairs) == len(set(states.tolist())) == len(set(others.tolist())) > 10
    assert model.unigrams[model.index("ah")] == pytest.approx(-0.7923917 * LN10, abs=1e-5)
    assert model.index("AH") == model.index("ah") != model.unknown == model.index("never")


@pytest.mark.parametrize("kind", KINDS)
def test_scores_equal_kenlms(kind: str) -> None:
    kenlm = pytest.importorskip("flashlight.lib.text.decoder.kenlm", reason="flashlight-text's KenLM is not installed")
    from flashlight.lib.text.dictionary import Dictionary

    model, peer = KenLMFile(binary(kind)), kenlm.KenLM(str(binary(kind)), Dictionary(list(WORDS)))
    rng = np.random.default_rng(0)
    numbers = np.array([model.index(word) for word in WORDS])
    states, peers = np.full(200, model.start), [peer.start(False) for _ in range(200)]
    for _ in range(12):
        drawn = rng.integers(len(WORDS), size=200)
        states, log_probs = model.score(states, numbers[drawn])
        found = [peer.score(state, int(word)) for state, word in zip(peers, drawn, strict=True)]
        np.testing.assert_allclose(log_probs / LN10, [score for _, score in found], rtol=0, atol=1e-5)
        peers = [state for state, _ in found]


@pytest.mark.parametrize("kind", ["probing", "trie"])
@pytest.mark.parametrize("merge", list(Merge))
def test_a_search_finds_the_same_sentences(tmp_path: Path, kind: str, merge: Merge) -> None:
    for name in ("arpa", "bin"):
        (tmp_path / name).mkdir()
        write_lexicon(tmp_path / name / "lexicon.txt", LEXICON)
    (tmp_path / "arpa" / "lm.arpa").write_bytes(ARPA.read_bytes())
    (tmp_path / "bin" / "lm.bin").write_bytes(binary(kind).read_bytes())
    options, found = WordSearchConfig(lm_weight=0.7, merge=merge), []
    for name in ("arpa", "bin"):
        model = load_word_model(tmp_path / name)
        find = CTCWordSearch(model, build_tree(model), options, 5)
        found.append(find([posteriors(25, seed) for seed in range(12)]))
    for ours, theirs in zip(*found, strict=True):
        assert [one.words for one in ours] == [one.words for one in theirs]
        assert [one.score for one in ours] == pytest.approx([one.score for one in theirs], abs=1e-4)


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("import") / "theirs.txt"
    path.write_text("AH AA SIL\nAWE AA SIL\nAB AA B SIL\nNEW N UW SIL\n")
    return path


def test_a_binary_is_imported(tmp_path: Path, lexicon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lm"
    run("import", f"arpa={ARPA}", f"lexicon={lexicon}", f"out={out}")
    run("import", f"binary={binary('trie')}", f"lexicon={lexicon}", f"out={out}")  # in place of what was there
    told = capsys.readouterr().out
    assert "2 of 8 words of the model have no pronunciation and cannot be decoded: " in told
    assert sorted(path.name for path in out.iterdir()) == ["lexicon.txt", "lm.bin", "lm.json"]
    run("info", f"lm={out}")
    assert "order 3, n-grams: 8 of order 1, 31 of order 2, 61 of order 3." in capsys.readouterr().out
    words = fails(capsys, "prune", f"lm={out}", f"out={tmp_path / 'smaller'}")
    assert "lm.bin is a binary of KenLM, whose n-grams are scored but not listed" in words
    run("import", f"arpa={ARPA}", f"lexicon={lexicon}", f"out={out}")
    assert sorted(path.name for path in out.iterdir()) == ["lexicon.txt", "lm.arpa", "lm.json", "lm.ngram"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([f"arpa={binary('trie')}"], f"trie.bin is a binary of KenLM; give it as binary={binary('trie')}"),
        ([], "lm import needs the n-gram model, as arpa=FILE or as binary=FILE of KenLM; give one of both"),
        ([f"arpa={ARPA}", f"binary={binary('trie')}"], "give one of both"),
        ([f"binary={ARPA}"], "lm.arpa is no binary of KenLM; give a file that build_binary wrote"),
        ([f"binary={FILES / 'none.bin'}"], "none.bin cannot be read (No such file or directory)"),
    ],
)
def test_what_cannot_be_imported_is_said(
    tmp_path: Path, lexicon: Path, capsys: pytest.CaptureFixture[str], given: list[str], sentence: str
) -> None:
    assert sentence in fails(capsys, "import", *given, f"lexicon={lexicon}", f"out={tmp_path / 'lm'}")


def changed(kind: str, place: int, value: int) -> bytes:
    content = bytearray(binary(kind).read_bytes())
    content[place] = value
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (changed("trie", 49, ord("4")), "unfinished, or of another version or machine"),
        (b"mmap lm http://kheafield.com/code incomplete\n", "unfinished, or of another version or machine"),
        (changed("trie", 88, 1), "is no version of KenLM's known here"),
        (changed("trie", 96, 9), "is no version of KenLM's known here"),
        (changed("trie", 100, 0), "was built without its words"),
        (changed("quantised", 208, 3), "is quantised in a way that is not known here"),
        (binary("trie").read_bytes()[:400], "is a part of one; copy it again"),
        (binary("probing").read_bytes()[:-20], "does not have its 8 words at its end"),
    ],
)
def test_broken_files_are_said(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "lm.bin"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"lm\.bin") as told:
        KenLMFile(path)
    assert sentence in str(told.value)


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_a_part_of_a_file_is_an_input_error(
    kind: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = binary(kind).read_bytes()
    path = tmp_path_factory.mktemp("part") / "lm.bin"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(InputError):
        KenLMFile(path)


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_damage_is_an_input_error_or_other_scores(
    kind: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(binary(kind).read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(88, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "lm.bin"
    path.write_bytes(content)
    with np.errstate(all="ignore"), suppress(InputError):
        model = KenLMFile(path)
        states = np.array([model.start, model.empty])
        for _ in range(4):
            states = model.score(states, [model.index("ah"), model.index("bee")]).states
