"""How far the trials of one recipe lie apart by chance, and which differences between two of them are noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from eailab.findings.numbers import decimals_for, number
from eailab.metrics import Metric
from eailab.stats.power import detectable_difference
from eailab.stats.variance import noise_floor, sd_interval
from eailab.stats.verdict import Interval
from eailab.translation import Text, tr, trn

NORMAL_95 = NormalDist().inv_cdf(0.975)
SQRT_2 = math.sqrt(2.0)
"""A difference of two trials has the SD of one, times this."""

PLANS = (3, 5, 10)
"""Blocks of the studies whose detectable difference is reported."""


@dataclass(frozen=True)
class Detectable:
    """What a study that compares two arms sees, if its trials spread as these."""

    blocks: int
    difference: float
    """Smallest true difference that is seen with 80% power."""


@dataclass(frozen=True)
class Spread:
    """The spread of one recipe's values over blocks."""

    mean: float | None
    low: float | None
    high: float | None
    sd: float | None
    """Divisor `n - 1`; None below two values, as are the numbers that rest on it."""
    sd_interval95: Interval | None
    """From the chi-square distribution, for normal values."""
    noise_below: float | None
    """95% of the differences of two single trials are smaller, if nothing but chance separates them."""
    noise_below_if_sd_known: float | None
    """The same by 1.96 sqrt(2) SD, which takes the SD for exact."""
    detectable: tuple[Detectable, ...]


def spread_of(finished: Sequence[float]) -> Spread:
    """Return how the values of finished trials spread."""
    values = np.array(finished, dtype=np.float64)
    n = len(values)
    sd = float(values.std(ddof=1)) if n >= 2 else None
    return Spread(
        mean=float(values.mean()) if n else None,
        low=float(values.min()) if n else None,
        high=float(values.max()) if n else None,
        sd=sd,
        sd_interval95=sd_interval(sd, n) if sd else None,
        noise_below=None if sd is None else noise_floor(sd, n),
        noise_below_if_sd_known=None if sd is None else NORMAL_95 * SQRT_2 * sd,
        detectable=tuple(Detectable(blocks, detectable_difference(blocks, 2, sd)) for blocks in PLANS) if sd else (),
    )


def spread_decimals(spread: Spread, measure: Metric) -> int:
    """Return how many decimals the values and their spread are shown with."""
    return decimals_for([spread.sd_interval95] if spread.sd_interval95 else [], measure.decimals)


def sd_in_words(spread: Spread, measure: Metric) -> Text:
    """Return the SD with its interval."""
    digits = spread_decimals(spread, measure)
    sd = number(spread.sd, digits)
    if spread.sd is None or spread.sd_interval95 is None:
        return tr("SD {sd}", sd=measure.with_unit(sd))
    low, high = (number(bound, digits) for bound in spread.sd_interval95)
    return tr("SD {sd}, 95% interval {low} to {high} (chi-square)", sd=measure.with_unit(sd), low=low, high=high)


def noise_sentences(spread: Spread, measure: Metric, n: int, total: int) -> list[Text]:
    """Say which differences between two single runs are noise, or why that is not known.

    Args:
        spread: Of the trials.
        measure: What they were judged by.
        n: Trials with a value.
        total: Trials in all.
    """
    digits = spread_decimals(spread, measure)
    if spread.sd is None or spread.noise_below is None or spread.noise_below_if_sd_known is None:
        few = tr("{n} of {total} trials have a value: a spread needs two or more. Run more blocks.", n=n, total=total)
        return [few]
    if spread.sd == 0.0:
        return [tr("All {n} trials have the same value: this many blocks show no noise to measure by.", n=n)]
    return [
        tr(
            "Differences below {amount} between two single runs are noise.",
            amount=measure.with_unit(number(spread.noise_below, digits)),
        ),
        trn(
            "That is {factor:.2f} × √2 × SD: what 95% of the differences of two runs of this one recipe stay below, "
            "by Student's t with {n} degree of freedom, as the SD is estimated from {runs} runs. Were the SD exactly "
            "known, it would be 1.96 × √2 × SD = {known}.",
            "That is {factor:.2f} × √2 × SD: what 95% of the differences of two runs of this one recipe stay below, "
            "by Student's t with {n} degrees of freedom, as the SD is estimated from {runs} runs. Were the SD exactly "
            "known, it would be 1.96 × √2 × SD = {known}.",
            n - 1,
            factor=spread.noise_below / (spread.sd * SQRT_2),
            runs=n,
            known=measure.with_unit(number(spread.noise_below_if_sd_known, digits)),
        ),
        tr(
            "The detectable differences take this SD for that within a block; where arms of a block share luck, a "
            "study sees smaller ones."
        ),
    ]
