"""A small lexicon with homophones, prefixes of one another and two pronunciations, its bigram model, and recordings."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mode_ssm.batch import TrialKey
from mode_ssm.config import DataConfig, DecodeConfig, TrainConfig
from mode_ssm.labels import T15
from mode_ssm.language.lexicon import write_lexicon
from mode_ssm.language.model import WordModel, load_word_model
from mode_ssm.language.ngram import write_arpa
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.models.model import ModeSSM
from mode_ssm.recognition.checkpoint import Position, save_checkpoint, sentence_hashes
from mode_ssm.settings import read_settings
from tests.data.files import FakeTrial, write_session
from tests.small import SESSIONS, SMALL

SESSION = SESSIONS[1]
A, B = 1, 7  # the phonemes AA and B
LEXICON = {
    "ah": ((A,),),
    "awe": ((A,),),
    "ab": ((A, B),),
    "bee": ((B,), (B, B)),
}
SENTENCES = ["ah bee", "ah ab bee", "bee", "awe bee ab", "ab ah", "bee bee ah"]


def trial(number: int, sentence: str | None = "ah bee", session: str = SESSION, block: int = 1) -> SpokenTrial:
    key = TrialKey(session, "val", f"trial_{number:04d}", block, number)
    return SpokenTrial(key, sentence, [1, 40, 7, 40], np.zeros((1, 41), np.float32), torch.zeros(1, 0))


@pytest.fixture(scope="session")
def lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    write_lexicon(folder / "lexicon.txt", LEXICON)
    write_arpa([sentence.split() for sentence in SENTENCES], frozenset(LEXICON), 2, folder / "lm.arpa")
    return folder


@pytest.fixture(scope="session")
def word_model(lm_folder: Path) -> WordModel:
    return load_word_model(lm_folder)


def spoken(sentence: str, number: int, labelled: bool = True) -> FakeTrial:
    """A trial of noise with the labels of a sentence."""
    features = np.random.default_rng(number).standard_normal((90 + number, 8), dtype=np.float32)
    labels = [label for word in sentence.split() for label in (*LEXICON[word][0], T15.boundary)]
    return FakeTrial(features, labels if labelled else None, sentence.capitalize() + ".", block=2 - number % 2)


@pytest.fixture(scope="session")
def spoken_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sessions with train and val, one of them with a test split too."""
    root = tmp_path_factory.mktemp("spoken")
    for session in SESSIONS[:2]:
        write_session(root, session, "train", [spoken(s, n) for n, s in enumerate(SENTENCES)])
        write_session(root, session, "val", [spoken(s, 20 + n) for n, s in enumerate(["ah bee", "ab bee ah", "awe"])])
    write_session(root, SESSIONS[1], "test", [spoken(s, 40 + n, labelled=False) for n, s in enumerate(SENTENCES)])
    return root


def save_network(run: Path, seed: int, *more: str) -> Path:
    """A run folder with a network as it was initialised, which blank does not rule."""
    config = read_settings(TrainConfig, [*SMALL, *more])
    torch.manual_seed(seed)
    network = ModeSSM(config, num_sessions=2)
    with torch.no_grad():
        network.ctc_head.weight.mul_(8.0)
    (run / "checkpoints").mkdir(parents=True)
    save_checkpoint(
        run / "checkpoints" / "best.safetensors",
        config=config,
        labels=T15,
        sessions=SESSIONS[:2],
        position=Position(stage=1),
        model=network,
        optimizer=torch.optim.AdamW(network.parameters()),
        sentence_hashes=sentence_hashes(SENTENCES),
    )
    return run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("runs") / "one", seed=1)


@pytest.fixture
def decode_config(spoken_root: Path, run_folder: Path, lm_folder: Path, tmp_path: Path) -> DecodeConfig:
    return DecodeConfig(
        checkpoint=str(run_folder),
        lm=str(lm_folder),
        data=DataConfig(data_root=str(spoken_root), cache_dir=str(tmp_path / "index")),
        nbest=3,
        output_dir=str(tmp_path / "out"),
    )
