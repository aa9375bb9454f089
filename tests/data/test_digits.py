from pathlib import Path

import numpy as np

from eailab.data import digits
from eailab.data.dataset import fingerprint

NOWHERE = Path("/no/data/folder/is/needed")


def test_the_digits_are_the_1797_images_of_scikit_learn():
    """Their class counts and their sum of pixels are those of `sklearn.datasets.load_digits()`, 1.9."""
    train, test, classes = digits.read(NOWHERE)
    labels = np.concatenate([train.labels, test.labels])
    assert (len(train), len(test)) == (1437, 360)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert int(train.pixels.sum()) + int(test.pixels.sum()) == 561_718
    assert train.pixels.max() == test.pixels.max() == 16
    assert classes == tuple("0123456789")


def test_the_first_digit_is_the_zero_that_scikit_learn_documents():
    """Row by row from its documentation of `load_digits`; it happens to be a training image."""
    zero = digits.read(NOWHERE).train.pixels[0, ..., 0]
    assert zero[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert zero[7].tolist() == [0, 0, 6, 13, 10, 0, 0, 0]


def test_the_test_images_have_each_class_in_its_share():
    """Stratified by largest remainder: no class is off its exact share by a whole image."""
    train, test, _ = digits.read(NOWHERE)
    in_test, in_all = np.bincount(test.labels), np.bincount(np.concatenate([train.labels, test.labels]))
    assert np.all(np.abs(in_test - in_all * 360 / 1797) < 1)


def test_the_embedded_digits_never_change():
    """Trials are named by their data: another file here would orphan every result."""
    assert fingerprint(*digits.read(NOWHERE)) == "1c68e6871aabd324be354a777aeabe2619c6b543eafc7dad6f7150cfc5686e6b"


def test_digits32_are_the_digits_enlarged_to_full_scale_rgb():
    """Ink is 255 and paper 0, so that padding and cutout, which fill with 0, mean paper."""
    small, large = digits.read(NOWHERE).test, digits.read_rgb32(NOWHERE).test
    expected = np.kron(small.pixels[7, :, :, 0].astype(int) * 255 // 16, np.ones((4, 4), int))
    assert large.pixels.shape == (360, 32, 32, 3)
    assert large.pixels.max() == 255
    for channel in range(3):
        np.testing.assert_array_equal(large.pixels[7, :, :, channel], expected)
    np.testing.assert_array_equal(large.labels, small.labels)
