"""Move one flat array of parameters by the rules of torch's optimizers.

A rule owns its moments, each a flat array like the parameters. Its work on a gradient is planned once, as calls of the
compiled loops of `kernels`; `aim` sets the numbers that change from step to step. A new optimizer is its settings class
in `recipe/optimization.py`, one class here with two kernels, and one line of `RULES`.

Shapes: `P` parameters, `I` inputs and `O` outputs of a linear layer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from eailab.engines.numpy_mlp import kernels
from eailab.engines.numpy_mlp.arrays import Call, Floats, Layout
from eailab.engines.spec import entry
from eailab.recipe.optimization import Adam, AdamW, Optimizer, Sgd


@dataclass(frozen=True)
class Outer:
    """A weight's gradient that is not written out: the outer product of two rows."""

    name: str
    """The weight's name in the layout."""
    left: Floats
    """`[I]`"""
    right: Floats
    """`[O]`"""


class Rule(Protocol):
    """Move parameters along their gradient."""

    moments: dict[str, Floats]
    """What the rule remembers between steps, by name."""
    coefficients: Floats
    """The numbers that the kernels are given."""
    dense: Callable[..., None]
    """The kernel for a gradient that is written out: parameters, gradient, moments, coefficients."""
    outer: Callable[..., None]
    """The kernel for an outer product: parameters, left, right, moments, coefficients."""

    def aim(self, lr: float, number: int, /) -> None:
        """Set the coefficients for the step with this learning rate and this number in the trial, from 1."""
        ...


class SgdRule:
    """Stochastic gradient descent with momentum, without dampening.

    With gradient `g`, penalty `w` and momentum `u`: `g' = g + w p`, `v = u v + g'` (from `v = 0`), and `p` falls by
    `lr v`, or with Nesterov's look ahead by `lr (g' + u v)`.
    """

    dense = staticmethod(kernels.sgd)
    outer = staticmethod(kernels.sgd_outer)

    def __init__(self, settings: Sgd, layout: Layout, dtype: DTypeLike) -> None:
        self.moments = {"velocity": layout.zeros(dtype)}
        own, carried = (1.0, settings.momentum) if settings.nesterov else (0.0, 1.0)
        self.coefficients = np.array([0.0, settings.weight_decay, settings.momentum, own, carried], dtype)

    def aim(self, lr: float, _number: int, /) -> None:
        """Set the learning rate."""
        self.coefficients[0] = lr


class AdamRule:
    """Adam (Kingma & Ba, 2015, algorithm 1), with its penalty in the gradient or apart from it (AdamW).

    With `m` and `v` the running means of the gradient and of its square, `p` falls by
    `lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + 1e-8)`.
    """

    epsilon = 1e-8
    dense = staticmethod(kernels.adam)
    outer = staticmethod(kernels.adam_outer)

    def __init__(self, settings: Adam | AdamW, layout: Layout, dtype: DTypeLike) -> None:
        self.moments = {"first": layout.zeros(dtype), "second": layout.zeros(dtype)}
        self.betas = settings.betas
        self.decoupled = settings.weight_decay if isinstance(settings, AdamW) else 0.0
        penalty = 0.0 if isinstance(settings, AdamW) else settings.weight_decay
        new_first, new_second = (1.0 - beta for beta in settings.betas)
        self.coefficients = np.array([0.0, new_first, new_second, 0.0, self.epsilon, penalty, 0.0], dtype)

    def aim(self, lr: float, number: int, /) -> None:
        """Set the learning rate and undo the moments' pull towards their start at 0."""
        beta_first, beta_second = self.betas
        self.coefficients[0] = lr / (1.0 - beta_first**number)
        self.coefficients[3] = (1.0 - beta_second**number) ** -0.5
        self.coefficients[6] = 1.0 - lr * self.decoupled


RULES: dict[type[Any], Callable[[Any, Layout, DTypeLike], Rule]] = {Sgd: SgdRule, Adam: AdamRule, AdamW: AdamRule}
"""The rule of each variant of `optimizer`."""


def rule(settings: Optimizer, layout: Layout, dtype: DTypeLike) -> Rule:
    """Return the rule of a recipe's optimizer, at rest.

    Raises:
        RecipeError: The engine does not have it.
    """
    return entry(RULES, settings, "optimizer", "the engine numpy-mlp")(settings, layout, dtype)


def moves(rule: Rule, layout: Layout, parameters: Floats, gradient: Floats, outer: Sequence[Outer]) -> list[Call]:
    """Plan a rule's step: after `aim`, each call moves its part of the parameters.

    Args:
        rule: How they move.
        layout: Where the parts of the parameters lie.
        parameters: `[P]`, changed by the calls.
        gradient: `[P]`, read by the calls.
        outer: Weights whose gradient is not in `gradient`; the first parts of the layout, or none.
    """
    moments = list(rule.moments.values())
    calls: list[Call] = []
    end = 0
    for factors in outer:
        parts = (layout.view(flat, factors.name) for flat in moments)
        weight = layout.view(parameters, factors.name)
        calls.append(partial(rule.outer, weight, factors.left, factors.right, *parts, rule.coefficients))
        end = layout.end(factors.name)
    rest = [flat[end:] for flat in (parameters, gradient, *moments)]
    return [*calls, partial(rule.dense, *rest, rule.coefficients)]
