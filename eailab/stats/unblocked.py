"""Compare groups of runs that share no seeds with one baseline group, or with a number.

Shapes: `k` arms compared with the baseline, `n` runs of an arm. All values are in the metric's unit.

Groups with alike spreads are compared with one error: Dunnett's intervals for unequal numbers (Dunnett, 1955; the
factors of the correlations are `sqrt(n / (n + n0))`). Where spreads differ, each arm is compared by its own two groups,
with the wider of Student's and Welch's intervals (Welch, 1947) at Bonferroni's level: so the guard only ever widens
what a pair of groups shows, and false alarms stay near 5% whether it acts or not (`benchmarks/unblocked.py`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eailab.errors import StudyError
from eailab.stats import p_values
from eailab.stats.blocked_model import Values, spread_of
from eailab.stats.estimates import Estimate
from eailab.stats.model import ArmResult, Comparison, judge_arm
from eailab.stats.outlook import Later, planned_critical_value
from eailab.stats.variance import LEAST_P, brown_forsythe
from eailab.stats.verdict import SINGLE_LOOK, Verdict, within
from eailab.translation import Text, tr, trn

LARGEST_RATIO = 2.0
"""Of two groups' SDs that are pooled, with as many runs in each: Student's t hardly minds more."""
LARGEST_RATIO_UNEQUAL = 1.25
"""The same where the numbers differ: pooled, a small group with a large spread gives four times too many alarms."""


@dataclass(frozen=True)
class Sample:
    """The runs of one arm, or what was published of them."""

    n: int
    """Runs with a value."""
    mean: float | None
    """None without runs."""
    sd: float | None
    """With divisor `n - 1`; None with fewer than two runs."""
    values: Values | None = None
    """`[n]`; None where only mean and SD are known."""
    diverged: int = 0
    """Runs whose value is not finite."""
    collapsed: int = 0
    """Runs that ended at chance; none of the others' numbers contains them."""
    timed_out: int = 0
    """Runs that were ended at their time limit."""

    @classmethod
    def of(cls, values: Values) -> "Sample":
        """Return the sample of some runs, `[n]`; those that are not finite count as diverged."""
        own = values[np.isfinite(values)]
        mean = float(own.mean()) if len(own) else None
        sd = spread_of(own, float(np.abs(own).max())) if len(own) >= 2 else None
        return cls(len(own), mean, sd, own, len(values) - len(own))


def compare_unblocked(
    samples: Sequence[Sample],
    baseline: int,
    margin: float,
    higher_is_better: bool = True,
    *,
    level: float = SINGLE_LOOK,
) -> Comparison:
    """Compare every arm's runs with the baseline's, where runs of different arms have nothing in common.

    Args:
        samples: Of each arm, two or more.
        baseline: Index of the baseline.
        margin: Largest difference that counts as none, 0 or more.
        higher_is_better: False for a loss.
        level: Of the verdicts, as for `model.compare`.

    Raises:
        StudyError: Fewer than two arms, or an impossible margin.
    """
    _check(len(samples), 2, margin)
    judged = [
        i for i, one in enumerate(samples) if i != baseline and one.sd is not None and samples[baseline].sd is not None
    ]
    chosen = [samples[baseline], *(samples[i] for i in judged)]
    guard = unequal_spread(chosen) if judged else None
    estimates = [] if not judged else pooled(chosen) if guard is None else separate(chosen)
    if not judged:
        method = tr("no interval: no arm and the baseline have two runs each")
    elif guard is not None:
        method = trn(
            "two groups of runs without blocks, the wider of Student's and Welch's intervals",
            "each arm's runs against the baseline's, without blocks: the wider of Student's and Welch's intervals, "
            "simultaneous over {n} arms by Bonferroni's level",
            len(judged),
        )
    elif len(judged) == 1:
        method = tr("two groups of runs without blocks ({df:g} df), Student's t interval", df=estimates[0].df)
    else:
        method = tr(
            "groups of runs without blocks (error pooled over arms, {df:g} df), Dunnett's simultaneous intervals for "
            "unequal numbers",
            df=estimates[0].df,
        )
    least = {i: min(samples[i].n, samples[baseline].n) for i in judged}
    return _comparison(samples, baseline, margin, higher_is_better, dict(zip(judged, estimates, strict=True)), least,
                       method, guard, level)  # fmt: skip


def compare_with_target(
    samples: Sequence[Sample], target: float, margin: float, higher_is_better: bool = True
) -> Comparison:
    """Compare every arm's runs with a number: one-sample t, at Bonferroni's level where there are several arms.

    Returns:
        As of `compare_unblocked`, with the number as a last arm, the baseline.

    Raises:
        StudyError: No arm, or an impossible margin.
    """
    _check(len(samples), 1, margin)
    judged = [i for i, one in enumerate(samples) if one.sd is not None]

    def estimate(sample: Sample) -> Estimate:
        n, mean, sd = _numbers(sample)
        return _own(mean - target, sd / math.sqrt(n), n - 1, len(judged), lambda number: (sd / math.sqrt(number),
                    number - 1))  # fmt: skip

    return _comparison(
        [*samples, Sample(0, target, None)], len(samples), margin, higher_is_better,
        {i: estimate(samples[i]) for i in judged}, {i: samples[i].n for i in judged},
        tr("one group of runs against a number, Student's t interval")
        if len(samples) == 1
        else tr("each arm's runs against a number, Student's t intervals at Bonferroni's level"),
        None,
    )  # fmt: skip


def beating(comparison: Comparison, by: float) -> Comparison:
    """Return a comparison in which only an arm that beats the baseline by more than `by` is BETTER.

    An arm that is better, but not shown to be by that much, is UNDECIDED, or SAME when its 90% interval lies within
    the margin.
    """
    sign = 1.0 if comparison.higher_is_better else -1.0

    def demanded(arm: ArmResult) -> ArmResult:
        if arm.verdict is not Verdict.BETTER or arm.interval95 is None or arm.interval90 is None:
            return arm
        if min(sign * end for end in arm.interval95) > by:
            return arm
        verdict = Verdict.SAME if within(arm.interval90, comparison.margin) else Verdict.UNDECIDED
        why = tr("better, but not shown to be by more than {by:g}", by=by) if verdict is Verdict.UNDECIDED else None
        return replace(arm, verdict=verdict, withheld=why)

    return replace(comparison, arms=tuple(map(demanded, comparison.arms)))


def unequal_spread(samples: Sequence[Sample]) -> Text | None:
    """Return why groups are not pooled, or None: their SDs differ, or only their means and SDs are known."""
    values = [one.values for one in samples if one.values is not None]
    if len(values) < len(samples):
        return tr("only means and SDs are known")
    sds = [sd for one in samples if (sd := one.sd) is not None]
    most = LARGEST_RATIO if len({one.n for one in samples}) == 1 else LARGEST_RATIO_UNEQUAL
    largest, smallest = max(sds), min(sds)
    if largest > most * smallest * (1.0 + 1e-9):
        if smallest == 0.0:
            return tr("the runs of one arm have no spread, and those of another have")
        return tr(
            "the widest arm's SD is {times:.2f} times the narrowest's, more than {most:g}",
            times=largest / smallest,
            most=most,
        )
    if largest > 0.0 and (p := brown_forsythe(values)) < LEAST_P:
        return tr("the arms' spreads differ (Brown–Forsythe p = {p:.2g}, below {least:g})", p=p, least=LEAST_P)
    return None


def pooled(samples: Sequence[Sample]) -> list[Estimate]:
    """Estimate the differences from the first group with one error for all: Dunnett's intervals."""
    numbers = [_numbers(one) for one in samples]
    arms, (n0, mean0, _) = len(numbers) - 1, numbers[0]
    df = sum(n - 1 for n, _, _ in numbers)
    sd = math.sqrt(sum((n - 1) * own**2 for n, _, own in numbers) / df)
    factors = tuple(math.sqrt(n / (n + n0)) for n, _, _ in numbers[1:])

    def critical(confidence: float) -> float:
        return p_values.critical_value(confidence, arms, df, factors)

    def tail_of_t(t: float) -> float:
        return p_values.adjusted_p(t, arms, df, factors).item()

    def later(number: int) -> Later:
        later_df = (arms + 1) * (number - 1)
        return Later(
            standard_error=sd * math.sqrt(2.0 / number),
            df=later_df,
            critical=lambda confidence: planned_critical_value(confidence, arms, df, critical(confidence), later_df),
        )

    def estimate(n: int, mean: float) -> Estimate:
        difference, error = mean - mean0, sd * math.sqrt(1.0 / n + 1.0 / n0)
        p = tail_of_t(difference / error) if error else 1.0
        return Estimate(difference, error, critical, df, p, tail_of_t, later)

    return [estimate(n, mean) for n, mean, _ in numbers[1:]]


def separate(samples: Sequence[Sample]) -> list[Estimate]:
    """Estimate each difference from the first group by these two alone: the wider of Student's t and Welch's."""
    arms, (n0, mean0, sd0) = len(samples) - 1, _numbers(samples[0])

    def estimate(sample: Sample) -> Estimate:
        n, mean, sd = _numbers(sample)

        def errors(n: int, n0: int) -> list[tuple[float, float]]:
            """Return standard error and degrees of freedom, Student's and Welch's."""
            together = math.sqrt(((n - 1) * sd**2 + (n0 - 1) * sd0**2) / (n + n0 - 2) * (1.0 / n + 1.0 / n0))
            own, own0 = sd**2 / n, sd0**2 / n0
            if own + own0 == 0.0:
                return [(0.0, float(n + n0 - 2))]
            df = (own + own0) ** 2 / (own**2 / (n - 1) + own0**2 / (n0 - 1))
            return [(together, float(n + n0 - 2)), (math.sqrt(own + own0), df)]

        def wider(error: tuple[float, float]) -> float:
            return error[0] * p_values.bonferroni_critical_value(0.95, arms, error[1])

        error, df = max(errors(n, n0), key=wider)
        return _own(mean - mean0, error, df, arms, lambda number: max(errors(number, number), key=wider))

    return [estimate(one) for one in samples[1:]]


def _own(
    difference: float, error: float, df: float, arms: int, errors: Callable[[int], tuple[float, float]]
) -> Estimate:
    """Return an estimate with an error of its own, at Bonferroni's level for several arms."""

    def tail_of_t(t: float) -> float:
        return min(1.0, arms * p_values.adjusted_p(t, 1, df).item())

    def later(number: int) -> Later:
        own, own_df = errors(number)
        return Later(own, own_df, lambda confidence: p_values.bonferroni_critical_value(confidence, arms, own_df))

    def critical(confidence: float) -> float:
        return p_values.bonferroni_critical_value(confidence, arms, df)

    p = tail_of_t(difference / error) if error else 1.0
    return Estimate(difference, error, critical, df, p, tail_of_t, later)


def _comparison(
    samples: Sequence[Sample],
    baseline: int,
    margin: float,
    higher_is_better: bool,
    estimates: dict[int, Estimate],
    least: dict[int, int],
    method: Text,
    guard: Text | None,
    level: float = SINGLE_LOOK,
) -> Comparison:
    rows = [
        ArmResult(one.n, 0, one.diverged, one.collapsed, one.mean, one.sd, timed_out=one.timed_out) for one in samples
    ]
    # Judge the arms that have an estimate, and give the others their difference alone.
    arms = []
    for index, one in enumerate(samples):
        row = rows[index]
        if index in estimates:
            row = judge_arm(row, estimates[index], margin, higher_is_better, least[index], rows[baseline], level)
        elif index != baseline:
            base = samples[baseline].mean
            known = None if one.mean is None or base is None else one.mean - base
            row = replace(row, difference=known, verdict=Verdict.SCREEN, level=level)
        arms.append(row)
    # Pool the spread of the arms that are judged.
    judged = [samples[baseline], *(samples[index] for index in estimates)] if estimates else []
    spread = [(one.n - 1, one.sd) for one in judged if one.sd is not None]
    total = sum(n for n, _ in spread)
    return Comparison(
        arms=tuple(arms),
        baseline=baseline,
        margin=margin,
        higher_is_better=higher_is_better,
        blocks=max(one.n for one in samples),
        complete_blocks=min(one.n for one in (judged or samples)),
        method=method,
        guard=guard,
        pooled_sd=math.sqrt(sum(n * sd**2 for n, sd in spread) / total) if total else None,
        pooled_df=total or None,
        df=min((one.df for one in estimates.values()), default=None),
        critical_value=max((one.critical(0.95) for one in estimates.values()), default=None),
        correlation=None,
        detectable=max((arm.detectable for arm in arms if arm.detectable is not None), default=None),
        notes=(),
        is_blocked=False,
    )


def _numbers(sample: Sample) -> tuple[int, float, float]:
    assert sample.mean is not None  # noqa: S101 - only groups with two runs or more are compared
    assert sample.sd is not None  # noqa: S101 - as above
    return sample.n, sample.mean, sample.sd


def _check(arms: int, least: int, margin: float) -> None:
    if arms < least:
        raise StudyError(f"{arms} arms cannot be compared: give {least} or more.")
    if not 0.0 <= margin < math.inf:
        raise StudyError(f"the margin is {margin}: give a number of 0 or more, in the metric's unit.")
