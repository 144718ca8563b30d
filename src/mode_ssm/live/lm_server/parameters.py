"""The parameters that clients set, and what they mean to a search whose acoustic scores have weight 1."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from mode_ssm.config import WordSearchConfig
from mode_ssm.errors import InputError


class Parameters(NamedTuple):
    """In the clients' terms: a sentence is worth acoustic_scale * acoustic + n-gram score."""

    acoustic_scale: float
    blank_penalty: float  # by which the probability of blank is divided
    beam: float  # below the best at which a hypothesis is dropped
    nbest: int

    @classmethod
    def of(cls, settings: WordSearchConfig, nbest: int) -> "Parameters":
        """What settings of our search are in these terms.

        Raises:
            InputError: when the n-gram model has no weight.
        """
        if settings.lm_weight == 0:
            raise InputError("search.lm_weight=0 leaves clients no acoustic_scale; give more than 0.")
        scale = 1 / settings.lm_weight
        return cls(scale, math.exp(settings.blank_penalty), settings.beam_threshold * scale, nbest)

    def settings(self, base: WordSearchConfig) -> WordSearchConfig:
        """The same as settings of our search."""
        return replace(
            base,
            lm_weight=1 / self.acoustic_scale,
            blank_penalty=math.log(self.blank_penalty),
            beam_threshold=self.beam / self.acoustic_scale,
        )

    def updated(self, fields: Mapping[bytes, bytes]) -> tuple["Parameters", list[str]]:
        """With what a client sets; and in words, what it sets that is no such number or has no effect here."""
        parameters, said = self, []
        for name, text in ((name.decode(errors="replace"), text) for name, text in fields.items()):
            if name not in self._fields:
                said.append(f"the parameter {name} has no effect here")
                continue
            value = _positive(text)
            if value is None or (name == "nbest" and value < 1):
                said.append(f"{name}={text.decode(errors='replace')} is no number above 0; {name} stays as it was")
                continue
            changed: dict[str, Any] = {name: int(value) if name == "nbest" else value}
            parameters = parameters._replace(**changed)
        return parameters, said


def _positive(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < 1e6 else None
