"""Sources of each format for tests of convert, and what can be read of one."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mode_ssm.config import ConvertConfig, DataConfig
from mode_ssm.data import open_source
from mode_ssm.data.conversion import Conversion
from mode_ssm.data.opening import split_entries
from mode_ssm.data.source import READ_BY, SPLITS
from mode_ssm.index import MalformedError
from tests.formats import an4_archive, test_npz

SESSIONS = ("m1.2016.03.25", "m1.2016.03.26")


def write_npz(root: Path) -> DataConfig:
    for seed, session in enumerate(SESSIONS):
        test_npz.write(root / f"{session}.npz", **test_npz.arrays(seed))
    test_npz.write(root / SESSIONS[0] / "test.npz", features=np.ones((90, 8)), offsets=[0, 40, 90])
    return DataConfig(data_root=str(root), source="npz")


def write_nwb(root: Path) -> DataConfig:
    pytest.importorskip("pynwb", reason="pynwb is not installed")
    from tests.formats import test_nwb

    root.mkdir()
    test_nwb.write(root)
    return DataConfig(data_root=str(root), source="nwb", nwb_series="binned")


def write_t12(root: Path) -> DataConfig:
    pytest.importorskip("scipy", reason="scipy is not installed")
    from tests.formats import test_t12

    for folder, split in (("train", "train"), ("test", "val"), ("competitionHoldOut", "test")):
        test_t12.write(root, folder, **({"sentenceText": None} if split == "test" else {}))
    return test_t12.config_of(root)


def write_t12_unspelt(root: Path) -> DataConfig:
    return replace(write_t12(root), dictionary=None)


def write_an4(root: Path) -> DataConfig:
    pytest.importorskip("kaldi_native_fbank", reason="kaldi-native-fbank (mode-ssm[an4]) is not installed")
    archive = an4_archive.write_archive(root / "an4_sphere.tar.gz", an4_archive.contents({"a": 7, "b": 8}, ".sph"))
    return DataConfig(data_root=str(archive), source="an4")


def write_falcon_h2(root: Path) -> DataConfig:
    pytest.importorskip("pynwb", reason="pynwb is not installed")
    from tests.formats import test_falcon_h2

    test_falcon_h2.write(root)
    test_falcon_h2.write(root, "sub-T5-held-out-calib_ses-20230417.nwb", seed=1)
    return test_falcon_h2.config_of(root)


def write_kunz(root: Path) -> DataConfig:
    pytest.importorskip("scipy", reason="scipy is not installed")
    from tests.formats import test_kunz

    for seed, behaviour in enumerate(("attempted", "mouthed", "reading")):
        test_kunz.write(root, behaviour, seed=seed)
    return test_kunz.config_of(root, behaviours=["attempted", "reading"])


def write_letters(root: Path) -> DataConfig:
    config = write_npz(root)
    (root / "labels.yaml").write_text(
        "symbols: [a, _, é, b, '|', 'no', y]\nblank: _\nboundary: '|'\n", encoding="utf-8"
    )
    for seed, session in enumerate(SESSIONS):
        made = test_npz.arrays(seed)
        made["labels"] = np.array([(0, 2, 3, 4, 5, 6)[label % 6] for label in made["labels"]])
        made["sentences"] = np.array(["Ça va?", "", "x" * 700, " ", "ok"])
        test_npz.write(root / f"{session}.npz", **made)
    return config


WRITERS: dict[str, Callable[[Path], DataConfig]] = {
    "npz": write_npz,
    "npz of other labels": write_letters,
    "nwb": write_nwb,
    "t12": write_t12,
    "t12 without a dictionary": write_t12_unspelt,
    "an4": write_an4,
    "falcon_h2": write_falcon_h2,
    "kunz": write_kunz,
}


def config_of(data: DataConfig, out: Path, **changed: Any) -> ConvertConfig:
    given = {name: getattr(data, name) for name in READ_BY} | changed
    return ConvertConfig(from_=f"{data.source}:{data.data_root}", out=str(out), **given)


def convert(config: ConvertConfig) -> Conversion:
    conversion = Conversion(config)
    conversion.run(lambda *_: None)
    return conversion


def trials(config: DataConfig, cache: Path) -> dict[str, Any]:
    """All that can be read of each trial that is sound."""
    source, found = open_source(replace(config, cache_dir=str(cache))), {}
    for split in SPLITS:
        for entry in split_entries(source, source.index(split, source.sessions), split):
            try:
                features = source.read_features(entry.key, entry.record)
            except MalformedError:
                continue
            labels = source.read_labels(entry.key, entry.record)
            name = f"{entry.key.session}/{split}/{entry.key.group}"
            found[name] = (entry.key, entry.record, features.tolist(), labels if labels is None else labels.tolist())
    return found | {"labels": source.labels}


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
