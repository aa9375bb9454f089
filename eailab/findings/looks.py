"""A study that adds blocks until its arms are decided: which looks were made, and what they decided."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eailab.findings.trial import TrialFindings, spared
from eailab.metrics import Metric
from eailab.stats.blocked_model import Values
from eailab.stats.group_sequential import Decision, look_levels, replay
from eailab.stats.model import Comparison
from eailab.stats.verdict import Verdict
from eailab.studies.design import Study
from eailab.translation import Text, tr


@dataclass(frozen=True)
class Looks:
    """How a study that looks several times has gone so far."""

    blocks: tuple[int, ...]
    """Numbers of blocks at each look, fixed in advance."""
    levels: tuple[float, ...]
    """Of each look; they sum to 5%."""
    made: int
    """Looks made so far."""
    decisions: tuple[Decision | None, ...]
    """One an arm; None for the baseline, and for an arm that is open."""
    over: bool
    """Whether nothing is left to do."""
    needed: tuple[tuple[int, int], ...]
    """Arm index and block of the trials that the next look waits for."""


def values_of(trials: Sequence[Sequence[TrialFindings]]) -> Values:
    """Return the metric as `[B, A]`, with a gap wherever a trial has no value."""
    return np.array([[np.nan if trial.value is None else trial.value for trial in row] for row in trials]).T


def look(
    study: Study, trials: Sequence[tuple[TrialFindings, ...]], margin: float, measure: Metric
) -> tuple[list[tuple[TrialFindings, ...]], Looks]:
    """Replay the looks, and spare the trials of arms that were decided before."""
    found = replay(
        values_of(trials),
        np.array([[trial.has_ended for trial in row] for row in trials]).T,
        np.array([[trial.state == "diverged" for trial in row] for row in trials]).T,
        study.looks,
        study.baseline,
        margin,
        measure.higher_is_better,
    )
    kept = [
        tuple(trial if found.counted[place, arm] else spared(trial) for place, trial in enumerate(row))
        for arm, row in enumerate(trials)
    ]
    needed = tuple((int(arm), study.blocks[place]) for place, arm in np.argwhere(found.needed))
    return kept, Looks(study.looks, look_levels(study.looks), found.looks_made, found.decisions, found.over, needed)


def decided(comparison: Comparison, looks: Looks) -> Comparison:
    """Put the verdicts of the looks in place of those that one look alone would give."""
    arms = [
        result
        if result.verdict is None
        else replace(result, verdict=decision.verdict if decision else Verdict.UNDECIDED, blocks_needed=None)
        for result, decision in zip(comparison.arms, looks.decisions, strict=True)
    ]
    return replace(comparison, arms=tuple(arms))


def looked(looks: Looks, arm: int) -> list[Text]:
    """Say at which look an arm was decided."""
    decision, total = looks.decisions[arm], len(looks.blocks)
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
