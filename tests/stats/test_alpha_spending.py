"""Looking more than once keeps the false alarms of looking once."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from eailab.errors import StudyError
from eailab.stats.alpha_spending import look_levels, verdict_at
from eailab.stats.model import compare
from eailab.stats.verdict import Verdict


def test_the_levels_are_those_of_obrien_and_fleming():
    """Lan & DeMets (1983): after 1/2 of the information 0.0056 of 0.05 is spent."""
    levels = look_levels([5, 10])
    assert levels[0] == pytest.approx(2 * stats.norm.sf(stats.norm.isf(0.025) / np.sqrt(0.5)))
    assert levels[0] == pytest.approx(0.0056, abs=1e-4)
    assert sum(look_levels([3, 5, 8, 12])) == pytest.approx(0.05)
    assert look_levels([7]) == pytest.approx((0.05,))


def test_levels_follow_from_the_shares_of_the_blocks_from_two_blocks_on():
    """Two blocks are the fewest that tell of a difference, and so the first look that there can be."""
    assert look_levels([2, 4]) == pytest.approx(look_levels([5, 10]))


def test_looking_four_times_raises_false_alarms_above_5_percent_only_without_the_split():
    looks = [3, 4, 6, 8]
    y = np.random.default_rng(3).normal(size=(20_000, 8))
    p = np.stack([stats.ttest_1samp(y[:, :n], 0.0, axis=1).pvalue for n in looks], axis=1)
    assert np.mean((p <= 0.05).any(axis=1)) > 0.09
    assert np.mean((p <= np.array(look_levels(looks))).any(axis=1)) < 0.0535


def test_a_look_asks_more_than_the_end():
    rng = np.random.default_rng(2)
    values = rng.normal(0.0, 0.2, (4, 4)) + np.array([0.0, 0.0, 0.5, 5.0])
    found = compare(values, 0, 0.25)
    early = look_levels([4, 12])[0]
    assert [arm.verdict for arm in found.arms[2:]] == [Verdict.BETTER, Verdict.BETTER]
    assert [verdict_at(arm, early) for arm in found.arms[2:]] == [Verdict.UNDECIDED, Verdict.BETTER]
    for arm in found.arms[1:]:
        assert verdict_at(arm, 0.05) is arm.verdict


def test_a_look_asks_more_of_sameness_too():
    """Two one-sided tests at the look's level, whatever the test of a difference says."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.0, 1.0, (6, 1)) + rng.normal(0.0, 0.1, (6, 2))
    arm = compare(values, 0, 0.25).arms[1]
    p, *_ = ttost_paired(values[:, 1], values[:, 0], -0.25, 0.25)
    assert arm.verdict is Verdict.SAME
    assert arm.p_adjusted > 0.05 > p
    assert verdict_at(arm, 1.01 * p) is Verdict.SAME
    assert verdict_at(arm, 0.99 * p) is Verdict.UNDECIDED


@pytest.mark.parametrize("blocks", [[], [1, 5], [5, 5], [8, 5]])
def test_looks_rise(blocks):
    with pytest.raises(StudyError, match="rising"):
        look_levels(blocks)


def test_the_baseline_has_no_verdict():
    with pytest.raises(StudyError, match="baseline"):
        verdict_at(compare(np.eye(3), 0, 0.1).arms[0], 0.05)
