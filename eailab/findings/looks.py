"""Judge a study look by look: which trials it still asks for, what is decided, and what that says of the arms.

A study has looks that were fixed in advance, or is judged again as it grows; one that is judged once has none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from eailab.findings.trial import FAILED, TrialFindings, in_state, not_needed, values_of
from eailab.metrics import Metric
from eailab.stats.group_sequential import LookDecision, first_decisions, judgement_levels, look_levels, replay
from eailab.stats.model import ArmResult, Comparison
from eailab.stats.verdict import Verdict
from eailab.studies.design import Study
from eailab.studies.storage import StudyRecord
from eailab.translation import COMMA, Text, joined, tr

Trials = Sequence[tuple[TrialFindings, ...]]
"""By arm and block."""


@dataclass(frozen=True)
class Looks:
    """Describe how a study that is looked at several times has gone so far."""

    blocks: tuple[int, ...]
    """Numbers of blocks at each look."""
    levels: tuple[float, ...]
    """Of each look."""
    made: int
    """Looks made so far."""
    decisions: tuple[LookDecision | None, ...]
    """One an arm; None for the baseline, and for an arm that is open."""
    over: bool
    """Whether nothing is left to do."""
    needed: tuple[tuple[int, int], ...] = ()
    """Arm index and block of the trials that the next look waits for."""
    seen: tuple[ArmResult | None, ...] = ()
    """Each arm as the look found it that decided it, else the last one; None before there is one."""
    planned: bool = True
    """Whether they were fixed in advance; else the study was judged again as it grew."""


def look(
    study: Study, trials: Sequence[tuple[TrialFindings, ...]], margin: float, measure: Metric
) -> tuple[list[tuple[TrialFindings, ...]], Looks]:
    """Replay the looks, and spare the trials of arms that were decided before."""
    found = replay(
        values_of(trials),
        np.array([[trial.has_ended for trial in row] for row in trials]).T,
        {state.replace("-", "_"): in_state(state, trials) for state in FAILED},
        study.looks,
        study.baseline,
        margin,
        measure.higher_is_better,
    )
    kept = [
        tuple(trial if found.counted[place, arm] else not_needed(trial) for place, trial in enumerate(row))
        for arm, row in enumerate(trials)
    ]
    needed = tuple((int(arm), study.blocks[place]) for place, arm in np.argwhere(found.needed))
    levels = look_levels(study.looks, len(study.arms))
    return kept, Looks(study.looks, levels, found.looks_made, found.decisions, found.over, needed, found.seen)


def judge_again(
    record: StudyRecord, trials: Trials, compare: Callable[[Trials, float], Comparison], level: float
) -> tuple[Comparison, Looks | None]:
    """Compare the arms of a study as often as it was judged, each time with the blocks and at the level of then.

    `level` is that of the first judgement.

    Returns:
        The last comparison, and what all of them have decided; no looks of a study that was judged once, or not yet.
    """
    if len(record.judged) < 2:
        return compare(trials, level), None
    levels = judgement_levels(len(record.judged), level)
    found = [
        compare([tuple(trial for trial in row if trial.block in blocks) for row in trials], level)
        for blocks, level in zip(map(frozenset, record.judged), levels, strict=True)
    ]
    numbers = tuple(map(len, record.judged))
    decisions = first_decisions(found, numbers)
    return found[-1], Looks(numbers, levels, len(numbers), decisions, over=True, seen=found[-1].arms, planned=False)


def decided(comparison: Comparison, looks: Looks) -> Comparison:
    """Put what the looks have found of each arm in place of what all its trials show at a single look."""

    def found(result: ArmResult, seen: ArmResult | None, decision: LookDecision | None) -> ArmResult:
        if result.verdict is None:
            return result
        shown = result if seen is None else replace(result, **{name: getattr(seen, name) for name in OF_A_LOOK})
        if decision is not None:
            return replace(shown, verdict=decision.verdict, blocks_needed=None, blocks_likely=None, withheld=None)
        return (
            replace(shown, verdict=Verdict.UNDECIDED, blocks_needed=None, blocks_likely=None)
            if looks.planned
            else shown
        )

    arms = map(found, comparison.arms, looks.seen, looks.decisions)
    return replace(comparison, arms=tuple(arms))


OF_A_LOOK = (
    "level", "difference", "standard_error", "df", "interval", "p_adjusted", "p_same", "detectable", "within_margin",
)  # fmt: skip
"""What of an arm's result is of the look that its verdict is of; the rest is of all its trials."""


def looked(looks: Looks, arm: int) -> list[Text]:
    """Say at which look an arm was decided."""
    decision, total = looks.decisions[arm], len(looks.blocks)
    if not looks.planned:
        if decision is None or decision.look == total:
            return []
        return [
            tr(
                "{verdict} since judgement {look} of {total}, after {blocks} blocks",
                verdict=decision.verdict.value,
                look=decision.look,
                total=total,
                blocks=decision.blocks,
            )
        ]
    if decision is not None:
        return [
            tr(
                "decided at look {look} of {total}, after {blocks} blocks",
                look=decision.look,
                total=total,
                blocks=decision.blocks,
            )
        ]
    if looks.over:
        return [tr("open after the last look")]
    return [tr("open after {made} of {total} looks", made=looks.made, total=total)]


def looks_in_words(blocks: Sequence[int]) -> Text:
    """Say after which numbers of blocks a study looks.

    >>> looks_in_words((3, 4, 5, 6)), looks_in_words((*range(3, 41), 42, 44)), looks_in_words((2, 3, 6))
    ('3 to 6', '3 to 40 and then up to 44', '2, 3, 6')
    """
    first, most = blocks[0], blocks[-1]
    last = next((one for one, other in pairwise(blocks) if other > one + 1), most)
    if last - first < 2:
        return joined(map(str, blocks), COMMA)
    if last == most:
        return tr("{first} to {last}", first=first, last=last)
    return tr("{first} to {last} and then up to {most}", first=first, last=last, most=most)
