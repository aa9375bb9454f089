"""Every layer's hand-derived gradient against differences of its own forward pass, in 64 bits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from eailab.engines.numpy_mlp.arrays import in_parts, whole
from eailab.engines.numpy_mlp.layers import (
    GELU,
    Activation,
    BatchNorm1d,
    Dropout,
    Layer,
    Linear,
    ReLU,
    Sigmoid,
    Signal,
    Stage,
    Tanh,
)

ROWS = st.integers(1, 9)
FEATURES = st.integers(1, 7)
SEEDS = st.integers(0, 2**32 - 1)


def difference(scalar, array: np.ndarray) -> np.ndarray:
    """Differentiate `scalar()` by each number of `array`: central differences of the fourth order."""
    step = 1e-5
    slopes = np.empty_like(array)
    for index in np.ndindex(array.shape):
        here = array[index]
        values = []
        for offset in (2.0, 1.0, -1.0, -2.0):
            array[index] = here + offset * step
            values.append(scalar())
        array[index] = here
        slopes[index] = (-values[0] + 8.0 * values[1] - 8.0 * values[2] + values[3]) / (12.0 * step)
    return slopes


def check(layer: Layer, values: np.ndarray, parameters: list[tuple[np.ndarray, np.ndarray]], before=lambda: None):
    """Compare what `backward` writes with differences of a random weighing of the output.

    Args:
        layer: What is checked, in training.
        values: `[B, I]`, its inputs.
        parameters: Pairs of a parameter and the array of its gradient.
        before: Called before each forward pass.
    """
    inputs = Signal.of(*values.shape, np.float64)
    stage: Stage = layer.stage(inputs, True)
    weighing = np.random.default_rng(1).normal(size=stage.output.value.shape)

    def scalar() -> float:
        before()
        inputs.value[...] = values
        stage.forward()
        return float(np.sum(stage.output.value * weighing))

    scalar()
    stage.output.gradient[...] = weighing
    stage.backward()
    written = [(values, inputs.gradient.copy()), *((p, g.copy()) for p, g in parameters)]
    for array, gradient in written:
        expected = difference(scalar, array)
        scale = max(np.linalg.norm(expected), np.linalg.norm(gradient), 1e-3)
        assert np.linalg.norm(gradient - expected) / scale < 1e-6


@settings(max_examples=50, deadline=None)
@given(ROWS, FEATURES, FEATURES, st.booleans(), SEEDS)
def test_linear(rows, inputs, outputs, rectified, seed):
    chance = np.random.default_rng(seed)
    weight, bias = chance.normal(size=(inputs, outputs)), chance.normal(size=outputs)
    weight_gradient, bias_gradient = np.full_like(weight, np.nan), np.full_like(bias, np.nan)
    layer = Linear(weight, bias, weight_gradient, bias_gradient, rectified=rectified)
    parameters = [(bias, bias_gradient)] + ([(weight, weight_gradient)] if rows > 1 else [])
    check(layer, chance.normal(size=(rows, inputs)), parameters)
    assert np.isnan(weight_gradient).all() == (rows == 1), "one row's gradient is left to the optimizer"


@pytest.mark.parametrize("function", [ReLU, Sigmoid, Tanh, GELU])
@settings(max_examples=15, deadline=None)
@given(rows=ROWS, features=FEATURES, seed=SEEDS)
def test_activations(function, rows, features, seed):
    values = 2.0 * np.random.default_rng(seed).normal(size=(rows, features))
    values += np.copysign(1e-3, values)  # the slope of relu jumps at 0
    check(Activation(function), values, [])


@settings(max_examples=25, deadline=None)
@given(ROWS, FEATURES, SEEDS)
def test_batch_normalisation(rows, features, seed):
    chance = np.random.default_rng(seed)
    scale, shift, scale_gradient, shift_gradient, mean, variance = chance.normal(size=(6, features))
    layer = BatchNorm1d(scale, shift, scale_gradient, shift_gradient, mean, variance)
    check(layer, chance.normal(size=(rows, features)), [(scale, scale_gradient), (shift, shift_gradient)])


@settings(max_examples=15, deadline=None)
@given(ROWS, FEATURES, SEEDS, st.floats(0.0, 0.9))
def test_dropout_with_its_draws_held(rows, features, seed, probability):
    layer = Dropout(probability)

    def same_draws() -> None:
        layer.generator = np.random.default_rng(seed)

    check(layer, np.random.default_rng(seed).normal(size=(rows, features)), [], before=same_draws)


def test_dropout_keeps_the_mean_and_the_share_it_promises():
    inputs = Signal.of(200, 100, np.float32)
    inputs.value[...] = 1.0
    stage = Dropout(0.3, np.random.default_rng(0)).stage(inputs, True)
    stage.forward()
    kept = inputs.value != 0.0
    assert np.mean(kept) == pytest.approx(0.7, abs=0.01)
    assert_allclose(inputs.value[kept], np.float32(1.0 / 0.7))


def test_dropout_does_nothing_outside_training():
    inputs = Signal.of(2, 3, np.float64)
    inputs.value[...] = 1.0
    Dropout(0.5).stage(inputs, False).forward()
    assert (inputs.value == 1.0).all()


@pytest.mark.parametrize(
    ("function", "reference"),
    [(ReLU, torch.relu), (Sigmoid, torch.sigmoid), (Tanh, torch.tanh), (GELU, torch.nn.functional.gelu)],
)
def test_activations_equal_torch_far_out_too(function, reference):
    inputs = Signal.of(1, 9, np.float64)
    values = np.array([[-1e4, -50.0, -3.0, -1e-9, 0.0, 1e-9, 3.0, 50.0, 1e4]])
    inputs.value[...] = values
    function(inputs).forward()
    assert_allclose(inputs.value, reference(torch.tensor(values)).numpy(), rtol=1e-12, atol=1e-15)


def test_batch_normalisation_uses_its_running_statistics_outside_training():
    """Equal to torch's, after the same three batches."""
    chance = np.random.default_rng(3)
    reference = torch.nn.BatchNorm1d(4).double()
    layer = BatchNorm1d(np.ones(4), np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(4), np.ones(4))
    inputs = Signal.of(6, 4, np.float64)
    training, outside = layer.stage(inputs, True), None
    for _ in range(3):
        values = chance.normal(2.0, 3.0, (6, 4))
        inputs.value[...] = values
        training.forward()
        assert_allclose(training.output.value, reference(torch.tensor(values)).detach().numpy(), atol=1e-12)
    outside = layer.stage(inputs, False)
    outside.forward()
    assert_allclose(outside.output.value, reference.eval()(torch.tensor(values)).detach().numpy(), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 70), st.sampled_from([1, 10, 64, 131]), st.sampled_from([10, 64, 300]), SEEDS)
def test_products_in_parts_are_the_products(rows, terms, columns, seed):
    """Also for a transposed left or right side, and for numbers of rows that do not divide."""
    chance = np.random.default_rng(seed)
    left, right = chance.normal(size=(rows, terms)), chance.normal(size=(terms, columns))
    for a, b in (
        (left, right),
        (np.asfortranarray(left), right),
        (left, np.asfortranarray(right)),
    ):
        for plan in (whole, in_parts):
            out = np.full((rows, columns), np.nan)
            plan(a, b, out)()
            assert_allclose(out, np.einsum("mk,kn->mn", left, right), rtol=1e-12, atol=1e-12)
