"""A causal network trained on small recordings, with a small language model."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import mode_ssm
from mode_ssm.language.lexicon import write_lexicon
from mode_ssm.language.ngram import write_arpa
from tests.language.conftest import LEXICON, SENTENCES
from tests.live.lsl_rig import stay_on_this_machine
from tests.live.redis_rig import REDIS, RedisProcess, Rig
from tests.small import small_config, write_data

CAUSAL = ("encoder.direction=causal", "preprocessor.smoothing=causal")


class Laboratory(NamedTuple):
    data: Path
    run: Path
    both: Path  # the run of a bidirectional network
    lm: Path


@pytest.fixture(scope="session")
def lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lm = tmp_path_factory.mktemp("lm")
    write_lexicon(lm / "lexicon.txt", LEXICON)
    write_arpa([sentence.split() for sentence in SENTENCES], frozenset(LEXICON), 2, lm / "lm.arpa")
    return lm


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory, lm_folder: Path) -> Laboratory:
    place = tmp_path_factory.mktemp("live")
    data = write_data(place / "data")
    for name, more in (("causal", CAUSAL), ("both", ())):
        mode_ssm.train(small_config(data, place / name, *more))
    return Laboratory(data, place / "causal", place / "both", lm_folder)


@pytest.fixture
def redis_process(tmp_path: Path) -> Iterator[RedisProcess]:
    if REDIS is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    process = RedisProcess(tmp_path)
    yield process
    process.kill()


@pytest.fixture
def rig(redis_process: RedisProcess) -> Rig:
    return Rig(redis_process)


@pytest.fixture(scope="session")
def lsl(tmp_path_factory: pytest.TempPathFactory) -> None:
    stay_on_this_machine(tmp_path_factory.mktemp("lsl"))
