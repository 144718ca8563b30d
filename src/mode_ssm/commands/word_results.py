"""Word error rates: in all, by session and corpus, unseen sentences apart, and of the best that an n-best holds."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mode_ssm.batch import TrialKey
from mode_ssm.commands.corpora import Corpora
from mode_ssm.commands.rate_table import grouped, kinds_of, print_rates, rate_of, rate_row, rate_rows, rates_by
from mode_ssm.data import denominator
from mode_ssm.files import replace_texts
from mode_ssm.labels import T15, Labels
from mode_ssm.language.confidence import Confidence
from mode_ssm.language.hypothesis import WordHypothesis
from mode_ssm.language.search import Found
from mode_ssm.language.word_places import slots_of_words
from mode_ssm.language.word_slots import WordSlot
from mode_ssm.language.word_times import FrameClock, WordTime, word_times
from mode_ssm.scoring import ErrorRate, edit_counts, has_words, normalise_sentence, sentence_hash, total, word_errors

NOTHING = WordHypothesis((), float("-inf"), 0.0, ())
COLUMNS = ("session", "block", "trial", "sentence", "words", "phonemes", "predicted_phonemes")


class WordDetails(NamedTuple):
    """What is written of single words."""

    clock: FrameClock | None  # of the encoder frames; None where it is not known: then there are no times
    confidence: Confidence | None  # None where none was learnt: then posteriors are written as such
    alternatives: int  # for each word, at most

    @property
    def columns(self) -> tuple[str, str, str]:
        return "starts", "ends", "posteriors" if self.confidence is None else "confidences"

    def cells(self, found: Found, labels: Labels) -> list[str]:
        """Of each word of the best sentence its start, its end, and how sure it is; separated by spaces."""
        times = self.times(best(found), labels)
        sure = [self.sureness(slot) for slot in slots_of_words(found.slots)]
        rows = [[f"{time.start:.2f}" for time in times], [f"{time.end:.2f}" for time in times]]
        return [" ".join(row) for row in (*rows, [f"{value:.3f}" for value in sure])]

    def times(self, hypothesis: WordHypothesis, labels: Labels) -> tuple[WordTime, ...]:
        """Of each word; empty where they are not known."""
        if self.clock is None or labels.boundary is None:
            return ()
        return word_times(hypothesis, self.clock, labels.boundary)

    def sureness(self, slot: WordSlot) -> float:
        return slot.posterior if self.confidence is None else self.confidence(slot.posterior)


def best(found: Found) -> WordHypothesis:
    """The best hypothesis; the empty sentence where there is none."""
    return found.hypotheses[0] if found.hypotheses else NOTHING


def word_errors_of(found: Found) -> ErrorRate:
    return word_errors(found.trial.sentence or "", best(found).text)


def oracle_errors_of(found: Found) -> ErrorRate:
    """Word errors of the n-best's most accurate sentence: what a perfect rescoring would reach."""
    choices = found.hypotheses or [NOTHING]
    return min((word_errors(found.trial.sentence or "", h.text) for h in choices), key=lambda errors: errors.edits)


def summarise(
    results: Sequence[Found],
    seen_hashes: Iterable[int],
    corpora: Corpora | None,
    lexicon: Iterable[str],
    unit: str = T15.unit,
) -> dict[str, Any]:
    """Rates as fractions, pooled over the labelled trials; without any, only their number.

    seen_hashes are those of the training sentences; lexicon holds the words that the search could find; unit is what
    a label is called.
    """
    labelled = [found for found in results if has_words(found.trial.sentence)]
    summary: dict[str, Any] = {"trials": len(results), "trials_labelled": len(labelled)}
    summary["left_out"] = dict(Counter(found.trial.lost for found in results if found.trial.lost))
    if not labelled:
        return summary
    known = set(seen_hashes)
    errors = [(found.trial, word_errors_of(found)) for found in labelled]
    groups = grouped(
        ("seen" if sentence_hash(trial.sentence or "") in known else "unseen", one) for trial, one in errors
    )
    pooled = total(one for _, one in errors)
    missing = missing_words(labelled, lexicon)
    phonemes = total(edit_counts(f.trial.labels, best(f).labels) for f in results if f.trial.labels)
    summary |= {
        "not_decoded": denominator(
            len(labelled),
            [found.trial.lost for found in labelled if found.trial.lost],
            ["no words that were said"] * (len(results) - len(labelled)),
        ),
        **rate_of("wer", [one for _, one in errors]),
        "word_edits": pooled.edits,
        **kinds_of(pooled),
        "reference_words": pooled.reference_length,
        "oracle_wer": total(map(oracle_errors_of, labelled)).rate,
        "oov_rate": missing.total() / max(pooled.reference_length, 1),
        "oov_words": dict(sorted(missing.items())),
        "unit": unit,
        "per": phonemes.rate if phonemes.reference_length else None,
        **rate_of("wer_unseen_sentences", groups.get("unseen", [])),
        **rate_of("wer_seen_sentences", groups.get("seen", [])),
        "trials_unseen_sentences": len(groups.get("unseen", [])),
        "trials_seen_sentences": len(groups.get("seen", [])),
        **rates_by("wer_by_session", grouped((trial.key.session, one) for trial, one in errors)),
    }
    if corpora is not None:
        by_corpus = grouped((corpora.of(trial.key.session, trial.key.block), one) for trial, one in errors)
        summary |= rates_by("wer_by_corpus", by_corpus)
    return summary


def missing_words(labelled: Iterable[Found], lexicon: Iterable[str]) -> Counter[str]:
    """The reference words outside the lexicon, both normalised, and how often each was said: none can be found."""
    known = set(map(normalise_sentence, lexicon))
    said = (word for found in labelled for word in normalise_sentence(found.trial.sentence or "").split())
    return Counter(word for word in said if word not in known)


def print_summary(summary: dict[str, Any], title: str) -> None:
    """The table that a person reads."""
    rows = [rate_row(summary, "word error rate", "wer", summary["trials_labelled"])]
    if "wer_before_rescoring" in summary:
        rows.append(rate_row(summary, "before rescoring", "wer_before_rescoring"))
    for kind in ("unseen", "seen"):
        name = f"{kind}_sentences"
        rows.append(rate_row(summary, f"of sentences {kind} in training", f"wer_{name}", summary[f"trials_{name}"]))
    rows.append(rate_row(summary, "of the best of the n-best (oracle)", "oracle_wer"))
    rows.append(rate_row(summary, "words outside the lexicon (OOV)", "oov_rate"))
    rows.append(rate_row(summary, f"{summary['unit']} error rate", "per"))
    for group in ("session", "corpus"):
        rows += rate_rows(summary, "word error rate, ", f"wer_by_{group}")
    words = f"{summary['reference_words']:,} words"
    print_rates(f"{title}, {summary['trials']} trials", rows, summary, summary["word_edits"], words)
    for sentence in summary["not_decoded"]:
        print(sentence)


def in_order(results: Iterable[Found]) -> list[Found]:
    """By session, block and trial."""
    return sorted(results, key=lambda found: sort_key(found.trial.key))


def sort_key(key: TrialKey) -> tuple[str, int, int]:
    return key.session, key.block, key.number


def write_results(
    folder: Path, summary: dict[str, Any], results: Sequence[Found], labels: Labels, details: WordDetails
) -> None:
    """Write decode.json, hypotheses.csv (a row a trial) and nbest.jsonl (an object a trial).

    Raises:
        InputError: when the folder cannot be written.
    """
    lm_weight = summary["search"]["lm_weight"]
    entries = (_key_of(found) | nbest_entry(found, labels, details, lm_weight) for found in results)
    write_decoded(folder, _table(results, labels, details), entries, summary | confidence_summary(details))


def confidence_summary(details: WordDetails) -> dict[str, Any]:
    """How the posteriors of words become confidences; null where they do not, and are not calibrated."""
    return {"confidence": None if details.confidence is None else details.confidence._asdict()}


def write_decoded(folder: Path, table: str, nbest: Iterable[dict[str, Any]], summary: dict[str, Any]) -> None:
    """Write the three files of decoded trials, from whatever they were decoded: a CSV, an object a trial, a summary.

    Raises:
        InputError: when the folder cannot be written.
    """
    texts = {
        "hypotheses.csv": table,
        "nbest.jsonl": "".join(json.dumps(entry) + "\n" for entry in nbest),
        "decode.json": json.dumps(summary, indent=2) + "\n",
    }
    replace_texts(folder, texts)


def _table(results: Sequence[Found], labels: Labels, details: WordDetails) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, *details.columns])
    for found in results:
        key, hypothesis = found.trial.key, best(found)
        said = (found.trial.sentence or "", hypothesis.text)
        phonemes = (labels.text(found.trial.labels), labels.text(hypothesis.labels))
        writer.writerow([key.session, key.block, key.number, *said, *phonemes, *details.cells(found, labels)])
    return text.getvalue()


def _key_of(found: Found) -> dict[str, Any]:
    key = found.trial.key
    return {"session": key.session, "block": key.block, "trial": key.number}


def nbest_entry(found: Found, labels: Labels, details: WordDetails, lm_weight: float) -> dict[str, Any]:
    """The sentences of a trial with the times of their words, and the best one's confusion network."""
    nbest = []
    for h in found.hypotheses:
        entry = _scores(h, lm_weight)
        times = [[round(time.start, 3), round(time.end, 3)] for time in details.times(h, labels)]
        nbest.append(entry | ({"times": times} if details.clock else {}))
    network = [_slot_entry(slot, details) for slot in found.slots]
    return {"nbest": nbest} | ({"network": network} if details.alternatives else {})


def _scores(hypothesis: WordHypothesis, lm_weight: float) -> dict[str, Any]:
    """A sentence and its scores, those of the language models apart and without their weights."""
    acoustic = hypothesis.acoustic
    if acoustic is None:
        acoustic = hypothesis.score - lm_weight * hypothesis.lm
    parts = {"score": hypothesis.score, "ngram": hypothesis.lm, "acoustic": acoustic, "neural": hypothesis.neural}
    return {"words": hypothesis.text} | {name: round(part, 4) for name, part in parts.items() if part is not None}


def _slot_entry(slot: WordSlot, details: WordDetails) -> dict[str, Any]:
    entry: dict[str, Any] = {"word": slot.word, "posterior": round(slot.posterior, 4)}
    if details.confidence is not None and slot.word:
        entry["confidence"] = round(details.sureness(slot), 4)
    if slot.time is not None:
        entry |= {"start": round(slot.time.start, 3), "end": round(slot.time.end, 3)}
    entry["alternatives"] = [[word, round(share, 4)] for word, share in slot.alternatives[: details.alternatives]]
    return entry
