"""Estimate seed-to-seed variance, and decide whether the arms may share part of their errors.

A common error gives power with few blocks, but needs equal spread.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eailab.stats import special
from eailab.stats.blocked_model import Fit
from eailab.stats.verdict import Interval
from eailab.translation import Text, tr

LARGEST_RATIO = 3.0
"""Of the largest arm's residual SD to the smallest's."""
LARGEST_SHARE = 0.75
"""Of the residual sum of squares that one arm's differences from the baseline may account for."""
LEAST_P = 0.01
"""Of the Brown–Forsythe test on the residuals."""
LEAST_P_OF_PAIRS = 0.005
"""Of the F ratio of the widest to the narrowest arm's differences from the baseline, Bonferroni over pairs of arms."""
TOLERANCE = 1e-9
"""Share of a threshold by which a sign must exceed it: rounding, as from the order of the blocks, decides nothing."""
PRIOR_DF = 2.0
"""Degrees of freedom that the common error counts for in the error of one arm."""


def prior_weight(blocks: ArrayLike) -> NDArray[np.float64]:
    """Return the common error's share in the error of an arm that shares this many blocks with the baseline."""
    return PRIOR_DF / (PRIOR_DF + np.asarray(blocks, dtype=np.float64) - 1.0)


def moderated_df(blocks: int, contrasts: int, pooled_df: float) -> float:
    """Return the degrees of freedom of the moderated error `w * 2 MSE + (1 - w) s^2` of one arm's differences.

    The halved variance `s^2 / 2` of an arm's differences is one of the `k` orthonormal parts that the MSE is the mean
    of, so that with equal spread the moderated error has the variance `2 sigma^4 (u / (n-1) + (1-u) / (k (n-1)))`,
    `u = (1-w)^2`; by Satterthwaite's rule (1946) it has the degrees of freedom of the chi-square with that variance.
    Shrinking each arm's variance towards a common one is moderated t (Smyth, 2004, Stat. Appl. Genet. Mol. Biol. 3),
    here with a prior weight that is fixed, so that no verdict hangs on estimating it.

    Args:
        blocks: Shared with the baseline, 2 or more.
        contrasts: Arms compared with the baseline; one leaves Student's paired t.
        pooled_df: Of the MSE.
    """
    if contrasts == 1:
        return float(pooled_df)
    own = (1.0 - float(prior_weight(blocks))) ** 2
    return 1.0 / (own / (blocks - 1) + (1.0 - own) / pooled_df)


def brown_forsythe(groups: list[NDArray[np.float64]]) -> float:
    """Return the p-value of equal spread: an analysis of variance of the distances from each group's median.

    Brown & Forsythe (1974), "Robust tests for the equality of variances", J. Am. Stat. Assoc. 69.

    Args:
        groups: Two or more arrays of one dimension, together with more values than groups.
    """
    distances = [np.abs(group - np.median(group)) for group in groups]
    sizes = np.array([len(distance) for distance in distances])
    means = np.array([distance.mean() for distance in distances])
    total, between_df = int(sizes.sum()), len(groups) - 1
    within_df = total - len(groups)
    overall = float(sizes @ means) / total
    between = float(sizes @ (means - overall) ** 2) / between_df
    inside = sum(float(((d - m) ** 2).sum()) for d, m in zip(distances, means, strict=True)) / within_df
    if inside == 0.0:
        return 1.0 if between == 0.0 else 0.0
    return float(special.fdtrc(between_df, within_df, between / inside))


def sd_interval(sd: float, n: int, confidence: float = 0.95) -> Interval:
    """Return the chi-square interval of a normal population's SD: `s sqrt((n-1) / chi2 quantile)` at either tail.

    Args:
        sd: Standard deviation of the sample, with divisor `n - 1`.
        n: Values in the sample, 2 or more.
        confidence: Such as 0.95.
    """
    tail, df = (1.0 - confidence) / 2.0, n - 1
    upper, lower = special.chdtri(df, tail), special.chdtri(df, 1.0 - tail)
    return sd * float(np.sqrt(df / upper)), sd * float(np.sqrt(df / lower))


def upper_sd(sd: float, df: float, confidence: float = 0.80) -> float:
    """Return the one-sided upper bound of a normal population's SD, by which studies are planned.

    An SD of few trials is too small as often as not, and a study planned with it is then too small; with the bound it
    is large enough in four of five cases.

    Args:
        sd: As estimated.
        df: Its degrees of freedom; infinity for an SD that is known.
        confidence: That the true SD is no larger.
    """
    if math.isinf(df):
        return sd
    return sd * math.sqrt(df / float(special.chdtri(df, confidence)))


def sampling_error(share: float, examples: int) -> float:
    """Return the binomial standard error of a share of right answers, by the choice of examples: `sqrt(a(1-a)/n)`.

    It is shared by all arms scored on the same examples and largely cancels in their differences.

    Args:
        share: From 0 to 1; the result is on the same scale.
        examples: Number of examples scored.
    """
    return float(np.sqrt(share * (1.0 - share) / examples))


def noise_floor(sd: float, n: int, confidence: float = 0.95) -> float:
    """Return the noise floor: chance alone keeps two single trials closer than this, with this confidence.

    It is `t s sqrt(2)`, with Student's t at `n - 1` degrees of freedom, as the SD is itself estimated from `n` trials.
    """
    return float(special.stdtrit(n - 1, 0.5 + confidence / 2.0)) * sd * float(np.sqrt(2.0))


def unequal_spread(fit: Fit, differences: list[NDArray[np.float64]]) -> Text | None:
    """Return the reason to keep the arms' errors apart, or None when they may share a common part.

    Two blocks cannot show whether arms share a spread, so with three or more arms nothing is shared. From three
    blocks on there are four signs of unequal spread: the ratio of the arms' residual SDs; the Brown–Forsythe test on
    the residuals; the share of the residual squares that one arm's differences from the baseline carry (half their
    squares about their mean, over the whole), which sees what the ratio cannot with three arms, where one wide arm or
    baseline widens all three residuals; and the F ratio of the differences' variances, which sees one wide arm of
    three, where that share tends to its limit. `benchmarks/calibration.py` shows what the thresholds do.

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
    # Compare the arms' residuals: the widest with the narrowest, and all of them.
    spread = [math.sqrt(float(column @ column) / (len(column) - 1)) for column in residuals]
    largest, smallest = max(spread), min(spread)
    if largest > LARGEST_RATIO * smallest * (1.0 + TOLERANCE):
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
    if (p := brown_forsythe(residuals)) < LEAST_P * (1.0 - TOLERANCE):
        return tr("the arms' spreads differ (Brown–Forsythe p = {p:.2g}, below {least:g})", p=p, least=LEAST_P)
    # Compare the arms' differences from the baseline.
    squares = [float(((difference - difference.mean()) ** 2).sum()) for difference in differences]
    share = max(squares) / (2.0 * fit.variance * fit.df)
    if share > LARGEST_SHARE * (1.0 + TOLERANCE):
        return tr(
            "one arm's differences carry {share:.0%} of the residual squares, more than {most:.0%}",
            share=share,
            most=LARGEST_SHARE,
        )
    variances = [square / (len(one) - 1) for square, one in zip(squares, differences, strict=True)]
    wide, narrow = int(np.argmax(variances)), int(np.argmin(variances))
    most = largest_f(len(differences), len(differences[wide]) - 1, len(differences[narrow]) - 1)
    if variances[wide] > most * variances[narrow] * (1.0 + TOLERANCE):
        if variances[narrow] < TOLERANCE**2 * variances[wide]:
            return tr("the differences of one arm do not vary, while those of another do")
        return tr(
            "the differences of one arm vary {times:.1f} times as much as those of another, more than {most:.1f}",
            times=math.sqrt(variances[wide] / variances[narrow]),
            most=math.sqrt(most),
        )
    return None


def largest_f(contrasts: int, wide_df: int, narrow_df: int) -> float:
    """Return the ratio of two arms' variances that chance alone seldom exceeds in any pair of the arms compared."""
    pairs = contrasts * (contrasts - 1) / 2
    return float(special.fdtri(wide_df, narrow_df, 1.0 - LEAST_P_OF_PAIRS / pairs))
