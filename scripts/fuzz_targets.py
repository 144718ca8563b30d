"""What scripts/fuzz.py gives made-up bytes to: the readers of every file that comes from outside, and their seeds.

Each target returns where its reader is content or raises InputError, and lets anything else through.
"""

import gzip
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from fuzz_recordings import RECORDINGS, read_recordings

from mode_ssm.batch import TrialKey
from mode_ssm.commands.combine import read_system_weights
from mode_ssm.commands.corpora import read_corpora
from mode_ssm.commands.rescore import read_ranking_weights
from mode_ssm.commands.score import score
from mode_ssm.commands.submit import check_submission, read_hypotheses
from mode_ssm.config import DecodeConfig, SimulateConfig, TrainConfig
from mode_ssm.errors import InputError
from mode_ssm.labels import T15, read_labels
from mode_ssm.language.arpa import read_arpa
from mode_ssm.language.decoded_files import read_decoded, read_heard
from mode_ssm.language.heard_words import read_heard_model
from mode_ssm.language.kenlm import KenLMFile
from mode_ssm.language.lexicon import lexicon_text, read_lexicon
from mode_ssm.language.nbest_files import read_scored
from mode_ssm.language.ngram_store import NGramStore
from mode_ssm.language.posterior_files import Posteriors, read_posteriors, write_posteriors
from mode_ssm.language.spoken import SpokenTrial
from mode_ssm.language.text import read_sentences
from mode_ssm.language.vocabulary import read_hotwords, read_words
from mode_ssm.language.weights import read_weights
from mode_ssm.settings import dump_settings, read_settings, settings_from_file

Reader = Callable[[Path], object]
KEYS = [TrialKey("t15.2023.08.11", "test", f"trial_{n:04d}", 1, n) for n in range(3)]


def of_file(readers: dict[str, Reader], data: bytes) -> None:
    """Give the bytes to each reader as a file of the name that it is for."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        for name, read in readers.items():
            path = Path(folder) / name
            path.write_bytes(data)
            with suppress(InputError):
                read(path)


TESTS = Path(__file__).parents[1] / "tests"
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def use_arpa(path: Path) -> None:
    """Read a model, lay it out, ask it for a sentence."""
    store = NGramStore.of(read_arpa(path))
    store.sentence_score([*range(min(8, len(store.words)))])
    store.model()


def use_binary(path: Path) -> None:
    """Map a model of KenLM and ask it for a sentence; numbers that no model has may become infinite on the way."""
    with np.errstate(all="ignore"):
        model = KenLMFile(path)
        model.sentence_score([*range(min(8, len(model.words)))])


def use_lexicon(path: Path) -> None:
    """What is read can be written, and read again as the same."""
    lexicon = read_lexicon(path)
    path.write_text(lexicon_text(lexicon), encoding="utf-8")
    assert read_lexicon(path) == lexicon, "a lexicon that was written is another"


def use_decoded(path: Path) -> None:
    json.dumps([trial._asdict() for trial in read_decoded(path)], allow_nan=False, ensure_ascii=False).encode()


def use_scored(path: Path) -> None:
    """The three files of a decoded folder, of which the bytes are one."""
    for name, content in DECODED.items():
        (path.parent / name).write_bytes(path.read_bytes() if name == path.name else content)
    found = read_scored(path.parent)
    json.dumps([trial._asdict() for trial in found.trials], ensure_ascii=False).encode()


def use_settings(data: bytes) -> None:
    """A file of settings, and the same lines as the words of a command; what is taken can be written and read again."""
    text = data.decode("utf-8", "surrogateescape")
    for schema in (TrainConfig, DecodeConfig, SimulateConfig):
        with suppress(InputError):
            written = dump_settings(settings_from_file(schema, text, "a.yaml"))
            written.encode()
            assert dump_settings(settings_from_file(schema, written, "b.yaml")) == written, "settings change"
        with suppress(InputError):
            read_settings(schema, text.split("\n"))


def use_labels(path: Path) -> None:
    labels = read_labels(path)
    labels.text(labels.ids(labels.symbols[labels.blank + 1 :]))


DECODED: dict[str, bytes] = {
    "decode.json": b'{"search": {"lm_weight": 0.8}, "rescore": null}',
    "hypotheses.csv": b"session,block,trial,sentence,words\nt15.2023.08.11,1,0,We go.,we go\n",
    "nbest.jsonl": b'{"session": "t15.2023.08.11", "block": 1, "trial": 0, "nbest": [{"words": "we go", "score": -1.5, '
    b'"acoustic": -1.0, "ngram": -2.5}, {"words": "", "score": -9.0, "acoustic": -1.0, "ngram": -2.5}]}\n',
}
HEARD = b'{"id": "a", "nbest": [{"score": -0.5, "phonemes": "HH AH L OW |"}], "sentence": "Hello.", "phonemes": "HH |"}'
SCORE = partial(score, reference="phonemes", hypothesis="text")
OF_FILES: dict[str, dict[str, Reader]] = {
    "arpa": {"lm.arpa": use_arpa},
    "binary": {"lm.bin": use_binary},
    "lexicon": {"lexicon.txt": use_lexicon},
    "dictionary": {"words.dict": use_lexicon, "names.txt": lambda path: read_words(path, T15)},
    "words": {
        "hot.txt": lambda path: read_hotwords(path, 5.0),
        "names.txt": lambda path: read_words(path, T15),
        "text.txt": lambda path: [*read_sentences(path)],
    },
    "submission": {
        "submission.csv": lambda path: check_submission(path, KEYS),
        "hypotheses.csv": lambda path: read_hypotheses(str(path), KEYS, "the"),
        "phonemes.csv": lambda path: SCORE(path, unit="phoneme"),
        "words.csv": lambda path: SCORE(path, unit="word"),
        "blocks.csv": lambda path: read_corpora(str(path)),
    },
    "sentences": {"hypotheses.csv": use_decoded, "hypotheses.csv.gz": use_decoded, "lines.jsonl": use_decoded},
    "nbest": {
        "heard.jsonl": lambda path: read_heard(path, T15),
        "decode.json": use_scored,
        "hypotheses.csv": use_scored,
        "nbest.jsonl": use_scored,
    },
    "weights": {
        "words.json": read_weights,
        "rescored.json": read_ranking_weights,
        "combine.json": lambda path: read_system_weights(path, 2),
        "confusions.json": lambda path: read_heard_model(path, T15),
    },
    "labels": {"labels.yaml": use_labels},
    "posteriors": {
        "a.npz": lambda path: read_posteriors(path, None),
        "b.npz": lambda path: read_posteriors(path, "t15"),
    },
}
TARGETS: dict[str, Callable[[bytes], None]] = {
    **{name: partial(of_file, readers) for name, readers in OF_FILES.items()},
    "settings": use_settings,
    "hdf5": read_recordings,
}
ARPA = b"""\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.3
-1.2\t</s>
-0.9\twe\t-0.2
-0.8\tgo\t-0.1

\\2-grams:
-0.3\t<s> we
-0.4\twe go
-0.5\tgo </s>

\\end\\
"""
LEXICON = b"""hello  HH AH0 L OW1
hello(1)  HH EH0 L OW1 # rarely
;;; a comment
CAF\xc3\xc9(2) K AE F EY |
go
"""


SETTINGS = b"""training: {batch_size: 4, stages: [{name: a, epochs: 2, ctc_weight: 1.0}], resume: auto}
encoder: &one {kind: gru, width: 64}
data: {data_root: "~/t15", channels: 0:256, max_sessions: null}
predictor: !!str lstm
<<: {out: x}
"""
WORDS = b"""training.stages.0.weights.ctc=1e-4
encoder={kind: gru, width: 96}
sessions=[1, 2, 45]
search.merge=sum
experiment=an4
"""
WEIGHTS = b"""{"lm": "lm", "wer": 0.1, "search": {"lm_weight": 1.0, "merge": "sum", "words": null}, "confidence": null,
"weights": {"acoustic": 1, "ngram": 0.5, "neural": 0.1, "words": 0, "votes": [1.0, 0.5], "whole": 0.2}}"""


def posteriors() -> Iterator[bytes]:
    """Files of one trial: ours, and another decoder's."""
    log_probs = np.full((2, len(T15)), -np.log(len(T15)), np.float32)
    trial = SpokenTrial(KEYS[0], "We go.", [1, 40], log_probs, torch.zeros(2, 0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        write_posteriors(path, Posteriors([trial], T15, 80.0, "run", [1], 140.0))
        yield path.read_bytes()
        np.savez_compressed(path, a=log_probs)
        yield path.read_bytes()


SEEDS: dict[str, list[bytes]] = {
    "arpa": [ARPA, gzip.compress(ARPA)],
    "binary": [path.read_bytes() for path in sorted((TESTS / "language" / "kenlm").glob("*.bin"))],
    "lexicon": [LEXICON],
    "dictionary": [LEXICON, LEXICON.replace(b"\xc3\xc9", b"\xe9")],
    "words": [
        LEXICON,
        b"new york 2.5\nZ\xc3\xbcrich\n## the 3rd of may 1984, 10:30: $1.50 or 3.5%\n",
        gzip.compress(LEXICON),
    ],
    "submission": [
        b"id,text\n0,we go\n1,go\n2,the\n",
        b"session,block,trial,words\nt15.2023.08.11,1,0,we go\nt15.2023.08.11,1,1,go\n",
        b"phonemes,text\nHH AH L OW |,\"['hh', 'ah0', 'l-ow1', 'SIL']\"\n16 3 21,HH AH\n",
        b"Date,Block number,Corpus\n2023-08-11,3,Switchboard\n",
    ],
    "sentences": [
        *DECODED.values(),
        b'{"id": 3, "words": "we go", "sentence": "We go."}\n',
        gzip.compress(DECODED["nbest.jsonl"]),
    ],
    "nbest": [*DECODED.values(), HEARD, gzip.compress(HEARD)],
    "weights": [WEIGHTS],
    "settings": [SETTINGS, WORDS, *WORDS.splitlines()],
    "labels": [
        b'symbols: [_, a, b, "|"]\nblank: _\nboundary: "|"\n',
        b"symbols: &s [a, *s]\nblank: 2001-01-01\n",
        b"symbols: [_, a, b]\nfrom: letters\n",
        b'drop: ["|"]\n',
    ],
    "posteriors": [*posteriors()],
    "hdf5": RECORDINGS,
}
