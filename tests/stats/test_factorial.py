"""Factorial effects against statsmodels' least squares with sum-to-zero codes."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from eailab.errors import StudyError
from eailab.stats.factorial import factorial

FACTORS = [("optimizer", ["adam", "sgd"]), ("sched", ["constant", "steplr"])]


def study(optimizer=0.2, sched=0.3, interaction=0.0, blocks=5, sd=0.1):
    """`interaction` is half the change of one effect when the other factor changes."""
    rng = np.random.default_rng(9)
    code = np.array([-0.5, 0.5])
    means = optimizer * code[:, None] + sched * code + 2.0 * interaction * np.multiply.outer(code, code)
    return 90.0 + rng.normal(size=(blocks, 1, 1)) + rng.normal(0.0, sd, (blocks, 2, 2)) + means


def least_squares(values):
    """The same model by statsmodels, which leaves out rows without a value."""
    block, a, b = np.indices(values.shape)
    data = pd.DataFrame({"y": values.ravel(), "block": block.ravel(), "a": a.ravel() - 0.5, "b": b.ravel() - 0.5})
    data["ab"] = 2.0 * data.a * data.b
    return smf.ols("y ~ a + b + ab + C(block)", data).fit()


def effects(found):
    return {effect.factors: effect for effect in found.effects}


def test_effects_are_least_squares_on_codes_of_plus_and_minus_one_half():
    values = study(interaction=0.15)
    found, reference = factorial(values, FACTORS), least_squares(values)
    assert found.df == reference.df_resid
    for name, key in (("a", ("optimizer",)), ("b", ("sched",)), ("ab", ("optimizer", "sched"))):
        effect = effects(found)[key]
        assert (effect.estimate, effect.p) == pytest.approx((reference.params[name], reference.pvalues[name]))
        assert effect.interval95 == pytest.approx(tuple(reference.conf_int().loc[name]))


def test_an_interaction_larger_than_a_main_effect_misleads():
    """SGD beats Adam if StepLR is used, and loses otherwise."""
    found = factorial(study(optimizer=0.1, sched=1.0, interaction=0.6), FACTORS)
    assert found.misleads
    assert effects(found)["optimizer", "sched"].larger_than == ("optimizer",)


def test_one_interaction_of_several_is_enough_to_mislead():
    means = np.array([[0.0, 1.0, 1.0], [0.1, 1.1, 3.1]])
    values = means + np.random.default_rng(0).normal(0.0, 0.1, (5, 2, 3))
    found = factorial(values, [("a", "01"), ("b", "012")])
    assert found.misleads
    assert [effect.larger_than for effect in found.effects if len(effect.factors) == 2] == [(), ("a",)]


def test_a_small_or_unseen_interaction_does_not_mislead():
    assert not factorial(study(optimizer=0.6, sched=0.8, interaction=0.3), FACTORS).misleads
    assert not factorial(study(optimizer=0.0, sched=0.0, interaction=0.02, sd=0.5), FACTORS).misleads


def test_three_factors_and_three_levels_are_averaged_over_the_others():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 2, 3, 2))
    found = factorial(values, [("a", "01"), ("b", "012"), ("c", "01")])
    mean = values.mean(axis=0)
    by_key = {(effect.factors, effect.levels): effect.estimate for effect in found.effects}
    assert len(by_key) == 4 + 2 + 1 + 2
    assert by_key[("b",), ("2",)] == pytest.approx(mean[:, 2].mean() - mean[:, 0].mean())
    half = ((mean[1, 2] - mean[0, 2]) - (mean[1, 0] - mean[0, 0])).mean() / 2.0
    assert by_key[("a", "b"), ("1", "2")] == pytest.approx(half)
    assert found.df == 2 * 11


def test_a_missing_trial_is_fitted_around():
    values = study()
    values[0, 1, 1] = np.nan
    found, reference = factorial(values, FACTORS), least_squares(values)
    assert found.df == reference.df_resid == 11
    assert effects(found)["sched",].estimate == pytest.approx(reference.params["b"])
    assert effects(found)["sched",].interval95 == pytest.approx(tuple(reference.conf_int().loc["b"]))


def test_intervals_cover():
    covered = 0
    for seed in range(400):
        values = np.random.default_rng(seed).normal(size=(3, 2, 2))
        low, high = factorial(values, FACTORS).effects[2].interval95
        covered += low <= 0.0 <= high
    assert stats.binomtest(covered, 400, 0.95).pvalue > 0.001


def test_too_few_blocks_or_factors_are_refused():
    values = study(blocks=2)
    values[0, 0, 1] = np.nan
    with pytest.raises(StudyError, match=r"too few: adam steplr\. Run"):
        factorial(values, FACTORS)
    with pytest.raises(StudyError, match="two or more factors"):
        factorial(study()[:, :, 0], FACTORS[:1])
    with pytest.raises(StudyError, match="two or more levels each"):
        factorial(study()[:, :, :1], [FACTORS[0], ("sched", ["constant"])])


def test_two_blocks_of_every_combination_are_enough():
    values = study(blocks=2)
    found, reference = factorial(values, FACTORS), least_squares(values)
    assert found.df == reference.df_resid
    assert effects(found)["optimizer",].p == pytest.approx(reference.pvalues["a"])


def test_without_spread_nothing_is_said():
    assert factorial(np.ones((3, 2, 2)), FACTORS) is None
