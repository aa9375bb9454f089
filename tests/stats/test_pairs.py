"""Tests of one pair against scipy and statsmodels."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from eailab.stats.pairs import fisher_exact, holm, mcnemar, paired_t, tost_paired, welch_t


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    return rng.normal(1.0, 1.0, 7), rng.normal(0.6, 3.0, 7)


def test_paired_t_is_scipys(pair):
    ours, reference = paired_t(*pair), stats.ttest_rel(*pair)
    assert (ours.t, ours.p, ours.df) == pytest.approx((reference.statistic, reference.pvalue, reference.df))
    assert ours.interval(0.9) == pytest.approx(tuple(reference.confidence_interval(0.9)))


def test_welch_t_is_scipys(pair):
    ours, reference = welch_t(pair[0], pair[1][:4]), stats.ttest_ind(pair[0], pair[1][:4], equal_var=False)
    assert (ours.t, ours.p, ours.df) == pytest.approx((reference.statistic, reference.pvalue, reference.df))
    assert ours.interval() == pytest.approx(tuple(reference.confidence_interval(0.95)))


def test_without_spread_a_difference_is_certain_and_none_is_none():
    assert paired_t([1.0, 1.0], [1.0, 1.0]).p == 1.0
    assert paired_t([2.0, 2.0], [1.0, 1.0]).p == 0.0
    assert welch_t([1.0, 1.0], [1.0, 1.0]).p == 1.0


@pytest.mark.parametrize("margin", [0.1, 1.0, 4.0])
def test_equivalence_is_statsmodels(pair, margin):
    assert tost_paired(*pair, margin) == pytest.approx(ttost_paired(*pair, -margin, margin)[0])


def test_equivalence_at_5_percent_is_the_90_percent_interval_within_the_margin(pair):
    low, high = paired_t(*pair).interval(0.90)
    edge = max(-low, high)
    assert tost_paired(*pair, edge) == pytest.approx(0.05)


def test_holm_is_statsmodels():
    p = np.array([0.04, 0.001, 0.3, 0.02, 0.011, 0.9])
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm(np.array([0.7, 0.6])).max() <= 1.0


def test_mcnemar_is_statsmodels():
    rng = np.random.default_rng(8)
    first, second = rng.random(400) < 0.9, rng.random(400) < 0.86
    table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
    ours = mcnemar(first, second)
    assert (ours.only_first, ours.only_second) == (table[0][1], table[1][0])
    assert ours.p == pytest.approx(reference_mcnemar(table, exact=True).pvalue)


def test_mcnemar_of_equal_predictions_says_nothing():
    assert mcnemar([True, False], [True, False]).p == 1.0
    assert mcnemar([True, False], [False, True]).p == 1.0


@pytest.mark.parametrize("table", [(0, 5, 4, 5), (2, 5, 2, 5), (3, 3, 0, 10), (1, 8, 7, 9), (0, 5, 0, 5)])
def test_fisher_is_scipys(table):
    diverged, trials, other, others = table
    reference = stats.fisher_exact([[diverged, trials - diverged], [other, others - other]])
    assert fisher_exact(*table) == pytest.approx(reference.pvalue)
