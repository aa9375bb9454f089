"""Replay a group-sequential study, which adds blocks until its arms are decided, from its values.

Shapes: `B` blocks, `A` arms, the baseline among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eailab.errors import StudyError
from eailab.stats.alpha_spending import look_levels, verdict_at
from eailab.stats.blocked_model import Values
from eailab.stats.model import compare
from eailab.stats.verdict import Verdict

Mask = NDArray[np.bool_]

LOOKS = 4
"""Most looks of a study; more gain little (Pocock, 1982) and cost alpha."""


@dataclass(frozen=True)
class Decision:
    """When an arm was decided, and how."""

    verdict: Verdict
    look: int
    """Number of the look, from 1."""
    blocks: int
    """Blocks that it saw."""


@dataclass(frozen=True)
class Replay:
    """How far a study has come."""

    decisions: tuple[Decision | None, ...]
    """One an arm; None for the baseline and for an arm that is not decided."""
    looks_made: int
    counted: Mask
    """`[B, A]`, trials that the study asks for: an arm has none after the look that decided it."""
    needed: Mask
    """`[B, A]`, trials without an outcome that the next look waits for; none once the study is over."""
    over: bool
    """Whether nothing is left to do: every arm is decided, or the last look is made."""


def looks_within(trials: int, arms: int) -> tuple[int, ...]:
    """Return the numbers of blocks at which a study looks, evenly spread, so that it never needs more trials.

    >>> looks_within(40, 3)
    (3, 6, 10, 13)

    Raises:
        StudyError: Fewer trials than two blocks need.
    """
    most = trials // arms
    if most < 2:
        raise StudyError(
            f"--max-trials {trials} is less than the {2 * arms} trials of two blocks of {arms} arms: allow more."
        )
    return tuple(sorted({max(2, round(most * number / LOOKS)) for number in range(1, LOOKS + 1)}))


def replay(
    values: Values, ended: Mask, diverged: Mask, looks: Sequence[int], baseline: int, margin: float, higher: bool
) -> Replay:
    """Make the looks that the trials so far allow, one after another, as they would have been made.

    An arm that a look decides keeps its verdict, and its trials of later blocks, if there are any, are not looked at.

    Args:
        values: `[B, A]`, NaN where a trial has no value; `B` may be fewer than the last look's blocks.
        ended: `[B, A]`, whether a trial has an outcome, be it divergence.
        diverged: `[B, A]`, whether it diverged.
        looks: Numbers of blocks, as `looks_within` gives them.
        baseline: Column of the baseline.
        margin: As for `compare`.
        higher: Whether higher values are better.
    """
    blocks, arms = values.shape
    levels = look_levels(looks)
    decisions: list[Decision | None] = [None] * arms
    counted = np.zeros((blocks, arms), dtype=np.bool_)
    needed = np.zeros((blocks, arms), dtype=np.bool_)
    for number, (until, level) in enumerate(zip(looks, levels, strict=True), start=1):
        open_arms = [arm for arm in range(arms) if decisions[arm] is None]
        if open_arms == [baseline]:
            return Replay(tuple(decisions), number - 1, counted, needed, over=True)
        counted[:until, open_arms] = True
        needed = counted & ~ended
        if until > blocks or needed.any():
            return Replay(tuple(decisions), number - 1, counted, needed, over=False)
        found = compare(
            np.where(counted, values, np.nan)[:until], baseline, margin, higher, diverged=(diverged & counted)[:until]
        )
        for arm in open_arms:
            if arm != baseline and (verdict := verdict_at(found.arms[arm], level)) in DECIDED:
                decisions[arm] = Decision(verdict, number, until)
    return Replay(tuple(decisions), len(looks), counted, needed, over=True)


DECIDED = frozenset({Verdict.BETTER, Verdict.WORSE, Verdict.SAME})
"""Verdicts after which an arm needs no more blocks."""
