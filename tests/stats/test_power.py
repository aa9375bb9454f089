"""Plans against statsmodels and simulated studies; many studies judged at once against `compare`."""

import math

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from eailab.errors import StudyError
from eailab.stats.model import compare
from eailab.stats.power import blocks_to_detect, detectable_difference, judge


@pytest.mark.parametrize("blocks", [3, 5, 12, 40])
def test_one_arm_is_statsmodels_paired_t(blocks):
    """With one contrast the blocked model is the paired t-test on differences with SD `sd sqrt(2)`."""
    reference = TTestPower().solve_power(nobs=blocks, alpha=0.05, power=0.8)
    assert detectable_difference(blocks, 2, 1.0) == pytest.approx(reference * math.sqrt(2.0), rel=1e-3)


@pytest.mark.parametrize("arms", [3, 6])
def test_two_blocks_are_statsmodels_paired_t_at_bonferronis_level(arms):
    """They are never pooled; the formula is exact there, and nothing is simulated."""
    effect = detectable_difference(2, arms, 1.0) / math.sqrt(2.0)
    assert TTestPower().power(effect, nobs=2, alpha=0.05 / (arms - 1)) == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize(("blocks", "arms"), [(2, 2), (2, 4), (3, 3), (3, 6), (5, 4), (10, 6), (14, 3)])
def test_the_detectable_difference_is_detected_in_80_percent_of_studies(blocks, arms):
    """By `judge`, which says what `compare` says, its guard included."""
    y = np.random.default_rng(7).normal(size=(20_000, blocks, arms))
    y[:, :, 1] += 0.3 * detectable_difference(blocks, arms, 1 / 0.3)
    found = judge(y)
    detected = found.alarm()[:, 0] & (found.difference[:, 0] > 0.0)
    assert np.mean(detected) == pytest.approx(0.80, abs=0.015)


@pytest.mark.parametrize("arms", [3, 6])
def test_where_the_guard_seldom_steps_in_simulation_and_formula_meet(arms):
    """Nothing jumps from the last simulated plan, of 12 blocks, to the first computed one."""
    simulated, computed = (detectable_difference(blocks, arms, 1.0) * math.sqrt(blocks) for blocks in (12, 13))
    assert simulated == pytest.approx(computed, rel=0.025)


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
    with pytest.raises(StudyError, match="two or more"):
        detectable_difference(3, 1, 1.0)
    with pytest.raises(StudyError, match="above 0"):
        blocks_to_detect(0.0, 1.0, 3)


@pytest.mark.parametrize(
    ("blocks", "arms", "wide"),
    [(2, 2, 5.0), (2, 4, 5.0), (3, 3, 5.0), (3, 5, 5.0), (5, 4, 5.0), (9, 3, 5.0), (14, 6, 1.7)],
)
def test_each_study_has_the_intervals_of_compare(blocks, arms, wide):
    """The last are many blocks of arms a little wider than others, which the test of Brown and Forsythe alone sees."""
    rng = np.random.default_rng(blocks * 10 + arms)
    y = rng.normal(size=(25, blocks, arms)) * rng.choice([1.0, 1.0, wide], size=(25, 1, arms))
    judged = judge(y)
    for study in range(25):
        found = compare(y[study], 0, 0.0)
        middle, half95, half90 = judged.difference[study], judged.half(0.95)[study], judged.half(0.90)[study]
        assert (found.guard is not None) == judged.guarded[study]
        assert np.array([arm.interval95 for arm in found.arms[1:]]) == pytest.approx(
            np.c_[middle - half95, middle + half95]
        )
        assert np.array([arm.interval90 for arm in found.arms[1:]]) == pytest.approx(
            np.c_[middle - half90, middle + half90]
        )
    if arms > 2 and blocks > 2:
        assert 0 < judged.guarded.sum() < 25
