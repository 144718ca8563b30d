"""`mode-ssm lm prune`: a smaller n-gram model with the same words and lexicon."""

from pathlib import Path
from typing import Any

from mode_ssm.config import LmPruneConfig
from mode_ssm.dictionary import dictionary_text
from mode_ssm.errors import InputError
from mode_ssm.files import parse_json
from mode_ssm.language.folder import BINARY, LEXICON, SUMMARY, check_replaceable, open_model, write_folder
from mode_ssm.language.ngram_store import NGramStore
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
    ngrams = open_model(folder)
    if not isinstance(ngrams, NGramStore):
        raise InputError(
            f"{folder / BINARY} is a binary of KenLM, whose n-grams are scored but not listed; import the ARPA file "
            "that it came from and prune that."
        )
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
