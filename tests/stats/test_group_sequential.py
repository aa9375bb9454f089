"""Looking several times keeps the false alarms of looking once, and spends trials on undecided arms alone."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from eailab.errors import StudyError
from eailab.stats.group_sequential import first_decisions, judgement_levels, look_levels, looks_within, replay
from eailab.stats.model import compare
from eailab.stats.power import judge
from eailab.stats.verdict import Verdict

LOOKS = (3, 6, 10, 13)


def played(values, looks=LOOKS, margin=0.25, ended=None, diverged=None, baseline=0):
    values = np.asarray(values, dtype=np.float64)
    ended = np.isfinite(values) if ended is None else ended
    diverged = np.zeros(values.shape, dtype=np.bool_) if diverged is None else diverged
    return replay(values, ended, {"diverged": diverged}, looks, baseline, margin, True)


def noise(blocks=13, arms=3, seed=0):
    return np.random.default_rng(seed).normal(size=(blocks, arms))


@pytest.mark.parametrize(
    ("trials", "arms", "looks"),
    [(20, 3, (3, 4, 5, 6)), (4, 2, (2,)), (6, 2, (3,)), (41, 3, tuple(range(3, 14))), (88, 2, (*range(3, 41), 42, 44))],
)
def test_a_study_looks_after_each_block_within_the_trials_allowed(trials, arms, looks):
    assert looks_within(trials, arms) == looks
    assert looks[-1] * arms <= trials


def test_looks_come_further_apart_where_there_are_very_many_blocks():
    """Each look compares all blocks so far: a study of 5,000 would else do so five thousand times."""
    looks = looks_within(10_000, 2)
    assert looks[-1] == 5_000
    assert len(looks) < 160
    assert all(later - before <= max(1, before / 20) for before, later in pairwise(looks))


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
    assert look_levels(LOOKS, 3)[0] < 0.01
    values = np.array([[0.0, 1.0], [0.1, 1.3], [-0.1, 0.7]])
    assert played(values, looks=(3,), margin=0.0).decisions[1].verdict is Verdict.BETTER
    assert played(values, looks=LOOKS, margin=0.0).decisions[1] is None


def test_looking_again_and_again_keeps_the_false_alarms():
    """Without any difference, at most 5% of studies call the arm BETTER or WORSE, up to three standard errors."""
    rng = np.random.default_rng(2)
    studies = 800
    alarms = sum(played(rng.normal(size=(13, 2)), margin=0.0).decisions[1] is not None for _ in range(studies))
    assert 0 < alarms / studies <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / studies)


def test_levels_are_in_proportion_to_the_blocks_and_one_look_has_five_percent():
    levels = look_levels(range(3, 14), 4)
    assert levels == pytest.approx([levels[-1] * number / 13 for number in range(3, 14)])
    assert 0.01 < levels[-1] < 0.02
    assert look_levels([2], 4) == look_levels([3], 2) == look_levels([7], 3) == (0.05,)
    lasts = [look_levels(range(3, most + 1), 4)[-1] for most in range(4, 60)]
    assert all(later < before for before, later in pairwise([0.05, *lasts]))


@pytest.mark.parametrize(("arms", "wide", "most"), [(2, 1.0, 0.05), (4, 1.0, 0.05), (4, 5.0, 0.065)])
@pytest.mark.parametrize("blocks", [6, 13])
def test_looking_after_each_block_keeps_the_false_alarms(arms, wide, most, blocks):
    """At equal spreads 5%, beside an arm of five times the spread 6.5%; up to three standard errors."""
    studies, sd = 4_000, np.array([*[1.0] * (arms - 1), wide])
    y = np.random.default_rng([arms, blocks]).normal(size=(studies, blocks, arms)) * sd
    looks = looks_within(blocks * arms, arms)
    pairs = zip(looks, look_levels(looks, arms), strict=True)
    alarms = np.stack([judge(y[:, :number]).alarm(level).any(axis=1) for number, level in pairs])
    assert 0.02 < alarms.any(axis=0).mean() <= most + 3 * np.sqrt(most / studies)


def test_a_look_asks_more_than_the_end():
    rng = np.random.default_rng(2)
    values = rng.normal(0.0, 0.2, (4, 4)) + np.array([0.0, 0.0, 0.5, 5.0])
    early = look_levels([4, 12], 4)[0]
    assert [arm.verdict for arm in compare(values, 0, 0.25).arms[2:]] == [Verdict.BETTER, Verdict.BETTER]
    found = compare(values, 0, 0.25, level=early)
    assert [arm.verdict for arm in found.arms[2:]] == [Verdict.UNDECIDED, Verdict.BETTER]


def test_a_look_asks_more_of_sameness_too():
    """Two one-sided tests at the look's level, whatever the test of a difference says."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.0, 1.0, (6, 1)) + rng.normal(0.0, 0.1, (6, 2))
    p, *_ = ttost_paired(values[:, 1], values[:, 0], -0.25, 0.25)
    assert compare(values, 0, 0.25).arms[1].p_adjusted > 0.05 > p
    assert compare(values, 0, 0.25, level=1.01 * p).arms[1].verdict is Verdict.SAME
    assert compare(values, 0, 0.25, level=0.99 * p).arms[1].verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("level", [0.05, 0.005, 0.0003])
def test_the_interval_of_a_look_is_of_its_level(level):
    """Of two arms it is Student's paired interval; it excludes 0 where the adjusted p is below the level."""
    values = noise(blocks=7, arms=2, seed=3)
    arm = compare(values, 0, 0.0, level=level).arms[1]
    paired = values[:, 1] - values[:, 0]
    expected = stats.ttest_1samp(paired, 0.0).confidence_interval(1.0 - level)
    assert arm.interval == pytest.approx(tuple(expected))
    assert arm.level == level
    assert arm.interval95 == pytest.approx(tuple(stats.ttest_1samp(paired, 0.0).confidence_interval(0.95)))
    several = compare(noise(blocks=7, arms=4, seed=3) + np.array([0.0, 1.0, 2.0, 4.0]), 0, 0.0, level=level)
    assert [one.interval[0] > 0.0 for one in several.arms[1:]] == [one.p_adjusted < level for one in several.arms[1:]]


def test_an_arm_is_shown_as_the_look_saw_it_that_decided_it():
    values = noise(blocks=6)
    values[:, 1] += 50.0
    found = played(values)
    first = compare(values[:3], 0, 0.25, level=look_levels(LOOKS, 3)[0], outlooks=False)
    counted = np.where(found.counted, values, np.nan)
    second = compare(counted, 0, 0.25, level=look_levels(LOOKS, 3)[1], outlooks=False)
    assert found.seen == (second.arms[0], first.arms[1], second.arms[2])


# --- a study that is judged again


def test_judgements_after_the_first_share_one_percent():
    assert judgement_levels(1) == (0.05,)
    levels = judgement_levels(40)
    assert levels[1] == 0.005
    assert all(later == before / 2.0 for before, later in pairwise(levels[1:]))
    assert sum(levels) <= 0.06


def again(values, *numbers, diverged=None):
    """The decisions on a study that was judged with some numbers of its blocks."""
    diverged = np.zeros(values.shape, dtype=np.bool_) if diverged is None else diverged
    found = [
        compare(values[:number], 0, 0.25, diverged=diverged[:number], level=level)
        for number, level in zip(numbers, judgement_levels(len(numbers)), strict=True)
    ]
    return first_decisions(found, numbers)


def test_a_verdict_once_found_stays_whatever_later_blocks_say():
    values = noise(blocks=8)
    values[:3, 1] += 50.0
    values[3:, 1] -= 50.0
    _, moved, other = again(values, 3, 8)
    assert (moved.verdict, moved.look, moved.blocks, moved.level) == (Verdict.BETTER, 1, 3, 0.05)
    assert compare(values, 0, 0.25).arms[1].verdict is Verdict.UNDECIDED
    assert other is None


def test_a_later_judgement_asks_more_and_is_named():
    """A difference that five blocks would have shown at 5% is not enough once three blocks have been judged."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(5, 2)) * 0.4 + np.array([0.0, 0.8])
    p = stats.ttest_rel(values[:, 1], values[:, 0]).pvalue
    assert 0.005 < p < 0.05 < stats.ttest_rel(values[:3, 1], values[:3, 0]).pvalue
    assert again(values, 5)[1].verdict is Verdict.BETTER
    assert again(values, 3, 5)[1] is None
    many = np.concatenate([values, rng.normal(size=(35, 2)) * 0.4 + np.array([0.0, 0.8])])
    assert (again(many, 3, 40)[1].look, again(many, 3, 40)[1].level) == (2, 0.005)


def test_trials_that_diverge_later_take_back_a_verdict_that_favours_their_side():
    values = noise(blocks=5, arms=3)
    values[:, 1:] += [50.0, -50.0]
    diverged = np.zeros(values.shape, dtype=np.bool_)
    diverged[4] = True
    _, better, worse = again(values, 3, 5, diverged=diverged)
    assert (better, worse) == (None, None)
    diverged[4, 0] = False
    _, better, worse = again(values, 3, 5, diverged=diverged)
    assert better is None
    assert worse.verdict is Verdict.WORSE


@pytest.mark.parametrize("arms", [2, 4])
def test_judging_again_calls_false_differences_in_at_most_six_percent(arms):
    """After 3, 5 and 8 blocks; at 5% each it would be 12%. Up to three standard errors."""
    y = np.random.default_rng(arms).normal(size=(8_000, 8, arms))
    levels = judgement_levels(3)
    alarms = np.stack([judge(y[:, :n]).alarm(level).any(axis=1) for n, level in zip((3, 5, 8), levels, strict=True)])
    assert 0.045 < alarms.any(axis=0).mean() <= 0.06 + 3 * np.sqrt(0.06 * 0.94 / 8_000)


@pytest.mark.parametrize("blocks", [[], [1, 5], [5, 5], [8, 5]])
def test_looks_rise(blocks):
    with pytest.raises(StudyError, match="rising"):
        look_levels(blocks, 2)
