"""Numbers as text: how many decimals they are shown with, their signs and intervals."""

import json
import math
from collections.abc import Sequence
from typing import Any

from eailab.findings.study import StudyFindings
from eailab.stats.verdict import Interval

NOTHING = "-"
"""Stands where there is no number."""


def decimals(findings: StudyFindings) -> int:
    """Return how many decimals the study's values are shown with."""
    results = [arm.against_baseline for arm in findings.arms if arm.against_baseline is not None]
    return decimals_for([result.interval95 for result in results if result.interval95], findings.measure.decimals)


def decimals_for(intervals: Sequence[Interval], least: int) -> int:
    """Return how many decimals values with these intervals are shown with.

    Enough for two significant digits of the narrowest interval's half-width and one of each bound, so that no interval
    is hidden by rounding; at least the metric's own, and at most two more.
    """
    wanted = [1 - _magnitude((high - low) / 2.0) for low, high in intervals if high > low]
    wanted += [-_magnitude(bound) for bounds in intervals for bound in bounds if bound]
    return min(max([least, *wanted]), least + 2)


def number(value: float | None, digits: int) -> str:
    """Write a value, or that there is none."""
    return NOTHING if value is None else f"{value:z.{digits}f}"


def amount(value: float | None) -> str:
    """Write an amount with three digits at least, and no exponent unless it is tiny."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100.0 else f"{value:.3g}"


def signed(value: float | None, digits: int) -> str:
    """Write a difference with its sign."""
    return NOTHING if value is None else f"{value:+z.{digits}f}"


def interval(bounds: Interval | None, digits: int) -> str:
    """Write an interval of a difference."""
    return NOTHING if bounds is None else f"[{signed(bounds[0], digits)}, {signed(bounds[1], digits)}]"


def written(value: Any) -> str:
    """Write a setting's value as a recipe would; `none` for null."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value)))
