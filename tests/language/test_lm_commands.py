"""lm info, lm prune and lm import, as they are called; pruning beside its definition."""

import json
from pathlib import Path

import numpy as np
import pytest

from mode_ssm.cli import main
from mode_ssm.labels import T15
from mode_ssm.language.lexicon import read_lexicon
from mode_ssm.language.model import load_word_model
from mode_ssm.language.ngram_store import NGramStore
from mode_ssm.language.perplexity import measure
from mode_ssm.language.pruning import prune
from tests.language.test_arpa import PLAIN

LEXICON = "<s> SIL\nHE HH IY SIL\nSAID S EH D SIL\nSAID S EY D SIL\nNEW N UW SIL\n"


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["lm", *words])
    assert stopped.value.code == 0


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["lm", *words])
    assert stopped.value.code == 2
    return capsys.readouterr().err


def sentences(seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    follows = rng.dirichlet(np.full(12, 0.3), size=12)
    found = []
    for _ in range(300):
        words = [int(rng.integers(12))]
        while len(words) < rng.integers(2, 9):
            words.append(int(rng.choice(12, p=follows[words[-1]])))
        found.append(["abcdefghijkl"[word] for word in words])
    return found


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("\n".join(" ".join(words) for words in sentences(0)))
    run("build", f"out={tmp_path / 'lm'}", f"text={tmp_path / 'text.txt'}", "order=3")
    return tmp_path / "lm"


def mass(ngrams: NGramStore, history: list[str]) -> float:
    state = np.array([ngrams.start])
    for word in history:
        state = ngrams.score(state, [ngrams.index(word)]).states
    words = np.arange(len(ngrams.words))
    return float(np.exp(ngrams.score(np.repeat(state, len(words)), words).log_probs).sum())


def test_info_tells_what_a_model_holds(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("info", str(built), f"text={built.parent / 'text.txt'}")
    told = capsys.readouterr().out
    counts = load_word_model(built).ngrams.counts
    assert f"order 3, n-grams: {counts[0]} of order 1, {counts[1]} of order 2, {counts[2]} of order 3." in told
    assert "12 words with 12 pronunciations; 0 of them are not in the n-gram model." in told
    assert "perplexity" in told
    assert "0.00 % of words unknown" in told


def test_a_pruned_model_is_smaller_and_still_sums_to_one(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, text = load_word_model(built).ngrams, sentences(0)
    before = measure(whole, text).perplexity
    sizes, perplexities = [sum(whole.counts)], [before]
    for threshold in (1e-5, 1e-3, 1e-1):
        smaller = built.with_name("smaller")
        run("prune", f"lm={built}", f"out={smaller}", f"threshold={threshold}")
        model = load_word_model(smaller)
        assert model.words == load_word_model(built).words
        for history in ([], ["a"], ["a", "b"], ["b", "c", "d"], ["l", "l"]):
            assert mass(model.ngrams, history) == pytest.approx(1.0, abs=1e-4)
        sizes.append(sum(model.ngrams.counts))
        perplexities.append(measure(model.ngrams, text).perplexity)
        assert json.loads((smaller / "lm.json").read_text())["threshold"] == threshold
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]
    assert perplexities == sorted(perplexities)
    assert prune(whole, 0.0).orders[2].words.shape == whole.model().orders[2].words.shape


def test_the_rise_of_leaving_out_one_bigram_is_that_of_the_whole_distribution(built: Path) -> None:
    """For bigrams, the relative entropy of two models that differ in one n-gram, summed over all words."""
    from mode_ssm.language.pruning import _backed_off, _rises

    run("build", f"out={built.with_name('bi')}", f"text={built.parent / 'text.txt'}", "order=2")
    ngrams = load_word_model(built.with_name("bi")).ngrams
    order, contexts = ngrams.model().orders[1], ngrams.context_rows(2)
    backoffs = ngrams.model().orders[0].backoffs.astype(np.float64)[contexts]
    rises = _rises(ngrams, order, contexts, np.full(len(contexts), 0.01), backoffs)
    unigrams = np.exp(ngrams.unigrams)
    for row in range(0, len(contexts), 7):
        same = np.flatnonzero(contexts == contexts[row])
        seen, without = np.exp(order.log_probs[same].astype(float)), same != row
        p = unigrams * np.exp(backoffs[row])
        p[order.words[same, 1]] = seen
        alpha = (1 - seen[without].sum()) / (1 - unigrams[order.words[same, 1]][without].sum())
        q = unigrams * alpha
        q[order.words[same, 1][without]] = seen[without]
        some = p > 0
        divergence = 0.01 * np.sum(p[some] * np.log(p[some] / q[some]))
        assert rises[row] == pytest.approx(np.expm1(divergence), abs=1e-7)
    assert np.all(_backed_off(ngrams, order) > 0)


def test_a_model_is_imported_with_what_does_not_match(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lm.arpa").write_text(
        PLAIN.replace("\the\t", "\tHE\t").replace(" he\n", " HE\n").replace("\the ", "\tHE ")
    )
    (tmp_path / "lexicon.txt").write_text(LEXICON.replace("SAID S", "SAYS S"))
    (tmp_path / "tokens.txt").write_text("BLANK\nSIL\nHH\nIY\n")
    files = (f"arpa={tmp_path / 'lm.arpa'}", f"lexicon={tmp_path / 'lexicon.txt'}", f"out={tmp_path / 'lm'}")
    run("import", *files, f"tokens={tmp_path / 'tokens.txt'}")
    told = capsys.readouterr().out
    assert "1 of 5 words of the model have no pronunciation and cannot be decoded: said." in told
    assert "2 of 3 words of the lexicon are not in the model and score as <unk>: says, new." in told
    assert read_lexicon(tmp_path / "lm" / "lexicon.txt")["says"] == (tuple(T15.ids("S EH D")), tuple(T15.ids("S EY D")))
    model = load_word_model(tmp_path / "lm")
    assert model.unigrams[model.words.index("he")] == pytest.approx(-0.8 * np.log(10))


@pytest.mark.parametrize(
    ("arpa", "lexicon", "tokens", "sentence"),
    [
        (PLAIN, "he HH QQ SIL\nsaid S XX\n", None, "symbols that are not among the labels: QQ, XX; set labels=FILE"),
        (PLAIN, LEXICON, "BLANK SIL AA QQ", "tokens.txt has symbols that are not among the labels: QQ"),
        (PLAIN, "he SIL\n", None, "line 1 needs a word and its labels, such as: HELLO HH AH L OW SIL"),
        ("mmap lm http://kheafield.com/code format version 5", LEXICON, None, "is a binary of KenLM"),
        ("none", LEXICON, None, "has no line"),
    ],
)
def test_what_cannot_be_imported_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arpa: str, lexicon: str, tokens: str | None, sentence: str
) -> None:
    for name, content in (("lm.arpa", arpa), ("lexicon.txt", lexicon), ("tokens.txt", tokens or "")):
        (tmp_path / name).write_text(content)
    words = [f"arpa={tmp_path / 'lm.arpa'}", f"lexicon={tmp_path / 'lexicon.txt'}", f"out={tmp_path / 'lm'}"]
    words += [f"tokens={tmp_path / 'tokens.txt'}"] if tokens else []
    assert sentence in fails(capsys, "import", *words)
    assert not (tmp_path / "lm").exists()


def test_a_model_is_not_pruned_in_its_own_place(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "out is the folder of the language model itself" in fails(capsys, "prune", f"lm={built}", f"out={built}")
