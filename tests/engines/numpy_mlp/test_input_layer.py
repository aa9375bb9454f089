"""The first layer on images with many zeros says what it says on the same images written out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from eailab.engines.numpy_mlp.engine import MlpEngine
from eailab.engines.numpy_mlp.input_layer import FEWEST_ROWS, GatheredStage, NonzeroStage, SplitImages
from eailab.engines.numpy_mlp.layers import Linear


def sparse(shape: tuple[int, ...], chance: np.random.Generator, share: float = 0.15) -> np.ndarray:
    """Images of which about this share is not 0."""
    return (chance.integers(1, 256, shape) * (chance.random(shape) < share)).astype(np.uint8)


def linear(inputs: int, outputs: int, chance: np.random.Generator) -> Linear:
    weight, bias = chance.normal(size=(inputs, outputs)), chance.normal(size=outputs)
    return Linear(weight, bias, np.full_like(weight, np.nan), np.full_like(bias, np.nan))


def source_of(pixels: np.ndarray) -> SplitImages:
    return SplitImages(pixels, np.array([33.0], np.float32), np.array([78.0], np.float32), np.float64)


def unlisted(source: SplitImages) -> SplitImages:
    source.is_sparse = False
    return source


@settings(max_examples=40, deadline=None)
@given(
    side=st.integers(3, 40),
    outputs=st.sampled_from([1, 15, 16, 64, 83, 209]),
    rows=st.one_of(st.integers(FEWEST_ROWS, 40), st.sampled_from([256, 257, 600])),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_and_gradients_are_those_of_the_whole_matrices(side, outputs, rows, seed):
    """For every way that a row divides into vectors, and rows and columns into blocks."""
    chance = np.random.default_rng(seed)
    pixels = sparse((50, side, side, 1), chance)
    source, layer = source_of(pixels), linear(side * side, outputs, chance)
    stage = source.stage(layer, rows)
    assert isinstance(stage, NonzeroStage)
    chosen = chance.integers(0, 50, rows)
    stage.take(chosen)
    stage.forward()
    inputs = (pixels.reshape(50, -1)[chosen] - 33.0) / 78.0
    assert_allclose(stage.output.value, np.einsum("bi,io->bo", inputs, layer.weight) + layer.bias, atol=1e-10)
    stage.output.gradient[...] = chance.normal(size=(rows, outputs))
    stage.backward()
    assert_allclose(layer.weight_gradient, np.einsum("bi,bo->io", inputs, stage.output.gradient), atol=1e-10)
    assert_allclose(layer.bias_gradient, stage.output.gradient.sum(axis=0), atol=1e-12)


def test_rectified_units_are_those_of_the_whole_matrices():
    chance = np.random.default_rng(0)
    pixels = sparse((30, 9, 9, 1), chance)
    layer = replace(linear(81, 20, chance), rectified=True)
    stage, whole = (source.stage(layer, 30) for source in (source_of(pixels), unlisted(source_of(pixels))))
    slopes = chance.normal(size=(30, 20))
    written = []
    for one in (stage, whole):
        one.take(np.arange(30))
        one.forward()
        one.output.gradient[...] = slopes
        one.backward()
        written.append(
            [one.output.value, one.output.gradient, layer.bias_gradient.copy(), layer.weight_gradient.copy()]
        )
    assert isinstance(stage, NonzeroStage)
    assert isinstance(whole, GatheredStage)
    assert 0.2 < np.mean(stage.output.value == 0.0) < 0.8
    for ours, theirs in zip(*written, strict=True):
        assert_allclose(ours, theirs, atol=1e-10)


def test_pixels_that_have_changed_are_read_again():
    """Deformed images are other images each epoch, with more nonzeros or fewer."""
    chance = np.random.default_rng(0)
    pixels = sparse((20, 9, 9, 1), chance, 0.1)
    source, layer = source_of(pixels), linear(81, 5, chance)
    stage = source.stage(layer, 20)
    for share in (0.25, 0.05):
        pixels[...] = sparse(pixels.shape, chance, share)
        source.changed()
        stage.take(np.arange(20))
        stage.forward()
        expected = (pixels.reshape(20, -1) - 33.0) / 78.0 @ layer.weight + layer.bias
        assert_allclose(stage.output.value, expected, atol=1e-10)


def test_where_nothing_is_gained_the_batch_is_written_out():
    chance = np.random.default_rng(0)
    few, many = sparse((40, 6, 6, 1), chance), sparse((40, 6, 6, 1), chance, 0.9)
    coloured = SplitImages(sparse((40, 6, 6, 3), chance), np.ones(3, np.float32), np.ones(3, np.float32), np.float64)
    assert isinstance(source_of(few).stage(linear(36, 4, chance), FEWEST_ROWS - 1), GatheredStage)
    assert isinstance(source_of(many).stage(linear(36, 4, chance), FEWEST_ROWS), GatheredStage)
    assert isinstance(coloured.stage(linear(108, 4, chance), FEWEST_ROWS), GatheredStage)


@pytest.mark.parametrize("augment", ["none", {"name": "deform", "shift": 0.5, "nodes": 2}], ids=["plain", "deformed"])
def test_a_training_is_the_same_with_nonzeros_as_with_whole_batches(augment, recipe, trial_data, monkeypatch):
    """In 64 bits, up to rounding, over batches that are large enough and a last one that is not."""
    chance = np.random.default_rng(1)
    data = trial_data(60)
    for images in (data.train, data.validation, data.test):
        images.pixels[...] *= chance.random(images.pixels.shape) < 0.2
    asked = recipe(batch_size=22, data={"name": "made", "augment": augment}, epochs=12)
    listed = MlpEngine(asked, data, 0, np.float64)
    monkeypatch.setattr("eailab.engines.numpy_mlp.input_layer.MOST_NONZEROS", 0.0)
    whole = MlpEngine(asked, data, 0, np.float64)
    assert listed.source.is_sparse
    assert not whole.source.is_sparse
    for number in range(1, 13):
        ours, theirs = (engine.train_epoch(number, lambda _: None) for engine in (listed, whole))
        assert ours["train_loss"] == pytest.approx(theirs["train_loss"], abs=1e-10)
    for name, weights in whole.weights().items():
        assert_allclose(listed.weights()[name], weights, atol=1e-9)
    assert_array_equal(listed.evaluate("test").predictions, whole.evaluate("test").predictions)
