import io
import json
from dataclasses import replace

import numpy as np
import pytest

from eailab.data.dataset import Images, fingerprint
from eailab.data.split import lab_split
from eailab.data.split_file import differences, split_files
from eailab.errors import DataError
from eailab.recipe.parts import MlpData

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
    expected = ["split.npz holds other indices than split.json vouches for"]
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
        ("[]", "holds no mapping"),
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
