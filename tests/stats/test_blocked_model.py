"""The blocked model against statsmodels' least squares and repeated-measures analysis of variance."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.anova import AnovaRM

from eailab.stats.blocked_model import fit_additive, spread_of


def frame(values):
    """One row a trial."""
    block, arm = np.nonzero(np.isfinite(values))
    return pd.DataFrame({"block": block, "arm": arm, "y": values[block, arm]})


def drawn(blocks=5, arms=4, gaps=()):
    rng = np.random.default_rng(11)
    values = rng.normal(size=(blocks, arms)) + rng.normal(size=(blocks, 1)) * 2.0 + np.arange(arms)
    for block, arm in gaps:
        values[block, arm] = np.nan
    return values


@pytest.mark.parametrize("gaps", [(), ((0, 1),), ((0, 1), (3, 0), (4, 3), (4, 2))])
@pytest.mark.parametrize("baseline", [0, 2])
def test_the_fit_is_least_squares(gaps, baseline):
    values = drawn(gaps=gaps)
    fit = fit_additive(values, baseline)
    reference = smf.ols(f"y ~ C(arm, Treatment({baseline})) + C(block)", frame(values)).fit()
    assert fit.df == reference.df_resid
    assert fit.variance == pytest.approx(reference.mse_resid)
    for arm in set(range(4)) - {baseline}:
        name = f"C(arm, Treatment({baseline}))[T.{arm}]"
        assert fit.difference[arm] == pytest.approx(reference.params[name])
        assert np.sqrt(fit.variance * fit.covariance[arm, arm]) == pytest.approx(reference.bse[name])
    assert fit.residuals[np.isfinite(values)] == pytest.approx(reference.resid.to_numpy())
    assert fit.complete is (not gaps)


def test_a_complete_fit_is_repeated_measures_analysis_of_variance():
    values = drawn()
    table = AnovaRM(frame(values), "y", "block", within=["arm"]).fit().anova_table
    fit = fit_additive(values, 0)
    means = values.mean(axis=0)
    f = 5 * means.var(ddof=1) / fit.variance
    assert (f, fit.df) == pytest.approx((table["F Value"].iloc[0], table["Den DF"].iloc[0]))


def test_a_block_with_a_single_trial_changes_nothing():
    values = drawn()
    lone = np.vstack([values, [np.nan, 9.0, np.nan, np.nan]])
    a, b = fit_additive(values, 0), fit_additive(lone, 0)
    assert b.difference == pytest.approx(a.difference)
    assert (b.variance, b.df, b.complete) == (pytest.approx(a.variance), a.df, True)


def test_a_block_effect_changes_no_difference():
    values = drawn()
    a, b = fit_additive(values, 1), fit_additive(values + 100.0 * np.arange(5)[:, None], 1)
    assert b.difference == pytest.approx(a.difference)
    assert b.variance == pytest.approx(a.variance)


@pytest.mark.parametrize("unit", [1e-30, 1.0, 1e30])
def test_rounding_is_no_spread_and_a_spread_is_no_rounding_in_any_unit(unit):
    values = np.array([[0.1], [0.2], [0.7]]) + np.array([0.0, 0.3])
    assert fit_additive(values * unit, 0).variance == 0.0
    assert spread_of((values[:, 1] - values[:, 0]) * unit, unit) == 0.0
    assert spread_of(np.array([0.0, 1e-6]) * unit, unit) > 0.0
    fit, plain = fit_additive(drawn() * unit, 0), fit_additive(drawn(), 0)
    assert (np.sqrt(fit.variance), fit.difference[1]) == pytest.approx(
        (np.sqrt(plain.variance) * unit, plain.difference[1] * unit), rel=1e-9, abs=0.0
    )
