"""`mode-ssm evaluate`: decode a labelled split with a checkpoint and count its errors.

A checkpoint rebuilds its own model; only the data root and what to decode are asked for. Of letters and word pieces,
which spell words, it counts word errors too: without any lexicon.
"""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mode_ssm.batch import TrialKey
from mode_ssm.commands.corpora import Corpora, read_corpora
from mode_ssm.commands.rate_table import grouped, kinds_of, print_rates, rate_of, rate_row, rate_rows, rates_by
from mode_ssm.config import Decoder, EvaluateConfig
from mode_ssm.data import LeftOut
from mode_ssm.files import check_writable, replace_texts
from mode_ssm.labels import Labels
from mode_ssm.recognition.network import Recogniser, load_recogniser, say_left_out
from mode_ssm.recognition.searches import SearchOptions, recognise, references
from mode_ssm.scoring import ErrorRate, edit_counts, has_words, sentence_hash, total, word_errors
from mode_ssm.t15.sessions import participant_of


class Result(NamedTuple):
    """One trial; where it could not be decoded, its hypothesis is empty."""

    key: TrialKey
    sentence: str | None
    reference: list[int]
    hypothesis: list[int]
    errors: ErrorRate


class Decoded(NamedTuple):
    """The scored trials of a split, in session, block and trial order, and those left out or counted as deletions."""

    results: list[Result]
    left_out: LeftOut


def evaluate(config: EvaluateConfig) -> None:
    """Decode, print a table, and write `evaluation.json` and `hypotheses.csv`.

    Raises:
        InputError: when the split has no labels, or anything named cannot be read.
    """
    corpora = read_corpora(config.corpus_csv) if config.corpus_csv else None
    recogniser = load_recogniser(config.checkpoint, config.device)
    config = replace(config, data=recogniser.data(config.data))
    head = recogniser.head(config.decoder)
    folder = Path(config.output_dir or _beside(recogniser.checkpoint.path, config.split, head))
    check_writable(folder)
    decoded = decode(recogniser, config)
    summary = summarise(decoded, recogniser, config, corpora)
    print_summary(summary, decoded)
    write_results(folder, summary, decoded.results, recogniser.checkpoint.labels)
    print(f"Written: {folder / 'evaluation.json'} and {folder / 'hypotheses.csv'}")


def decode(recogniser: Recogniser, config: EvaluateConfig) -> Decoded:
    """Decode all labelled trials that can be; the others are named on stderr.

    Raises:
        InputError: where there is none.
    """
    dataset = recogniser.open(config.data, config.split, labelled=True)
    recogniser.introduce(dataset)
    left_out = LeftOut(config.split, dataset.problems, say_left_out)
    options = SearchOptions(config.beam_size, config.max_labels_per_frame)
    head, results = recogniser.head(config.decoder), []
    for batch, encoded in recogniser.encode(
        dataset, batch_size=config.batch_size, num_workers=config.data.num_workers, on_problem=left_out
    ):
        found = recognise(recogniser.model, encoded, head, options)
        rows = zip(batch.keys, batch.sentences, references(batch), found, strict=True)
        results += [Result(key, text, ref, hyp, edit_counts(ref, hyp)) for key, text, ref, hyp in rows]
    for lost in left_out.labelled:
        results.append(Result(lost.key, lost.sentence, lost.labels, [], edit_counts(lost.labels, [])))
    return Decoded(sorted(results, key=lambda r: (r.key.session, r.key.block, r.key.number)), left_out)


def summarise(
    decoded: Decoded, recogniser: Recogniser, config: EvaluateConfig, corpora: Corpora | None
) -> dict[str, Any]:
    """What evaluation.json holds; rates are fractions, pooled over trials: all labelled ones, decoded or not."""
    results = decoded.results
    checkpoint = recogniser.checkpoint
    seen_hashes = set(checkpoint.sentence_hashes.tolist())
    seen = [r.errors for r in results if r.sentence is not None and sentence_hash(r.sentence) in seen_hashes]
    unseen = [r.errors for r in results if r.sentence is not None and sentence_hash(r.sentence) not in seen_hashes]
    pooled = total(r.errors for r in results)
    summary: dict[str, Any] = {
        "checkpoint": str(checkpoint.path),
        "data_root": config.data.place,
        "split": config.split,
        "decoder": recogniser.head(config.decoder).value,
        "unit": checkpoint.labels.unit,
        "beam_size": config.beam_size,
        "trials": len(results),
        "trials_decoded": len(results) - len(decoded.left_out.labelled),
        "left_out": decoded.left_out.counts(),
        "reference_phonemes": pooled.reference_length,
        "edits": pooled.edits,
        **kinds_of(pooled),
        **rate_of("per", [r.errors for r in results]),
        **rate_of("per_seen_sentences", seen),
        **rate_of("per_unseen_sentences", unseen),
        "trials_seen_sentences": len(seen),
        "trials_unseen_sentences": len(unseen),
        **rates_by("per_by_session", grouped((r.key.session, r.errors) for r in results)),
    }
    participants = grouped((participant_of(r.key.session), r.errors) for r in results)
    if len(participants) > 1:
        summary |= rates_by("per_by_participant", participants)
    if checkpoint.labels.spells:
        summary |= _words(results, checkpoint.labels)
    if corpora is not None:
        groups = grouped((corpora.of(r.key.session, r.key.block), r.errors) for r in results)
        summary |= rates_by("per_by_corpus", groups)
    return summary


def _words(results: list[Result], labels: Labels) -> dict[str, Any]:
    """The word errors of what the labels spell, over the trials that have words."""
    said = [(r.sentence or "", labels.sentence(r.hypothesis)) for r in results if has_words(r.sentence)]
    errors = [word_errors(sentence, spelt) for sentence, spelt in said]
    pooled = total(errors)
    counts = {"word_edits": pooled.edits, "reference_words": pooled.reference_length, "trials_words": len(errors)}
    return rate_of("wer", errors) | counts


def print_summary(summary: dict[str, Any], decoded: Decoded) -> None:
    """The table that a person reads, and below it what its rates do not cover."""
    unit, short = summary["unit"], " (CER)" if summary["unit"] == "letter" else ""
    title = (
        f"{unit.capitalize()} error rate{short}, {summary['split']}, {summary['decoder']}, {summary['trials']} trials"
    )
    rows = [rate_row(summary, "all trials", "per", summary["trials"])]
    for kind in ("unseen", "seen"):
        name = f"{kind}_sentences"
        rows.append(rate_row(summary, f"sentences {kind} in training", f"per_{name}", summary[f"trials_{name}"]))
    for group in ("participant", "session", "corpus"):
        rows += rate_rows(summary, "", f"per_by_{group}")
    if "wer" in summary:
        rows.append(rate_row(summary, f"word error rate (WER), {unit}s joined", "wer", summary["trials_words"]))
    print_rates(title, rows, summary, summary["edits"], f"{summary['reference_phonemes']:,} {unit}s")
    if "wer" in summary:
        print(f"{summary['word_edits']:,} edits in {summary['reference_words']:,} words.")
    for sentence in decoded.left_out.denominator(summary["trials"]):
        print(sentence)


def write_results(folder: Path, summary: dict[str, Any], results: list[Result], labels: Labels) -> None:
    """Write both files.

    Raises:
        InputError: when the folder cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    header = ["session", "block", "trial", "sentence", "phonemes", "predicted_phonemes", "edits"]
    writer.writerow([*header, "words"] if labels.spells else header)
    for r in results:
        symbols = (labels.text(r.reference), labels.text(r.hypothesis))
        row = [r.key.session, r.key.block, r.key.number, r.sentence or "", *symbols, r.errors.edits]
        writer.writerow([*row, labels.sentence(r.hypothesis)] if labels.spells else row)
    replace_texts(folder, {"hypotheses.csv": text.getvalue(), "evaluation.json": json.dumps(summary, indent=2) + "\n"})


def _beside(checkpoint: Path, split: str, head: Decoder) -> Path:
    run = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    return run / "evaluation" / f"{split}-{head.value}"
