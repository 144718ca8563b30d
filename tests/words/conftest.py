"""A small lexicon with homophones, prefixes of one another and two pronunciations, and a bigram model of it."""

from pathlib import Path

import pytest

from mode_ssm.words.lexicon import write_lexicon
from mode_ssm.words.model import WordModel, load_word_model
from mode_ssm.words.ngram import write_arpa

A, B = 1, 7  # the phonemes AA and B
LEXICON = {
    "ah": ((A,),),
    "awe": ((A,),),
    "ab": ((A, B),),
    "bee": ((B,), (B, B)),
}
SENTENCES = ["ah bee", "ah ab bee", "bee", "awe bee ab", "ab ah", "bee bee ah"]


@pytest.fixture(scope="session")
def lm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    write_lexicon(folder / "lexicon.txt", LEXICON)
    write_arpa([sentence.split() for sentence in SENTENCES], frozenset(LEXICON), 2, folder / "lm.arpa")
    return folder


@pytest.fixture(scope="session")
def word_model(lm_folder: Path) -> WordModel:
    return load_word_model(lm_folder)
