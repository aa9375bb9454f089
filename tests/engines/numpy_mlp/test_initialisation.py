"""Initial weights have the spread that their papers ask for."""

import numpy as np
import pytest

from eailab.engines.numpy_mlp.initialisation import INITIALISATIONS


@pytest.mark.parametrize(
    ("name", "variance", "bias_variance"),
    [("he", 2.0 / 300, 0.0), ("xavier", 2.0 / 500, 0.0), ("torch", 1.0 / (3 * 300), 1.0 / (3 * 300))],
)
def test_the_variance_is_as_published(name, variance, bias_variance):
    weight, bias = INITIALISATIONS[name](300, 200, np.random.default_rng(0))
    assert weight.shape == (300, 200)
    assert bias.shape == (200,)
    assert weight.var() == pytest.approx(variance, rel=0.02)
    assert abs(weight.mean()) < 3.0 * np.sqrt(variance / weight.size)
    assert bias.var() == pytest.approx(bias_variance, rel=0.2)


@pytest.mark.parametrize(("name", "bound"), [("xavier", np.sqrt(6.0 / 500)), ("torch", np.sqrt(1.0 / 300))])
def test_the_uniform_ones_reach_their_bound_and_no_further(name, bound):
    weight, _ = INITIALISATIONS[name](300, 200, np.random.default_rng(0))
    assert bound * 0.999 < np.abs(weight).max() <= bound
