"""A path ablation's findings: which move is taken, what a step gains, and what its reader is told."""

import json

import numpy as np
import pytest
from scipy import stats
from stores import recipe

from eailab.findings.path import best_move, findings_along, path_table, sentences
from eailab.report.json_report import path_mapping
from eailab.report.write import write_path
from eailab.studies.path_ablation import path_between

END = {"epochs": 4, "batch_size": 20}
A, B = [0.90, 0.91, 0.92], [0.95, 0.94, 0.97]
BATCH, EPOCHS = [0.93, 0.95, 0.96], [0.905, 0.91, 0.93]


def way(order="gain", blocks=3, **settings):
    return path_between(recipe(**settings), recipe(**settings, **END), ("start", "end"), range(blocks), order)


def measured(shop, asked, first, second, ends=(A, B)):
    """Write the trials of a path of two steps, the second of which arrives, and measure it."""
    compared = shop.findings(shop.of(asked.ends(), ends))
    blocks = ["missing"] * len(asked.blocks)  # trials that are in the store already
    step = shop.findings(shop.of(asked.step([]), [blocks, *first]))
    taken = [asked.candidates([])[best_move(step)]]
    steps = [(step, taken[0], best_move(step))]
    step = shop.findings(shop.of(asked.step(taken), [blocks, second or blocks]))
    steps.append((step, asked.candidates(taken)[0], best_move(step)))
    return findings_along(asked, compared, steps)


def test_the_largest_gain_comes_first_and_the_gains_add_up_to_the_gap(shop):
    found = measured(shop, way(), [EPOCHS, BATCH], None)
    assert [step.changes for step in found.steps] == [("batch_size 10 -> 20",), ("epochs 3 -> 4",)]
    gains = [100 * (np.mean(BATCH) - np.mean(A)), 100 * (np.mean(B) - np.mean(BATCH))]
    assert [step.gain for step in found.steps] == pytest.approx(gains)
    assert [step.total for step in found.steps] == pytest.approx(np.cumsum(gains))
    assert found.steps[-1].total == pytest.approx(found.gap)
    assert [step.tried for step in found.steps] == [2, 1]
    assert found.arms == 4


def test_the_intervals_of_the_gap_and_of_a_step_with_one_candidate_are_students(shop):
    found = measured(shop, way(), [EPOCHS, BATCH], None)
    for bounds, (after, before) in ((found.gap_interval95, (B, A)), (found.steps[1].interval95, (B, BATCH))):
        expected = stats.ttest_rel(after, before).confidence_interval()
        assert bounds == pytest.approx((100 * expected.low, 100 * expected.high))


def test_a_step_with_several_candidates_has_an_interval_that_is_wider_than_for_one(shop):
    """It holds for all that were tried, and so for the one that was taken."""
    found = measured(shop, way(), [EPOCHS, BATCH], None)
    listed = measured(shop.beside("listed"), way("listed"), [EPOCHS], None)
    assert listed.steps[0].changes == ("epochs 3 -> 4",)
    assert listed.steps[0].tried == 1
    expected = stats.ttest_rel(EPOCHS, A).confidence_interval()
    assert listed.steps[0].interval95 == pytest.approx((100 * expected.low, 100 * expected.high))
    low, high = found.steps[0].interval95
    assert low < found.steps[0].gain < high


def test_a_falling_loss_is_a_gain(shop):
    """The made stores' losses are `(2 - accuracy) / epochs` and a constant."""
    found = measured(shop, way(study={"metric": "validation-loss"}), [EPOCHS, BATCH], None)
    assert found.steps[0].changes == ("epochs 3 -> 4",)
    fell = np.mean((2 - np.array(A)) / 3) - np.mean((2 - np.array(EPOCHS)) / 4)
    assert found.steps[0].gain == pytest.approx(fell)
    assert 0 < found.steps[0].interval95[0] < fell < found.steps[0].interval95[1]
    assert "positive is better" in " ".join(sentences(found))


def test_a_candidate_that_diverged_is_not_taken_while_another_has_not(shop):
    asked = way()
    worse = [value - 0.1 for value in A]
    found = measured(shop, asked, [["diverged", 0.99, 0.99], worse], None)
    assert found.steps[0].changes == ("batch_size 10 -> 20",)
    assert found.steps[0].gain == pytest.approx(-10.0)


def test_when_all_diverged_the_path_goes_on_without_a_total(shop):
    gone = ["diverged"] * 3
    found = measured(shop, way(), [gone, gone], None)
    assert [step.gain for step in found.steps] == [None, None]
    assert [step.total for step in found.steps] == [None, None]
    assert "3 of 3 diverged" in " ".join(found.steps[0].notes)
    assert found.gap == pytest.approx(100 * (np.mean(B) - np.mean(A)))


def test_a_step_whose_interval_includes_zero_is_called_possible_noise(shop):
    found = measured(shop, way(), [EPOCHS, [0.95, 0.90, 0.93]], None)
    assert found.steps[0].may_be_noise
    assert "Step" in " ".join(sentences(found))
    assert "may be noise" in path_table(found).rows[1][-1]


def test_only_an_order_by_gain_is_said_to_be_chosen_on_the_same_trials(shop):
    by_gain = " ".join(sentences(measured(shop, way(), [EPOCHS, BATCH], None)))
    listed = " ".join(sentences(measured(shop.beside("listed"), way("listed"), [EPOCHS], None)))
    assert "optimistic" in by_gain
    assert "optimistic" not in listed


def test_one_block_gives_gains_without_intervals_and_says_so(shop):
    found = measured(shop, way(blocks=1), [[0.91], [0.95]], None, ends=([0.9], [0.96]))
    assert [step.interval95 for step in found.steps] == [None, None]
    assert [step.gain for step in found.steps] == pytest.approx([5.0, 1.0])
    assert "screen" in " ".join(sentences(found))


def test_a_change_of_updates_is_noted(shop):
    found = measured(shop, way(), [EPOCHS, BATCH], None)
    assert found.steps[0].notes == ("updates -50%",)


def test_the_files_hold_what_was_found_and_the_same_bytes_each_time(shop, tmp_path):
    found = measured(shop, way(), [EPOCHS, BATCH], None)
    out = tmp_path / "out"
    write_path(found, out)
    first = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    write_path(found, out)
    assert {file: file.read_bytes() for file in first} == first
    assert {file.name for file in first} == {"waterfall.json", "waterfall.md", "waterfall.png", "waterfall.svg"}
    assert json.loads((out / "waterfall.json").read_text()) == json.loads(json.dumps(path_mapping(found)))
    assert (out / "figures" / "waterfall.png").read_bytes().startswith(b"\x89PNG")
    assert "batch_size 10 -\\> 20" in (out / "waterfall.md").read_text()
