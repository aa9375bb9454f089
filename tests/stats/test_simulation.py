"""Many studies judged at once are judged as `compare` judges each."""

import numpy as np
import pytest

from eailab.stats.model import compare
from eailab.stats.simulation import judge


@pytest.mark.parametrize(
    ("blocks", "arms", "wide"),
    [(2, 2, 5.0), (2, 4, 5.0), (3, 3, 5.0), (3, 5, 5.0), (5, 4, 5.0), (9, 3, 5.0), (14, 6, 1.7)],
)
def test_each_study_has_the_intervals_of_compare(blocks, arms, wide):
    """The last are many blocks of arms a little wider than others, which the test of Brown and Forsythe alone sees."""
    rng = np.random.default_rng(blocks * 10 + arms)
    y = rng.normal(size=(25, blocks, arms)) * rng.choice([1.0, 1.0, wide], size=(25, 1, arms))
    judged = judge(y)
    for study in range(25):
        found = compare(y[study], 0, 0.0)
        middle, half95, half90 = judged.difference[study], judged.half95[study], judged.half90[study]
        assert (found.guard is not None) == judged.guarded[study]
        assert np.array([arm.interval95 for arm in found.arms[1:]]) == pytest.approx(
            np.c_[middle - half95, middle + half95]
        )
        assert np.array([arm.interval90 for arm in found.arms[1:]]) == pytest.approx(
            np.c_[middle - half90, middle + half90]
        )
    if arms > 2 and blocks > 2:
        assert 0 < judged.guarded.sum() < 25
