"""Initial weights have the spread that their papers ask for; the loss against torch, differences, and extremes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from eailab.engines.numpy_mlp.layers import Signal
from eailab.engines.numpy_mlp.network import INITIALISATIONS, SoftmaxCrossEntropy


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


def score(logits: np.ndarray, labels: np.ndarray, smoothing: float = 0.0) -> tuple[float, int, np.ndarray]:
    signal = Signal(logits.copy(), np.full_like(logits, np.nan))
    loss, correct = SoftmaxCrossEntropy(signal, smoothing).score(labels)
    assert_array_equal(signal.value, logits)
    return loss, correct, signal.gradient


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(2, 7), st.floats(0.0, 0.9), st.integers(0, 2**32 - 1))
def test_the_gradient_is_that_of_the_mean_loss(rows, classes, smoothing, seed):
    chance = np.random.default_rng(seed)
    logits, labels = 3.0 * chance.normal(size=(rows, classes)), chance.integers(0, classes, rows)
    _, _, gradient = score(logits, labels, smoothing)
    expected, step = np.empty_like(logits), 1e-5
    for index in np.ndindex(logits.shape):
        here = logits[index]
        values = []
        for offset in (2.0, 1.0, -1.0, -2.0):
            logits[index] = here + offset * step
            values.append(score(logits, labels, smoothing)[0] / rows)
        logits[index] = here
        expected[index] = (-values[0] + 8.0 * values[1] - 8.0 * values[2] + values[3]) / (12.0 * step)
    assert np.linalg.norm(gradient - expected) / max(np.linalg.norm(expected), 1e-3) < 1e-6


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(2, 7), st.floats(0.0, 0.9), st.integers(0, 2**32 - 1))
def test_loss_and_hits_equal_torch(rows, classes, smoothing, seed):
    chance = np.random.default_rng(seed)
    logits, labels = 3.0 * chance.normal(size=(rows, classes)), chance.integers(0, classes, rows)
    loss, correct, _ = score(logits, labels, smoothing)
    reference = torch.nn.functional.cross_entropy(
        torch.tensor(logits), torch.tensor(labels), reduction="sum", label_smoothing=smoothing
    )
    assert loss == pytest.approx(reference.item(), rel=1e-12, abs=1e-12)
    assert correct == np.sum(logits.argmax(axis=1) == labels)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_ten_thousand_neither_overflow_nor_lose_the_loss(dtype):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], dtype)
    loss, correct, gradient = score(logits, np.array([0, 0]))
    assert loss == pytest.approx(2e4)
    assert correct == 1
    assert_allclose(gradient, [[0.0, 0.0, 0.0], [-0.5, 0.5, 0.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_logit_that_is_not_finite_makes_the_loss_so(bad, place):
    """The engine stops at such a loss, so none may slip through; -inf counts only at the label or where smoothed."""
    logits = np.zeros((1, 3), np.float32)
    logits[0, place] = bad
    loss, _, _ = score(logits, np.array([place]), 0.1)
    assert not np.isfinite(loss)
