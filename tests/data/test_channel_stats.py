from fractions import Fraction

import numpy as np
import pytest

from eailab.data import channel_stats


def test_mean_and_deviation_are_numpys_in_float64():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 7, 5, 3)).astype(np.uint8)
    mean, std = channel_stats.channel_stats(pixels)
    np.testing.assert_array_equal(mean, pixels.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32))
    np.testing.assert_array_equal(std, pixels.std(axis=(0, 1, 2), dtype=np.float64).astype(np.float32))


def test_the_sums_are_exact():
    """Against rational arithmetic: only the last steps round, so no machine and no order of sums can differ."""
    pixels = np.random.default_rng(1).integers(0, 256, (9, 3, 3, 1)).astype(np.uint8)
    values = [int(value) for value in pixels.ravel()]
    mean = Fraction(sum(values), len(values))
    variance = Fraction(sum(value**2 for value in values), len(values)) - mean**2
    found_mean, found_std = channel_stats.channel_stats(pixels)
    assert found_mean[0] == np.float32(float(mean))
    assert found_std[0] == np.float32(np.sqrt(float(variance)))


@pytest.mark.parametrize("at_once", [1, 100, 10**9])
def test_how_many_are_summed_at_once_changes_no_bit(monkeypatch, at_once):
    pixels = np.random.default_rng(2).integers(0, 256, (64, 6, 5, 3)).astype(np.uint8)
    expected = channel_stats.channel_stats(pixels)
    monkeypatch.setattr(channel_stats, "AT_ONCE", at_once)
    np.testing.assert_array_equal(channel_stats.channel_stats(pixels), expected)


def test_an_even_channel_divides_by_no_zero():
    mean, std = channel_stats.channel_stats(np.full((3, 2, 2, 1), 255, np.uint8))
    assert mean.tolist() == [255.0]
    assert std.tolist() == [np.float32(1e-6)]
    assert (mean.dtype, std.dtype) == (np.float32, np.float32)
