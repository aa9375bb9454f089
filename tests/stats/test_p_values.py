"""Critical values and p-values against tables, scipy, statsmodels and brute force."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from eailab.stats.p_values import adjusted_p, bonferroni_critical_value, critical_value, mcnemar


@pytest.mark.parametrize(
    ("contrasts", "df", "published"),
    [
        (1, 5, 2.57),
        (2, 5, 3.03),
        (3, 5, 3.29),
        (9, 5, 3.97),
        (2, 10, 2.57),
        (3, 10, 2.76),
        (4, 10, 2.89),
        (2, 20, 2.38),
        (9, 20, 2.95),
        (2, 60, 2.27),
        (9, 60, 2.77),
        (1, math.inf, 1.96),
        (2, math.inf, 2.21),
        (4, math.inf, 2.44),
        (9, math.inf, 2.69),
    ],
)
def test_critical_values_are_dunnetts(contrasts, df, published):
    """Two-sided, joint confidence 95%, as the tables after Dunnett (1964) have them."""
    assert critical_value(0.95, contrasts, df) == pytest.approx(published, abs=0.0051)


@pytest.mark.parametrize(
    ("contrasts", "df", "t", "p"),
    [
        (1, 10, 2.23, 0.05),
        (3, 10, 2.81, 0.05),
        (2, 30, 2.32, 0.05),
        (3, 20, 2.57, 0.05),
        (4, 12, 3.76, 0.01),
        (7, 12, 4.08, 0.01),
        (2, 60, 2.90, 0.01),
        (4, 60, 3.14, 0.01),
        (4, 60, 2.55, 0.05),
    ],
)
def test_tail_areas_are_near_the_tables_of_1955(contrasts, df, t, p):
    """Dunnett (1955), tables 2a and 2b, as scipy's own tests quote them; they were approximate, hence the tolerance."""
    assert adjusted_p(t, contrasts, df) == pytest.approx(p, abs=5e-3)


@pytest.mark.parametrize(("contrasts", "df"), [(2, 1), (3, 4), (4, 8), (7, 30), (20, 200)])
def test_tail_areas_agree_with_scipys_multivariate_t(contrasts, df):
    """An independent route to the same probability: randomised integration over a box."""
    t = critical_value(0.95, contrasts, df)
    shape = 0.5 + 0.5 * np.eye(contrasts)
    box = stats.multivariate_t(shape=shape, df=df, seed=1)
    inside = box.cdf(np.full(contrasts, t), lower_limit=np.full(contrasts, -t), maxpts=400_000)
    assert inside == pytest.approx(0.95, abs=2e-4)


@pytest.mark.parametrize("contrasts", [2, 5, 20])
@pytest.mark.parametrize("df", [1, 2, 8, 60, 200, math.inf])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_tail_areas_are_exact_to_a_millionth(contrasts, df, correlation):
    """Gauss-Legendre over probabilities, the grid of another mind: same areas from the far to the near tail."""
    nodes, weights = np.polynomial.legendre.leggauss(600)
    # u = v^6 (7 - 6v)-like crowding is not needed: the substitution u = sin^2 crowds nodes at both ends.
    angle = (nodes + 1.0) * math.pi / 4.0
    u, du = np.sin(angle) ** 2, weights * math.pi / 4.0 * np.sin(2.0 * angle)
    scale = np.ones(1) if math.isinf(df) else np.sqrt(stats.chi2.ppf(u, df) / df)
    scale_weight = np.ones(1) if math.isinf(df) else du
    z = stats.norm.ppf(u)
    for t in (0.3, 2.0, 4.0, 15.0):
        upper = (t * scale[:, None] + math.sqrt(correlation) * z) / math.sqrt(1.0 - correlation)
        lower = (-t * scale[:, None] + math.sqrt(correlation) * z) / math.sqrt(1.0 - correlation)
        inside = (stats.norm.cdf(upper) - stats.norm.cdf(lower)) ** contrasts
        expected = 1.0 - scale_weight @ inside @ du
        assert adjusted_p(t, contrasts, df, correlation) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("df", [1, 3, 10.5, 200])
def test_one_contrast_is_students_t(df):
    assert critical_value(0.95, 1, df) == pytest.approx(stats.t.ppf(0.975, df), rel=1e-12)
    assert adjusted_p([-2.2, 0.0, 3.1], 1, df) == pytest.approx(2 * stats.t.sf([2.2, 0.0, 3.1], df), rel=1e-12)


def test_adjusted_p_is_scipys_dunnett_in_an_unblocked_design():
    """`scipy.stats.dunnett` with equal groups has the same correlation 1/2, and df = N - groups."""
    rng = np.random.default_rng(5)
    control, *arms = rng.normal(size=(4, 6)) + np.array([0.0, 0.2, 1.0, 2.5])[:, None]
    reference = stats.dunnett(*arms, control=control, rng=np.random.default_rng(0))
    assert adjusted_p(reference.statistic, 3, 20) == pytest.approx(reference.pvalue, abs=2e-4)
    interval = reference.confidence_interval(0.95)
    pooled = math.sqrt(np.mean([group.var(ddof=1) for group in (control, *arms)]))
    half = critical_value(0.95, 3, 20) * pooled * math.sqrt(2 / 6)
    assert (interval.high - interval.low) / 2 == pytest.approx(half, rel=2e-3)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("contrasts", "df"), [(2, 1), (3, 2), (6, 12), (20, 200), (4, math.inf)])
def test_critical_values_invert_the_tail_area(confidence, contrasts, df):
    for correlation in (0.0, 0.5):
        c = critical_value(confidence, contrasts, df, correlation)
        assert adjusted_p(c, contrasts, df, correlation) == pytest.approx(1.0 - confidence, abs=1e-10)


def test_the_three_corrections_come_in_their_known_order():
    """One comparison < Dunnett < studentised maximum modulus < Bonferroni."""
    values = [
        critical_value(0.95, 1, 12),
        critical_value(0.95, 4, 12),
        critical_value(0.95, 4, 12, correlation=0.0),
        bonferroni_critical_value(0.95, 4, 12),
    ]
    assert values == sorted(values)
    assert len(set(values)) == 4


def test_p_values_are_between_0_and_1_and_fall_with_t():
    p = adjusted_p(np.linspace(0.0, 60.0, 200), 5, 8)
    assert p[0] == pytest.approx(1.0)
    assert (np.diff(p) < 0.0).all()
    assert p.min() > 0.0
    assert adjusted_p(np.inf, 5, 8) == 0.0


def test_adjusted_p_and_interval_are_rs():
    """R 'multcomp', `glht(mcp(group = "Dunnett"))`, three arms of three values, as recorded in scipy's own tests.

    R integrates at random, to about 1e-3.
    """
    statistics, p = [3.09073, 0.56195, -1.40488], [0.036407, 0.896539, 0.409295]
    assert adjusted_p(statistics, 3, 8) == pytest.approx(p, abs=5e-4)
    half_width, standard_error = (21.2470971974947 - 0.7529028025053) / 2.0, 11.0 / 3.09073
    assert critical_value(0.95, 3, 8) == pytest.approx(half_width / standard_error, abs=5e-4)


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
