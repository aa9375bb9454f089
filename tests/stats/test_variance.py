"""Spread against scipy, and intervals against simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from eailab.stats.variance import brown_forsythe, noise_floor, sampling_error, sd_interval


def test_brown_forsythe_is_scipys_levene_about_the_median():
    rng = np.random.default_rng(2)
    groups = [rng.normal(0.0, sd, n) for sd, n in ((1.0, 5), (2.0, 7), (0.5, 4))]
    ours, reference = brown_forsythe(groups), stats.levene(*groups, center="median")
    assert (ours.statistic, ours.p) == pytest.approx((reference.statistic, reference.pvalue))


def test_brown_forsythe_without_spread_is_quiet():
    assert brown_forsythe([np.ones(3), np.ones(4)]).p == 1.0
    assert brown_forsythe([np.array([-1.0, 1.0]), np.zeros(2)]).p == 0.0


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
