"""The predictor: what the transducer knows of the labels so far (Graves 2012, section 2.3).

Both kinds give the same interface: `forward` over whole label sequences in training, `step` in search. A state is a
tuple of tensors whose first dimension is the hypothesis, so that search can pick and repeat hypotheses by indexing.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from mode_ssm.config import LSTMPredictorConfig, StatelessPredictorConfig
from mode_ssm.labels import Labels

State = tuple[Tensor, ...]


class Predictor(nn.Module, ABC):
    """The base of all predictors."""

    no_decay = ("embedding.weight",)

    @abstractmethod
    def forward(self, labels: Tensor) -> Tensor:
        """(B, U) labels to (B, U+1, P): entry u has seen the first u labels."""

    @abstractmethod
    def initial_state(self, hypotheses: int) -> State:
        """The state before the blank that stands before the first label."""

    @abstractmethod
    def step(self, labels: Tensor, state: State) -> tuple[Tensor, State]:
        """(N,) last labels, blank at the start, to (N, P) and the next state."""


class StatelessPredictor(Predictor):
    """Sees the last `context` labels and nothing else (Ghodsi et al. 2020); before the first label it sees blanks."""

    def __init__(self, config: StatelessPredictorConfig, labels: Labels) -> None:
        super().__init__()
        self.context, self.blank = config.context, labels.blank
        self.embedding = nn.Embedding(len(labels), config.width)
        self.mix = nn.Linear(config.context * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, labels: Tensor) -> Tensor:
        history = nn.functional.pad(labels, (self.context, 0), value=self.blank)
        return self._from_windows(history.unfold(1, self.context, 1))

    def initial_state(self, hypotheses: int) -> State:
        device = self.embedding.weight.device
        return (torch.full((hypotheses, self.context - 1), self.blank, dtype=torch.int64, device=device),)

    def step(self, labels: Tensor, state: State) -> tuple[Tensor, State]:
        window = torch.cat([state[0], labels[:, None]], dim=1)
        return self._from_windows(window), (window[:, 1:],)

    def _from_windows(self, windows: Tensor) -> Tensor:
        embedded = self.dropout(self.embedding(windows)).flatten(-2)
        return torch.relu(self.mix(embedded))


class LSTMPredictor(Predictor):
    """One LSTM layer over all labels so far; it can memorise prompts, so compare unseen sentences."""

    def __init__(self, config: LSTMPredictorConfig, labels: Labels) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(labels), config.width)
        self.blank = labels.blank
        self.lstm = nn.LSTM(config.width, config.width, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, labels: Tensor) -> Tensor:
        started = nn.functional.pad(labels, (1, 0), value=self.blank)
        return self._run(started, None)[0]

    def initial_state(self, hypotheses: int) -> State:
        zeros = self.embedding.weight.new_zeros(hypotheses, self.lstm.hidden_size)
        return zeros, zeros

    def step(self, labels: Tensor, state: State) -> tuple[Tensor, State]:
        output, (hidden, cell) = self._run(labels[:, None], (state[0][None], state[1][None]))
        return output[:, 0], (hidden[0], cell[0])

    def _run(self, labels: Tensor, state: State | None) -> tuple[Tensor, State]:
        """The layer over (B, U) labels, never in bfloat16: many CPUs have no LSTM in it."""
        with torch.autocast(labels.device.type, enabled=False):
            output, state = self.lstm(self.dropout(self.embedding(labels)), state)
            return self.dropout(output), state
