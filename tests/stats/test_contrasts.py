"""The slope per doubling and the effects of a factorial against statsmodels' least squares."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from eailab.errors import StudyError
from eailab.stats.contrasts import factorial, trend
from eailab.stats.model import compare
from eailab.stats.p_values import adjusted_p, critical_value

LEVELS = [16, 32, 64, 128]


def study(curve=0.0, blocks=5, seed=3):
    rng = np.random.default_rng(seed)
    doublings = np.log2(LEVELS)
    means = -0.4 * doublings + curve * (doublings - doublings.mean()) ** 2
    return 95.0 + rng.normal(size=(blocks, 1)) + rng.normal(0.0, 0.1, (blocks, 4)) + means


def test_slope_and_lack_of_fit_are_nested_least_squares():
    """The line, against the model with an effect for every arm; both with blocks."""
    values = study(curve=0.05)
    found = trend(values, LEVELS, 0)
    block, arm = np.indices(values.shape)
    data = pd.DataFrame(
        {"y": values.ravel(), "block": block.ravel(), "arm": arm.ravel(), "x": np.log2(LEVELS)[arm.ravel()]}
    )
    line = smf.ols("y ~ x + C(block)", data).fit()
    full = smf.ols("y ~ C(arm) + C(block)", data).fit()
    f, p, _ = full.compare_f_test(line)
    assert found.pooled
    assert found.slope == pytest.approx(line.params["x"])
    assert (found.lack_of_fit_f, found.lack_of_fit_p) == pytest.approx((f, p))
    error = np.sqrt(full.mse_resid / line.mse_resid) * line.bse["x"]
    half = stats.t.ppf(0.975, full.df_resid) * error
    assert found.interval95 == pytest.approx((found.slope - half, found.slope + half))
    assert found.df == full.df_resid


def test_p_is_of_no_slope_at_all():
    """Drawn until the slope is one that chance could give; against statsmodels' contrast of the arms' effects."""
    values = study() + 0.4 * np.log2(LEVELS) + 0.02 * np.arange(4)
    block, arm = np.indices(values.shape)
    data = pd.DataFrame({"y": values.ravel(), "block": block.ravel(), "arm": arm.ravel()})
    full = smf.ols("y ~ C(arm) + C(block)", data).fit()
    slope = full.t_test("-0.1 * C(arm)[T.1] + 0.1 * C(arm)[T.2] + 0.3 * C(arm)[T.3]")
    found = trend(values, LEVELS, 0)
    assert 0.001 < found.p < 0.9
    assert (found.slope, found.p) == pytest.approx((slope.effect.item(), slope.pvalue.item()))


def test_three_levels_below_one_are_levels_like_others():
    """Such as learning rates."""
    levels = [0.25, 0.001, 0.02]
    values = study()[:, :3]
    assert trend(values, levels, 0).slope == pytest.approx(stats.linregress(np.log2(levels), values.mean(axis=0)).slope)


def test_a_line_fits_and_a_curve_does_not():
    assert trend(study(), LEVELS, 0).lack_of_fit_p > 0.05
    assert trend(study(curve=0.3), LEVELS, 0).lack_of_fit_p < 1e-6


def test_the_order_of_the_arms_does_not_matter():
    values = study()
    a, b = trend(values, LEVELS, 0), trend(values[:, [2, 0, 3, 1]], [64, 16, 128, 32], 1)
    assert b.slope == pytest.approx(a.slope)
    assert b.lack_of_fit_f == pytest.approx(a.lack_of_fit_f)


def test_with_unequal_spread_the_blocks_slopes_are_the_sample():
    values = study(blocks=8)
    values[:, 1] += np.random.default_rng(0).normal(0.0, 5.0, 8)
    found = trend(values, LEVELS, 0)
    slopes = [stats.linregress(np.log2(LEVELS), row).slope for row in values]
    assert not found.pooled
    assert found.lack_of_fit_f is None
    assert found.interval95 == pytest.approx(tuple(stats.ttest_1samp(slopes, 0.0).confidence_interval(0.95)))


def test_errors_are_pooled_where_the_studys_own_are():
    """Whichever arm is the baseline."""
    rng = np.random.default_rng(2)
    seen = set()
    for arms in [3, 4] * 15:
        values = rng.normal(size=(9, arms)) * np.array([1.0, 2.0, 1.0, 1.0])[:arms]
        pooled = [compare(values, baseline, 0.0).guard is None for baseline in range(arms)]
        assert [trend(values, LEVELS[:arms], baseline).pooled for baseline in range(arms)] == pooled
        seen.add((arms, tuple(sorted(set(pooled)))))
    assert {(3, (False,)), (3, (True,)), (3, (False, True)), (4, (True,))} <= seen


def test_incomplete_blocks_are_left_out():
    values = study()
    gap = values.copy()
    gap[1, 2] = np.nan
    assert trend(gap, LEVELS, 0) == trend(np.delete(values, 1, axis=0), LEVELS, 0)


def test_nothing_is_said_where_nothing_can_be():
    assert trend(study(blocks=1), LEVELS, 0) is None
    assert trend(np.full((3, 4), 0.5), LEVELS, 0) is None


def test_two_blocks_are_two_slopes():
    """The guard pools nothing there."""
    values = study(blocks=2)
    found = trend(values, LEVELS, 0)
    slopes = [stats.linregress(np.log2(LEVELS), row).slope for row in values]
    reference = stats.ttest_1samp(slopes, 0.0)
    assert (found.blocks, found.df, found.pooled) == (2, 1, False)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.interval95 == pytest.approx(tuple(reference.confidence_interval(0.95)))


@pytest.mark.parametrize("levels", [[1, 2], [0, 1, 2, 3], [1, 2, 2, 3], [1.0, 2.0, float("inf"), 3.0]])
def test_levels_without_doublings_are_refused(levels):
    with pytest.raises(StudyError):
        trend(study()[:, : len(levels)], levels, 0)


FACTORS = [("optimizer", ["adam", "sgd"]), ("sched", ["constant", "steplr"])]


def factorial_study(optimizer=0.2, sched=0.3, interaction=0.0, blocks=5, sd=0.1):
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


CONTRASTS = {
    ("optimizer",): [[-0.5, -0.5], [0.5, 0.5]],
    ("sched",): [[-0.5, 0.5], [-0.5, 0.5]],
    ("optimizer", "sched"): [[0.5, -0.5], [-0.5, 0.5]],
}
NAMES = {("optimizer",): "a", ("sched",): "b", ("optimizer", "sched"): "ab"}


def moderated_df(blocks, df):
    """Satterthwaite's, where the effect's own variance is one of the three parts that the error is the mean of."""
    own = ((blocks - 1) / (blocks + 1)) ** 2
    return 1.0 / (own / (blocks - 1) + (1.0 - own) / df)


@pytest.mark.parametrize("is_whole", [True, False])
def test_effects_are_least_squares_with_the_errors_own_and_common_part(is_whole):
    """The estimates are those of codes of plus and minus one half; the prior counts for two degrees of freedom."""
    values = factorial_study(interaction=0.15)
    if not is_whole:
        values[0, 1, 1] = np.nan
    found, reference = factorial(values, FACTORS), least_squares(values)
    complete = values[np.isfinite(values).all(axis=(1, 2))]
    blocks = len(complete)
    cells = reference.resid.groupby(np.flatnonzero(np.isfinite(values)) % 4).apply(lambda own: (own**2).sum())
    df = moderated_df(blocks, reference.df_resid * cells.sum() ** 2 / (4.0 * (cells**2).sum()))
    assert found.guard is None
    assert found.df == pytest.approx(df)
    assert found.pooled_sd == pytest.approx(np.sqrt(reference.scale))
    for key, name in NAMES.items():
        effect, contrast = effects(found)[key], np.array(CONTRASTS[key])
        own = np.var([(contrast * block).sum() for block in complete], ddof=1) / (contrast**2).sum()
        share = (2.0 * reference.scale + (blocks - 1) * own) / (blocks + 1) / reference.scale
        error = reference.bse[name] * np.sqrt(share)
        p = adjusted_p(reference.params[name] / error, 3, df, 0.0).item()
        half = critical_value(0.95, 3, df, 0.0) * error
        assert (effect.estimate, effect.p) == pytest.approx((reference.params[name], p))
        assert effect.interval95 == pytest.approx((effect.estimate - half, effect.estimate + half))


def test_an_interaction_larger_than_a_main_effect_misleads():
    """SGD beats Adam if StepLR is used, and loses otherwise."""
    found = factorial(factorial_study(optimizer=0.1, sched=1.0, interaction=0.6), FACTORS)
    assert found.misleads
    assert effects(found)["optimizer", "sched"].larger_than == ("optimizer",)


def test_one_interaction_of_several_is_enough_to_mislead():
    means = np.array([[0.0, 1.0, 1.0], [0.1, 1.1, 3.1]])
    values = means + np.random.default_rng(0).normal(0.0, 0.1, (5, 2, 3))
    found = factorial(values, [("a", "01"), ("b", "012")])
    assert found.misleads
    assert [effect.larger_than for effect in found.effects if len(effect.factors) == 2] == [(), ("a",)]


def test_a_small_or_unseen_interaction_does_not_mislead():
    assert not factorial(factorial_study(optimizer=0.6, sched=0.8, interaction=0.3), FACTORS).misleads
    assert not factorial(factorial_study(optimizer=0.0, sched=0.0, interaction=0.02, sd=0.5), FACTORS).misleads


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
    assert 1.0 / (0.25 / 2 + 0.75 / 2) < found.df < 1.0 / (0.25 / 2 + 0.75 / 22)


def test_too_few_blocks_or_factors_are_refused():
    values = factorial_study(blocks=2)
    values[0, 0, 1] = np.nan
    with pytest.raises(StudyError, match=r"too few: adam steplr\. Run"):
        factorial(values, FACTORS)
    values = factorial_study(blocks=3)
    values[0, 0, 1] = values[1, 1, 1] = np.nan
    with pytest.raises(StudyError, match="two blocks in which every combination has a value"):
        factorial(values, FACTORS)
    with pytest.raises(StudyError, match="two or more factors"):
        factorial(factorial_study()[:, :, 0], FACTORS[:1])
    with pytest.raises(StudyError, match="two or more levels each"):
        factorial(factorial_study()[:, :, :1], [FACTORS[0], ("sched", ["constant"])])


def by_block(values, contrast, number):
    """One effect in each block as a sample of its own, by scipy, with Bonferroni's interval over so many effects."""
    sample = [float((contrast * block).sum()) for block in values]
    t = stats.ttest_1samp(sample, 0.0)
    return np.mean(sample), t.confidence_interval(1.0 - 0.05 / number), min(number * t.pvalue, 1.0)


def test_where_cells_differ_in_spread_each_effect_is_judged_by_its_own_values():
    values = factorial_study(blocks=8)
    values[:, 0, 0] += np.random.default_rng(0).normal(0.0, 30.0, 8)
    values[5, 1, 1] = np.nan
    found = factorial(values, FACTORS)
    assert found.guard is not None
    assert found.df == 6
    whole = np.delete(values, 5, axis=0)
    for key, contrast in (
        (("optimizer",), [[-0.5, -0.5], [0.5, 0.5]]),
        (("optimizer", "sched"), [[0.5, -0.5], [-0.5, 0.5]]),
    ):
        estimate, interval, p = by_block(whole, np.array(contrast), 3)
        effect = effects(found)[key]
        assert (effect.estimate, effect.p) == pytest.approx((estimate, p))
        assert effect.interval95 == pytest.approx(tuple(interval))


def test_an_effect_that_is_the_same_in_every_block_has_no_interval_where_errors_are_apart():
    values = factorial_study(blocks=2)
    values[1] = values[0]
    values[1, 1, 1] += 0.5
    values[1, 0, 1] += 0.5
    found = factorial(values, FACTORS)
    assert effects(found)["optimizer",].interval95 is None
    assert effects(found)["sched",].interval95 is not None


def test_two_blocks_of_every_combination_are_enough():
    """They cannot show whether the cells share a spread, so nothing is pooled."""
    found = factorial(factorial_study(blocks=2), FACTORS)
    assert found.df == 1
    assert "two blocks" in found.guard


@pytest.mark.parametrize(("shape", "sd"), [((2, 2), [1, 1, 1, 1]), ((2, 3), [20, 1, 1, 1, 1, 1])])
def test_a_table_without_an_effect_shows_none_in_95_percent_whatever_the_spread(shape, sd):
    """Pooled errors show one in 13% of the second kind."""
    rng, names = np.random.default_rng(2), [("a", "012"[: shape[0]]), ("b", "012"[: shape[1]])]
    wrong = 0
    for _ in range(400):
        found = factorial((rng.normal(size=(3, len(sd))) * sd).reshape(3, *shape), names)
        wrong += any(one.interval95 and not one.interval95[0] <= 0.0 <= one.interval95[1] for one in found.effects)
    assert wrong / 400 < 0.085


def test_without_spread_nothing_is_said():
    assert factorial(np.ones((3, 2, 2)), FACTORS) is None
