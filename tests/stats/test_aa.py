"""The A/A benchmark: its pool differs in nothing but chance, and its counting is right."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from eailab.data.registry import load as load_data
from eailab.recipe.load import Override, load
from eailab.recipe.override import differences
from eailab.runs.store import Store

PATH = Path(__file__).parents[2] / "benchmarks" / "aa.py"


@pytest.fixture(scope="module")
def aa():
    specification = importlib.util.spec_from_file_location("aa", PATH)
    module = importlib.util.module_from_spec(specification)
    sys.modules["aa"] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules["aa"]


@pytest.mark.parametrize(("split", "shared"), [("fixed", set()), ("per-block", {"data.split_seed"})])
def test_arms_of_a_block_differ_in_their_block_number_alone(aa, split, shared):
    pool = aa.pool_trials(load(aa.RECIPE).recipe, split, 3, "data")
    for row in pool:
        assert all(trial.recipe == row[0].recipe for trial in row)
    assert set(differences(pool[0][0].recipe, pool[1][0].recipe)) == shared
    numbers = [trial.block for row in pool for trial in row]
    assert len(set(numbers)) == len(numbers)


def test_a_pool_is_trained_through_the_store_and_read_back(aa, tmp_path):
    recipe = load(aa.RECIPE, [Override("epochs", 1, "-o")]).recipe
    pool = aa.pool_trials(recipe, "fixed", 1, load_data("digits").fingerprint)
    aa.train(pool, Store(tmp_path))
    values = aa.read(pool, Store(tmp_path), "validation-accuracy")
    assert values.shape == (1, aa.COLUMNS)
    assert len(set(values[0])) > 1
    assert np.all((values > 10) & (values <= 100))


def test_normal_values_are_called_different_in_5_percent_of_studies(aa):
    pool = np.random.default_rng(3).normal(90.0, 1.0, (60, 5))
    rate = aa.a_a_studies(pool, "fixed", "validation-accuracy", (3, 2), (0.5,), 400, seed=1)
    assert 0.01 < rate.false_alarms < 0.10
    assert rate.jackknife_error > 0.0


def test_arms_are_called_the_same_only_where_a_row_spreads_little(aa):
    narrow = np.random.default_rng(3).normal(90.0, 0.1, (60, 2))
    same = {
        name: aa.a_a_studies(pool, "fixed", "validation-accuracy", (5, 2), (0.5,), 50, seed=1).same["0.5"]
        for name, pool in {"narrow": narrow, "wide": narrow * [1.0, 1.05]}.items()
    }
    assert same["narrow"] > 0.9
    assert same["wide"] == 0.0


def test_the_jackknife_of_studies_that_use_a_row_each_is_the_binomial_error(aa):
    alarms = np.random.default_rng(0).random(400) < 0.2
    rate = alarms.mean()
    assert aa.jackknife(alarms, np.eye(400, dtype=bool)) == pytest.approx(np.sqrt(rate * (1 - rate) / 399))


def test_the_recorded_run_is_of_2000_studies_or_more_with_3_and_5_blocks_and_holds():
    record = json.loads((PATH.parent / "results" / "aa.json").read_text(encoding="utf-8"))
    kept = [rate for rate in record["rates"] if rate["metric"] == "validation-accuracy"]
    assert {rate["blocks"] for rate in kept} == {3, 5}
    assert all(rate["studies"] >= 2000 for rate in kept)
    assert all(rate["false_alarms"] <= 0.05 + 2 * (0.05 * 0.95 / rate["studies"]) ** 0.5 for rate in kept)


def test_a_whole_study_has_an_alarm_where_any_arm_is_called_different(aa):
    """Several arms of one study are one alarm; SAME and UNDECIDED are none."""
    verdicts = [["BETTER", "WORSE"], ["UNDECIDED", "SAME"], ["UNDECIDED"], ["SAME", "WORSE", "UNDECIDED"]]
    found = aa.whole_rate([{"arms": len(own) + 1, "blocks": 3, "verdicts": own} for own in verdicts])
    assert (found["studies"], found["with_an_alarm"], found["false_alarms"]) == (4, 2, 0.5)


def test_the_recorded_whole_studies_are_200_or_more_and_hold():
    whole = json.loads((PATH.parent / "results" / "aa.json").read_text(encoding="utf-8"))["whole"]
    assert whole["studies"] >= 200
    assert whole["false_alarms"] <= 0.05 + 2 * (0.05 * 0.95 / whole["studies"]) ** 0.5
