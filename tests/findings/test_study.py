from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from eailab.findings.methods import methods
from eailab.findings.statements import facts
from eailab.stats.verdict import Verdict
from eailab.studies.storage import read_record

SMALL = [0.90, 0.92, 0.91, 0.93]
LARGE = [0.80, 0.83, 0.81, 0.84]


def arms(findings):
    return {arm.label: arm for arm in findings.arms}


def test_means_differences_and_intervals_are_those_of_a_paired_t_test(shop):
    """With two arms the blocked model is the paired t-test, here in percentage points."""
    found = shop.findings(shop.study({10: SMALL, 20: LARGE}))
    reference = stats.ttest_rel(100 * np.array(LARGE), 100 * np.array(SMALL)).confidence_interval()
    large = arms(found)["20"].against_baseline

    assert arms(found)["10"].is_baseline
    assert large.mean == pytest.approx(82.0)
    assert large.sd == pytest.approx(100 * np.std(LARGE, ddof=1))
    assert large.difference == pytest.approx(-9.5)
    assert large.interval95 == pytest.approx((reference.low, reference.high))
    assert large.verdict is Verdict.WORSE
    assert arms(found)["20"].test == pytest.approx(81.0)


def test_a_loss_is_better_when_it_is_lower_and_its_margin_is_in_hundredths(shop):
    found = shop.findings(shop.study({3: SMALL, 5: SMALL}, factor="epochs", study={"metric": "validation-loss"}))
    five = arms(found)["5"].against_baseline

    assert found.margin == pytest.approx(0.0025)
    assert five.difference == pytest.approx(1.085 * (1 / 5 - 1 / 3))
    assert five.verdict is Verdict.BETTER


def test_the_loss_gap_is_validation_minus_training_loss(shop):
    found = shop.findings(shop.study({10: SMALL, 20: LARGE}, study={"metric": "loss-gap"}))
    assert arms(found)["20"].against_baseline.mean == pytest.approx(0.125)


def test_one_block_gives_no_verdict(shop):
    found = shop.findings(shop.study({10: SMALL[:1], 20: LARGE[:1]}))
    arm = arms(found)["20"]

    assert arm.against_baseline.verdict is Verdict.SCREEN
    assert arm.against_baseline.interval95 is None
    assert any("too few blocks" in note for note in arm.notes)


def test_a_study_is_running_until_every_trial_has_ended(shop):
    complete = shop.findings(shop.study({10: ["diverged", 0.9], 20: LARGE[:2]}))
    running = shop.findings(shop.study({10: [0.9, "unfinished"], 20: [0.8, "missing"]}, label_smoothing=0.1))

    assert complete.state == "complete"
    assert (running.state, running.ended, running.planned) == ("running", 2, 4)
    assert [trial.state for trial in running.arms[0].trials] == ["finished", "unfinished"]
    assert [trial.state for trial in running.arms[1].trials] == ["finished", "missing"]


def test_a_diverged_trial_is_counted_and_never_hidden_in_a_mean(shop):
    found = shop.findings(shop.study({10: SMALL, 20: ["diverged", 0.95, 0.96, 0.97]}))
    arm = arms(found)["20"]

    assert arm.count("diverged") == 1
    assert any(note.startswith("1 of 4 diverged") for note in arm.notes)
    assert arm.against_baseline.verdict not in {Verdict.BETTER, Verdict.SAME}
    assert arm.trials[0].value is None
    assert arm.trials[0].reason == "a value was not finite at epoch 2, step 7"


def test_of_a_verdict_that_is_withheld_no_number_of_blocks_is_promised(shop):
    """More blocks decide nothing while trials drop out."""
    arm = arms(shop.findings(shop.study({10: SMALL, 20: ["diverged", 0.955, 0.950, 0.962]})))["20"]
    assert arm.against_baseline.verdict is Verdict.UNDECIDED
    assert arm.notes[-1] == "BETTER holds only for the trials that have not diverged"


def test_a_damaged_trial_is_a_named_gap_and_its_number_is_not_used(shop):
    found = shop.findings(shop.study({10: SMALL, 20: [*LARGE[:3], "damaged"]}))
    arm = arms(found)["20"]

    assert arm.trials[3].state == "damaged"
    assert arm.trials[3].value is None
    assert arm.against_baseline.mean == pytest.approx(100 * np.mean(LARGE[:3]))
    assert "without block 3, which is damaged" in arm.notes
    assert str(shop.root) not in arm.trials[3].reason


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"schema_version": 99, "checksum": ""}'])
def test_a_result_that_is_no_result_is_damage(shop, content):
    folder = shop.study({10: SMALL, 20: LARGE})
    shop.trial_folder(folder, 1, 2).result_file.write_bytes(content)
    assert shop.findings(folder).arms[1].trials[2].state == "damaged"


def test_what_a_level_changes_by_itself_is_said(shop):
    """At fixed epochs, doubling the batch size halves the updates."""
    found = shop.findings(shop.study({10: SMALL, 20: LARGE}))
    assert arms(found)["20"].updates_change == pytest.approx(-0.5)
    assert "updates -50% (epochs held)" in arms(found)["20"].notes
    assert arms(found)["10"].notes == ()


def test_settings_that_come_with_a_level_are_said_and_are_not_held_fixed(shop):
    found = shop.findings(shop.study({"adam": SMALL, "sgd": LARGE}, factor="optimizer"))
    held = dict(found.held_fixed)

    assert any("momentum" in note for note in arms(found)["sgd"].notes)
    assert "optimizer.name" not in held
    assert "optimizer.momentum" not in held
    assert held["batch_size"] == 10
    assert not any(path.startswith("study") or path == "name" for path in held)


def test_arms_whose_trials_went_the_same_are_named(shop):
    """Such as a schedule that never acts: a difference of 0 would look like a finding."""
    found = shop.findings(shop.study({10: [0.9, 0.8], 20: [0.7, 0.6], 30: [0.9, 0.8], 40: [0.7, 0.65], 50: [0.7, 0.6]}))
    said = [[note for note in arm.notes if note.startswith("the same training")] for arm in found.arms]
    assert said == [
        [],
        [],
        ["the same training as 10: all its numbers are equal"],
        [],
        ["the same training as 20: all its numbers are equal"],
    ]
    assert found.baseline == 0


def test_trials_without_a_result_went_the_same_as_no_other(shop):
    found = shop.findings(shop.study({10: ["missing", "diverged"], 20: ["missing", "diverged"]}))
    assert not any("the same training" in note for arm in found.arms for note in arm.notes)


def test_mean_curves_are_of_the_finished_trials(shop):
    found = shop.findings(shop.study({10: [0.9, 0.6, "unfinished"], 20: LARGE[:3]}))
    curves = found.arms[0].curves

    assert curves.epochs == (1, 2, 3)
    assert curves.values["validation_accuracy"] == pytest.approx((25.0, 50.0, 75.0))
    assert curves.values["train_loss"] == pytest.approx((1.25, 1.25 / 2, 1.25 / 3))
    assert found.arms[0].trials[2].curves.epochs == (1,)


def test_trials_of_several_environments_are_told_apart(shop):
    """A GPU and a CPU need not give the same numbers."""
    found = shop.findings(shop.study({10: SMALL[:3], 20: LARGE[:3]}, devices=["cpu", "cpu", "a GPU"]))
    assert [(str(environment), count) for environment, count in found.environments] == [
        ("a GPU; eailab 0.1.0, python 3.12.1, numpy 2.3.4", 2),
        ("cpu; eailab 0.1.0, python 3.12.1, numpy 2.3.4", 4),
    ]


def test_an_ordered_factor_gets_its_slope_per_doubling(shop):
    rising = shop.findings(shop.study({10: [0.5, 0.52, 0.51], 20: [0.6, 0.61, 0.62], 40: [0.72, 0.7, 0.71]}))
    slopes = [(72 - 50) / 2, (70 - 52) / 2, (71 - 51) / 2]
    assert rising.trend.slope == pytest.approx(np.mean(slopes))
    unordered = shop.beside("unordered")
    other = unordered.findings(unordered.study({"relu": SMALL, "tanh": LARGE, "gelu": SMALL}, factor="activation"))
    assert other.trend is None


@pytest.mark.parametrize(("spread", "tested"), [(0.001, True), (0.05, False)])
def test_a_trend_whose_fit_is_not_tested_says_so(shop, spread, tested):
    """A slope over a bent row of arms misleads; where its fit is not tested, the reader has to look."""
    noise = [-1, 1, 2, -2]
    outcomes = {10: [0.91, 0.90, 0.91, 0.92], 20: [0.9 + spread * n for n in noise], 40: [0.86, 0.87, 0.88, 0.87]}
    found = shop.findings(shop.study(outcomes))
    (said,) = (fact.sentence for fact in facts(found) if fact.name == "Trend")
    assert found.trend.pooled == tested
    assert ("is not tested where errors are not pooled" in said) != tested


def test_a_trend_is_not_drawn_through_survivors(shop):
    found = shop.findings(shop.study({10: ["diverged", 0.52, 0.51], 20: [0.6, 0.61, 0.62], 40: [0.72, 0.7, 0.71]}))
    assert found.trend is None


@pytest.mark.parametrize(
    ("factor", "title"),
    [
        ("optimizer.lr", "Does the learning rate change the validation accuracy?"),
        ("schedule.name", "Does the schedule change the validation accuracy?"),
        ("optimizer.betas", "Do the betas change the validation accuracy?"),
        ("optimizer.name × model.stem", "Do the optimizer and stem change the validation accuracy?"),
    ],
)
def test_the_title_is_the_question(shop, factor, title):
    found = shop.findings(shop.study({10: SMALL, 20: LARGE}))
    assert replace(found, factor=factor).title == title


def test_a_single_trial_is_not_compared(shop):
    found = shop.findings(shop.trial(0.9))
    assert found.comparison is None
    assert found.title == found.name
    assert found.arms[0].trials[0].final["test_accuracy"] == pytest.approx(89.0)
    assert not found.arms[0].is_baseline


def test_a_table_says_how_many_trials_failed_and_how_many_still_may(shop):
    none = shop.findings(shop.study({10: SMALL, 20: LARGE}))
    some = shop.findings(shop.study({10: SMALL, 20: ["diverged", 0.95, 0.96, "missing"]}, label_smoothing=0.1))
    open_ = shop.findings(shop.study({10: SMALL, 20: ["missing"] * 4}, label_smoothing=0.2))
    said = [next(fact.sentence for fact in facts(found) if fact.name == "Failures") for found in (none, some, open_)]

    assert said[0] == "in each arm none of 4 failed; up to 53% may"
    assert said[1] == "10: none of 4 failed; up to 53% may. 20: 1 of 3 failed; up to 86% may."
    assert said[2] == "10: none of 4 failed; up to 53% may. 20: none has a result yet."
    assert arms(some)["20"].failure_bound == pytest.approx(stats.binomtest(1, 3).proportion_ci(0.90).high)


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        (SMALL, ""),
        ([0.9, "diverged", "missing", "unfinished"], "6 of 8 trials have a result so far."),
    ],
)
def test_the_methods_of_an_unfinished_study_say_how_many_trials_there_are(shop, outcomes, said):
    folder = shop.study({10: SMALL, 20: outcomes})
    written = " ".join(methods(shop.findings(folder), read_record(folder)))
    assert "Each of the 2 arms was trained in 4 blocks" in written
    assert (said in written, "so far" in written) == (True, bool(said))


def test_a_trend_is_a_question_of_its_own(shop):
    found = shop.findings(shop.study({10: SMALL, 20: LARGE, 40: [0.70, 0.72, 0.71, 0.74]}))
    said = next(fact.sentence for fact in facts(found) if fact.name == "Trend")
    assert "; a question of its own, with its own 5%" in said


def test_an_answer_is_of_the_validation_images_that_it_was_found_on(shop):
    folders = [
        shop.study({10: SMALL, 20: LARGE}),
        shop.study({10: SMALL, 20: LARGE}, data={"name": "digits", "split": "per-block"}),
        shop.study({10: SMALL, 20: LARGE}, study={"metric": "test-accuracy"}),
    ]
    said = [next(fact.sentence for fact in facts(shop.findings(one)) if fact.name == "Metric") for one in folders]
    assert "; of these 4 validation images" in said[0]
    assert "; of 4 validation images, drawn again in each block" in said[1]
    assert "validation images" not in said[2]
