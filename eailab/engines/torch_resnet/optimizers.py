"""Torch's own optimizers as a recipe asks for them, ready to be resumed, and stopped by a loss that is not finite."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from eailab.recipe import schema


def sgd(settings: schema.Sgd, parameters: list[nn.Parameter], lr: Tensor) -> torch.optim.Optimizer:
    """Momentum as torch defines it: `v = m v + g; w = w - lr v`, the penalty in `g` (Sutskever et al., 2013)."""
    return torch.optim.SGD(
        parameters,
        lr=lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def adam(settings: schema.Adam | schema.AdamW, parameters: list[nn.Parameter], lr: Tensor) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba, 2015), or AdamW, its variant with decoupled weight decay (Loshchilov & Hutter, 2019)."""
    kind = torch.optim.AdamW if isinstance(settings, schema.AdamW) else torch.optim.Adam
    first, second = settings.betas
    return kind(
        parameters,
        lr=lr,
        betas=(first, second),
        weight_decay=settings.weight_decay,
        fused=True,
        capturable=lr.is_cuda,
    )


OPTIMIZERS: dict[type[Any], Callable[[Any, list[nn.Parameter], Tensor], torch.optim.Optimizer]] = {
    schema.Sgd: sgd,
    schema.Adam: adam,
    schema.AdamW: adam,
}
"""The maker of each variant of `optimizer`."""

MOMENTS: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.SGD: ("momentum_buffer",),
    torch.optim.Adam: ("exp_avg", "exp_avg_sq", "step"),
    torch.optim.AdamW: ("exp_avg", "exp_avg_sq", "step"),
}
"""What each optimizer remembers of a parameter, by torch's names."""


def build(settings: schema.Optimizer, parameters: Iterable[nn.Parameter], lr: Tensor) -> torch.optim.Optimizer:
    """Return the recipe's optimizer with all its moments at zero, which are torch's own first steps.

    Args:
        settings: Kind and constants.
        parameters: What it moves; float32, on one device.
        lr: The learning rate, a scalar on the same device; the caller writes each step's rate into it.
    """
    optimizer = OPTIMIZERS[type(settings)](settings, list(parameters), lr)
    moments = MOMENTS[type(optimizer)]
    if isinstance(settings, schema.Sgd) and settings.momentum == 0.0:
        moments = ()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for name in moments:
                zeros = torch.zeros((), device=lr.device) if name == "step" else torch.zeros_like(parameter)
                optimizer.state[parameter][name] = zeros
    return optimizer


def step_unless(stopped: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Let the optimizer act where `stopped` is 0, and leave weights and moments alone where it is 1.

    The decision is taken on the device, by the flag that fused optimizers have for mixed precision's overflows
    (`torch.amp.GradScaler` sets the same attribute), so that a GPU is never waited for.

    Args:
        stopped: A float32 scalar on the device.
        optimizer: One with `fused=True`.
    """
    optimizer.found_inf = stopped  # type: ignore[attr-defined]
    optimizer.step()
