"""McNemar's test and Holm's correction against statsmodels."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from eailab.stats.pairwise_tests import holm, mcnemar


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
