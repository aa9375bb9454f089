"""Widen the interval of a difference between two arms to hold for other images than those that it was measured on.

With the images held, a difference is known up to the chance of seeds. Which images were drawn is a second source of
chance, crossed with the first: whether an arm gains on an image depends on the block, on the image, and on both.

Shapes: `B` blocks, `N` images.
"""

import math
from dataclasses import dataclass

from eailab.stats import p_values
from eailab.stats.blocked_model import Values
from eailab.stats.model import ArmResult
from eailab.stats.verdict import Interval


@dataclass(frozen=True)
class NewImages:
    """An arm's difference as it holds for new images of the same kind."""

    images: int
    """On which the arms were compared."""
    blocks: int
    """In which both arms have predictions."""
    standard_error: float
    """Of the difference, by the choice of seeds and of images."""
    df: float
    interval: Interval
    """Simultaneous over the arms, at the level of the arm's own interval; never narrower than that."""
    alike: Interval
    """The same at the level of the interval that SAME rests on."""


def variance_of_images(gains: Values) -> float:
    """Return what the choice of images adds to the variance of a mean difference; 0 or more.

    In the model `gain = mean + block + image + error` with random blocks and images, the mean has the variance
    `block/B + image/N + error/(B N)`. The differences between blocks alone show `block/B + error/(B N)`; what is added
    is `image/N`, by the mean squares of the analysis of variance (Cornfield & Tukey, 1956, "Average values of mean
    squares in factorials", Ann. Math. Stat. 27): of images less of the error, over `B N`.

    Args:
        gains: `[B, N]`, what the arm has more than the baseline on each image in each block; two or more of both.
    """
    blocks, images = gains.shape
    by_image, by_block = gains.mean(axis=0), gains.mean(axis=1, keepdims=True)
    left = gains - by_image - by_block + gains.mean()
    error = float((left**2).sum()) / ((blocks - 1) * (images - 1))
    return float(max(blocks * by_image.var(ddof=1) - error, 0.0) / (blocks * images))


def for_new_images(gains: Values, result: ArmResult, arms: int) -> NewImages | None:
    """Return the interval of an arm's difference for new images; None of an arm without an interval.

    The degrees of freedom of the two variances, by seeds and by images, are combined by Satterthwaite's rule (1946).
    The critical value changes with them as Bonferroni's does.

    Args:
        gains: As `variance_of_images` takes them, in the metric's unit.
        result: The arm against the baseline.
        arms: Compared with the baseline, over which its interval is simultaneous.
    """
    if result.interval is None or result.difference is None or not result.standard_error or result.df is None:
        return None
    seeds = result.standard_error**2
    added = variance_of_images(gains)
    both = seeds + added
    df = both**2 / (seeds**2 / result.df + added**2 / (gains.shape[1] - 1))
    own = (result.interval[1] - result.interval[0]) / 2.0
    of_own = p_values.bonferroni_critical_value(1.0 - result.level, arms, result.df)

    def around(level: float) -> Interval:
        assert result.difference is not None  # noqa: S101 - for the type checker alone
        critical = p_values.bonferroni_critical_value(1.0 - level, arms, df)
        half = own * critical / of_own * math.sqrt(both / seeds)
        half = max(half, own) if level == result.level else half
        return result.difference - half, result.difference + half

    return NewImages(
        images=gains.shape[1],
        blocks=len(gains),
        standard_error=math.sqrt(both),
        df=df,
        interval=around(result.level),
        alike=around(2.0 * result.level),
    )
