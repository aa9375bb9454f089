"""Numbers for a page's script, no longer than a drawing needs."""

from collections.abc import Sequence

DIGITS = 4
"""Significant ones: a hundredth of a percent, and a reader's screen has about a thousand pixels."""


def rounded(values: Sequence[float]) -> list[float]:
    """Return values to four significant digits.

    >>> rounded([0.123456789, 97.5])
    [0.1235, 97.5]
    """
    return [float(f"{value:.{DIGITS}g}") for value in values]
