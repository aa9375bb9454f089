"""Compare a study's arms with its baseline: blocked model, simultaneous intervals, verdicts.

Shapes: `B` blocks, `A` arms, the baseline among them; `k` arms compared with it. All values are in the metric's unit.
"""

from dataclasses import dataclass, replace

import numpy as np

from eailab.errors import StudyError
from eailab.stats import variance
from eailab.stats.blocked_model import Fit, Mask, Values, fit_additive
from eailab.stats.estimates import Estimate, moderated_estimates, separate_estimates
from eailab.stats.outlook import Outlook, outlook
from eailab.stats.power import noncentrality
from eailab.stats.verdict import SINGLE_LOOK, Interval, Verdict, decide, next_level, within
from eailab.translation import OR, Text, joined, tr


@dataclass(frozen=True)
class ArmResult:
    """One arm against the baseline; None stands for what cannot be given."""

    trials: int
    """Blocks in which the arm has a value."""
    missing: int
    """Blocks without a value, and without a trial that failed."""
    diverged: int
    """Blocks in which the arm's trial diverged."""
    collapsed: int
    """Blocks in which the arm's trial collapsed."""
    mean: float | None
    """Over the arm's own trials."""
    sd: float | None
    """Over the arm's own trials, divisor `n - 1`; it contains the blocks' differences."""
    difference: float | None = None
    """Arm minus baseline, as the model estimates it: with trials missing not the difference of the two means."""
    standard_error: float | None = None
    """Of the difference, by the chance of seeds; None where nothing varies, and without an interval."""
    df: float | None = None
    """Degrees of freedom of the standard error."""
    level: float = SINGLE_LOOK
    """At which it is judged: one minus the simultaneous confidence of `interval`."""
    interval: Interval | None = None
    """Of the difference, simultaneous over the arms, at the level; `interval95` where there is one look."""
    interval95: Interval | None = None
    """Simultaneous over the arms."""
    interval90: Interval | None = None
    """Simultaneous over the arms; within the margin it shows sameness."""
    p_adjusted: float | None = None
    """That there is no difference: two-sided, adjusted for all arms."""
    p_same: float | None = None
    """That the difference is the margin or more: two one-sided tests, adjusted for all arms; SAME when at most the
    level."""
    detectable: float | None = None
    """Smallest true difference that this arm's interval excludes zero for in 80% of studies of this size, by the upper
    80% bound of the spread."""
    verdict: Verdict | None = None
    """None for the baseline."""
    within_margin: bool = False
    """Whether the interval of SAME lies within the margin; with BETTER or WORSE: shown, but smaller than the margin."""
    blocks_needed: int | None = None
    """With UNDECIDED: blocks in all that have an even chance to decide it; None for more than 1000, and where a side
    failed."""
    blocks_likely: int | None = None
    """With UNDECIDED: blocks in all that decide it with a chance of four in five; None as above."""
    withheld: Text | None = None
    """Why UNDECIDED is said without regard to an interval: a side failed, or there is no spread to judge by."""
    difference_with_collapsed: float | None = None
    """Where trials of either side collapsed: the difference as it is when these count like others."""
    interval95_with_collapsed: Interval | None = None
    """Of that difference."""
    timed_out: int = 0
    """Blocks in which the arm's trial timed out."""

    @property
    def failed(self) -> int:
        """Return the number of blocks in which the arm's trial diverged, collapsed or timed out."""
        return self.diverged + self.collapsed + self.timed_out

    @property
    def failures(self) -> Text:
        """Return in which of these ways its trials failed."""
        ways = ((self.diverged, tr("diverged")), (self.collapsed, tr("collapsed")), (self.timed_out, tr("timed out")))
        return joined([said for count, said in ways if count], OR)


@dataclass(frozen=True)
class Comparison:
    """All arms of a study against its baseline, in the order of the columns."""

    arms: tuple[ArmResult, ...]
    baseline: int
    """Column of the baseline."""
    margin: float
    higher_is_better: bool
    blocks: int
    """Blocks in which any arm has a value."""
    complete_blocks: int
    """Blocks in which every arm has a value."""
    method: Text
    """One sentence that names the model and the intervals."""
    guard: Text | None
    """Why each arm was judged by its own error alone; None when the arms share part of it."""
    pooled_sd: float | None
    """Of a trial within its block: the square root of the model's error variance."""
    pooled_df: int | None
    """Degrees of freedom of `pooled_sd`."""
    df: float | None
    """Degrees of freedom of the intervals, the fewest among the arms; a fraction where errors are moderated."""
    critical_value: float | None
    """Of the 95% intervals, at `df`."""
    correlation: float | None
    """Between arms over the complete blocks: mean covariance over mean variance; from three complete blocks on."""
    detectable: float | None
    """The largest of the arms' detectable differences: what the study as a whole detects at 80% power."""
    notes: tuple[Text, ...]
    """What a reader must know besides, a sentence each."""
    is_blocked: bool = True
    """Whether arms share the seeds of a block; else `blocks` and `complete_blocks` are the most and the fewest runs of
    an arm."""


def compare(
    values: Values,
    baseline: int,
    margin: float,
    higher_is_better: bool = True,
    *,
    diverged: Mask | None = None,
    collapsed: Mask | None = None,
    timed_out: Mask | None = None,
    level: float = SINGLE_LOOK,
    outlooks: bool = True,
) -> Comparison:
    """Compare every arm with the baseline within blocks, `y = arm + block + error`.

    The error of each arm is moderated, the variance of its own differences with a share of the arms' common error
    (`variance.moderated_df`), and the intervals are simultaneous: Dunnett's multivariate t with correlation 1/2
    (Dunnett, 1955). With one arm against the baseline it is the paired t-test. Where `variance.unequal_spread` finds
    a reason, each arm is judged by its own differences alone: paired t with Bonferroni's intervals and p-values.

    Missing trials: an arm takes part when it shares two blocks or more with the baseline; else its verdict is SCREEN.
    The model is then fitted by least squares to all trials of the arms that take part, so that no finished trial is
    thrown away, and the intervals use the smallest correlation that the gaps leave between two arms' differences,
    which is slightly wide for the other pairs.

    Trials that failed (diverged, collapsed or timed out) are an outcome, not a gap: the other trials alone would make
    their arm look better than it is. Its numbers are of these, and a verdict in favour of a side that failed is
    withheld, as UNDECIDED: an arm that failed is never BETTER or SAME, and where the baseline failed no arm is WORSE or
    SAME.

    Args:
        values: `[B, A]`, one metric of each trial; NaN or infinite where there is none.
        baseline: Column of the baseline.
        margin: Largest difference that counts as none, 0 or more.
        higher_is_better: False for a loss.
        diverged: `[B, A]`, True where a trial diverged; its value is then not used. Left out, no trial diverged and
            every NaN is merely missing.
        collapsed: `[B, A]`, True where a trial collapsed; as above.
        timed_out: `[B, A]`, True where a trial timed out; as above.
        level: Of the verdicts: of false alarms over all arms, and of each of the two tests of SAME.
        outlooks: Whether to find how many blocks would decide an open arm, which takes most of the time.

    Raises:
        StudyError: Fewer than two arms, no block, or an impossible margin.
    """
    if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2:
        raise StudyError(f"a comparison needs two arms or more and one block or more, not an array of {values.shape}.")
    if not (0.0 <= margin < float("inf")):
        raise StudyError(f"the margin is {margin}: give a number of 0 or more, in the metric's unit.")

    # Which arms share enough blocks with the baseline to be judged.
    none = np.zeros(values.shape, dtype=np.bool_)
    failed = [none if mask is None else mask for mask in (diverged, collapsed, timed_out)]
    values = np.where(np.isfinite(values) & ~np.logical_or.reduce(failed), values, np.nan)
    seen = np.isfinite(values)
    rows = [_describe(values[:, arm], *(mask[:, arm] for mask in failed)) for arm in range(values.shape[1])]
    shared = (seen & seen[:, [baseline]]).sum(axis=0)
    judged = [arm for arm in range(values.shape[1]) if arm != baseline and shared[arm] >= 2]

    # One error for all arms, or one for each where the spreads differ.
    fit, guard, estimates, notes = None, None, [], []
    method = tr("no interval: no arm shares two blocks with the baseline")
    if judged:
        columns = [baseline, *judged]
        fit = fit_additive(values[:, columns], 0)
        differences = [_paired(values, arm, baseline) for arm in judged]
        guard = variance.unequal_spread(fit, differences)
        largest = float(np.nanmax(np.abs(values)))
        estimates = moderated_estimates(fit, differences) if guard is None else separate_estimates(differences, largest)
        method = _method(fit, len(judged), guard)
        notes = _notes(estimates, seen[:, columns], guard)

    # A verdict for each arm.
    by_arm = dict(zip(judged, estimates, strict=True))
    arms = []
    for arm, row in enumerate(rows):
        if arm == baseline:
            arms.append(row)
        elif arm in by_arm:
            blocks = int(shared[arm]) if outlooks else None
            arms.append(judge_arm(row, by_arm[arm], margin, higher_is_better, blocks, rows[baseline], level))
        else:
            arms.append(replace(_screen(row, _paired(values, arm, baseline)), level=level))
    fewest_df = min((estimate.df for estimate in estimates), default=None)
    return Comparison(
        arms=tuple(arms),
        baseline=baseline,
        margin=margin,
        higher_is_better=higher_is_better,
        blocks=int(seen.any(axis=1).sum()),
        complete_blocks=int(seen.all(axis=1).sum()),
        method=method,
        guard=guard,
        pooled_sd=None if fit is None else float(np.sqrt(fit.variance)),
        pooled_df=None if fit is None else fit.df,
        df=fewest_df,
        critical_value=max((estimate.critical(0.95) for estimate in estimates), default=None),
        correlation=correlation_between_arms(values[:, [baseline, *judged]]),
        detectable=max((arm.detectable for arm in arms if arm.detectable is not None), default=None),
        notes=tuple(notes),
    )


def correlation_between_arms(values: Values) -> float | None:
    """Return the mean covariance between arms over their mean variance, from the complete blocks.

    It measures what blocking gains: a difference has the variance `2 s^2 (1 - r)`. None below three complete blocks,
    where a correlation is nearly all chance, for a single arm, or when nothing varies.
    """
    complete = values[np.isfinite(values).all(axis=1)]
    if len(complete) < 3 or values.shape[1] < 2:
        return None
    covariance = np.cov(complete, rowvar=False)
    arms = len(covariance)
    variance = float(np.trace(covariance)) / arms
    if variance <= 1e-24 * float(np.abs(complete).max()) ** 2:
        return None
    between = (float(covariance.sum()) - variance * arms) / (arms * (arms - 1))
    return between / variance


def _describe(column: Values, diverged: Mask, collapsed: Mask, timed_out: Mask) -> ArmResult:
    """Count an arm's trials and describe those that have a value."""
    own = column[np.isfinite(column)]
    return ArmResult(
        trials=len(own),
        missing=int((~np.isfinite(column) & ~diverged & ~collapsed & ~timed_out).sum()),
        diverged=int(diverged.sum()),
        collapsed=int(collapsed.sum()),
        mean=float(own.mean()) if len(own) else None,
        sd=float(own.std(ddof=1)) if len(own) >= 2 else None,
        timed_out=int(timed_out.sum()),
    )


def _paired(values: Values, arm: int, baseline: int) -> Values:
    """Return the differences arm minus baseline of the blocks that have both."""
    difference = values[:, arm] - values[:, baseline]
    return difference[np.isfinite(difference)]


def judge_arm(
    row: ArmResult,
    estimate: Estimate,
    margin: float,
    higher_is_better: bool,
    blocks: int | None,
    baseline: ArmResult,
    level: float = SINGLE_LOOK,
) -> ArmResult:
    """Compute an arm's intervals and verdict; without any spread between blocks there are none.

    How many blocks would decide an open arm is found from the number of `blocks` so far, where that is given.
    """
    row = replace(row, difference=estimate.difference, level=level)
    if estimate.standard_error == 0.0:
        why = (
            tr("equals the baseline in every block: there is no spread to judge by")
            if estimate.difference == 0.0
            else tr("differs from the baseline by exactly as much in every block: there is no spread to judge by")
        )
        return replace(row, verdict=Verdict.UNDECIDED, withheld=why)

    def interval(confidence: float) -> Interval:
        half = estimate.critical(confidence) * estimate.standard_error
        return estimate.difference - half, estimate.difference + half

    # Decide, unless failed trials forbid it, and look ahead where nothing is decided.
    apart, alike = interval(1.0 - level), interval(1.0 - 2.0 * level)
    verdict = decide(apart, alike, margin, higher_is_better=higher_is_better)
    withheld = reason_to_withhold(verdict, row, baseline)
    ahead = Outlook(None, None)
    if blocks is not None and verdict is Verdict.UNDECIDED and not row.failed and not baseline.failed:
        ahead = outlook(estimate, margin, blocks, next_level(level))
    return replace(
        row,
        standard_error=estimate.standard_error,
        df=estimate.df,
        interval=apart,
        interval95=interval(0.95),
        interval90=interval(0.90),
        p_adjusted=estimate.p,
        p_same=_p_same(estimate, margin),
        detectable=variance.upper_sd(estimate.standard_error, estimate.df)
        * noncentrality(estimate.critical(1.0 - level), estimate.df),
        verdict=Verdict.UNDECIDED if withheld else verdict,
        within_margin=within(alike, margin),
        blocks_needed=ahead.even,
        blocks_likely=ahead.likely,
        withheld=withheld,
    )


def _p_same(estimate: Estimate, margin: float) -> float:
    """Return half the tail area of the widest interval within the margin; at least 1/2 when there is none."""
    slack = (margin - abs(estimate.difference)) / estimate.standard_error
    return min(estimate.tail_of_t(slack) / 2.0 if slack > 0.0 else 1.0, 1.0)


def reason_to_withhold(verdict: Verdict, arm: ArmResult, baseline: ArmResult) -> Text | None:
    """Return why a verdict is withheld, if it is: it would favour a side whose failed trials are left out."""
    if arm.failed and verdict in {Verdict.BETTER, Verdict.SAME}:
        return tr(
            "{verdict} holds only for the trials that have not {failed}", verdict=verdict.value, failed=arm.failures
        )
    if baseline.failed and verdict in {Verdict.WORSE, Verdict.SAME}:
        return tr(
            "{verdict} holds only against the baseline's trials that have not {failed}",
            verdict=verdict.value,
            failed=baseline.failures,
        )
    return None


def _screen(row: ArmResult, paired: Values) -> ArmResult:
    """Return an arm that shares fewer than two blocks with the baseline, with its difference alone."""
    return replace(row, difference=float(paired.mean()) if len(paired) else None, verdict=Verdict.SCREEN)


def _method(fit: Fit, contrasts: int, guard: Text | None) -> Text:
    """Return the sentence that names the model and its intervals."""
    if guard is not None:
        return tr(
            "each arm by its own differences from the baseline within blocks: paired t, "
            "Bonferroni's simultaneous intervals and p-values over {n} arms",
            n=contrasts,
        )
    if contrasts == 1:
        return tr("blocked model (arm + block + error, {df} df), Student's t interval", df=fit.df)
    if fit.complete:
        return tr(
            "blocked model (arm + block + error), each arm's error moderated by the common one ({df} df), "
            "Dunnett's simultaneous intervals",
            df=fit.df,
        )
    return tr(
        "blocked model (arm + block + error) fitted to the trials there are, each arm's error moderated by the common "
        "one ({df} df), Dunnett's simultaneous intervals at the smallest correlation between arms",
        df=fit.df,
    )


def _notes(estimates: list[Estimate], seen: Mask, guard: Text | None) -> list[Text]:
    """Return what a reader must know besides the numbers."""
    notes = []
    if min(estimate.df for estimate in estimates) < 3:
        notes.append(tr("So few blocks leave fewer than 3 degrees of freedom: only very large differences show."))
    if not seen.all():
        lost: dict[str, int] = {"n": int((~seen).sum()), "total": seen.size}
        notes.append(
            tr(
                "Trials missing or failed: {n} of {total}; differences are adjusted for the blocks they lack.",
                **lost,
            )
            if guard is None
            else tr(
                "Trials missing or failed: {n} of {total}; differences are of the blocks that both arms have.",
                **lost,
            )
        )
    return notes
