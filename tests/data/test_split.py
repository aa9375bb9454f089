import io
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eailab.data import split
from eailab.data.dataset import Images, fingerprint
from eailab.data.registry import load
from eailab.data.split import block_split, differences, lab_split, split_files, trial_data
from eailab.errors import DataError
from eailab.recipe.parts import MlpData

# ruff: noqa: NPY002 - the lab report draws from numpy's global generator, which is the reference here


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


SETTINGS = MlpData(name="animals", val_fraction=0.25)


@pytest.fixture
def written(dataset, tmp_path):
    """A folder with the split of `dataset`."""
    for name, content in split_files(dataset, SETTINGS).contents().items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_the_files_hold_the_split_and_describe_it(dataset, written):
    summary = json.loads((written / "split.json").read_text(encoding="utf-8"))
    with np.load(written / "split.npz") as arrays:
        expected = lab_split(100, 0.25, 23)
        np.testing.assert_array_equal(arrays["train"], expected.train)
        np.testing.assert_array_equal(arrays["validation"], expected.validation)
        in_train = int((dataset.train.labels[arrays["train"]] == 2).sum())
    assert summary["sizes"] == {"train": 75, "validation": 25, "test": 20}
    assert summary["class_counts"]["train"]["cow"] == in_train
    assert summary["class_counts"]["validation"]["cow"] == 20 - in_train
    assert summary["class_counts"]["test"] == {"ant": 4, "bee": 4, "cow": 4, "dog": 4, "elk": 4}
    assert (summary["split_seed"], summary["val_fraction"], summary["schema_version"]) == (23, 0.25, 1)
    assert summary["data_fingerprint"] == dataset.fingerprint


def test_the_same_split_gives_the_same_bytes(dataset):
    """No time and no path is in them, so that they can be compared and committed."""
    assert split_files(dataset, SETTINGS).contents() == split_files(dataset, SETTINGS).contents()


def test_a_written_split_fits_its_data(dataset, written):
    assert differences(split_files(dataset, SETTINGS), written) == []


def test_other_pixels_are_another_data_set(dataset, written):
    pixels = dataset.test.pixels.copy()
    pixels[3, 0, 0, 0] ^= 1
    test = Images(pixels, dataset.test.labels)
    other = replace(dataset, test=test, fingerprint=fingerprint(dataset.train, test, dataset.classes))
    found = differences(split_files(other, SETTINGS), written)
    assert len(found) == 1
    assert found[0].startswith(
        f'data_fingerprint: "{dataset.fingerprint}" in split.json, "{other.fingerprint}" by data'
    )


@pytest.mark.parametrize(
    ("settings", "says"), [({"split_seed": 7}, "split_seed: 23 in"), ({"val_fraction": 0.5}, "val_fraction: 0.25 in")]
)
def test_other_settings_are_named(dataset, written, settings, says):
    found = differences(split_files(dataset, MlpData(name="animals", **{"val_fraction": 0.25, **settings})), written)
    assert found[0].startswith(says)
    assert any(difference.startswith("indices_sha256: ") for difference in found)


def test_other_indices_are_found(dataset, written):
    """Two indices that change places make another training order, and so another experiment."""
    with np.load(written / "split.npz") as arrays:
        train, validation = arrays["train"], arrays["validation"]
    train[[0, 1]] = train[[1, 0]]
    buffer = io.BytesIO()
    np.savez(buffer, train=train, validation=validation)
    (written / "split.npz").write_bytes(buffer.getvalue())
    expected = ["split.npz has other indices than the checksum in split.json says"]
    assert differences(split_files(dataset, SETTINGS), written) == expected


@pytest.mark.parametrize("name", ["split.json", "split.npz"])
@pytest.mark.parametrize("keep", [0, 10, 100])
def test_a_torn_file_is_found_and_named(dataset, written, name, keep):
    (written / name).write_bytes((written / name).read_bytes()[:keep])
    found = differences(split_files(dataset, SETTINGS), written)
    assert len(found) == 1
    assert found[0].startswith(f"{name} is damaged")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "does not contain a mapping"),
        ('{"schema_version": 2}', "schema_version 2, this eailab writes 1"),
        ("\ud800", "damaged"),
    ],
)
def test_other_json_is_no_split(dataset, written, text, says):
    (written / "split.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    (difference,) = differences(split_files(dataset, SETTINGS), written)
    assert says in difference


def test_a_missing_file_says_how_to_write_it(dataset, tmp_path):
    with pytest.raises(DataError, match=r"split\.json is missing.*eailab split"):
        differences(split_files(dataset, SETTINGS), tmp_path)


def test_a_split_of_each_block_is_no_file(dataset):
    with pytest.raises(DataError, match="a new split for each block"):
        split_files(dataset, MlpData(name="animals", split="per-block"))


def test_mean_and_deviation_are_numpys_in_float64():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 7, 5, 3)).astype(np.uint8)
    mean, std = split.channel_stats(pixels)
    np.testing.assert_array_equal(mean, pixels.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32))
    np.testing.assert_array_equal(std, pixels.std(axis=(0, 1, 2), dtype=np.float64).astype(np.float32))


def test_the_sums_are_exact():
    """Against rational arithmetic: only the last steps round, so no machine and no order of sums can differ."""
    pixels = np.random.default_rng(1).integers(0, 256, (9, 3, 3, 1)).astype(np.uint8)
    values = [int(value) for value in pixels.ravel()]
    mean = Fraction(sum(values), len(values))
    variance = Fraction(sum(value**2 for value in values), len(values)) - mean**2
    found_mean, found_std = split.channel_stats(pixels)
    assert found_mean[0] == np.float32(float(mean))
    assert found_std[0] == np.float32(np.sqrt(float(variance)))


@pytest.mark.parametrize("at_once", [1, 100, 10**9])
def test_how_many_are_summed_at_once_changes_no_bit(monkeypatch, at_once):
    pixels = np.random.default_rng(2).integers(0, 256, (64, 6, 5, 3)).astype(np.uint8)
    expected = split.channel_stats(pixels)
    monkeypatch.setattr(split, "AT_ONCE", at_once)
    np.testing.assert_array_equal(split.channel_stats(pixels), expected)


def test_an_even_channel_divides_by_no_zero():
    mean, std = split.channel_stats(np.full((3, 2, 2, 1), 255, np.uint8))
    assert mean.tolist() == [255.0]
    assert std.tolist() == [np.float32(1e-6)]
    assert (mean.dtype, std.dtype) == (np.float32, np.float32)
