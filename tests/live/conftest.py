"""A causal network trained on small recordings, with a small language model."""

from pathlib import Path
from typing import NamedTuple

import pytest

import mode_ssm
from mode_ssm.language.lexicon import write_lexicon
from mode_ssm.language.ngram import write_arpa
from tests.language.conftest import LEXICON, SENTENCES
from tests.small import small_config, write_data

CAUSAL = ("encoder.direction=causal", "preprocessor.smoothing=causal")


class Laboratory(NamedTuple):
    data: Path
    run: Path
    both: Path  # the run of a bidirectional network
    lm: Path


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    place = tmp_path_factory.mktemp("live")
    data = write_data(place / "data")
    for name, more in (("causal", CAUSAL), ("both", ())):
        mode_ssm.train(small_config(data, place / name, *more))
    lm = place / "lm"
    lm.mkdir()
    write_lexicon(lm / "lexicon.txt", LEXICON)
    write_arpa([sentence.split() for sentence in SENTENCES], frozenset(LEXICON), 2, lm / "lm.arpa")
    return Laboratory(data, place / "causal", place / "both", lm)
