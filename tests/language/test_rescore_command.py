"""`mode-ssm rescore` with a tiny causal model trained here: context, weights, files and what is refused."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mode_ssm.cli import main
from mode_ssm.commands import rescore as command
from mode_ssm.config import Device, RescoreConfig
from mode_ssm.errors import InputError
from mode_ssm.language.nbest_files import read_scored
from mode_ssm.language.rescore import load_scorer
from mode_ssm.language.sentence_scorer import SentenceScorer

WORDS = ["<s>", "\n", "it", "is", "was", "a", "red", "blue", "sea", "see"]
COLOURS = ("red", "blue")


class Tokenizer:
    bos_token_id, eos_token_id = 0, None

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [WORDS.index(word) for word in text.replace("\n", " \n ").split(" ") if word]}


class Recurrent(nn.Module):
    """A causal model of words, with the face of those of transformers."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), 16)
        self.layer = nn.GRU(16, 32, batch_first=True)
        self.out = nn.Linear(32, len(WORDS))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> SimpleNamespace:
        return SimpleNamespace(logits=self.out(self.layer(self.embedding(input_ids))[0]))


def pair(random: Random) -> tuple[str, str]:
    """The second sentence has the first one's colour."""
    colour = random.choice(COLOURS)
    return f"a {colour} sea", f"it {random.choice(('is', 'was'))} {colour}"


@pytest.fixture(scope="module")
def trained() -> Recurrent:
    torch.manual_seed(0)
    random, model = Random(0), Recurrent()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        texts = [Tokenizer()("\n".join(pair(random)) + "\n", False)["input_ids"] for _ in range(32)]
        ids = torch.tensor([[0, *text] for text in texts])
        loss = nn.functional.cross_entropy(model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


@pytest.fixture
def rescorer(trained: Recurrent, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(config: RescoreConfig, device: Device) -> SentenceScorer:
        return SentenceScorer(trained, Tokenizer(), config.batch_size)

    monkeypatch.setattr(command, "load_scorer", load)


def decoded(folder: Path, seed: int, count: int) -> str:
    """Pairs of sentences in blocks of two: the search is sure of the first, and guesses the second one's colour."""
    random, rows, lines = Random(seed), [], []
    for block in range(count):
        for trial, said in enumerate(pair(random)):
            other = said.replace("red", "x").replace("blue", "red").replace("x", "blue")
            gap = random.gauss(0, 0.3) if trial else 8.0
            nbest = [{"words": said, "acoustic": 0.0}, {"words": other, "acoustic": -gap}]
            ranked = sorted(nbest, key=lambda one: -one["acoustic"])  # type: ignore[operator]
            key = {"session": "s", "block": block, "trial": trial}
            scores = [{**one, "score": one["acoustic"] - 1.0, "ngram": -2.0} for one in ranked]  # type: ignore[operator]
            lines.append({**key, "nbest": scores})
            rows.append({**key, "sentence": said.capitalize() + ".", "words": ranked[0]["words"]})
    write(folder, rows, lines)
    return str(folder)


def write(folder: Path, rows: Sequence[dict[str, Any]], lines: Sequence[dict[str, Any]]) -> None:
    folder.mkdir()
    with (folder / "hypotheses.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (folder / "nbest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "decode.json").write_text(json.dumps({"search": {"lm_weight": 0.5}, "rescore": None}))


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(("rescore", *words))
    assert ended.value.code == 0


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(("rescore", *words))
    assert ended.value.code == 2
    return capsys.readouterr().err


def summary_of(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "decode.json").read_text())
    return read


@pytest.mark.usefixtures("rescorer")
def test_the_sentence_before_helps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, alone, after_one = decoded(tmp_path / "decoded", 1, 60), tmp_path / "alone", tmp_path / "after_one"
    run(source, f"out={alone}", "rescore.model=tiny")
    run(source, f"out={after_one}", "rescore.model=tiny", "rescore.context=1")
    without, with_context = summary_of(alone), summary_of(after_one)
    assert without["trials"] == without["trials_labelled"] == 120
    assert with_context["reference_words"] == 360
    assert without["wer_before_rescoring"] == with_context["wer_before_rescoring"] > 0.05
    assert with_context["wer"] < without["wer"] / 5
    assert f"{100 * with_context['wer_before_rescoring']:.2f}" in capsys.readouterr().out


@pytest.mark.usefixtures("rescorer")
def test_words_that_the_search_could_not_find_are_told_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = decoded(tmp_path / "decoded", 1, 3)
    run(source, f"out={tmp_path / 'one'}", "rescore.model=tiny")
    assert "OOV" not in capsys.readouterr().out
    summary = {"search": {"lm_weight": 0.5}, "oov_rate": 0.125}
    (tmp_path / "decoded" / "decode.json").write_text(json.dumps(summary))
    run(source, f"out={tmp_path / 'two'}", "rescore.model=tiny")
    assert "outside the lexicon (OOV)" in (said := capsys.readouterr().out)
    assert "12.50" in said
    assert summary_of(tmp_path / "two")["oov_rate"] == 0.125


@pytest.mark.usefixtures("rescorer")
def test_scores_stand_apart_and_make_up_the_order(trained: Recurrent, tmp_path: Path) -> None:
    source, out = decoded(tmp_path / "decoded", 2, 5), tmp_path / "out"
    run(source, f"out={out}", "rescore.model=tiny", "rescore.share=0.25", "rescore.weight=2")
    scorer = SentenceScorer(trained, Tokenizer(), 4)
    lines = [json.loads(line) for line in (out / "nbest.jsonl").read_text().splitlines()]
    with (out / "hypotheses.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["words"] for row in rows] == [line["nbest"][0]["words"] for line in lines]
    for line in lines:
        assert line["nbest"] == sorted(line["nbest"], key=lambda one: -one["score"])
        for one in line["nbest"]:
            assert one["neural"] == pytest.approx(scorer([one["words"]])[0], abs=1e-4)
            expected = one["acoustic"] + 0.75 * 0.5 * one["ngram"] + 0.25 * 2 * one["neural"]
            assert one["score"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.usefixtures("rescorer")
def test_weights_are_learnt_and_used_again(tmp_path: Path) -> None:
    first, second = decoded(tmp_path / "first", 3, 40), decoded(tmp_path / "second", 4, 40)
    given = ("rescore.model=tiny", "rescore.context=1", "rescore.share=0.05")
    run(first, f"out={tmp_path / 'learnt'}", *given, "learn=true")
    run(second, f"out={tmp_path / 'plain'}", *given)
    run(second, f"out={tmp_path / 'used'}", *given, f"weights={tmp_path / 'learnt' / 'decode.json'}")
    learnt, plain, used = (summary_of(tmp_path / name) for name in ("learnt", "plain", "used"))
    assert learnt["wer_two_fold"] < learnt["wer_before_rescoring"]
    assert used["weights"] == learnt["weights"] != plain["weights"]
    assert used["wer"] < plain["wer"]


@pytest.mark.usefixtures("rescorer")
def test_what_cannot_be_rescored_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = decoded(tmp_path / "decoded", 5, 2), f"out={tmp_path / 'out'}"
    assert "give rescore.model" in refused(capsys, source, out)
    model = "rescore.model=tiny"
    assert "give one of both" in refused(capsys, source, out, model, "learn=true", "weights=some.json")
    assert "holds no weights" in refused(capsys, source, out, model, f"weights={tmp_path / 'none.json'}")
    assert "says no search.lm_weight" in refused(capsys, str(tmp_path), out, model)
    write(tmp_path / "named", [{"id": 1, "sentence": "a sea", "words": "a sea"}], [{"id": 1, "nbest": []}])
    assert "rescore.context needs session" in refused(capsys, str(tmp_path / "named"), out, model, "rescore.context=1")
    run(str(tmp_path / "named"), out, model)
    assert "were rescored" in refused(capsys, str(tmp_path / "out"), f"out={tmp_path / 'again'}", model)
    lines = (Path(source) / "nbest.jsonl").read_text().splitlines()
    (Path(source) / "nbest.jsonl").write_text("\n".join(lines[1:]))
    assert "has 3 trials of 4" in refused(capsys, source, out, model)
    (Path(source) / "nbest.jsonl").write_text('{"session": "s", "block": 9, "trial": 9, "nbest": []}')
    assert "is not in hypotheses.csv" in refused(capsys, source, out, model)
    (Path(source) / "nbest.jsonl").write_text('{"session": "s", "block": 0, "trial": 0, "nbest": [{"words": "a"}]}')
    assert "lacks 'ngram'" in refused(capsys, source, out, model)


def test_files_of_before_acoustic_scores_stood_apart_are_read(tmp_path: Path) -> None:
    sentence = {"words": "a sea", "score": -4.0, "ngram": -6.0}
    write(tmp_path / "old", [{"id": 1, "sentence": "a sea", "words": "a sea"}], [{"id": 1, "nbest": [sentence]}])
    (found,) = read_scored(tmp_path / "old").trials[0].nbest
    assert found == (("a", "sea"), -4.0 + 0.5 * 6.0, -6.0, -4.0)  # lm_weight is 0.5


def test_the_model_is_loaded_where_it_is_told(trained: Recurrent, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a GPU at hand, device=cpu means the CPU, and float32; asked for without one, it is an error."""
    asked: dict[str, Any] = {}

    def loaded(where: str, **more: Any) -> Any:
        asked.update(more)
        return trained

    logging = SimpleNamespace(disable_progress_bar=lambda: None)
    package = SimpleNamespace(
        AutoTokenizer=SimpleNamespace(from_pretrained=lambda _: Tokenizer()),
        AutoModelForCausalLM=SimpleNamespace(from_pretrained=loaded),
        utils=SimpleNamespace(logging=logging),
    )
    monkeypatch.setitem(sys.modules, "transformers", package)  # type: ignore[arg-type]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    scorer = load_scorer(RescoreConfig(model="any"), Device.cpu)
    assert asked["dtype"] == torch.float32
    said = ["a red sea", "it is blue"]
    assert scorer(said) == pytest.approx(SentenceScorer(trained, Tokenizer(), 2)(said), abs=1e-4)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match="device=cuda but PyTorch finds no GPU"):
        load_scorer(RescoreConfig(model="any"), Device.cuda)
