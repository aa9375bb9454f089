"""What a plan can show follows from the noise of trials that the store has."""

from dataclasses import replace

import numpy as np
import pytest
from plans import one_factor, train_plan

from eailab.errors import StudyError
from eailab.recipe.load import Override, load
from eailab.runs.context import RunContext
from eailab.runs.executors.local import LocalExecutor
from eailab.stats.model import compare
from eailab.stats.power import detectable_difference
from eailab.studies.forecast import blocks_that_detect, detects, known_noise, weak_design
from eailab.studies.plan import plan

RECIPE = load("digits-mlp", [Override("epochs", 2, "-o")]).recipe


def planned(root, blocks, levels=(16, 32)):
    return plan(one_factor(RECIPE, "batch-size", list(levels), blocks), RunContext(root))


def accuracy(result):
    return 100 * result.values["validation_accuracy"]


def test_the_noise_is_the_blocked_models_error(tmp_path):
    store = RunContext(tmp_path).store
    assert known_noise(planned(tmp_path, (0, 1)), store) is None
    done = planned(tmp_path, (0, 1, 2))
    train_plan(done, RunContext(tmp_path), 1)
    values = np.array(
        [[accuracy(store.folder(done.record.trials[arm, block]).result()) for arm in (0, 1)] for block in (0, 1, 2)]
    )
    found = known_noise(planned(tmp_path, (0, 1)), store)
    assert found.sd == pytest.approx(compare(values, 1, 0.0).pooled_sd)
    assert "6 finished trials" in found.source


def test_one_arm_alone_gives_its_own_spread(tmp_path):
    """Such as after `eailab noise`: only the baseline has trials."""
    store = RunContext(tmp_path).store
    baseline = planned(tmp_path, (0, 1, 2), levels=(16, 32))
    only = [trial for trial in baseline.todo if trial.recipe.batch_size == 32]
    LocalExecutor(1).run(only, RunContext(tmp_path))
    values = [accuracy(store.folder(trial.fingerprint).result()) for trial in only]
    found = known_noise(planned(tmp_path, (0,), levels=(32, 64)), store)
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.source.startswith("over blocks")


def test_a_plan_detects_what_the_power_calculation_says(tmp_path):
    assert detects(planned(tmp_path, (0, 1, 2, 3, 4)), 0.4) == pytest.approx(detectable_difference(5, 2, 0.4))
    assert detects(planned(tmp_path, (0,)), 0.4) is None


def test_the_blocks_for_a_difference_are_the_fewest(tmp_path):
    blocks, noise = blocks_that_detect(planned(tmp_path, (0,)), RunContext(tmp_path).store, 0.3, 0.4)
    assert noise.sd == 0.4
    assert detectable_difference(blocks, 2, 0.4) <= 0.3 < detectable_difference(blocks - 1, 2, 0.4)


@pytest.mark.parametrize("difference", [0.0, -1.0, 1e-6])
def test_an_impossible_difference_is_refused(tmp_path, difference):
    with pytest.raises(StudyError, match=r"difference|--detect"):
        blocks_that_detect(planned(tmp_path, (0,)), RunContext(tmp_path).store, difference, 0.4)


def test_two_blocks_are_warned_of():
    """They detect 49 times the SD with four arms, and intervals of 400 points were printed without a word."""
    study = one_factor(RECIPE, "batch-size", [8, 16, 32, 64], (0, 1))
    assert "only differences of 49 times the SD" in weak_design(study)
    assert weak_design(replace(study, blocks=(0, 1, 2))) is None
    assert weak_design(replace(study, blocks=(0,))) is None
