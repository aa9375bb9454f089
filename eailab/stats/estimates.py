"""Estimate each arm's difference from the baseline in blocks: with a share of a common error, or with its own alone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eailab.stats import p_values, variance
from eailab.stats.blocked_model import Fit, Values, spread_of
from eailab.stats.outlook import Later, planned_critical_value


@dataclass(frozen=True)
class Estimate:
    """Describe how one difference is judged now, and how it will be after more blocks."""

    difference: float
    standard_error: float
    critical: Callable[[float], float]
    """Half-width in standard errors of the simultaneous intervals of some confidence, such as 0.95."""
    df: float
    p: float
    tail_of_t: Callable[[float], float]
    """Of a half-width in standard errors: one minus the simultaneous confidence."""
    later: Callable[[int], Later]
    """How it will be judged after a number of blocks, if the spread stays."""


def moderated_estimates(fit: Fit, differences: list[Values]) -> list[Estimate]:
    """Estimate each difference with its own error and a share of the common one: Dunnett's intervals."""
    contrasts, common = len(differences), 2.0 * fit.variance
    correlation = _smallest_correlation(fit)

    def estimate(difference: float, factor: float, paired: Values) -> Estimate:
        # The error of this arm, by its own blocks and the common one.
        blocks = len(paired)
        own = float(paired.var(ddof=1)) if contrasts > 1 else common

        def moderated(number: int) -> float:
            weight = float(variance.prior_weight(number))
            return weight * common + (1.0 - weight) * own

        def critical(confidence: float) -> float:
            return p_values.critical_value(confidence, contrasts, df, correlation)

        def later(number: int) -> Later:
            later_df = variance.moderated_df(number, contrasts, contrasts * (number - 1))
            return Later(
                standard_error=float(np.sqrt(moderated(number) / number)),
                df=later_df,
                critical=lambda confidence: planned_critical_value(
                    confidence, contrasts, df, critical(confidence), later_df
                ),
            )

        # The difference by this error.
        df = variance.moderated_df(blocks, contrasts, fit.df)
        standard_error = float(np.sqrt(moderated(blocks) * factor / 2.0)) if common > 0.0 else 0.0
        t = _t(difference, standard_error)
        return Estimate(
            difference=difference,
            standard_error=standard_error,
            critical=critical,
            df=df,
            p=p_values.adjusted_p(t, contrasts, df, correlation).item(),
            tail_of_t=lambda t: p_values.adjusted_p(t, contrasts, df, correlation).item(),
            later=later,
        )

    factors = np.diag(fit.covariance)[1:]
    return [
        estimate(float(difference), float(factor), paired)
        for difference, factor, paired in zip(fit.difference[1:], factors, differences, strict=True)
    ]


def _smallest_correlation(fit: Fit) -> float:
    """Return the smallest correlation between two differences from the baseline: 1/2 when no trial is missing."""
    if fit.complete:
        return p_values.CORRELATION
    covariance = fit.covariance[1:, 1:]
    sd = np.sqrt(np.diag(covariance))
    return round(max(float((covariance / np.multiply.outer(sd, sd)).min()), 0.0), 9)


def separate_estimates(differences: list[Values], largest: float) -> list[Estimate]:
    """Estimate each difference with its own error alone: paired t, Bonferroni's intervals and p-values."""
    contrasts = len(differences)

    def estimate(paired: Values) -> Estimate:
        blocks = len(paired)
        sd = spread_of(paired, largest)

        def later(number: int) -> Later:
            return Later(
                standard_error=sd / float(np.sqrt(number)),
                df=number - 1,
                critical=lambda confidence: p_values.bonferroni_critical_value(confidence, contrasts, number - 1),
            )

        mean, standard_error = float(paired.mean()), sd / float(np.sqrt(blocks))
        t = _t(mean, standard_error)
        return Estimate(
            difference=mean,
            standard_error=standard_error,
            critical=lambda confidence: p_values.bonferroni_critical_value(confidence, contrasts, blocks - 1),
            df=blocks - 1,
            p=min(contrasts * p_values.adjusted_p(t, 1, blocks - 1).item(), 1.0),
            tail_of_t=lambda t: contrasts * p_values.adjusted_p(t, 1, blocks - 1).item(),
            later=later,
        )

    return [estimate(paired) for paired in differences]


def _t(difference: float, standard_error: float) -> float:
    """Return the t statistic; 0 without any spread, where there is nothing to measure a difference by."""
    return difference / standard_error if standard_error > 0.0 else 0.0
