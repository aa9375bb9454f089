"""The interval for new images, against an analysis of variance by least squares and against studies of known truth."""

import numpy as np
import pytest

from eailab.stats.model import compare
from eailab.stats.new_images import for_new_images, variance_of_images


def by_least_squares(gains):
    """The variance of images over their number, from three nested fits: grand mean, with blocks, with images too."""
    blocks, images = gains.shape
    mean = np.ones((blocks * images, 1))
    of_block = np.repeat(np.eye(blocks), images, axis=0)
    of_image = np.tile(np.eye(images), (blocks, 1))
    y = gains.ravel()

    def left(*columns):
        x = np.hstack([mean, *columns])
        return float(((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum())

    whole = left(of_block, of_image)
    of_images = (left(of_block) - whole) / (images - 1)
    error = whole / ((blocks - 1) * (images - 1))
    return (of_images - error) / blocks / images


@pytest.mark.parametrize("blocks", [2, 3, 7])
def test_what_images_add_is_the_variance_component_of_an_analysis_of_variance(blocks):
    chance = np.random.default_rng(blocks)
    gains = chance.normal(size=(blocks, 1)) + 2.0 * chance.normal(size=15) + chance.normal(size=(blocks, 15))
    assert variance_of_images(gains) == pytest.approx(by_least_squares(gains), rel=1e-9)


def test_images_that_show_no_effect_of_their_own_add_nothing():
    """The component may be estimated below zero; an interval is never narrower than that of the seeds."""
    gains = np.tile([[1.0, -1.0], [-1.0, 1.0]], (1, 10))
    assert variance_of_images(gains) == 0.0
    result = compare(np.array([[90.0, 91.0], [90.0, 92.0], [91.0, 92.0]]), 0, 0.5).arms[1]
    found = for_new_images(gains, result, 1)
    assert found.interval == pytest.approx(result.interval, rel=1e-12)
    assert found.df == result.df


def test_an_arm_without_an_interval_has_none_for_new_images():
    single = compare(np.array([[90.0, 91.0]]), 0, 0.5).arms[1]
    equal = compare(np.array([[90.0, 91.0], [91.0, 92.0]]), 0, 0.5).arms[1]
    assert for_new_images(np.ones((1, 4)), single, 1) is None
    assert for_new_images(np.ones((2, 4)), equal, 1) is None


def test_the_interval_covers_the_difference_over_all_images_where_that_of_the_seeds_does_not():
    """Ten blocks, 60 images that differ by 8 points, 400 studies: the seeds alone cover in a quarter of them."""
    chance = np.random.default_rng(5)
    seeds = both = 0
    for _ in range(400):
        gains = 1.0 + 8.0 * chance.normal(size=60) + chance.normal(size=(10, 60)) + 0.3 * chance.normal(size=(10, 1))
        baseline = 90.0 + 0.01 * chance.normal(size=10)
        result = compare(np.column_stack([baseline, baseline + gains.mean(axis=1)]), 0, 0.5, outlooks=False).arms[1]
        found = for_new_images(gains, result, 1)
        seeds += result.interval[0] <= 1.0 <= result.interval[1]
        both += found.interval[0] <= 1.0 <= found.interval[1]
    assert seeds / 400 < 0.6
    assert 0.91 < both / 400 < 0.98
