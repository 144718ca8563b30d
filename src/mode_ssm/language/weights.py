"""The weights of a word search, kept in a file beside the checkpoint that they were tuned for."""

import json
from dataclasses import asdict, fields, replace
from pathlib import Path

from mode_ssm.config import Merge, WordDecoder, WordSearchConfig
from mode_ssm.errors import InputError
from mode_ssm.files import parse_json, replace_text
from mode_ssm.language.confidence import VERSION, Confidence, read_confidence

TUNED = "tuned"
_FILES = ("words", "hotwords")  # settings of the search that are no weights


def decoding_folder(checkpoint: Path) -> Path:
    """Where word decoding keeps its files: in the run folder of a checkpoint."""
    run = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
    return run / "decoding"


def tuned_file(checkpoint: Path, decoder: WordDecoder) -> Path:
    return decoding_folder(checkpoint) / f"weights-{decoder.value}.json"


def write_weights(
    path: Path, settings: WordSearchConfig, wer: float, lm: str, confidence: Confidence | None = None
) -> None:
    """Keep settings with the word error rate that they reached, the language model and the confidence that go with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    where = str(Path(lm).resolve())
    weights = {name: value for name, value in asdict(settings).items() if name not in _FILES}
    kept = {"wer": wer, "lm": where, "search": weights}
    kept["confidence"] = None if confidence is None else {"version": VERSION, **confidence._asdict()}
    replace_text(path, json.dumps(kept, indent=2) + "\n")


def read_weights(path: Path) -> tuple[WordSearchConfig, str]:
    """Read what `write_weights` wrote: the settings, and the folder of the language model that they were tuned for.

    Raises:
        InputError: when there is no such file, or it holds anything but settings of the search.
    """
    try:
        kept = parse_json(path.read_text(encoding="utf-8"))
        search, lm = kept["search"], str(kept["lm"])
    except FileNotFoundError:
        raise InputError(
            f"There are no weights at {path}; run mode-ssm tune with this checkpoint and decoder."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not hold the weights of a word search ({error}); run mode-ssm tune.") from None
    for name, value in search.items() if isinstance(search, dict) else [("search", search)]:
        if not _is_setting(name, value):
            raise InputError(f"{path} has {name}={value!r}, which is no setting of the word search; run mode-ssm tune.")
    merge = Merge(search.get("merge", Merge.max))
    return replace(WordSearchConfig(), **{**search, "merge": merge}), lm


def _is_setting(name: str, value: object) -> bool:
    kinds = {f.name: type(f.default) for f in fields(WordSearchConfig) if f.name not in _FILES}
    if name == "merge":
        return value in list(Merge)
    return name in kinds and not isinstance(value, bool) and isinstance(value, int | kinds[name])


def choose_weights(
    chosen: str | None, settings: WordSearchConfig, checkpoint: Path, decoder: WordDecoder, lm: str
) -> WordSearchConfig:
    """The settings as given, or those of a file, or those tuned for this checkpoint; given ones go before a file's.

    Says so where a file's weights were tuned for another language model.
    """
    if chosen is None:
        return settings
    path = tuned_file(checkpoint, decoder) if chosen == TUNED else Path(chosen)
    kept, tuned_for = read_weights(path)
    if Path(tuned_for).resolve() != Path(lm).resolve():
        print(f"The weights of {path} were tuned for lm={tuned_for}; for lm={lm}, others may be better: mode-ssm tune.")
    usual = asdict(WordSearchConfig())
    return replace(kept, **{name: value for name, value in asdict(settings).items() if value != usual[name]})


def choose_confidence(
    chosen: str | None, settings: WordSearchConfig, checkpoint: Path, decoder: WordDecoder, lm: str
) -> Confidence | None:
    """The confidence that was learnt for just these settings and this language model; else None, and says why.

    Raises:
        InputError: when the file of weights holds a confidence that is none.
    """
    if chosen is None:
        print(f"Posteriors of words are not calibrated: mode-ssm tune learns how, and weights={TUNED} uses it.")
        return None
    path = tuned_file(checkpoint, decoder) if chosen == TUNED else Path(chosen)
    kept, tuned_for = read_weights(path)
    try:
        there = parse_json(path.read_text(encoding="utf-8")).get("confidence")
        version = there.pop("version", 1) if isinstance(there, dict) else None
        confidence = None if there is None else read_confidence(there)
    except ValueError as error:
        raise InputError(f"{path} does not hold a confidence ({error}); run mode-ssm tune.") from None
    if confidence is None:
        print(f"Posteriors of words are not calibrated, for {path} holds no confidence; mode-ssm tune learns one.")
    elif version != VERSION:
        print(
            f"Posteriors of words are not calibrated: the confidence of {path} was learnt on posteriors of another "
            "version of this program; mode-ssm tune learns one anew."
        )
        return None
    elif kept != settings or Path(tuned_for).resolve() != Path(lm).resolve():
        print(f"Posteriors of words are not calibrated: the confidence of {path} is for its own weights and its lm.")
        return None
    return confidence
