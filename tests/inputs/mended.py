"""Rows of heads, links, text, dictionaries, disks without locks, locales, and what one second or machine does."""

import errno
import json
from collections.abc import Callable
from pathlib import Path

import h5py
from safetensors import safe_open
from safetensors.torch import save_file

from mode_ssm.language.lexicon import read_lexicon
from mode_ssm.language.model import load_word_model
from mode_ssm.t15 import files
from tests.inputs.row import SENTENCES, WORDS, Place, Row, nothing
from tests.small import SESSIONS, SMALL

BUILD = "lm build out={at}/new text={at}/a.txt"
EVALUATE = "evaluate {run} data.data_root={root} output_dir={at}/out"
DECODE = "decode {run} lm={lm} data.data_root={root} output_dir={at}/out"
TRAIN = " ".join([*(w for w in SMALL if not w.startswith("training.stages")), "data.data_root={root}"])
DICTIONARY = "".join(f"{word.upper()}  {sounds}\n" for word, sounds in WORDS.items())


# 3: heads that no stage trained


def ctc_alone(place: Place) -> None:
    """The run as it stood after its first stage, where CTC alone had been trained."""
    rewrite_position(place.run, {"stage": 0, "rates": {"ctc": 0.9}})


def rewrite_position(run: Path, change: dict[str, object]) -> None:
    for path in (run / "checkpoints").iterdir():
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            header = dict(file.metadata())
        header["position"] = json.dumps(json.loads(header["position"]) | change)
        save_file(tensors, path, metadata=header)


def decoder_of(place: Place) -> object:
    return json.loads((place.at / "out" / "evaluation.json").read_text())["decoder"]


HEADS = [
    Row(3, "evaluate after CTC alone", ctc_alone, EVALUATE, 0, value=decoder_of, expected="ctc"),
    Row(3, "rnnt asked for after CTC alone", ctc_alone, f"{EVALUATE} decoder=rnnt", 2, "no trained head 'rnnt'"),
]


# 8: identity by the place of finding


def link_trials(place: Place) -> None:
    """The train file of a session holds external links to trials under other names."""
    path = place.file("train")
    elsewhere = path.with_name("elsewhere.h5")
    path.rename(elsewhere)
    with h5py.File(elsewhere, "a") as file:
        for number, name in enumerate(sorted(file)):
            file.move(name, f"recording_{number}")
    with h5py.File(path, "w") as file:
        for number in range(len(SENTENCES)):
            file[f"trial_{number:04d}"] = h5py.ExternalLink("elsewhere.h5", f"/recording_{number}")


def soft_links(place: Place) -> None:
    def edit(file: h5py.File) -> None:
        for number, name in enumerate(sorted(file)):
            file.move(name, f"kept/{number}")
            file[name] = h5py.SoftLink(f"/kept/{number}")

    place.change("train", edit)


def linked_folder(place: Place) -> None:
    """A session that is a link to a folder of another name."""
    folder = place.root / SESSIONS[0]
    folder.rename(place.at / "moved")
    folder.symlink_to(place.at / "moved")


LINKS = [
    Row(8, "external links", link_trials, EVALUATE + " split=train", 0, ("!has changed", "12 trials")),
    Row(8, "soft links", soft_links, EVALUATE + " split=train", 0, ("!has changed", "12 trials")),
    Row(8, "a session folder that is a link", linked_folder, EVALUATE + " split=train", 0, ("!Leaving", "12 trials")),
]


# 10: text of language models


def words_built(place: Place) -> object:
    return sorted(load_word_model(place.at / "new").words)


def built_from(what: str, content: str | bytes, *words: str) -> Row:
    return Row(10, what, lambda place: place.write("a.txt", content), BUILD, 0, "", words_built, sorted(words))


TEXTS = [
    built_from("a dash without spaces", "he said\u2014then went", "he", "said", "then", "went"),
    built_from("digits", "at 20 to 3", "at", "twenty", "to", "three"),
    built_from("mark-up of language models", "<s> we go <unk> </s>", "we", "go"),
    built_from("a curly apostrophe", "don\u2019t go", "don't", "go"),
    Row(10, "nothing but mark-up", lambda p: p.write("a.txt", "<s> </s>"), BUILD, 2, "no word that could be decoded"),
]


# 11: dictionaries and names of files


def dictionary(content: str | bytes) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        place.write("a.txt", "hello caf\u00e9")
        place.write("words.dict", content)

    return make


def pronounced(place: Place) -> object:
    return len(read_lexicon(place.at / "new" / "lexicon.txt")["hello"][0])


def said_by(what: str, content: str | bytes) -> Row:
    command = f"{BUILD} lexicon={{at}}/words.dict"
    return Row(11, what, dictionary(content), command, 0, "!hello (", pronounced, 4)


def rare_word(place: Place) -> None:
    place.write("a.txt", "you you\nsee see\n")


DICTIONARIES = [
    said_by("a dictionary in Latin-1", DICTIONARY.encode() + "CAF\u00c9  K AE F EY\n".encode("latin-1")),
    said_by("a dictionary with a BOM", b"\xef\xbb\xbf" + DICTIONARY.encode()),
    said_by("a dictionary with ## comments", "## made by hand\n" + DICTIONARY),
    Row(
        11,
        "a name with brackets",
        lambda place: place.write("a[1].txt", "we go"),
        "lm build out={at}/new text={at}/a[1].txt",
        0,
        "",
        words_built,
        ["go", "we"],
    ),
    Row(
        11,
        "training words rarer than min_count",
        rare_word,
        f"{BUILD} transcripts=true min_count=9 data.data_root={{root}}",
        0,
        "",
        words_built,
        sorted(WORDS),
    ),
]


# 13: disks without locks


def no_locks(number: int) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        place.own("root")  # whose files are not open yet
        whole = files._open

        def opened(path: Path, **options: bool) -> h5py.File:
            if options.get("locking", True):
                raise OSError(f"Unable to open file (unable to lock file, errno = {number}, error message = 'no')")
            return whole(path, **options)

        place.monkeypatch.setattr(files, "_open", opened)
        place.monkeypatch.setattr("mode_ssm.t15.kept_index.scan_file", files_scan)

    return make


def files_scan(*arguments: object) -> object:
    """As it is done in a process of its own, but in this one."""
    from mode_ssm.t15.scan import scan_file

    return scan_file(*arguments)


DISKS = [
    Row(13, "a disk that answers ENOLCK", no_locks(errno.ENOLCK), EVALUATE, 0, "4 trials"),
    Row(13, "a disk that answers EOPNOTSUPP", no_locks(errno.EOPNOTSUPP), EVALUATE, 0, "4 trials"),
    Row(13, "a file that another holds", no_locks(errno.EAGAIN), EVALUATE, 2, "is being written by another program"),
]


# 14: locales


def plain_locale(place: Place) -> None:
    """Files opened without an encoding are ASCII, as with LC_ALL=C and no UTF-8 mode."""
    place.monkeypatch.setattr("locale.getencoding", lambda: "ascii")
    place.monkeypatch.setattr("io.text_encoding", lambda encoding, *_: encoding or "ascii")
    place.change("val", lambda file: file["trial_0000"].attrs.__setitem__("sentence_label", "Caf\u00e9 no."))


def sentences_written(place: Place) -> object:
    return "Caf\u00e9" in (place.at / "out" / "hypotheses.csv").read_text(encoding="utf-8")


LOCALES = [
    Row(14, "evaluate and an accent", plain_locale, EVALUATE, 0, "", sentences_written, True),
    Row(14, "decode and an accent", plain_locale, DECODE, 0, "", sentences_written, True),
    Row(14, "report and an accent", plain_locale, "report {run} data.data_root={root} out={at}/page.html", 0, "page"),
]


# 15: one second, one machine, one version


def odd_position(place: Place) -> None:
    rewrite_position(place.run, {"mood": 3})


def run_folders(place: Place) -> object:
    return len(list((place.at / "runs").iterdir()))


def one_second(place: Place) -> None:
    """Another run has just been started in this second, by another process."""
    (place.at / "runs").mkdir()
    place.monkeypatch.setattr("time.strftime", lambda form: form.replace("%Y-%m-%d_%H-%M-%S", "2026-01-01_00-00-00"))
    (place.at / "runs" / "2026-01-01_00-00-00_1").mkdir()


SHORT = f"{TRAIN} training.stages.0.epochs=1 training.stages.1.epochs=0"
MACHINES = [
    Row(15, "a position of another version", odd_position, EVALUATE, 2, "mood, which this MODE-SSM does not know"),
    Row(15, "two jobs in one second", one_second, f"train {SHORT}", 0, "", run_folders, 2),
    Row(15, "a setting of Hydra", nothing, "train hydra.run.dir=x", 2, "no setting 'hydra"),
]

ROWS = (*HEADS, *LINKS, *TEXTS, *DICTIONARIES, *DISKS, *LOCALES, *MACHINES)
