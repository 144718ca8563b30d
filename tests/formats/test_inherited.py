"""What decodes takes its run's own format with every setting of it, and none of those where another format is read."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mode_ssm.config import DataConfig, RunDataConfig
from mode_ssm.data.source import READ_BY, SOURCES
from mode_ssm.labels import T15
from mode_ssm.recognition.network import Recogniser

OWN: dict[str, Any] = {
    "dictionary": "cmu.txt",
    "nwb_series": "units",
    "sentence_column": "cue",
    "behaviours": ["attempted"],
}


def data_of(own: DataConfig, given: DataConfig) -> DataConfig:
    run = SimpleNamespace(checkpoint=SimpleNamespace(config=SimpleNamespace(data=own), labels=T15))
    return Recogniser.data(cast(Recogniser, run), given)


@pytest.mark.parametrize("name", READ_BY)
def test_every_setting_of_a_format_is_inherited(name, tmp_path):
    for source in READ_BY[name]:
        own = DataConfig(data_root=str(tmp_path), source=source, **{name: OWN[name]})
        for given in (RunDataConfig(), RunDataConfig(data_root="other"), RunDataConfig(source=source)):
            assert getattr(data_of(own, given), name) == OWN[name]
        told = replace(RunDataConfig(), **{name: ["listening"]})
        assert getattr(data_of(own, told), name) == ["listening"]
        other = RunDataConfig(data_root="other", source=next(s for s in SOURCES if s not in READ_BY[name]))
        assert getattr(data_of(own, other), name) is None
