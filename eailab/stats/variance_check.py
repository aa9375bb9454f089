"""Decide whether the arms' errors may be pooled: pooling gives power with few blocks, but needs equal spread."""

import math

import numpy as np
from numpy.typing import NDArray

from eailab.stats.blocked_model import Fit
from eailab.stats.variance import brown_forsythe
from eailab.translation import Text, tr

LARGEST_RATIO = 3.0
"""Of the largest arm's residual SD to the smallest's."""
LARGEST_SHARE = 0.75
"""Of the residual sum of squares that one arm's differences from the baseline may account for."""
LEAST_P = 0.01
"""Of the Brown–Forsythe test on the residuals."""


def unequal_spread(fit: Fit, differences: list[NDArray[np.float64]]) -> Text | None:
    """Return why the arms' errors are not pooled, or None when they may be.

    Two blocks cannot show whether arms share a spread, so with three or more arms they are not pooled. From three
    blocks on there are three signs of unequal spread: the ratio of the arms' residual SDs, the Brown–Forsythe test on
    the residuals, and the share of the residual squares that one arm's differences from the baseline carry (half
    their squares about their mean, over the whole). The last sees what the ratio cannot with three arms, where one
    wide arm or baseline widens all three residuals. `benchmarks/calibration.py` shows what the thresholds do.

    Args:
        fit: The additive model of the arms that are compared.
        differences: For each arm its differences from the baseline, one a shared block.

    Returns:
        A sentence without its full stop, or None. With one contrast there is nothing to pool, and with no spread at
        all nothing to compare.
    """
    if len(differences) == 1 or fit.variance == 0.0:
        return None
    residuals = [column[np.isfinite(column)] for column in fit.residuals.T]
    if min(len(column) for column in residuals) < 3:
        return tr("two blocks cannot show whether the arms share a spread")
    spread = [math.sqrt(float(column @ column) / (len(column) - 1)) for column in residuals]
    largest, smallest = max(spread), min(spread)
    if largest > LARGEST_RATIO * smallest:
        if smallest == 0.0:
            return tr(
                "the widest arm's residual SD is infinitely many times the narrowest's, more than {most:g}",
                most=LARGEST_RATIO,
            )
        return tr(
            "the widest arm's residual SD is {times:.1f} times the narrowest's, more than {most:g}",
            times=largest / smallest,
            most=LARGEST_RATIO,
        )
    test = brown_forsythe(residuals)
    if test.p < LEAST_P:
        return tr("the arms' spreads differ (Brown–Forsythe p = {p:.2g}, below {least:g})", p=test.p, least=LEAST_P)
    squares = [float(((difference - difference.mean()) ** 2).sum()) for difference in differences]
    share = max(squares) / (2.0 * fit.variance * fit.df)
    if share > LARGEST_SHARE:
        return tr(
            "one arm's differences carry {share:.0%} of the residual squares, more than {most:.0%}",
            share=share,
            most=LARGEST_SHARE,
        )
    return None
