"""Call torch's optimizers so that they can be resumed, and are stopped by a loss that is not finite.

They are called through torch's functional interface, with the fused kernels of CPU and CUDA: the arithmetic is that of
`torch.optim`'s classes with `fused=True`, but nothing is looked up by parameter in a step, moments have names, and
`torch.optim.Optimizer`'s start does not pull in torch's compiler, which takes seconds in each worker.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from eailab.engines.spec import entry
from eailab.recipe import optimization

Moments: TypeAlias = dict[str, dict[str, Tensor]]
"""What an optimizer remembers: for each moment, by torch's name for it, a tensor for each parameter, by its name."""


class Optimizer(Protocol):
    """Moves parameters against their gradients."""

    moments: Moments

    def step(self, stopped: Tensor) -> None:
        """Move all parameters where `stopped` is 0, and leave them and the moments alone where it is 1.

        The decision is taken on the device, by the flag that torch's fused kernels have for the overflows of mixed
        precision, so that a GPU is never waited for.

        Args:
            stopped: A float32 scalar on the device.
        """
        ...


def zeros_like(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return zeros of each parameter's shape and layout."""
    return {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}


def gradients(parameters: Mapping[str, nn.Parameter]) -> list[Tensor]:
    """Return the gradient of each parameter; zeros where the last step's loss does not depend on it."""
    return [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters.values()]


class Sgd:
    """Momentum as torch defines it: `v = m v + g; w = w - lr v`, the penalty in `g` (Sutskever et al., 2013)."""

    def __init__(self, settings: optimization.Sgd, parameters: Mapping[str, nn.Parameter], lr: Tensor) -> None:
        self._settings, self._parameters, self._lr = settings, parameters, lr
        # Zeros are torch's own first step: it starts at v = g.
        self.moments: Moments = {"momentum_buffer": zeros_like(parameters)} if settings.momentum > 0.0 else {}

    def step(self, stopped: Tensor) -> None:
        """See `Optimizer.step`."""
        velocities = self.moments.get("momentum_buffer", dict.fromkeys(self._parameters))
        sgd(
            list(self._parameters.values()),
            gradients(self._parameters),
            list(velocities.values()),
            fused=True,
            found_inf=stopped,
            lr=self._lr,
            momentum=self._settings.momentum,
            nesterov=self._settings.nesterov,
            weight_decay=self._settings.weight_decay,
            dampening=0.0,
            maximize=False,
        )


class Adam:
    """Adam (Kingma & Ba, 2015), or AdamW, its variant with decoupled weight decay (Loshchilov & Hutter, 2019)."""

    EPSILON = 1e-8
    """Added to the root of the second moment; torch's default."""

    def __init__(
        self, settings: optimization.Adam | optimization.AdamW, parameters: Mapping[str, nn.Parameter], lr: Tensor
    ) -> None:
        self._settings, self._parameters, self._lr = settings, parameters, lr
        self.moments: Moments = {
            "exp_avg": zeros_like(parameters),
            "exp_avg_sq": zeros_like(parameters),
            "step": {name: torch.zeros((), dtype=torch.float32, device=lr.device) for name in parameters},
        }

    def step(self, stopped: Tensor) -> None:
        """See `Optimizer.step`."""
        move = adamw if isinstance(self._settings, optimization.AdamW) else adam
        first, second = self._settings.betas
        move(
            list(self._parameters.values()),
            gradients(self._parameters),
            list(self.moments["exp_avg"].values()),
            list(self.moments["exp_avg_sq"].values()),
            [],
            list(self.moments["step"].values()),
            fused=True,
            found_inf=stopped,
            lr=self._lr,
            beta1=first,
            beta2=second,
            weight_decay=self._settings.weight_decay,
            eps=self.EPSILON,
            amsgrad=False,
            maximize=False,
        )


OPTIMIZERS: dict[type[Any], Callable[[Any, Mapping[str, nn.Parameter], Tensor], Optimizer]] = {
    optimization.Sgd: Sgd,
    optimization.Adam: Adam,
    optimization.AdamW: Adam,
}
"""The class of each variant of `optimizer`."""


def optimizer(settings: optimization.Optimizer, parameters: Mapping[str, nn.Parameter], lr: Tensor) -> Optimizer:
    """Return a recipe's optimizer, at rest.

    Args:
        settings: The recipe's constants.
        parameters: What it moves, by name; float32, on one device.
        lr: The learning rate, a scalar on the same device; the caller writes each step's rate into it.

    Raises:
        RecipeError: The engine does not have it.
    """
    return entry(OPTIMIZERS, settings, "optimizer", "the engine torch-resnet")(settings, parameters, lr)
