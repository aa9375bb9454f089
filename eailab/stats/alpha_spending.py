"""Divide alpha over the looks of a group-sequential study, which are fixed in advance.

A study that adds blocks until its arms are decided looks several times; each look at 5% would raise the false alarms
far above 5%. The looks share alpha by O'Brien and Fleming's boundary in Lan and DeMets' form (1983, "Discrete
sequential boundaries for clinical trials", Biometrika 70): little is spent early, nearly all is left for the end.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from scipy import special

from eailab.errors import StudyError
from eailab.stats.model import ArmResult
from eailab.stats.verdict import Verdict


def look_levels(blocks: Sequence[int], alpha: float = 0.05) -> tuple[float, ...]:
    """Return the level of each look, which sum to alpha.

    After the share `f` of the blocks, `2 - 2 Phi(z / sqrt(f))` has been spent, with `z` the two-sided normal quantile
    of alpha. A look is made at what was newly spent, so that by Bonferroni's inequality all looks together keep alpha
    whatever their dependence; exact boundaries, with a little more power, would need a normal statistic.

    Args:
        blocks: Number of blocks at each look, rising, 2 or more; the last is the most that the study will use.
        alpha: Of the whole study.

    Raises:
        StudyError: No look, or numbers that do not rise.
    """
    if not blocks or blocks[0] < 2 or any(b <= a for a, b in pairwise(blocks)):
        raise StudyError(f"looks after {list(blocks)} blocks: give rising numbers, 2 or more.")
    quantile = -float(special.ndtri(alpha / 2.0))
    spent = [2.0 * float(special.ndtr(-quantile * math.sqrt(blocks[-1] / number))) for number in blocks]
    return tuple(now - before for before, now in pairwise([0.0, *spent]))


def verdict_at(arm: ArmResult, level: float) -> Verdict:
    """Return the verdict on an arm at one look: its own, where that also holds at the look's level.

    Args:
        arm: Of the comparison of all blocks so far; not the baseline.
        level: Of this look, at most 0.05.
    """
    if arm.verdict is None:
        raise StudyError("the baseline has no verdict: ask for the other arms'.")
    if arm.verdict in {Verdict.BETTER, Verdict.WORSE}:
        p = arm.p_adjusted
    elif arm.verdict is Verdict.SAME:
        p = arm.p_same
    else:
        return arm.verdict
    return arm.verdict if p is not None and p <= level else Verdict.UNDECIDED
