"""Groups of runs without blocks agree with R, keep their level, and widen where spreads differ."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eailab.errors import StudyError
from eailab.stats.unblocked import (
    Sample,
    beating,
    compare_unblocked,
    compare_with_target,
    pooled,
    separate,
    unequal_spread,
)
from eailab.stats.verdict import Verdict

RECORDED = json.loads((Path(__file__).parent / "fixtures" / "dunnett.json").read_text())


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: "-".join(str(len(group)) for group in case["groups"]))
def test_pooled_intervals_are_those_of_r(case):
    """multcomp::glht with Dunnett contrasts; the code that made the numbers lies beside them."""
    found = pooled([Sample.of(np.array(group)) for group in case["groups"]])
    error = np.array(case["standard_error"])
    assert [one.df for one in found] == [case["df"]] * len(found)
    assert np.array([one.standard_error for one in found]) == pytest.approx(error, rel=1e-9)
    for sign, end in ((-1.0, "lower"), (1.0, "upper")):
        ours = np.array([one.difference + sign * one.critical(0.95) * one.standard_error for one in found])
        assert np.abs(ours - np.array(case[end])).max() <= (1e-3 * error).max()
    assert np.array([one.difference for one in found]) == pytest.approx(np.array(case["difference"]), abs=1e-9)
    assert np.array([one.p for one in found]) == pytest.approx(np.array(case["p"]), abs=3e-4)


def test_groups_of_like_spread_are_judged_by_these_intervals():
    groups = [np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.5, 3.5]), np.array([4.0, 5.1, 6.0])]
    found = compare_unblocked([Sample.of(group) for group in groups], 0, 0.5)
    reference = stats.dunnett(*groups[1:], control=groups[0]).confidence_interval(0.95)
    assert found.guard is None
    assert not found.is_blocked
    assert [one.interval95 for one in found.arms[1:]] == [
        pytest.approx(ends, abs=5e-3) for ends in zip(reference.low, reference.high, strict=True)
    ]
    assert [one.verdict for one in found.arms] == [None, Verdict.UNDECIDED, Verdict.BETTER]


def test_summaries_are_compared_by_welchs_interval():
    """As scipy has it, from means, SDs and numbers alone; more runs with the larger spread leave Student's wider."""
    (found,) = separate([Sample(3, 93.5, 0.5), Sample(8, 93.9, 0.1)])
    reference = stats.ttest_ind_from_stats(93.9, 0.1, 8, 93.5, 0.5, 3, equal_var=False)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-9)
    (other,) = separate([Sample(3, 93.5, 0.1), Sample(8, 93.9, 0.5)])
    reference = stats.ttest_ind_from_stats(93.9, 0.5, 8, 93.5, 0.1, 3, equal_var=True)
    assert other.p == pytest.approx(reference.pvalue, rel=1e-9)


def test_spreads_that_differ_are_named():
    alike, wide = Sample.of(np.array([0.0, 1.0, 2.0])), Sample.of(np.array([0.0, 5.0, 10.0]))
    assert unequal_spread([alike, alike]) is None
    assert "5.00 times" in str(unequal_spread([alike, wide]))
    assert "only means" in str(unequal_spread([alike, Sample(3, 1.0, 1.0)]))


def test_a_target_is_a_one_sample_test():
    values = np.array([3.275, 3.278, 3.276, 3.279, 3.274])
    found = compare_with_target([Sample.of(values)], 3.28, 0.0, higher_is_better=False)
    reference = stats.ttest_1samp(values, 3.28)
    assert found.arms[0].p_adjusted == pytest.approx(reference.pvalue, rel=1e-9)
    ends = reference.confidence_interval(0.95)
    assert found.arms[0].interval95 == pytest.approx((ends.low - 3.28, ends.high - 3.28))
    assert found.arms[0].verdict is Verdict.BETTER


def test_a_record_is_beaten_by_more_than_the_margin_only():
    groups = [Sample.of(np.array(group)) for group in ([3.28, 3.281, 3.279], [3.27, 3.271, 3.269])]
    found = compare_unblocked(groups, 0, 0.0, higher_is_better=False)
    assert [beating(found, by).arms[1].verdict for by in (0.0, 0.005, 0.009)] == [
        Verdict.BETTER,
        Verdict.BETTER,
        Verdict.UNDECIDED,
    ]


def test_a_run_that_diverged_takes_the_favour_from_its_arm():
    found = compare_unblocked(
        [Sample.of(np.array([1.0, 1.1, 0.9])), Sample.of(np.array([9.0, 9.1, 8.9, np.nan]))], 0, 0.1
    )
    assert (found.arms[1].verdict, found.arms[1].diverged) == (Verdict.UNDECIDED, 1)


def test_one_run_gives_no_verdict():
    found = compare_unblocked([Sample.of(np.array([1.0, 1.1])), Sample.of(np.array([2.0]))], 0, 0.1)
    assert (found.arms[1].verdict, found.arms[1].difference) == (Verdict.SCREEN, pytest.approx(0.95))
    with pytest.raises(StudyError, match="2 or more"):
        compare_unblocked([Sample.of(np.array([1.0]))], 0, 0.1)


@pytest.mark.parametrize(("numbers", "spreads", "most"), [((3, 8), (1, 1), 0.05), ((3, 8), (2, 1), 0.08)])
def test_false_alarms_stay_near_five_percent(numbers, spreads, most):
    """`benchmarks/unblocked.py` has more designs and draws."""
    chance, draws = np.random.default_rng(3), 300
    alarms = 0
    for _ in range(draws):
        groups = [Sample.of(chance.normal(0.0, sd, n)) for n, sd in zip(numbers, spreads, strict=True)]
        alarms += compare_unblocked(groups, 0, 0.0).arms[1].verdict is not Verdict.UNDECIDED
    assert alarms / draws <= most + 2.0 * math.sqrt(most * (1.0 - most) / draws)
