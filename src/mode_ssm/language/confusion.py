"""What was said, given what a decoder heard: learnt on labelled lines, from aligned slots and phonemes.

Multinomial logistic regression from a slot of a confusion network to the phoneme said there, or none. Beside the shares
it sees their logarithms, which undo the overconfidence of a decoder's scores, and whether the strings agree.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mode_ssm.errors import InputError
from mode_ssm.files import replace_text
from mode_ssm.labels import Labels
from mode_ssm.language.confusion_edits import Pair, align_pair, learn_edits
from mode_ssm.language.confusion_network import NOTHING, ConfusionNetwork, Floats

_LEAST_SHARE = 1e-3  # smaller shares are as good as none
_LOG_SCALE = 5.0  # divides logarithms of shares, so that they are as large as shares
_SAME = 4.0  # the weight, where nothing is learnt, from the share of a phoneme to that phoneme
_DECAY = 1.0  # how strongly weights are held to it
_STEPS = 60  # of L-BFGS


class ConfusionScores(NamedTuple):
    """Natural logarithms for one confusion network."""

    said: Floats  # (S, V) of each slot where this phoneme was said
    added: Floats  # (S,) of each slot where nothing was said
    lost: Floats  # (V,) of a phoneme that was said and fills no slot


class ConfusionModel(NamedTuple):
    """V classes, 0 for nothing; F = 3 V + 2 features of a slot."""

    weights: Floats  # (F, V)
    log_priors: Floats  # (V,) how often each phoneme fills a slot
    log_lost: Floats  # (V,) how often it fills none

    def score(self, network: ConfusionNetwork, prior_weight: float) -> ConfusionScores:
        """Posteriors over priors ** prior_weight stand for likelihoods (Bourlard and Morgan 1994)."""
        logits = slot_features(network) @ self.weights
        posteriors = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return ConfusionScores(posteriors - prior_weight * self.log_priors, posteriors[:, NOTHING], self.log_lost)


def slot_features(network: ConfusionNetwork) -> Floats:
    """(S, F)"""
    shares, disputed = network.shares, network.disputed[:, None].astype(np.float64)
    logs = np.log((shares + _LEAST_SHARE) / _LEAST_SHARE) / _LOG_SCALE
    return np.concatenate([shares, logs, shares * disputed, disputed, np.ones_like(disputed)], axis=1)


def learn_confusions(pairs: Sequence[Pair], num_classes: int) -> ConfusionModel:
    """Learn from labelled lines: alignments by the edit model, then the regression.

    Raises:
        InputError: where there is no line.
    """
    if not pairs:
        raise InputError("There is no labelled line to learn confusions from; give lines with what was said.")
    edits = learn_edits(pairs, num_classes)
    features, targets = [], []
    for pair in pairs:
        alignment = align_pair(pair, edits)
        target = np.zeros((len(alignment.added), num_classes))
        np.add.at(target.T, np.asarray(pair.said, dtype=np.int64), alignment.said.T)
        target[:, NOTHING] += alignment.added
        features.append(slot_features(pair.network))
        targets.append(target)
    filled = np.sum([target.sum(axis=0) for target in targets], axis=0) + 1.0
    weights = _regress(np.concatenate(features), np.concatenate(targets))
    return ConfusionModel(weights, np.log(filled / filled.sum()), np.log(edits.lost))


def _regress(features: Floats, targets: Floats) -> Floats:
    """(F, V) weights with the least cross-entropy, held to what leaves every phoneme as it was heard."""
    inputs, wanted = torch.from_numpy(features), torch.from_numpy(targets)
    start = torch.zeros(features.shape[1], targets.shape[1], dtype=torch.float64)
    start[: targets.shape[1]] = _SAME * torch.eye(targets.shape[1], dtype=torch.float64)
    weights = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        entropy = -(wanted * (inputs @ weights).log_softmax(dim=1)).sum()
        total = entropy + _DECAY / 2 * (weights - start).square().sum()
        total.backward()
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    learnt: Floats = weights.detach().numpy()
    return learnt


def write_confusions(path: Path, model: ConfusionModel, labels: Labels, search: Mapping[str, float]) -> None:
    """Keep a model with the labels that it is for and the settings that go with it, as JSON.

    Raises:
        InputError: when the file cannot be written.
    """
    parts = {name: np.round(part, 5).tolist() for name, part in model._asdict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps({"symbols": labels.symbols, "search": dict(search), **parts}) + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); give another out=FILE.") from None


def read_confusions(path: Path, labels: Labels) -> ConfusionModel:
    """Read what `write_confusions` wrote.

    Raises:
        InputError: when there is none, or it is for other labels.
    """
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        symbols = tuple(kept["symbols"])
        model = ConfusionModel(*(np.array(kept[name], dtype=np.float64) for name in ConfusionModel._fields))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no confusions ({error}); mode-ssm tune phonemes=FILE learns them.") from None
    if symbols != labels.symbols or model.weights.shape != (3 * len(labels) + 2, len(labels)):
        raise InputError(f"{path} holds confusions of other labels; learn them anew by mode-ssm tune phonemes=FILE.")
    return model
