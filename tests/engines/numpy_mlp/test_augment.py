"""Deformed images: each movement by itself against scipy or by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from eailab.data.registry import load
from eailab.data.split import trial_data
from eailab.engines.numpy_mlp import augment
from eailab.engines.numpy_mlp.augment import deform
from eailab.engines.numpy_mlp.engine import MlpEngine
from eailab.recipe.parts import Deform
from eailab.recipe.validate import recipe_from

STILL = {"rotation": 0.0, "scale": 0.0, "shear": 0.0, "shift": 0.0, "elastic": 0.0}


def images(count: int = 5, height: int = 12, width: int = 9, channels: int = 2) -> np.ndarray:
    chance = np.random.default_rng(2)
    smooth = ndimage.gaussian_filter(chance.random((count, height, width, channels)), (0, 1.5, 1.5, 0))
    return (255 * smooth / smooth.max()).astype(np.uint8)


def deformed(pixels: np.ndarray, seed: int = 0, **changes: float) -> np.ndarray:
    out = np.full_like(pixels, 77)
    deform(pixels, Deform(**(STILL | changes)), np.random.default_rng(seed), out)
    return out


def test_nothing_asked_changes_nothing():
    pixels = images()
    assert_array_equal(deformed(pixels), pixels)


@pytest.mark.parametrize("what", ["rotation", "scale", "shear", "shift", "elastic"])
def test_each_setting_moves_every_image_in_its_own_way(what):
    pixels = np.repeat(images(1), 6, axis=0)
    moved = deformed(pixels, **{what: 10.0 if what == "rotation" else 0.3 if what in ("scale", "shear") else 1.5})
    assert len({image.tobytes() for image in (*moved, pixels[0])}) == 7


def test_the_same_draws_give_the_same_images_and_others_others():
    pixels = images()
    assert_array_equal(deformed(pixels, 3, shift=1.5, elastic=1.0), deformed(pixels, 3, shift=1.5, elastic=1.0))
    assert (deformed(pixels, 3, shift=1.5) != deformed(pixels, 4, shift=1.5)).any()


def test_sampling_equals_scipy_for_an_affine_map_and_an_elastic_field():
    """An independent reference for the kernel: `map_coordinates` of the first order, 0 outside."""
    pixels = images(1, 11, 11, 1)
    chance = np.random.default_rng(8)
    maps = (np.eye(2) + 0.2 * chance.normal(size=(1, 2, 2))).astype(np.float32)
    shifts = chance.normal(size=(1, 2)).astype(np.float32)
    nodes = 3
    field = chance.normal(size=(1, nodes, nodes, 2)).astype(np.float32)
    out = np.empty_like(pixels)
    augment.resample(pixels, maps, shifts, field, out)

    centre = np.full((2, 1, 1), 5.0)
    places = np.mgrid[0:11, 0:11].astype(np.float64)
    fine = [ndimage.map_coordinates(field[0, :, :, axis], places * 0.2, order=1) for axis in range(2)]
    source = np.einsum("ab,bij->aij", maps[0], places - centre) + centre + shifts[0][:, None, None] + np.stack(fine)
    # scipy's "constant" has no half-covered border pixels, so the image gets a border of zeros first
    padded = np.pad(pixels[0, :, :, 0].astype(np.float64), 1)
    expected = ndimage.map_coordinates(padded, source + 1.0, order=1, mode="constant")
    assert_allclose(out[0, :, :, 0], expected, atol=0.51)
    assert (out != pixels).mean() > 0.5


def test_a_quarter_turn_is_a_quarter_turn():
    pixels = images(1, 9, 9, 1)
    quarter = np.array([[[0.0, -1.0], [1.0, 0.0]]], np.float32)
    out = np.empty_like(pixels)
    augment.resample(pixels, quarter, np.zeros((1, 2), np.float32), np.zeros((1, 2, 2, 2), np.float32), out)
    assert_array_equal(out[0], np.rot90(pixels[0], k=-1))


def test_rotations_keep_areas_and_stay_within_their_bound():
    settings = Deform(**(STILL | {"rotation": 30.0}))
    maps = augment._affine_maps(2000, settings, np.random.default_rng(0)).astype(np.float64)
    assert_allclose(np.linalg.det(maps), 1.0, atol=1e-5)
    angles = np.rad2deg(np.arctan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert 29.0 < np.abs(angles).max() <= 30.0001
    assert abs(angles.mean()) < 2.0


def test_images_leave_the_frame_as_zeros():
    pixels = np.full((1, 5, 5, 1), 200, np.uint8)
    out = np.empty_like(pixels)
    shift = np.array([[0.0, 2.0]], np.float32)
    augment.resample(pixels, np.eye(2, dtype=np.float32)[None], shift, np.zeros((1, 2, 2, 2), np.float32), out)
    assert (out[0, :, :3, 0] == 200).all()
    assert (out[0, :, 3:, 0] == 0).all()


def test_the_images_of_a_sheet_are_those_that_are_trained_on():
    varied = {"name": "digits", "limit": 300, "augment": {"name": "deform"}}
    settings = {"name": "t", "engine": "numpy-mlp", "batch_size": 100, "epochs": 1, "optimizer": {"name": "sgd"}}
    recipe = recipe_from(settings | {"data": varied, "model": {"name": "mlp", "hidden": [4]}})
    data = trial_data(load("digits"), recipe.data, 3)
    found = augment.augmented(recipe.data.augment, data.train.pixels, 3, 20)
    engine = MlpEngine(recipe, data, 3)
    engine.train_epoch(1, lambda step: None)
    assert_array_equal(found.pixels, engine.deformed[found.numbers])
    assert (found.pixels != data.train.pixels[found.numbers]).any()
