"""Plans against statsmodels and against studies that are really drawn."""

import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from eailab.errors import StudyError
from eailab.stats.dunnett import bonferroni_critical_value, critical_value
from eailab.stats.power import blocks_to_detect, detectable_difference


@pytest.mark.parametrize("blocks", [3, 5, 12, 40])
def test_one_arm_is_statsmodels_paired_t(blocks):
    """With one contrast the blocked model is the paired t-test on differences with SD `sd sqrt(2)`."""
    reference = TTestPower().solve_power(nobs=blocks, alpha=0.05, power=0.8)
    assert detectable_difference(blocks, 2, 1.0) == pytest.approx(reference * math.sqrt(2.0), rel=1e-3)


@pytest.mark.parametrize(("blocks", "arms"), [(3, 3), (5, 4), (10, 6)])
def test_the_detectable_difference_is_detected_in_80_percent_of_studies(blocks, arms):
    d = detectable_difference(blocks, arms, 1.0)
    y = np.random.default_rng(7).normal(size=(20_000, blocks, arms))
    y[:, :, 1] += d
    df = (arms - 1) * (blocks - 1)
    residuals = y - y.mean(axis=1, keepdims=True) - y.mean(axis=2, keepdims=True) + y.mean(axis=(1, 2), keepdims=True)
    standard_error = np.sqrt((residuals**2).sum(axis=(1, 2)) / df * 2.0 / blocks)
    t = (y[:, :, 1] - y[:, :, 0]).mean(axis=1) / standard_error
    assert np.mean(t > critical_value(0.95, arms - 1, df)) == pytest.approx(0.80, abs=0.012)


def test_two_blocks_are_planned_as_they_are_judged():
    """Each arm by its own two differences, as `compare` does: hardly anything is detectable."""
    d = detectable_difference(2, 4, 1.0)
    y = np.random.default_rng(8).normal(size=(20_000, 2, 4))
    y[:, :, 1] += d
    paired = y[:, :, 1] - y[:, :, 0]
    t = paired.mean(axis=1) / (paired.std(axis=1, ddof=1) / math.sqrt(2.0))
    assert np.mean(t > bonferroni_critical_value(0.95, 3, 1)) == pytest.approx(0.80, abs=0.012)
    assert d > 5 * detectable_difference(3, 4, 1.0)


@pytest.mark.parametrize("arms", [2, 4])
@pytest.mark.parametrize("difference", [0.8, 1.5, 4.0])
def test_blocks_to_detect_are_the_fewest_that_do(arms, difference):
    blocks = blocks_to_detect(difference, 1.0, arms)
    assert detectable_difference(blocks, arms, 1.0) <= difference
    assert blocks == 2 or detectable_difference(blocks - 1, arms, 1.0) > difference


def test_out_of_reach_is_none():
    assert blocks_to_detect(1e-4, 1.0, 3) is None


def test_without_noise_two_blocks_do():
    assert blocks_to_detect(1e-4, 0.0, 3) == 2


def test_impossible_plans_are_refused():
    with pytest.raises(StudyError, match="two or more"):
        detectable_difference(1, 3, 1.0)
    with pytest.raises(StudyError, match="above 0"):
        blocks_to_detect(0.0, 1.0, 3)
