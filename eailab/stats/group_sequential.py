"""Divide alpha over the looks of a group-sequential study, and replay such a study from its values.

A study that adds blocks until its arms are decided looks several times, at numbers of blocks fixed in advance; each
look at 5% would raise the false alarms far above 5%. Each look is held at a level in proportion to its blocks, so that
little is spent early: between the boundaries of Pocock (1977) and of O'Brien and Fleming (1979, "A multiple testing
procedure for clinical trials", Biometrics 35). `benchmarks/looks.py` measures what all looks together are wrong in.

Shapes: `B` blocks, `A` arms, the baseline among them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from eailab.errors import StudyError
from eailab.stats.blocked_model import Mask, Values
from eailab.stats.model import ArmResult, Comparison, compare, reason_to_withhold
from eailab.stats.verdict import SINGLE_LOOK, Verdict, next_level

FIRST_LOOK = 3
"""Blocks at the first look: two show only very large differences."""
EVERY_BLOCK_UNTIL = 20
"""Blocks up to which a study looks after each; later looks are a twentieth of the blocks apart."""


def look_levels(blocks: Sequence[int], arms: int) -> tuple[float, ...]:
    """Return the level of each look: after `n` of at most `N` blocks `c(N) n / N`.

    `c(N) = 0.05 / (1 + a ln(N/3)^0.75)` follows what simulated studies need, so that an arm without a difference is
    called different in at most 5% of studies where all spreads are alike, and in 6.5% where one is up to 20 times as
    wide, which costs more the more arms there are: `a` is 1.5 for two arms, 1.9 for more. With fewer looks than one
    after each block a study is wrong more seldom.

    >>> [round(level, 4) for level in look_levels((3, 4, 5, 6), arms=3)]
    [0.0102, 0.0136, 0.0171, 0.0205]

    Args:
        blocks: Number of blocks at each look, rising, 2 or more; the last is the most that the study will use.
        arms: Of the study, the baseline counted.

    Raises:
        StudyError: No look, or numbers that do not rise.
    """
    if not blocks or blocks[0] < 2 or any(b <= a for a, b in pairwise(blocks)):
        raise StudyError(f"looks after {list(blocks)} blocks: give rising numbers, 2 or more.")
    if len(blocks) == 1:
        return (SINGLE_LOOK,)
    most, factor = blocks[-1], 1.5 if arms == 2 else 1.9
    last = SINGLE_LOOK / (1.0 + factor * math.log(max(most, FIRST_LOOK) / FIRST_LOOK) ** 0.75)
    return tuple(last * number / most for number in blocks)


# --- replay -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LookDecision:
    """The verdict on an arm, and the look that gave it."""

    verdict: Verdict
    look: int
    """Number of the look, from 1."""
    blocks: int
    """Blocks that it saw."""
    level: float
    """Of the look."""


@dataclass(frozen=True)
class Replay:
    """Describe how far a study has come."""

    decisions: tuple[LookDecision | None, ...]
    """One an arm; None for the baseline and for an arm that is not decided."""
    seen: tuple[ArmResult | None, ...]
    """Each arm as the look found it that decided it, else the last one; None before there is one."""
    looks_made: int
    counted: Mask
    """`[B, A]`, trials that the study asks for: an arm has none after the look that decided it."""
    needed: Mask
    """`[B, A]`, trials without an outcome that the next look waits for; none once the study is over."""
    over: bool
    """Whether nothing is left to do: every arm is decided, or the last look is made."""


def looks_within(trials: int, arms: int) -> tuple[int, ...]:
    """Return the numbers of blocks after which a study looks: each from 3 on, as far as the trials go.

    >>> looks_within(20, 3), looks_within(4, 2)
    ((3, 4, 5, 6), (2,))

    Raises:
        StudyError: Fewer trials than two blocks need.
    """
    most = trials // arms
    if most < 2:
        raise StudyError(
            f"--max-trials {trials} is less than the {2 * arms} trials of two blocks of {arms} arms: allow more."
        )
    looks = [min(FIRST_LOOK, most)]
    while looks[-1] < most:
        looks.append(min(looks[-1] + max(1, looks[-1] // EVERY_BLOCK_UNTIL), most))
    return tuple(looks)


def replay(
    values: Values,
    ended: Mask,
    failed: Mapping[str, Mask],
    looks: Sequence[int],
    baseline: int,
    margin: float,
    higher: bool,
) -> Replay:
    """Repeat the looks that the trials so far allow, one after another, as they would have been made.

    An arm that a look decides keeps its verdict, and its trials of later blocks, if there are any, are not looked at.

    Args:
        values: `[B, A]`, NaN where a trial has no value; `B` may be fewer than the last look's blocks.
        ended: `[B, A]`, whether a trial has an outcome, be it divergence.
        failed: `[B, A]`, whether it failed, by the names of these arguments of `compare`.
        looks: Numbers of blocks, as `looks_within` gives them.
        baseline: Column of the baseline.
        margin: As for `compare`.
        higher: Whether higher values are better.
    """
    blocks, arms = values.shape
    levels = look_levels(looks, arms)
    decisions: list[LookDecision | None] = [None] * arms
    seen: list[ArmResult | None] = [None] * arms
    counted = np.zeros((blocks, arms), dtype=np.bool_)
    needed = np.zeros((blocks, arms), dtype=np.bool_)

    def reached(made: int, *, over: bool) -> Replay:
        return Replay(tuple(decisions), tuple(seen), made, counted, needed, over)

    # Make each look, as long as its trials are there and an arm is open.
    for number, (until, level) in enumerate(zip(looks, levels, strict=True), start=1):
        open_arms = [arm for arm in range(arms) if decisions[arm] is None]
        if open_arms == [baseline]:
            return reached(number - 1, over=True)
        counted[:until, open_arms] = True
        needed = counted & ~ended
        if until > blocks or needed.any():
            return reached(number - 1, over=False)
        # Judge the open arms by the trials that count.
        found = compare(
            np.where(counted, values, np.nan)[:until],
            baseline,
            margin,
            higher,
            **{how: (mask & counted)[:until] for how, mask in failed.items()},
            level=level,
            outlooks=False,
        )
        for arm in open_arms:
            seen[arm] = found.arms[arm]
            if arm != baseline:
                decisions[arm] = _decision(found.arms[arm], number, until)
    return reached(len(looks), over=True)


def _decision(arm: ArmResult, look: int, blocks: int) -> LookDecision | None:
    """Return what a look has decided of an arm; None where that is nothing."""
    return LookDecision(arm.verdict, look, blocks, arm.level) if arm.verdict in DECIDED else None


DECIDED = frozenset({Verdict.BETTER, Verdict.WORSE, Verdict.SAME})
"""Verdicts after which an arm needs no more blocks."""


# --- a study that is judged again -------------------------------------------------------------------------------------


def judgement_levels(number: int, first: float = SINGLE_LOOK) -> tuple[float, ...]:
    """Return the levels of the first judgements of a study: 5%, then 1% shared in halves, for any number of them.

    Whoever judges a study that was to be judged once may do so again and again, at numbers of blocks that what was seen
    has suggested. By Bonferroni's inequality all judgements together call a difference that is not there in at most 6%
    of studies, however they were chosen.

    >>> judgement_levels(3)
    (0.05, 0.005, 0.0025)

    Args:
        number: Of judgements.
        first: Level of the first; the later ones are in proportion to it.
    """
    levels = [first]
    while len(levels) < number:
        levels.append(next_level(levels[-1]))
    return tuple(levels[:number])


def first_decisions(found: Sequence[Comparison], blocks: Sequence[int]) -> tuple[LookDecision | None, ...]:
    """Return the first verdict that each arm got in the judgements of a study, which it keeps.

    A later judgement takes a verdict back where trials have failed since: it would favour the side that left them out.

    Args:
        found: Of each judgement, at its level.
        blocks: How many each rested on.
    """
    last = found[-1]
    decisions: list[LookDecision | None] = []
    for index, arm in enumerate(last.arms):
        own = [
            _decision(one.arms[index], look, number)
            for look, (one, number) in enumerate(zip(found, blocks, strict=True), start=1)
        ]
        first = None if index == last.baseline else next(filter(None, own), None)
        withheld = first is not None and reason_to_withhold(first.verdict, arm, last.arms[last.baseline])
        decisions.append(None if withheld else first)
    return tuple(decisions)
