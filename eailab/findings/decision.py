"""Sum up what a command has found in one flat record, on which another program can decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from eailab.findings.noise import Noise
from eailab.findings.study import StudyFindings
from eailab.stats.verdict import Verdict

Outcome = Literal["BETTER", "SAME", "UNDECIDED", "WORSE", "MEASURED", "HOLDS", "DIFFERS"]

_OUTCOMES: dict[Verdict, Outcome] = {
    Verdict.WORSE: "WORSE",
    Verdict.UNDECIDED: "UNDECIDED",
    Verdict.SCREEN: "UNDECIDED",
    Verdict.SAME: "SAME",
    Verdict.BETTER: "BETTER",
}
"""In the order in which they count where several arms are compared; too few blocks decide nothing either."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The findings of a command in one flat record; null stands for what does not apply or is not known."""

    __pydantic_config__: ClassVar = {"use_attribute_docstrings": True, "extra": "forbid"}

    schema_version: Literal[1] = 1
    """Raised when a field is renamed, removed or changes its meaning."""
    verdict: Outcome
    """Of an arm against the baseline: BETTER, SAME, UNDECIDED or WORSE. Of a noise study: MEASURED, or UNDECIDED below
    two values. Of a verification: HOLDS or DIFFERS."""
    study: str | None = None
    """The study that it is of, by its name."""
    metric: str | None = None
    """The metric that it rests on."""
    goal: Literal["max", "min"] | None = None
    """Which values of the metric are better."""
    baseline: str | None = None
    """The arm that the other is compared with."""
    arm: str | None = None
    """Of several arms, the first that is WORSE, else UNDECIDED, else SAME, else BETTER."""
    difference: float | None = None
    """Arm minus baseline; of a noise study, below which two single runs differ by chance."""
    unit: str | None = None
    """Of the difference and the interval; empty where the metric has none."""
    low: float | None = None
    """Low end of the difference's interval; where there are looks, of the one that decided it, else of the last."""
    high: float | None = None
    """High end of the difference's interval, as above."""
    level: float | None = None
    """Confidence of the interval, over all arms together."""
    blocks: int | None = None
    """In which the arm has a value."""
    looks_made: int | None = None
    """Looks made so far, or times that a study was judged as it grew; null where it was judged once, or not yet."""
    looks_planned: int | None = None
    """Looks fixed in advance."""
    blocks_needed: int | None = None
    """Blocks in all that have an even chance to decide it; null where more than 1000 would have, and with looks."""
    blocks_likely: int | None = None
    """Blocks in all that decide it with a chance of four in five; null as above."""
    next_command: str | None = None
    """What to run to decide it; of results that eailab did not run, once they have that many runs, with MEAN and SD to
    fill in where they are published means."""
    next_seconds: float | None = None
    """What that would take, as the trials so far took, one after another."""
    reason: str | None = None
    """What keeps it from being decided."""


def arm_decisions(findings: StudyFindings) -> list[Decision]:
    """Return a decision for each arm that is compared with the baseline, in the study's order."""
    looks = findings.looks
    return [
        Decision(
            verdict=_OUTCOMES[result.verdict],
            study=findings.name,
            metric=findings.metric,
            goal="max" if findings.measure.higher_is_better else "min",
            baseline=findings.baseline_arm.label,
            arm=arm.label,
            difference=result.difference,
            unit=findings.measure.difference_unit_name,
            low=None if result.interval is None else float(result.interval[0]),
            high=None if result.interval is None else float(result.interval[1]),
            level=None if result.interval is None else 1.0 - result.level,
            blocks=result.trials,
            looks_made=None if looks is None else looks.made,
            looks_planned=len(looks.blocks) if looks is not None and looks.planned else None,
            blocks_needed=result.blocks_needed,
            blocks_likely=result.blocks_likely,
            reason=_reason(findings, result.verdict, result.withheld),
        )
        for arm in findings.arms
        if (result := arm.against_baseline) is not None and result.verdict is not None
    ]


def noise_decision(found: Noise) -> Decision:
    """Return the decision of a noise study: how far two single runs lie apart by chance."""
    return Decision(
        verdict="UNDECIDED" if found.noise_below is None else "MEASURED",
        study=found.name,
        metric=found.metric,
        goal="max" if found.measure.higher_is_better else "min",
        difference=found.noise_below,
        unit=found.measure.difference_unit_name,
        level=0.95,
        blocks=len(found.finished),
        reason=None if found.noise_below is not None else "a spread needs two trials with a value or more",
    )


def first_of(decisions: Sequence[Decision]) -> Decision | None:
    """Return the decision that counts of several: one that is WORSE, else UNDECIDED, else SAME, else BETTER."""
    return min(decisions, key=lambda one: [*_OUTCOMES.values()].index(one.verdict), default=None)


def _reason(findings: StudyFindings, verdict: Verdict, withheld: str | None) -> str | None:
    if verdict is Verdict.SCREEN:
        return "too few blocks shared with the baseline for a verdict"
    if verdict is not Verdict.UNDECIDED:
        return None
    if withheld is not None:
        return str(withheld)
    if findings.state == "running":
        return "some trials are not finished"
    if findings.looks is not None and findings.looks.planned and findings.looks.over:
        return "the last look was made"
    return "the interval excludes neither zero nor a difference of the margin"
