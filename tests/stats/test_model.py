"""The comparison of arms: intervals, verdicts, and what happens to trials that are missing or diverged."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from eailab.errors import StudyError
from eailab.stats.model import compare
from eailab.stats.p_values import adjusted_p, bonferroni_critical_value, critical_value
from eailab.stats.verdict import Verdict

SHIFTS = np.array([0.0, 0.1, -0.9, 0.9])


def study(blocks=5, shifts=SHIFTS, sd=0.2, seed=2):
    """Values of arms that share their blocks' effects."""
    rng = np.random.default_rng(seed)
    return 93.0 + rng.normal(0.0, 1.0, (blocks, 1)) + rng.normal(0.0, sd, (blocks, len(shifts))) + shifts


def verdicts(comparison):
    return [arm.verdict for arm in comparison.arms]


def test_a_study_gets_dunnetts_intervals_and_verdicts():
    values = study()
    found = compare(values, 0, 0.25)
    assert found.guard is None
    assert verdicts(found) == [None, Verdict.UNDECIDED, Verdict.WORSE, Verdict.BETTER]
    assert "Dunnett" in found.method
    expected, df = moderated(values)
    assert found.df == pytest.approx(df)
    assert found.critical_value == pytest.approx(critical_value(0.95, 3, df))
    for result, (difference, error) in zip(found.arms[1:], expected, strict=True):
        half = found.critical_value * error
        assert result.difference == pytest.approx(difference)
        assert result.interval95 == pytest.approx((difference - half, difference + half))
        assert result.p_adjusted == pytest.approx(adjusted_p(difference / error, 3, df).item())


def moderated(values):
    """Differences with their standard errors, and the degrees of freedom, written again from numpy and scipy alone.

    The error of the additive model counts for two degrees of freedom beside the `n - 1` of an arm's own differences.
    """
    blocks, arms = values.shape
    block, arm = (index.ravel() for index in np.indices(values.shape))
    design = np.c_[block[:, None] == np.arange(blocks), arm[:, None] == np.arange(arms)].astype(float)
    left = values.ravel() - design @ np.linalg.lstsq(design, values.ravel())[0]
    common = 2.0 * (left @ left) / ((arms - 1) * (blocks - 1))
    paired = values[:, 1:] - values[:, :1]
    variance = (2.0 * common + (blocks - 1) * paired.var(axis=0, ddof=1)) / (blocks + 1)
    of_own = ((blocks - 1) / (blocks + 1)) ** 2
    df = (blocks - 1) / (of_own + (1.0 - of_own) / (arms - 1))
    return list(zip(paired.mean(axis=0), np.sqrt(variance / blocks), strict=True)), df


@pytest.mark.parametrize("blocks", [3, 5, 10])
def test_the_moderated_error_varies_as_its_degrees_of_freedom_say(blocks):
    """A chi-square with that many has the variance `2 / df` about a mean of 1: here of 4,000 studies' errors."""
    rng = np.random.default_rng(blocks)
    found = [moderated(rng.normal(size=(blocks, 4))) for _ in range(4000)]
    ratios = np.array([[error**2 * blocks / 2.0 for _, error in arms] for arms, _ in found])
    assert ratios.mean() == pytest.approx(1.0, abs=0.02)
    assert 2.0 / ratios.var() == pytest.approx(found[0][1], rel=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_no_verdict_hangs_on_rounding_or_the_order_of_the_blocks(seed):
    """Accuracies of 288 images in three blocks, where a sign often lies exactly at its threshold."""
    rng = np.random.default_rng(seed)
    for _ in range(25):
        right = 288 - rng.poisson(1.5, size=(3, 3))
        found = [compare(100.0 * values, 0, 0.25) for values in (right / 288, right[::-1] / 288, right / 288 - 0.9)]
        assert len({one.guard is None for one in found}) == 1
        assert len({tuple(verdicts(one)) for one in found}) == 1


def test_one_contrast_is_the_paired_t_test():
    values = study(shifts=SHIFTS[:2])
    result = compare(values, 0, 0.25).arms[1]
    reference = stats.ttest_rel(values[:, 1], values[:, 0])
    assert result.p_adjusted == pytest.approx(reference.pvalue)
    assert result.interval95 == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert result.p_same == pytest.approx(ttost_paired(values[:, 1], values[:, 0], -0.25, 0.25)[0])


@pytest.mark.parametrize("beyond", [0.02, 0.5, 2.0, 5.0])
def test_p_same_is_two_one_sided_tests_wherever_the_margin_lies(beyond):
    """Statsmodels', for margins so many standard errors beyond the difference."""
    values = study(shifts=SHIFTS[:2])
    paired = values[:, 1] - values[:, 0]
    margin = abs(paired.mean()) + beyond * stats.sem(paired)
    reference, *_ = ttost_paired(values[:, 1], values[:, 0], -margin, margin)
    # the interval is symmetric about the difference, so its nearer end alone decides
    assert compare(values, 0, margin).arms[1].p_same == pytest.approx(reference)
    assert compare(values, 0, abs(paired.mean()) / 2.0).arms[1].p_same == 1.0


def test_an_arms_detectable_difference_is_that_of_the_paired_t_test():
    """With the upper 80% bound of the differences' SD."""
    values = study(shifts=SHIFTS[:2])
    found = compare(values, 0, 0.25)
    effect = TTestPower().solve_power(nobs=5, alpha=0.05, power=0.8)
    upper = np.std(values[:, 1] - values[:, 0], ddof=1) * math.sqrt(4 / stats.chi2.ppf(0.2, 4))
    assert found.arms[1].detectable == pytest.approx(effect * upper, rel=1e-3)
    assert found.detectable == found.arms[1].detectable


def test_for_a_loss_lower_is_better():
    values = study()
    assert verdicts(compare(values, 0, 0.25, higher_is_better=False))[2:] == [Verdict.BETTER, Verdict.WORSE]


def test_the_verdict_turns_with_the_baseline():
    assert verdicts(compare(study(), 3, 0.25))[0] is Verdict.WORSE


def test_sameness_is_shown_by_a_narrow_interval_only():
    values = study(shifts=np.zeros(3), sd=0.05, seed=1)
    found = compare(values, 0, 0.25)
    assert verdicts(found)[1:] == [Verdict.SAME, Verdict.SAME]
    assert all(arm.p_same < 0.05 and arm.within_margin for arm in found.arms[1:])
    assert verdicts(compare(values, 0, 0.001))[1:] == [Verdict.UNDECIDED, Verdict.UNDECIDED]


def test_a_difference_that_is_shown_but_smaller_than_the_margin_says_both():
    values = study(shifts=np.array([0.0, 0.1]), sd=0.01)
    result = compare(values, 0, 0.25).arms[1]
    assert (result.verdict, result.within_margin) == (Verdict.BETTER, True)


def test_one_block_gives_no_verdict():
    found = compare(study(blocks=1), 0, 0.25)
    assert verdicts(found)[1:] == [Verdict.SCREEN] * 3
    assert all(arm.interval95 is None and arm.p_adjusted is None and not arm.within_margin for arm in found.arms)
    assert found.arms[2].difference == pytest.approx(found.arms[2].mean - found.arms[0].mean)
    assert (found.pooled_sd, found.df, found.detectable) == (None, None, None)


def test_two_blocks_and_one_contrast_are_allowed_and_noted():
    found = compare(study(blocks=2, shifts=SHIFTS[:2]), 0, 0.25)
    assert found.critical_value == pytest.approx(12.706, abs=1e-3)
    assert any("degrees of freedom" in note for note in found.notes)


def test_two_blocks_and_several_arms_are_not_pooled():
    """Two blocks cannot show unequal spread, and pooling it would raise the false alarms up to fourfold."""
    found = compare(study(blocks=2), 0, 0.25)
    assert "two blocks" in found.guard


def test_one_wide_arm_is_kept_from_the_others():
    values = study(blocks=8)
    values[:, 1] += np.random.default_rng(0).normal(0.0, 6.0, 8)
    found = compare(values, 0, 0.25)
    assert "residual SD" in found.guard
    assert "paired t" in found.method
    references = [stats.ttest_rel(values[:, arm], values[:, 0]) for arm in (1, 2, 3)]
    adjusted = [min(3.0 * reference.pvalue, 1.0) for reference in references]
    assert [arm.p_adjusted for arm in found.arms[1:]] == pytest.approx(adjusted)
    assert found.critical_value == pytest.approx(bonferroni_critical_value(0.95, 3, 7))
    bonferroni = references[1].confidence_interval(1.0 - 0.05 / 3)
    assert found.arms[2].interval95 == pytest.approx(tuple(bonferroni))
    assert verdicts(found)[2:] == [Verdict.WORSE, Verdict.BETTER]


def test_what_rounding_leaves_of_no_spread_is_no_number():
    """Counts of 288 images: the third arm and the blocks' means are equal in all blocks, but for their last bits."""
    right = np.array([[280, 281, 278], [279, 282, 278], [280, 281, 278]])
    assert "infinitely many times" in compare(100.0 * (right / 288), 0, 0.25).guard


def wide(blocks=8):
    """Four arms, of which the guard keeps one apart; two of its blocks have no value."""
    values = study(blocks=blocks, shifts=np.array([0.0, 0.1, -0.05, 0.05]))
    values[:, 1] += np.random.default_rng(0).normal(0.0, 6.0, blocks)
    values[:2, 1] = np.nan
    return values


def test_where_errors_are_kept_apart_each_arm_has_the_blocks_it_shares():
    found = compare(wide(), 0, 0.25)
    assert found.guard is not None
    assert found.df == 5  # the fewest, of the arm in 6 blocks
    assert found.critical_value == pytest.approx(stats.t.ppf(1.0 - 0.025 / 3, 5))
    assert "Trials missing or failed: 2 of 32; differences are of the blocks that both arms have." in found.notes


def test_where_errors_are_kept_apart_no_p_is_above_1():
    """Bonferroni multiplies by the number of arms."""
    for arm in compare(wide(), 0, 0.25).arms[1:]:
        close = compare(wide(), 0, abs(arm.difference) * 1.001)
        assert all(other.p_same <= 1.0 and other.p_adjusted <= 1.0 for other in close.arms[1:])


def test_equal_results_are_undecided_for_want_of_spread():
    """Where nothing varies there is no chance to measure by: not SAME, not a warning."""
    found = compare(np.full((3, 3), 0.5), 0, 0.25)
    assert verdicts(found)[1:] == [Verdict.UNDECIDED] * 2
    assert "equals the baseline" in found.arms[1].withheld
    assert found.correlation is None


def test_a_difference_that_never_varies_is_no_proof():
    """Three times one image more: a coarse metric, not certainty."""
    values = np.array([[0.90, 0.91], [0.93, 0.94], [0.92, 0.93]])
    result = compare(values, 0, 0.001).arms[1]
    assert (result.verdict, result.interval95) == (Verdict.UNDECIDED, None)
    assert "exactly as much" in result.withheld


def test_a_missing_trial_costs_only_itself():
    values = study()
    values[0, 1] = values[3, 0] = np.nan
    found = compare(values, 0, 0.25)
    assert [arm.missing for arm in found.arms] == [1, 1, 0, 0]
    assert (found.blocks, found.complete_blocks) == (5, 3)
    assert "smallest correlation" in found.method
    block, arm = np.nonzero(np.isfinite(values))
    data = pd.DataFrame({"y": values[block, arm], "block": block, "arm": arm})
    covariance = smf.ols("y ~ C(block) + C(arm)", data).fit().cov_params().iloc[-3:, -3:].to_numpy()
    sd = np.sqrt(np.diag(covariance))
    correlation = (covariance / np.outer(sd, sd)).min()
    assert 0.5 < correlation < 0.6
    assert found.df == pytest.approx(1.0 / (0.25 / 2 + 0.75 / 10))  # of the arm that shares three blocks
    assert found.critical_value == pytest.approx(critical_value(0.95, 3, found.df, correlation))
    assert any("2 of 20;" in note for note in found.notes)
    assert verdicts(found)[2:] == [Verdict.WORSE, Verdict.BETTER]


def test_a_block_that_no_arm_has_run_is_as_if_not_planned():
    values = study()
    longer = np.vstack([values, np.full((2, 4), np.nan)])
    assert compare(longer, 0, 0.25).arms[2].interval95 == pytest.approx(compare(values, 0, 0.25).arms[2].interval95)
    assert compare(longer, 0, 0.25).blocks == 5


def test_an_arm_with_one_trial_is_screened_and_spoils_no_other():
    values = study()
    values[1:, 1] = np.nan
    found = compare(values, 0, 0.25)
    without = compare(np.delete(values, 1, axis=1), 0, 0.25)
    assert verdicts(found) == [None, Verdict.SCREEN, Verdict.WORSE, Verdict.BETTER]
    assert found.arms[2].interval95 == without.arms[1].interval95
    assert found.arms[1].difference == pytest.approx(values[0, 1] - values[0, 0])
    assert found.correlation == without.correlation


def test_an_arm_without_any_trial_has_no_numbers():
    values = study()
    values[:, 1] = np.nan
    arm = compare(values, 0, 0.25).arms[1]
    assert (arm.trials, arm.mean, arm.sd, arm.difference, arm.verdict) == (0, None, None, None, Verdict.SCREEN)


def test_an_arm_that_diverged_is_never_better_or_same():
    """Its bad trials have dropped out, so the survivors flatter it."""
    values = study()
    diverged = np.zeros(values.shape, dtype=bool)
    diverged[2, 1:] = True
    found = compare(values, 0, 0.25, diverged=diverged)
    assert [arm.diverged for arm in found.arms] == [0, 1, 1, 1]
    assert [arm.missing for arm in found.arms] == [0, 0, 0, 0]
    assert verdicts(found)[2:] == [Verdict.WORSE, Verdict.UNDECIDED]
    assert "BETTER" in found.arms[3].withheld
    assert found.arms[3].interval95[0] > 0.0


def test_against_a_baseline_that_diverged_no_arm_is_worse_or_same():
    values = study()
    diverged = np.zeros(values.shape, dtype=bool)
    diverged[2, 0] = True
    found = compare(values, 0, 0.25, diverged=diverged)
    assert verdicts(found)[2:] == [Verdict.UNDECIDED, Verdict.BETTER]
    assert "WORSE" in found.arms[2].withheld


def test_a_verdict_is_promised_with_more_blocks_than_there_are_and_never_where_trials_failed():
    values = study(shifts=np.array([0.0, 0.1, -0.05]), seed=5)
    undecided = [arm for arm in compare(values, 0, 0.25).arms if arm.verdict is Verdict.UNDECIDED]
    assert undecided
    for arm in undecided:
        assert len(values) < arm.blocks_needed <= arm.blocks_likely
    failed = np.zeros(values.shape, dtype=bool)
    failed[0, 0] = True
    assert {arm.blocks_needed for arm in compare(values, 0, 0.25, collapsed=failed).arms} == {None}


def test_the_measured_correlation_is_that_of_the_arms():
    rng = np.random.default_rng(1)
    values = math.sqrt(0.8) * rng.normal(size=(4000, 1)) + math.sqrt(0.2) * rng.normal(size=(4000, 3))
    assert compare(values, 0, 0.1).correlation == pytest.approx(0.8, abs=0.02)
    assert compare(values[:2], 0, 0.1).correlation is None


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_three_blocks_of_two_arms_have_a_correlation_in_any_unit(unit):
    values = study(blocks=3, shifts=SHIFTS[:2])
    covariance = np.cov(values.T)
    expected = covariance[0, 1] / ((covariance[0, 0] + covariance[1, 1]) / 2.0)
    assert compare(values * unit, 0, 0.0).correlation == pytest.approx(expected)


def test_two_trials_of_an_arm_have_a_spread():
    values = study(blocks=2)
    assert [arm.sd for arm in compare(values, 0, 0.25).arms] == pytest.approx(list(np.std(values, axis=0, ddof=1)))


def test_an_infinite_value_counts_as_none():
    values = study()
    values[0, 1] = np.inf
    assert compare(values, 0, 0.25).arms[1].missing == 1


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_impossible_margins_are_refused(margin):
    with pytest.raises(StudyError, match="margin"):
        compare(study(), 0, margin)


@pytest.mark.parametrize("shape", [(5, 1), (0, 3), (5,), (2, 3, 4)])
def test_a_comparison_needs_two_arms_and_a_block(shape):
    with pytest.raises(StudyError, match="two arms or more and one block or more"):
        compare(np.ones(shape), 0, 0.25)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    blocks=st.integers(1, 7),
    arms=st.integers(2, 5),
    lost=st.floats(0.0, 0.7),
    margin=st.floats(0.0, 3.0),
)
def test_whatever_is_missing_a_verdict_follows_from_its_interval(seed, blocks, arms, lost, margin):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((blocks, arms)) < lost, np.nan, rng.normal(size=(blocks, arms)))
    found = compare(values, 0, margin)
    assert found.arms[0].verdict is None
    for arm in found.arms[1:]:
        if arm.interval95 is None:
            assert arm.verdict is Verdict.SCREEN
            continue
        low, high = arm.interval95
        assert (arm.verdict is Verdict.BETTER) is (low > 0.0)
        assert (arm.verdict is Verdict.WORSE) is (high < 0.0)
        assert all(outer <= inner for outer, inner in pairwise([low, arm.interval90[0], arm.difference]))
        if arm.verdict is Verdict.SAME:
            assert arm.p_same <= 0.05 + 1e-9
        if arm.verdict is Verdict.UNDECIDED:
            assert arm.p_same > 0.05 - 1e-9
            assert arm.blocks_needed is None or arm.blocks_needed > 2
