"""Looking several times keeps the false alarms of looking once, and spends trials on undecided arms alone."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from eailab.errors import StudyError
from eailab.stats.group_sequential import look_levels, looks_within, replay, verdict_at
from eailab.stats.model import compare
from eailab.stats.verdict import Verdict

LOOKS = (3, 6, 10, 13)


def played(values, looks=LOOKS, margin=0.25, ended=None, diverged=None, baseline=0):
    values = np.asarray(values, dtype=np.float64)
    ended = np.isfinite(values) if ended is None else ended
    diverged = np.zeros(values.shape, dtype=np.bool_) if diverged is None else diverged
    return replay(values, ended, diverged, looks, baseline, margin, True)


def noise(blocks=13, arms=3, seed=0):
    return np.random.default_rng(seed).normal(size=(blocks, arms))


@pytest.mark.parametrize(
    ("trials", "arms", "looks"),
    [(40, 3, (3, 6, 10, 13)), (4, 2, (2,)), (6, 2, (2, 3)), (41, 3, (3, 6, 10, 13)), (100, 2, (12, 25, 38, 50))],
)
def test_looks_are_spread_evenly_within_the_trials_allowed(trials, arms, looks):
    assert looks_within(trials, arms) == looks
    assert looks[-1] * arms <= trials


def test_too_few_trials_for_two_blocks_are_refused():
    with pytest.raises(StudyError, match="6 trials of two blocks"):
        looks_within(5, 3)


def test_an_arm_that_is_decided_needs_no_more_trials_and_is_looked_at_no_more():
    values = noise()
    values[:, 1] += 50.0
    first = played(values[:3])
    assert first.decisions[1].verdict is Verdict.BETTER
    assert (first.decisions[1].look, first.decisions[1].blocks) == (1, 3)
    assert not first.over
    later = values[:6].copy()
    later[3:, 1] = -1e6
    second = played(later)
    assert second.decisions[1] == first.decisions[1]
    assert not second.counted[3:, 1].any()
    assert second.counted[:6, [0, 2]].all()


def test_the_next_look_waits_for_the_open_arms_alone():
    values = noise(blocks=6)
    values[:, 1] += 50.0
    values[3:] = np.nan
    found = played(values)
    assert found.looks_made == 1
    assert found.needed[3:, [0, 2]].all()
    assert found.needed.sum() == 6
    assert not found.over


def test_a_study_is_over_when_every_arm_is_decided_or_the_last_look_is_made():
    values = noise()
    values[:, 1:] += [50.0, -50.0]
    early = played(values)
    assert (early.over, early.looks_made, early.needed.any()) == (True, 1, False)
    assert [one and one.verdict for one in early.decisions] == [None, Verdict.BETTER, Verdict.WORSE]
    assert not early.counted[3:].any()
    open_end = played(noise(), margin=0.0)
    assert (open_end.over, open_end.looks_made) == (True, 4)


def test_a_diverged_trial_has_ended():
    values = noise(blocks=3)
    values[1, 2] = np.nan
    diverged = np.isnan(values)
    assert played(values, ended=np.ones((3, 3), dtype=np.bool_), diverged=diverged).looks_made == 1
    assert played(values).looks_made == 0


def test_an_early_look_asks_for_more_than_a_single_one():
    """A difference that 5% would show after three blocks is not enough at the first look's share of it."""
    assert look_levels(LOOKS)[0] < 0.001
    values = np.array([[0.0, 1.0], [0.1, 1.3], [-0.1, 0.7]])
    assert played(values, looks=(3,), margin=0.0).decisions[1].verdict is Verdict.BETTER
    assert played(values, looks=LOOKS, margin=0.0).decisions[1] is None


def test_looking_again_and_again_keeps_the_false_alarms():
    """Without any difference, at most 5% of studies call the arm BETTER or WORSE, up to three standard errors."""
    rng = np.random.default_rng(2)
    studies = 800
    alarms = sum(played(rng.normal(size=(13, 2)), margin=0.0).decisions[1] is not None for _ in range(studies))
    assert 0 < alarms / studies <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)


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
