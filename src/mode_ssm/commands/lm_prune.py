"""`mode-ssm lm prune`: a smaller n-gram model with the same words and lexicon."""

from pathlib import Path
from typing import Any

from mode_ssm.config import LmPruneConfig
from mode_ssm.dictionary import dictionary_text
from mode_ssm.errors import InputError
from mode_ssm.files import parse_json
from mode_ssm.language.folder import ARPA, LEXICON, STORE, SUMMARY, check_replaceable, write_folder
from mode_ssm.language.ngram_store import open_ngrams
from mode_ssm.language.pruning import prune


def prune_model(config: LmPruneConfig) -> None:
    """Write the pruned folder and print how many n-grams stay.

    Raises:
        InputError: when the model cannot be read, or the folder cannot be written or is that of the model.
    """
    folder, out = Path(config.lm), Path(config.out)
    if out.exists() and folder.exists() and out.samefile(folder):
        raise InputError("out is the folder of the language model itself; give another, so that the whole one stays.")
    check_replaceable(out)
    ngrams = open_ngrams(folder / STORE, folder / ARPA)
    smaller = prune(ngrams, config.threshold)
    lexicon = dictionary_text(folder / LEXICON)
    counts = [len(order.log_probs) for order in smaller.orders]
    summary = _summary(folder) | {"pruned_from": config.lm, "threshold": config.threshold}
    write_folder(out, smaller, lexicon, summary)
    print(f"{out}: {' + '.join(map(str, counts))} n-grams, of {' + '.join(map(str, ngrams.counts))}.")


def _summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY
    try:
        found = parse_json(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        raise InputError(f"{path} is no JSON; build the language model again.") from None
    return found if isinstance(found, dict) else {}
