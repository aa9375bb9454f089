"""The verdicts' error rates, from the benchmark that records them, in a few cells and with few studies."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "calibration.py"
STUDIES = 6000


@pytest.fixture(scope="module")
def calibration():
    specification = importlib.util.spec_from_file_location("calibration", PATH)
    module = importlib.util.module_from_spec(specification)
    sys.modules["calibration"] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules["calibration"]


@pytest.mark.parametrize("correlation", [0.0, 0.8])
@pytest.mark.parametrize(("blocks", "arms"), [(2, 2), (2, 4), (3, 2), (3, 4), (5, 3), (5, 6)])
def test_where_the_model_holds_5_percent_of_studies_are_false_alarms(calibration, blocks, arms, correlation):
    """4 to 6%, and three standard errors of this many studies."""
    cell = calibration.calibrate(calibration.Design(blocks, arms, correlation, "equal", "normal"), STUDIES, seed=1)
    error = np.sqrt(0.05 * 0.95 / STUDIES)
    assert 0.04 - 3 * error < cell["false_alarms"] < 0.06 + 3 * error
    assert 0.94 - 3 * error < cell["simultaneous_coverage"] < 0.96 + 3 * error
    assert cell["wrong_same"] < 0.05 + 3 * error


@pytest.mark.parametrize("spread", ["one arm 5x", "baseline 5x"])
@pytest.mark.parametrize(("blocks", "arms"), [(2, 6), (3, 4), (5, 3), (5, 6)])
def test_the_guard_keeps_a_wide_arm_from_raising_false_alarms_above_8_percent(calibration, blocks, arms, spread):
    cell = calibration.calibrate(calibration.Design(blocks, arms, 0.3, spread, "normal"), STUDIES, seed=2)
    assert cell["false_alarms"] < 0.08 + 3 * np.sqrt(0.08 * 0.92 / STUDIES)
    assert cell["false_alarms_without_guard"] > 0.09 or arms == 3


def test_pooling_sees_more_than_paired_t_with_holm(calibration):
    """What makes few blocks worth running: an effect of 2 SD, 5 blocks, 4 arms."""
    cell = calibration.calibrate(calibration.Design(5, 4, 0.3, "equal", "normal"), STUDIES, seed=3)
    assert cell["power"] > cell["power_paired_t_holm"] + 0.2
