"""Estimate the main effects and two-way interactions of a full factorial over blocks.

Shapes: `B` blocks; one further axis a factor, its first level the baseline's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from scipy import special

from eailab.errors import StudyError
from eailab.stats.blocked_model import Values, fit_additive
from eailab.stats.verdict import Interval
from eailab.translation import tr


@dataclass(frozen=True)
class Effect:
    """What one factor, or two together, do to the metric, averaged over all other factors."""

    factors: tuple[str, ...]
    """One name for a main effect, two for an interaction."""
    levels: tuple[str, ...]
    """The level of each factor, against its baseline level."""
    estimate: float
    """Main effect: mean at the level minus mean at the baseline level. Interaction: half the change of the one
    factor's effect when the other changes, so that an interaction larger than a main effect turns its sign."""
    interval95: Interval
    """Student's t, for this effect alone."""
    p: float
    larger_than: tuple[str, ...] = ()
    """For an interaction whose interval excludes zero: the factors whose main effect is smaller, so that what one
    finds by changing that factor alone depends on where one stands."""


@dataclass(frozen=True)
class Factorial:
    """All main effects, then all two-way interactions."""

    effects: tuple[Effect, ...]
    pooled_sd: float
    df: int
    misleads: bool
    """Whether an interaction is larger than a main effect: one factor at a time would mislead."""


def factorial(values: Values, factors: Sequence[tuple[str, Sequence[str]]]) -> Factorial | None:
    """Estimate the effects by least squares in `y = cell + block + error`, from contrasts of the cells.

    Args:
        values: `[B, levels of the first factor, of the second, ...]`, NaN where there is no value. Every cell must
            share two blocks with the baseline's cell, the first of each axis.
        factors: For each axis the factor's name and the names of its levels, in order.

    Returns:
        The effects, or None when nothing varies within the blocks.

    Raises:
        StudyError: Fewer than two factors, names that do not fit the array, or a cell with too few trials.
    """
    shape = tuple(len(levels) for _, levels in factors)
    if len(factors) < 2 or min(shape) < 2 or values.shape[1:] != shape:
        raise StudyError(
            f"a factorial of the sizes {shape} does not fit values of the sizes {values.shape[1:]}: "
            "give two or more factors with two or more levels each, and a value for every combination."
        )
    cells = values.reshape(len(values), -1)
    shared = (np.isfinite(cells) & np.isfinite(cells[:, :1])).sum(axis=0)
    if shared.min() < 2:
        names = [" ".join(names) for names in product(*(levels for _, levels in factors))]
        short = ", ".join(name for name, count in zip(names, shared, strict=True) if count < 2)
        raise StudyError(
            tr("no effects without two blocks of every combination; too few: {cells}. Run more blocks.", cells=short)
        )
    fit = fit_additive(cells, 0)
    if fit.variance == 0.0:
        return None
    quantile = float(special.stdtrit(fit.df, 0.975))

    def effect(axes: tuple[int, ...], levels: tuple[int, ...]) -> Effect:
        contrast = _contrast(shape, axes, levels).ravel()
        estimate = float(contrast @ fit.difference)
        standard_error = math.sqrt(fit.variance * float(contrast @ fit.covariance @ contrast))
        half = quantile * standard_error
        return Effect(
            factors=tuple(factors[axis][0] for axis in axes),
            levels=tuple(factors[axis][1][level] for axis, level in zip(axes, levels, strict=True)),
            estimate=estimate,
            interval95=(estimate - half, estimate + half),
            p=2.0 * float(special.stdtr(fit.df, -abs(estimate) / standard_error)),
        )

    mains = {(axis, level): effect((axis,), (level,)) for axis, size in enumerate(shape) for level in range(1, size)}
    interactions = []
    for axes in combinations(range(len(shape)), 2):
        for levels in product(*(range(1, shape[axis]) for axis in axes)):
            one = effect(axes, levels)
            own = [mains[axis, level] for axis, level in zip(axes, levels, strict=True)]
            interactions.append(_compared(one, own))
    return Factorial(
        effects=(*mains.values(), *interactions),
        pooled_sd=math.sqrt(fit.variance),
        df=fit.df,
        misleads=any(one.larger_than for one in interactions),
    )


def _contrast(shape: tuple[int, ...], axes: tuple[int, ...], levels: tuple[int, ...]) -> Values:
    """Return the weights of the cells: plus at the level and minus at the baseline along `axes`, means elsewhere."""
    weights = np.ones(())
    for axis, size in enumerate(shape):
        along = np.full(size, 1.0 / size)
        if axis in axes:
            along = np.zeros(size)
            along[levels[axes.index(axis)]], along[0] = 1.0, -1.0
        weights = np.multiply.outer(weights, along)
    return np.asarray(weights / 2.0 ** (len(axes) - 1))


def _compared(interaction: Effect, mains: list[Effect]) -> Effect:
    """Name the factors whose main effect is smaller than an interaction that is shown."""
    low, high = interaction.interval95
    if low <= 0.0 <= high:
        return interaction
    smaller = tuple(main.factors[0] for main in mains if abs(main.estimate) < abs(interaction.estimate))
    return replace(interaction, larger_than=smaller)
