"""What was said, given what a decoder heard: learnt on labelled lines, from aligned slots and phonemes.

Multinomial logistic regression from a slot of a confusion network to the phoneme said there, or none. Beside the shares
it sees their logarithms, which undo the overconfidence of a decoder's scores, and whether the strings agree. How far
what was heard is to be trusted depends on more than the slot: errors come together, and a decoder that is sure of a
sentence gives its best string a high score.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mode_ssm.errors import InputError
from mode_ssm.files import parse_json, replace_text
from mode_ssm.labels import Labels
from mode_ssm.language.confusion_edits import Pair, align_pair, learn_edits
from mode_ssm.language.confusion_network import NOTHING, ConfusionNetwork, Floats

_LEAST_SHARE = 1e-3  # smaller shares are as good as none
_LOG_SCALE = 5.0  # divides logarithms of shares, so that they are as large as shares
_SAME = 4.0  # the weight, where nothing is learnt, from the share of a phoneme to that phoneme
_DECAY = 1.0  # how strongly weights are held to it
_TRUST_DECAY = 0.1  # how strongly the weights of trust are held to 0
_NEAR = 2  # slots on either side that tell how far to trust one
_STEPS = 60  # of L-BFGS


class ConfusionScores(NamedTuple):
    """Natural logarithms for one confusion network."""

    said: Floats  # (S, V) of each slot where this phoneme was said
    added: Floats  # (S,) of each slot where nothing was said
    lost: Floats  # (V,) of a phoneme that was said and fills no slot


class ConfusionModel(NamedTuple):
    """V classes, 0 for nothing; F = 3 V + 2 features of a slot, G = 4 of trust."""

    weights: Floats  # (F, V)
    trust: Floats  # (G,) what each feature of trust, of mean 0 and deviation 1, adds to the weight of the shares
    trust_means: Floats  # (G,)
    trust_deviations: Floats  # (G,)
    log_priors: Floats  # (V,) how often each phoneme fills a slot
    log_lost: Floats  # (V,) how often it fills none

    def score(self, network: ConfusionNetwork, prior_weight: float) -> ConfusionScores:
        """Posteriors over priors ** prior_weight stand for likelihoods (Bourlard and Morgan 1994)."""
        trust = (trust_features(network) - self.trust_means) / self.trust_deviations @ self.trust
        logits = slot_features(network) @ self.weights + trust[:, None] * network.shares
        posteriors = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
        return ConfusionScores(posteriors - prior_weight * self.log_priors, posteriors[:, NOTHING], self.log_lost)


def slot_features(network: ConfusionNetwork) -> Floats:
    """(S, F)"""
    shares, disputed = network.shares, network.disputed[:, None].astype(np.float64)
    logs = np.log((shares + _LEAST_SHARE) / _LEAST_SHARE) / _LOG_SCALE
    return np.concatenate([shares, logs, shares * disputed, disputed, np.ones_like(disputed)], axis=1)


def trust_features(network: ConfusionNetwork) -> Floats:
    """(S, G) disputed slots at each distance, the share of them all, and the best string's score a slot."""
    slots = len(network.disputed)
    around = np.pad(network.disputed.astype(np.float64), _NEAR)
    near = [around[_NEAR - d : _NEAR - d + slots] + around[_NEAR + d : _NEAR + d + slots] for d in range(1, _NEAR + 1)]
    whole = [np.full(slots, network.disputed.mean()), np.full(slots, network.score / max(slots, 1))]
    return np.stack([*near, *whole], axis=1)


def learn_confusions(pairs: Sequence[Pair], num_classes: int) -> ConfusionModel:
    """Learn from labelled lines: alignments by the edit model, then the regression.

    Raises:
        InputError: where there is no line.
    """
    if not pairs:
        raise InputError("There is no labelled line to learn confusions from; give lines with what was said.")
    edits = learn_edits(pairs, num_classes)
    features, trusts, targets = [], [], []
    for pair in pairs:
        alignment = align_pair(pair, edits)
        target = np.zeros((len(alignment.added), num_classes))
        np.add.at(target.T, np.asarray(pair.said, dtype=np.int64), alignment.said.T)
        target[:, NOTHING] += alignment.added
        features.append(slot_features(pair.network))
        trusts.append(trust_features(pair.network))
        targets.append(target)
    filled = np.sum([target.sum(axis=0) for target in targets], axis=0) + 1.0
    trust = np.concatenate(trusts)
    means, deviations = trust.mean(axis=0), np.maximum(trust.std(axis=0), _LEAST_SHARE)
    shares = np.concatenate([pair.network.shares for pair in pairs])
    slots = _Slots(np.concatenate(features), (trust - means) / deviations, shares, np.concatenate(targets))
    return ConfusionModel(*_regress(slots), means, deviations, np.log(filled / filled.sum()), np.log(edits.lost))


class _Slots(NamedTuple):
    """What the regression learns from, all slots of all pairs."""

    features: Floats  # (N, F)
    trust: Floats  # (N, G)
    shares: Floats  # (N, V)
    targets: Floats  # (N, V)


def _regress(slots: _Slots) -> tuple[Floats, Floats]:
    """(F, V) and (G,) weights with the least cross-entropy, held to what leaves every phoneme as it was heard."""
    features, trust, shares, wanted = map(torch.from_numpy, slots)
    num_classes = wanted.shape[1]
    start = torch.zeros(features.shape[1], num_classes, dtype=torch.float64)
    start[:num_classes] = _SAME * torch.eye(num_classes, dtype=torch.float64)
    weights = start.clone().requires_grad_()
    trusting = torch.zeros(trust.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, trusting], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        logits = features @ weights + (trust @ trusting)[:, None] * shares
        entropy = -(wanted * logits.log_softmax(dim=1)).sum()
        held = _DECAY * (weights - start).square().sum() + _TRUST_DECAY * trusting.square().sum()
        total: torch.Tensor = entropy + held / 2
        total.backward()
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach().numpy(), trusting.detach().numpy()


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
        kept = parse_json(path.read_text(encoding="utf-8"))
        symbols = tuple(kept["symbols"])
        model = ConfusionModel(*(np.array(kept[name], dtype=np.float64) for name in ConfusionModel._fields))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} holds no confusions ({error}); mode-ssm tune phonemes=FILE learns them.") from None
    if symbols != labels.symbols or model.weights.shape != (3 * len(labels) + 2, len(labels)):
        raise InputError(f"{path} holds confusions of other labels; learn them anew by mode-ssm tune phonemes=FILE.")
    return model
