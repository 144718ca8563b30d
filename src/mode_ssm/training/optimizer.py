"""AdamW in two groups: matrices decay; biases, norms and what a module lists in its `no_decay` do not."""

from typing import Any

import torch
from torch import nn

from mode_ssm.config import OptimizerConfig

OWN = ("preprocessor.participants.", "preprocessor.session.")  # maps of participants and of sessions


def decaying(model: nn.Module) -> set[str]:
    """The names of the parameters that weight decay applies to, by the modules' own say."""
    exempt = {
        f"{prefix}.{name}".lstrip(".")
        for prefix, module in model.named_modules()
        for name in getattr(module, "no_decay", ())
    }
    return {name for name, parameter in model.named_parameters() if parameter.ndim >= 2 and name not in exempt}


def build_optimizer(model: nn.Module, config: OptimizerConfig, body_lr_factor: float = 1.0) -> torch.optim.AdamW:
    """
    Args:
        body_lr_factor: of the learning rate, for all but the maps of participants and sessions.

    The order of the parameters, by which a checkpoint keeps their moments, is the same for every factor: those maps
    come first in a network.
    """
    decay = decaying(model)
    groups: list[dict[str, Any]] = []
    for decays, weight_decay in ((True, config.weight_decay), (False, 0.0)):
        parts: dict[float, list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if (name in decay) == decays:
                parts.setdefault(1.0 if name.startswith(OWN) else body_lr_factor, []).append(parameter)
        groups += [{"params": some, "weight_decay": weight_decay, "lr_factor": of} for of, some in parts.items()]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]
