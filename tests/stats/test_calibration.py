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


@pytest.mark.parametrize(("blocks", "arms"), [(2, 2), (2, 4), (3, 2), (3, 4), (5, 3), (5, 6)])
def test_where_the_model_holds_5_percent_of_studies_are_false_alarms(calibration, blocks, arms):
    """4 to 6%, and three standard errors of this many studies."""
    cell = calibration.calibrate(calibration.Design(blocks, arms, "none", 1.0, "normal"), STUDIES, seed=1)
    error = np.sqrt(0.05 * 0.95 / STUDIES)
    assert 0.04 - 3 * error < cell["false_alarms"] < 0.06 + 3 * error
    assert 0.94 - 3 * error < cell["simultaneous_coverage"] < 0.96 + 3 * error
    assert cell["wrong_same"] < 0.05 + 3 * error


@pytest.mark.parametrize(
    ("blocks", "arms", "wide", "ratio"),
    [(3, 3, "arm", 20.0), (5, 4, "baseline", 2.5), (5, 6, "arm", 5.0), (10, 6, "baseline", 2.0)],
)
def test_no_spread_raises_false_alarms_above_what_is_promised(calibration, blocks, arms, wide, ratio):
    """A common error alone gives far more, and a guard that leaves one gives 10% in the last cell."""
    cell = calibration.calibrate(calibration.Design(blocks, arms, wide, ratio, "normal"), STUDIES, seed=2)
    bar = calibration.BARS[blocks]
    assert cell["false_alarms"] < bar + 3 * np.sqrt(bar * (1.0 - bar) / STUDIES)
    assert cell["false_alarms_without_guard"] > bar + 0.02


def test_a_good_arm_is_seen_beside_a_wild_one(calibration):
    cell = calibration.calibrate(calibration.Design(10, 3, "arm", 100.0, "normal"), STUDIES, seed=4)
    assert cell["power"] > 0.9


def test_sharing_errors_sees_more_than_paired_t_with_holm(calibration):
    """What makes few blocks worth running: an effect of 2 SD, 5 blocks, 4 arms."""
    cell = calibration.calibrate(calibration.Design(5, 4, "none", 1.0, "normal"), STUDIES, seed=3)
    assert cell["power"] > cell["power_paired_t_holm"] + 0.1
