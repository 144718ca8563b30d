"""AdamW in two groups: matrices decay; biases, norms, embeddings, per-session and state-space parameters do not."""

import torch
from torch import nn

from mode_ssm.config import OptimizerConfig


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: to matrices that no session and no recurrence owns."""
    exempt = ("session", "embedding", "log_rate", "dt_bias")
    return parameter.ndim >= 2 and not any(word in name for word in exempt)


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if decays(n, p)], "weight_decay": config.weight_decay},
        {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
