"""Optimizers over one flat array of parameters, equal to torch's.

A rule is made of a recipe's settings; it owns its moments, each a flat array like the parameters. A new optimizer is
its settings class in `recipe/schema.py`, one class here, and one line of `rule`.
"""

from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from eailab.engines.numpy_mlp import kernels
from eailab.engines.numpy_mlp.layout import Floats, Layout
from eailab.recipe.schema import Adam, AdamW, Optimizer, Sgd


class Rule(Protocol):
    """How parameters move along their gradient."""

    moments: dict[str, Floats]
    """What the rule remembers between steps, by name."""

    def step(self, parameters: Floats, gradient: Floats, lr: float, number: int, /) -> None:
        """Move the parameters once.

        Args:
            parameters: `[P]`, changed.
            gradient: `[P]`.
            lr: The step's learning rate.
            number: The step's number in the trial, from 1.
        """
        ...


class SgdRule:
    """Stochastic gradient descent with momentum, without dampening.

    With gradient `g`, penalty `w` and momentum `u`: `g' = g + w p`, `v = u v + g'` (from `v = 0`), and `p` falls by
    `lr v`, or with Nesterov's look ahead by `lr (g' + u v)`.
    """

    def __init__(self, settings: Sgd, layout: Layout, dtype: DTypeLike) -> None:
        self.moments = {"velocity": layout.zeros(dtype)}
        own, carried = (1.0, settings.momentum) if settings.nesterov else (0.0, 1.0)
        self.coefficients = np.array([0.0, settings.weight_decay, settings.momentum, own, carried], dtype)

    def step(self, parameters: Floats, gradient: Floats, lr: float, _number: int, /) -> None:
        """Move the parameters once."""
        self.coefficients[0] = lr
        kernels.sgd(parameters, gradient, self.moments["velocity"], self.coefficients)


class AdamRule:
    """Adam (Kingma & Ba, 2015, algorithm 1), with its penalty in the gradient or apart from it (AdamW).

    With `m` and `v` the running means of the gradient and of its square, `p` falls by
    `lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + 1e-8)`.
    """

    epsilon = 1e-8

    def __init__(self, settings: Adam | AdamW, layout: Layout, dtype: DTypeLike) -> None:
        self.moments = {"first": layout.zeros(dtype), "second": layout.zeros(dtype)}
        self.betas = settings.betas
        self.decoupled = settings.weight_decay if isinstance(settings, AdamW) else 0.0
        penalty = 0.0 if isinstance(settings, AdamW) else settings.weight_decay
        new_first, new_second = (1.0 - beta for beta in settings.betas)
        self.coefficients = np.array(
            [0.0, new_first, new_second, 0.0, self.epsilon, penalty, 0.0, 1.0, 0.0, kernels.TINY], dtype
        )

    def step(self, parameters: Floats, gradient: Floats, lr: float, number: int, /) -> None:
        """Move the parameters once."""
        beta_first, beta_second = self.betas
        self.coefficients[0] = lr / (1.0 - beta_first**number)
        self.coefficients[3] = (1.0 - beta_second**number) ** -0.5
        self.coefficients[6] = 1.0 - lr * self.decoupled
        kernels.adam(parameters, gradient, self.moments["first"], self.moments["second"], self.coefficients)


def rule(settings: Optimizer, layout: Layout, dtype: DTypeLike) -> Rule:
    """Return the rule of a recipe's optimizer, at rest."""
    return SgdRule(settings, layout, dtype) if isinstance(settings, Sgd) else AdamRule(settings, layout, dtype)
