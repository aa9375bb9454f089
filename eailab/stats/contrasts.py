"""Estimate contrasts of the arms' means: the trend over an ordered factor, and the effects of a factorial design.

Shapes: `B` blocks, `A` arms; in a factorial design one axis a factor, its first level the baseline's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from eailab.errors import StudyError
from eailab.stats import p_values, special
from eailab.stats.blocked_model import Fit, Values, fit_additive, spread_of
from eailab.stats.variance import LEAST_P, TOLERANCE, moderated_df, prior_weight, unequal_spread
from eailab.stats.verdict import Interval
from eailab.translation import Text, tr


@dataclass(frozen=True)
class Trend:
    """Describe how the metric moves when the level doubles, within blocks."""

    slope: float
    """Change per doubling of the level, in the metric's unit."""
    interval95: Interval
    p: float
    """Two-sided, of no slope; one comparison, so not adjusted."""
    df: int
    blocks: int
    """Complete blocks, which alone are used."""
    pooled: bool
    """Whether the error is the blocked model's; else the slopes of the blocks are taken as a sample."""
    lack_of_fit_f: float | None
    """What the arms' means leave next to the line, over the model's error variance; None where that is not pooled."""
    lack_of_fit_p: float | None
    """Small: the line does not hold, so read the arms one by one."""


def trend(values: Values, levels: Sequence[float], baseline: int) -> Trend | None:
    """Fit a line in `log2(level)` within blocks, and test what it leaves.

    With `x` the centred `log2(level)`, the slope of the arms' means `m` is `sum(x m) / sum(x^2)`, with variance
    `MSE / (B sum(x^2))` and the degrees of freedom of the blocked model; lack of fit is the F ratio of the remaining
    `k - 1` degrees of freedom between arms to the model's error (Cochran & Cox, 1957, sections 3.42 and 4.2). Where
    `unequal_spread` finds a reason not to pool, the slope of each block is one value of a sample with `B - 1` degrees
    of freedom.

    Args:
        values: `[B, A]`, one column a level, NaN where there is no value.
        levels: `[A]`, three or more distinct positive numbers.
        baseline: Column of the study's baseline: `unequal_spread` looks at the differences from it, as in `compare`.

    Returns:
        The trend, or None when fewer than two blocks are complete or nothing varies within them.

    Raises:
        StudyError: Levels that are not distinct and positive, fewer than three, or not one a column.
    """
    if len(levels) != values.shape[1]:
        raise StudyError(f"{len(levels)} levels for {values.shape[1]} arms: give one level an arm.")
    if len(set(levels)) != len(levels) or len(levels) < 3 or not all(0.0 < level < math.inf for level in levels):
        raise StudyError(
            f"levels {list(levels)} have no slope per doubling: give three or more different numbers above 0."
        )
    complete = values[np.isfinite(values).all(axis=1)]
    blocks, arms = complete.shape
    if blocks < 2:
        return None
    # Fit a slope in each block.
    doublings = np.log2(np.asarray(levels, dtype=np.float64))
    doublings -= doublings.mean()
    length = float(doublings @ doublings)
    slopes = complete @ doublings / length
    slope = float(slopes.mean())
    # Take the error from the model where arms share a spread, else from the slopes.
    fit = fit_additive(complete, baseline)
    differences = np.delete(complete, baseline, axis=1) - complete[:, [baseline]]
    pooled = unequal_spread(fit, list(differences.T)) is None
    spread = math.sqrt(fit.variance / length) if pooled else spread_of(slopes, float(np.abs(complete).max()))
    if spread == 0.0:
        return None
    standard_error, df = spread / math.sqrt(blocks), fit.df if pooled else blocks - 1
    half = float(special.stdtrit(df, 0.975)) * standard_error
    # Test what the line leaves.
    lack_f, lack_p = None, None
    if pooled:
        means = complete.mean(axis=0)
        left = means - means.mean() - slope * doublings
        lack_f = blocks * float(left @ left) / (arms - 2) / fit.variance
        lack_p = float(special.fdtrc(arms - 2, fit.df, lack_f))
    return Trend(
        slope=slope,
        interval95=(slope - half, slope + half),
        p=2.0 * float(special.stdtr(df, -abs(slope) / standard_error)),
        df=df,
        blocks=blocks,
        pooled=pooled,
        lack_of_fit_f=lack_f,
        lack_of_fit_p=lack_p,
    )


# --- factorial design -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """The effect of one factor, or of two together, on the metric, averaged over all other factors."""

    factors: tuple[str, ...]
    """One name for a main effect, two for an interaction."""
    levels: tuple[str, ...]
    """The level of each factor, against its baseline level."""
    estimate: float
    """Main effect: mean at the level minus mean at the baseline level. Interaction: half the change of the one
    factor's effect when the other changes, so that an interaction larger than a main effect turns its sign."""
    interval95: Interval | None
    """Simultaneous over the effects of the table: the studentised maximum modulus (Sidak, 1967), or Bonferroni's where
    errors are kept apart; None where these do not vary."""
    p: float | None
    """Two-sided, adjusted for all effects of the table."""
    larger_than: tuple[str, ...] = ()
    """For an interaction whose interval excludes zero: the factors whose main effect is smaller, so that what one
    finds by changing that factor alone depends on where one stands."""


@dataclass(frozen=True)
class Factorial:
    """All main effects, then all two-way interactions."""

    effects: tuple[Effect, ...]
    pooled_sd: float
    df: float
    """Of the intervals."""
    misleads: bool
    """Whether an interaction is larger than a main effect: one factor at a time would mislead."""
    guard: Text | None = None
    """Why each effect was judged by its own values in the complete blocks; None where they share part of an error."""


def factorial(values: Values, factors: Sequence[tuple[str, Sequence[str]]]) -> Factorial | None:
    """Estimate the effects by least squares in `y = cell + block + error`, from contrasts of the cells.

    The error of an effect is moderated as that of an arm is (`variance.moderated_df`): its own over the complete blocks
    with a share of the common one, whose degrees of freedom are those that the spread of the cells leaves. Where one
    cell is far wider than the others, and with two blocks, its own values alone are the sample, with `B - 1` degrees
    of freedom and Bonferroni's intervals.

    Args:
        values: `[B, levels of the first factor, of the second, ...]`, NaN where there is no value. Every cell must
            share two blocks with the baseline's cell, the first of each axis.
        factors: For each axis the factor's name and the names of its levels, in order.

    Returns:
        The effects, or None when nothing varies within the blocks.

    Raises:
        StudyError: Fewer than two factors, names that do not fit the array, a cell with too few trials, or
            fewer than two complete blocks.
    """
    # Every combination of levels needs two blocks.
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

    # Each effect is a contrast of the cells' means.
    fit = fit_additive(cells, 0)
    if fit.variance == 0.0:
        return None
    sizes = [size - 1 for size in shape]
    number = sum(sizes) + sum(one * other for one, other in combinations(sizes, 2))
    complete = cells[np.isfinite(cells).all(axis=1)]
    if len(complete) < 2:
        raise StudyError(tr("no effects without two blocks in which every combination has a value. Run more blocks."))
    guard = _one_wide_cell(fit, len(complete))
    df = float(len(complete) - 1)
    if guard is None:
        df = moderated_df(len(complete), cells.shape[1] - 1, _common_df(fit, len(complete)))
    judged = _apart(complete, number) if guard else _moderated(fit, complete, number, df)

    def effect(axes: tuple[int, ...], levels: tuple[int, ...]) -> Effect:
        estimate, half, p = judged(_contrast(shape, axes, levels).ravel())
        return Effect(
            factors=tuple(factors[axis][0] for axis in axes),
            levels=tuple(factors[axis][1][level] for axis, level in zip(axes, levels, strict=True)),
            estimate=estimate,
            interval95=None if half is None else (estimate - half, estimate + half),
            p=p,
        )

    # Interactions are compared with the main effects of their factors.
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
        df=df,
        misleads=any(one.larger_than for one in interactions),
        guard=guard,
    )


Judge = Callable[[Values], tuple[float, float | None, float | None]]
"""From the weights of the cells to an effect's estimate, the half-width of its interval, and its p-value."""


def _moderated(fit: Fit, complete: Values, number: int, df: float) -> Judge:
    """Judge each of this many effects by its own error with a share of the common one, as arms are judged."""
    quantile, weight = p_values.critical_value(0.95, number, df, 0.0), float(prior_weight(len(complete)))

    def judged(contrast: Values) -> tuple[float, float | None, float | None]:
        estimate = float(contrast @ fit.difference)
        own = float((complete @ contrast).var(ddof=1)) / float(contrast @ contrast)
        variance = weight * fit.variance + (1.0 - weight) * own
        error = math.sqrt(variance * float(contrast @ fit.covariance @ contrast))
        return estimate, quantile * error, p_values.adjusted_p(estimate / error, number, df, 0.0).item()

    return judged


def _apart(complete: Values, number: int) -> Judge:
    """Judge each of this many effects by its own values in the complete blocks alone."""
    blocks = len(complete)
    quantile = p_values.bonferroni_critical_value(0.95, number, blocks - 1)

    def judged(contrast: Values) -> tuple[float, float | None, float | None]:
        values = complete @ contrast
        estimate = float(values.mean())
        error = spread_of(values, float(np.abs(complete).max())) / math.sqrt(blocks)
        if error == 0.0:
            return estimate, None, None
        p = number * p_values.adjusted_p(estimate / error, 1, blocks - 1).item()
        return estimate, quantile * error, min(p, 1.0)

    return judged


def _common_df(fit: Fit, blocks: int) -> float:
    """Return the degrees of freedom of the common error, fewer where a few cells carry most of it.

    Satterthwaite (1946, "An approximate distribution of estimates of variance components", Biometrics Bull. 2) of a sum
    of independent squares: `df (sum q)^2 / (A sum q^2)` of `A` cells with the residual squares `q`, and never fewer
    than the blocks of one cell leave.
    """
    squares = np.nansum(fit.residuals**2, axis=0)
    share = float(squares.sum()) ** 2 / (len(squares) * float(squares @ squares))
    return max(fit.df * share, float(blocks - 1))


def _one_wide_cell(fit: Fit, blocks: int) -> Text | None:
    """Return the reason to keep the errors of effects apart: one cell is far wider than the others, or not to be known.

    Cochran's test (1941, "The distribution of the largest of a set of estimated variances", Ann. Eugen. 11): the share
    of the residual squares that the widest cell carries, by Bonferroni's bound on the F ratio to the others. The signs
    by which arms are kept apart look at pairs of cells, of which a factorial has so many that they part equal ones.
    """
    if blocks == 2:
        return tr("two blocks cannot show whether the arms share a spread")
    squares = np.nansum(fit.residuals**2, axis=0)
    cells, total = len(squares), float(squares.sum())
    df = fit.df / cells
    most = float(special.fdtri(df, (cells - 1) * df, 1.0 - LEAST_P / cells))
    largest = float(squares.max())
    if largest * (cells - 1) <= most * (total - largest) * (1.0 + TOLERANCE):
        return None
    return tr("one combination carries {share:.0%} of the residual squares, more than by chance", share=largest / total)


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
    if interaction.interval95 is None or interaction.interval95[0] <= 0.0 <= interaction.interval95[1]:
        return interaction
    smaller = tuple(main.factors[0] for main in mains if abs(main.estimate) < abs(interaction.estimate))
    return replace(interaction, larger_than=smaller)
