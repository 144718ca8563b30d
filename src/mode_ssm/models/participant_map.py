"""The input map of each participant: from the channels of their own electrodes to features that all share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mode_ssm.models.pointwise import softsign


class ParticipantMaps(nn.Module):
    """softsign(x W + b) with a W (C, D_in) and b of each participant's own, C being how many channels they have.

    A map reads its participant's trials alone, and of those its own channels alone: others, and padding, reach neither
    its output nor its gradient. Where a batch has no trial of a participant, their map has no gradient and stays.

    Args:
        channels: of each participant.
        width: D_in, of the features that come out.
    """

    def __init__(self, channels: Sequence[int], width: int, *, plain: bool = False) -> None:
        super().__init__()
        self.channels, self.plain = tuple(channels), plain
        self.maps = nn.ModuleList(self._begun(count, width) for count in channels)

    def forward(self, features: Tensor, people: Sequence[int]) -> Tensor:
        """(B, T, C) features, C that of the participant with most channels, to (B, T, D_in).

        Args:
            people: the place of each trial's participant; no tensor, so that no device is waited for.
        """
        rows = {place: [row for row, who in enumerate(people) if who == place] for place in dict.fromkeys(people)}
        if len(rows) == 1:
            return self._map(people[0], features)
        mapped = torch.cat([self._map(place, features[some]) for place, some in rows.items()])
        order = [row for some in rows.values() for row in some]
        return mapped[sorted(range(len(order)), key=order.__getitem__)]

    @staticmethod
    def _begun(channels: int, width: int) -> nn.Linear:
        """Features of mean 0 and variance 1 become such."""
        begun = nn.Linear(channels, width)
        nn.init.normal_(begun.weight, std=channels**-0.5)
        nn.init.zeros_(begun.bias)
        return begun

    def _map(self, place: int, features: Tensor) -> Tensor:
        return softsign(self.maps[place](features[..., : self.channels[place]]), plain=self.plain)
