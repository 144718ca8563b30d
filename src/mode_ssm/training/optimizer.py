"""AdamW in two groups: matrices decay; biases, norms and what a module lists in its `no_decay` do not."""

import torch
from torch import nn

from mode_ssm.config import OptimizerConfig


def decaying(model: nn.Module) -> set[str]:
    """The names of the parameters that weight decay applies to, by the modules' own say."""
    exempt = {
        f"{prefix}.{name}".lstrip(".")
        for prefix, module in model.named_modules()
        for name in getattr(module, "no_decay", ())
    }
    return {name for name, parameter in model.named_parameters() if parameter.ndim >= 2 and name not in exempt}


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    named, decay = list(model.named_parameters()), decaying(model)
    groups = [
        {"params": [p for n, p in named if n in decay], "weight_decay": config.weight_decay},
        {"params": [p for n, p in named if n not in decay], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
