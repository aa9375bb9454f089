# ruff: noqa: NPY002 - the lab report draws from numpy's global generator, which is the reference here
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eailab.data.registry import load
from eailab.data.split import block_split, lab_split, trial_data
from eailab.errors import DataError
from eailab.recipe.parts import MlpData


def by_the_lab_report(n: int, val_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide as the lab report's own lines do, through numpy's global generator."""
    before = np.random.get_state()
    np.random.seed(seed)
    order = np.random.permutation(n)
    np.random.set_state(before)
    cut = int(n * (1 - val_fraction))
    return order[:cut], order[cut:]


@given(n=st.integers(2, 500), val_fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_the_split_is_the_lab_reports_index_for_index(n, val_fraction, seed):
    train, validation = by_the_lab_report(n, val_fraction, seed)
    if len(train) in (0, n):
        with pytest.raises(DataError, match="leaves at least one image in both"):
            lab_split(n, val_fraction, seed)
        return
    split = lab_split(n, val_fraction, seed)
    np.testing.assert_array_equal(split.train, train)
    np.testing.assert_array_equal(split.validation, validation)
    assert split.train.dtype == split.validation.dtype == np.int64


def test_sixty_thousand_images_are_cut_at_54000():
    split = lab_split(60000, 0.1, 23)
    train, validation = by_the_lab_report(60000, 0.1, 23)
    assert (len(split.train), len(split.validation)) == (54000, 6000)
    np.testing.assert_array_equal(split.train, train)
    np.testing.assert_array_equal(split.validation, validation)


def test_splitting_leaves_the_global_generator_alone():
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    lab_split(100, 0.1, 23)
    np.testing.assert_array_equal(np.random.random(3), expected)


@given(block=st.integers(0, 1000))
def test_a_block_has_every_image_in_one_part(block):
    split = block_split(50, 0.2, block)
    assert sorted([*split.train, *split.validation]) == list(range(50))
    assert len(split.validation) == 10


def test_blocks_have_splits_of_their_own_when_the_recipe_asks(dataset):
    settings = MlpData(name="animals", split="per-block")
    first, again, second = (trial_data(dataset, settings, block) for block in (0, 0, 1))
    np.testing.assert_array_equal(first.train.pixels, again.train.pixels)
    assert not np.array_equal(first.train.pixels, second.train.pixels)


def test_a_fixed_split_is_the_same_in_all_blocks(dataset):
    settings = MlpData(name="animals")
    first, second = (trial_data(dataset, settings, block) for block in (0, 1))
    np.testing.assert_array_equal(first.train.pixels, second.train.pixels)
    np.testing.assert_array_equal(first.validation.labels, second.validation.labels)


def test_trial_data_are_the_images_of_the_split(dataset):
    """Images and labels stay together, in the split's order; the scale is the training split's."""
    data = trial_data(dataset, MlpData(name="animals", val_fraction=0.3, split_seed=4), block=0)
    train, validation = by_the_lab_report(100, 0.3, 4)
    np.testing.assert_array_equal(data.train.pixels, dataset.train.pixels[train])
    np.testing.assert_array_equal(data.train.labels, dataset.train.labels[train])
    np.testing.assert_array_equal(data.validation.pixels, dataset.train.pixels[validation])
    assert data.test is dataset.test
    np.testing.assert_allclose(data.mean, data.train.pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(data.std, data.train.pixels.std(axis=(0, 1, 2)), rtol=1e-6)
    assert data.mean.shape == data.std.shape == (2,)


def test_a_limit_takes_the_first_of_the_training_split_only(dataset):
    whole = trial_data(dataset, MlpData(name="animals"), block=0)
    limited = trial_data(dataset, MlpData(name="animals", limit=7), block=0)
    np.testing.assert_array_equal(limited.train.pixels, whole.train.pixels[:7])
    np.testing.assert_array_equal(limited.validation.pixels, whole.validation.pixels)
    np.testing.assert_allclose(limited.mean, limited.train.pixels.mean(axis=(0, 1, 2)), rtol=1e-6)


def test_a_limit_above_the_training_split_is_refused(dataset):
    """Silently training on fewer images than asked would be another experiment."""
    assert len(trial_data(dataset, MlpData(name="animals", limit=90), block=0).train) == 90
    with pytest.raises(DataError, match=r"data\.limit is 91, but the training split of animals has 90"):
        trial_data(dataset, MlpData(name="animals", limit=91), block=0)


def test_an_empty_split_is_refused(dataset):
    with pytest.raises(DataError, match=r"data\.val_fraction 0\.999 divides 100 training images into 0 that train"):
        trial_data(dataset, MlpData(name="animals", val_fraction=0.999), block=0)


def test_the_real_mnist_is_divided_as_in_the_lab_report(real_data: Path):
    """54,000 train, 6,000 validate, 10,000 test, image for image."""
    dataset = load("mnist", real_data, download=False)
    data = trial_data(dataset, MlpData(name="mnist"), block=0)
    train, validation = by_the_lab_report(60000, 0.1, 23)
    assert (len(data.train), len(data.validation), len(data.test)) == (54000, 6000, 10000)
    np.testing.assert_array_equal(data.train.labels, dataset.train.labels[train])
    np.testing.assert_array_equal(data.validation.pixels, dataset.train.pixels[validation])
