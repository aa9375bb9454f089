"""Numbers for a page's script, no longer than a drawing needs."""

from collections.abc import Sequence

DIGITS = 5
"""Significant ones; a reader's screen has about a thousand pixels."""


def rounded(values: Sequence[float]) -> list[float]:
    """Return values to five significant digits.

    >>> rounded([0.123456789, 97.5])
    [0.12346, 97.5]
    """
    return [float(f"{value:.{DIGITS}g}") for value in values]
