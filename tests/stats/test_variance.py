"""Spread and the conditions for pooling against numpy and scipy, at the thresholds that messages name."""

import math

import numpy as np
import pytest
from scipy import stats

from eailab.stats.blocked_model import fit_additive
from eailab.stats.variance import brown_forsythe, noise_floor, sampling_error, sd_interval, unequal_spread


def test_brown_forsythe_is_scipys_levene_about_the_median():
    rng = np.random.default_rng(2)
    groups = [rng.normal(0.0, sd, n) for sd, n in ((1.0, 5), (2.0, 7), (0.5, 4))]
    assert brown_forsythe(groups) == pytest.approx(stats.levene(*groups, center="median").pvalue)


def test_brown_forsythe_without_spread_is_quiet():
    assert brown_forsythe([np.ones(3), np.ones(4)]) == 1.0
    assert brown_forsythe([np.array([-1.0, 1.0]), np.zeros(2)]) == 0.0


@pytest.mark.parametrize(("n", "low", "high"), [(2, 0.45, 31.9), (3, 0.52, 6.28), (5, 0.60, 2.87), (10, 0.69, 1.83)])
def test_sd_interval_has_the_textbook_factors(n, low, high):
    assert sd_interval(1.0, n) == pytest.approx((low, high), rel=0.01)


def test_sd_interval_covers():
    """95% of intervals hold the true SD."""
    samples = np.random.default_rng(4).normal(0.0, 2.0, (4000, 4))
    low, high = np.array([sd_interval(sd, 4) for sd in samples.std(axis=1, ddof=1)]).T
    assert np.mean((low <= 2.0) & (high >= 2.0)) == pytest.approx(0.95, abs=0.012)


def test_sampling_error_of_an_accuracy():
    """10,000 images at 95%: 0.22 percentage points."""
    assert sampling_error(0.95, 10_000) == pytest.approx(0.00218, abs=1e-5)


def test_noise_floor_holds_95_percent_of_differences_of_two_single_trials():
    rng = np.random.default_rng(6)
    pilots, pairs = rng.normal(size=(8000, 6)), rng.normal(size=(8000, 2))
    floors = np.array([noise_floor(sd, 6) for sd in pilots.std(axis=1, ddof=1)])
    assert np.mean(np.abs(pairs[:, 0] - pairs[:, 1]) < floors) == pytest.approx(0.95, abs=0.01)
    assert noise_floor(1.0, 10**7) == pytest.approx(1.96 * math.sqrt(2.0), abs=1e-3)


NONE = np.nan
U, V = np.array([1.0, -1.0, 0.0]), np.array([1.0, 1.0, -2.0]) / np.sqrt(3.0)
"""Two orthogonal patterns over three blocks, of equal size and without a mean."""


def reason(values):
    """Why the errors of a study are not pooled; the first arm is the baseline."""
    differences = [column[np.isfinite(column)] for column in (values[:, 1:] - values[:, :1]).T]
    return unequal_spread(fit_additive(values, 0), differences)


def residuals(values):
    """Of least squares with one unknown a block and one an arm, by numpy; rows are trials, with their arms."""
    block, arm = np.nonzero(np.isfinite(values))
    design = np.c_[block[:, None] == np.arange(len(values)), arm[:, None] == np.arange(values.shape[1])].astype(float)
    y = values[block, arm]
    return y - design @ np.linalg.lstsq(design, y)[0], arm


def study(residuals):
    """A study that leaves these residuals, which sum to 0 over its arms and over its blocks."""
    blocks, arms = residuals.shape
    return 90.0 + np.arange(blocks)[:, None] + 0.5 * np.arange(arms) + residuals


@pytest.mark.parametrize(("wide", "pooled"), [(2.98, True), (3.02, False)])
def test_residual_sds_may_be_three_times_as_large_as_others(wide, pooled):
    found = reason(study(np.stack([-V, V, wide * U, -wide * U], axis=1)))
    assert (found is None) is pooled
    assert pooled or "3.0 times the narrowest's, more than 3" in found


@pytest.mark.parametrize(("other", "pooled"), [(0.72, True), (0.70, False)])
def test_one_arms_differences_may_carry_three_quarters_of_the_squares(other, pooled):
    """With `q` beside `p`, orthogonal and `other` times as large, the share is `(4 + q²) / (4 + 4 q²)`."""
    p, q = U, other * V
    found = reason(study(np.stack([-p - q, p, q], axis=1)))
    assert (found is None) is pooled
    assert pooled or "one arm's differences carry 75% of the residual squares, more than 75%" in found


def test_errors_are_pooled_exactly_where_no_sign_of_unequal_spread_is_seen():
    """The four signs, from numpy's residuals and scipy's tests; all of them decide some of these studies alone."""
    rng = np.random.default_rng(5)
    alone = set()
    for blocks, arms in [(10, 3), (4, 6), (14, 6)] * 40:
        values = rng.normal(size=(blocks, arms)) * np.array([1.0] * (arms - 1) + [2.3])
        left = residuals(values)[0].reshape(values.shape)
        sds = left.std(axis=0, ddof=1)
        differences = values[:, 1:] - values[:, :1]
        share = (differences.var(axis=0) * blocks).max() / (2.0 * (left**2).sum())
        ratio, pairs = np.divide(*np.sort(differences.var(axis=0))[[-1, 0]]), (arms - 1) * (arms - 2) / 2
        signs = [
            sds.max() / sds.min() > 3.0,
            stats.levene(*left.T, center="median").pvalue < 0.01,
            share > 0.75,
            stats.f.sf(ratio, blocks - 1, blocks - 1) < 0.005 / pairs,
        ]
        assert (reason(values) is not None) is any(signs)
        if sum(signs) == 1:
            alone.add(signs.index(True))
    assert alone == {0, 1, 2, 3}


def test_the_ratio_that_is_told_is_that_of_the_sds_with_trials_missing():
    values = np.random.default_rng(3).normal(size=(12, 6)) * [1.0, 1.0, 1.0, 1.0, 1.0, 15.0]
    values[:4, 5] = NONE
    left, arm = residuals(values)
    sds = [left[arm == one].std(ddof=1) for one in range(6)]
    assert f"residual SD is {max(sds) / min(sds):.1f} times" in reason(values)


def test_an_arm_that_leaves_no_residuals_is_narrower_than_any_ratio_tells():
    """What rounding leaves of it is no spread: the ratio would be some ten thousand million million."""
    left = np.outer([1.0, -1.0, 2.0, -2.0], [1.0, -1.0, 0.0])
    assert "infinitely many times" in reason(study(left) + np.array([0.0, 0.3, 0.7]))


TWO_BLOCKS = [[0.91, 0.92, 0.94], [0.93, 0.91, 0.95]]


@pytest.mark.parametrize(
    "further",
    [
        pytest.param([], id="no other block"),
        pytest.param([[0.90, NONE, NONE], [NONE, 0.93, NONE], [NONE, NONE, 0.94]], id="single trials"),
        pytest.param([[0.90, 0.91, NONE], [0.89, 0.88, NONE], [0.92, 0.92, NONE]], id="blocks of the other arms"),
    ],
)
def test_an_arm_in_two_blocks_is_not_pooled_whatever_else_was_run(further):
    """A block with a single trial tells of no difference, and so nothing of a spread either."""
    assert "two blocks" in reason(np.array([*TWO_BLOCKS, *further]))
