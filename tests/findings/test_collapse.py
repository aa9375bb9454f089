"""A trial that ends at chance is counted as failed, and no mean hides it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from stores import recipe

from eailab.findings.methods import error_bars
from eailab.findings.noise import noise_findings, sentences
from eailab.findings.statements import facts, headlines
from eailab.findings.tables import blocks_table, main_table
from eailab.report.json_report import as_mapping
from eailab.stats.verdict import Verdict
from eailab.studies.design import single
from eailab.studies.storage import read_record

GOOD = [0.90, 0.92, 0.91, 0.93]
FALLEN = [0.95, 0.10, 0.96, 0.97]


@pytest.fixture
def ten_classes(shop):
    """A shop whose data have ten classes of one size, and 1000 validation images."""
    shop.largest_class, shop.validation_images = 0.1, 1000
    return shop


def test_a_collapsed_trial_is_counted_and_never_averaged(ten_classes):
    found = ten_classes.findings(ten_classes.study({10: GOOD, 20: FALLEN}))
    arm = found.arms[1]
    result = arm.against_baseline

    assert [trial.state for trial in arm.trials] == ["finished", "collapsed", "finished", "finished"]
    assert (found.state, found.ended, arm.failed, result.collapsed, result.diverged) == ("complete", 8, 1, 1, 0)
    assert result.mean == pytest.approx(96.0)
    assert arm.test == pytest.approx(95.0)
    assert arm.curves.values["validation_accuracy"][-1] == pytest.approx(96.0)
    assert main_table(found).rows[1][-2] == "3 of 4"
    assert blocks_table(found).rows[1][2] == "10.00, collapsed"


def test_differences_are_given_without_and_with_collapsed_trials(ten_classes):
    result = ten_classes.findings(ten_classes.study({10: GOOD, 20: FALLEN})).arms[1].against_baseline
    kept = np.array([0, 2, 3])
    without = stats.ttest_rel(100 * np.array(FALLEN)[kept], 100 * np.array(GOOD)[kept]).confidence_interval()
    counted = stats.ttest_rel(100 * np.array(FALLEN), 100 * np.array(GOOD)).confidence_interval()

    assert result.interval95 == pytest.approx((without.low, without.high))
    assert result.difference_with_collapsed == pytest.approx(-17.0)
    assert result.interval95_with_collapsed == pytest.approx((counted.low, counted.high))


def test_an_arm_that_collapsed_is_never_better(ten_classes):
    arm = ten_classes.findings(ten_classes.study({10: GOOD, 20: FALLEN})).arms[1]
    assert arm.against_baseline.interval95[0] > 0.0
    assert arm.against_baseline.verdict is Verdict.UNDECIDED
    assert arm.notes[0] == "1 of 4 collapsed: numbers are of the others"
    assert arm.notes[1] == "with those that collapsed, the difference is -17.00 pp [-85.96, +51.96]"
    assert arm.notes[-1] == "BETTER holds only for the trials that have not collapsed"


def test_against_a_baseline_that_collapsed_no_arm_is_worse(ten_classes):
    found = ten_classes.findings(ten_classes.study({10: FALLEN, 20: GOOD}))
    arm = found.arms[1]
    assert arm.against_baseline.verdict is Verdict.UNDECIDED
    assert arm.against_baseline.difference_with_collapsed == pytest.approx(17.0)
    assert found.arms[0].against_baseline.difference_with_collapsed is None


def test_an_arm_of_which_every_trial_collapsed_has_no_value(ten_classes):
    found = ten_classes.findings(ten_classes.study({10: GOOD, 20: [0.10, 0.09, 0.11, 0.10]}))
    assert headlines(found) == ("20: 4 of 4 collapsed",)
    assert found.arms[1].against_baseline.mean is None


def test_which_trials_collapsed_does_not_depend_on_the_metric(ten_classes):
    study = {"metric": "validation-loss"}
    found = ten_classes.findings(ten_classes.study({10: GOOD, 20: FALLEN}, study=study))
    assert found.arms[1].trials[1].state == "collapsed"
    assert found.arms[1].trials[1].collapsed_value == pytest.approx(1.9 / 3 + 0.125)


def test_nothing_collapses_where_no_chance_level_is_recorded(shop):
    shop.validation_images = 1000
    found = shop.findings(shop.study({10: GOOD, 20: FALLEN}))
    assert found.arms[1].count("collapsed") == 0
    assert found.arms[1].against_baseline.difference_with_collapsed is None


def test_a_trend_and_effects_are_withheld(ten_classes):
    found = ten_classes.findings(ten_classes.study({10: GOOD, 20: FALLEN, 40: GOOD}))
    assert found.trend is None


def test_facts_methods_and_json_name_it(ten_classes):
    found = ten_classes.findings(ten_classes.study({10: GOOD, 20: FALLEN}))
    said = {fact.name: fact.sentence for fact in facts(found)}
    assert said["Failures"] == "10: none of 4 failed; up to 53% may. 20: 1 of 4 failed; up to 75% may."
    assert said["20, block 1"] == "collapsed: it ended at a validation accuracy of 10.00%; chance is 10.00%"
    assert said["Collapsed"].startswith("trained to their end, but at chance")
    assert error_bars(found)[-1].startswith("1 trial collapsed, that is ended near chance")
    mapping = as_mapping(found)["arms"][1]
    assert (mapping["collapsed"], mapping["difference_with_collapsed"]) == (1, pytest.approx(-17.0))
    assert (mapping["by_block"][1]["state"], mapping["by_block"][1]["value"]) == ("collapsed", None)
    assert mapping["by_block"][1]["validation"]["accuracy"] == pytest.approx(10.0)


def test_a_noise_study_leaves_it_out_and_says_so(ten_classes):
    record = read_record(ten_classes.of(replace(single(recipe(), 0), blocks=(0, 1, 2, 3)), [FALLEN]))
    found = noise_findings(ten_classes.store, record)
    assert found.mean == pytest.approx(96.0)
    assert "1 of 4 trials collapsed: the numbers are of the others." in sentences(found)
