import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import platformdirs
import pytest
from PIL import Image

from eailab.data import fetch, published, registry
from eailab.data.dataset import fingerprint
from eailab.data.registry import check
from eailab.errors import DataError


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    """A user's data set of eight images."""
    x, y = np.arange(8 * 6, dtype=np.uint8).reshape(8, 2, 3), np.arange(8) % 2
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return tmp_path / "mine.npz"


@pytest.fixture
def no_network(monkeypatch):
    """Makes every download fail as it does without a network."""

    def fail(*_, **__):
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr(fetch, "urlopen", fail)


@pytest.mark.parametrize("name", ["digits", "digits32"])
def test_what_is_embedded_is_as_the_table_says(name, tmp_path):
    dataset, source = registry.load(name, tmp_path), registry.SOURCES[name]
    assert (len(dataset.train), len(dataset.test)) == (source.train, source.test)
    assert dataset.train.pixels.shape[1:] == source.shape
    assert len(dataset.classes) == source.classes
    assert dataset.fingerprint == fingerprint(dataset.train, dataset.test, dataset.classes)
    assert dataset.name == name


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_what_is_downloaded_is_as_the_table_says(name, real_data):
    source = registry.SOURCES[name]
    if source.missing(real_data):
        pytest.skip(f"the real data here are without {name}")
    dataset = registry.load(name, real_data, download=False)
    assert (len(dataset.train), len(dataset.test)) == (source.train, source.test)
    assert dataset.train.pixels.shape[1:] == source.shape
    assert len(dataset.classes) == source.classes


def test_reading_needs_no_torch(real_data):
    """Whoever has the files, or only downloads them, waits for no import of torch."""
    program = (
        "import sys; from pathlib import Path; from eailab.data.registry import load; "
        f"print(len(load('mnist', Path({str(real_data)!r})).train), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "60000 False\n", done.stderr


def test_paths_name_a_users_own_data(npz, tmp_path):
    dataset = registry.load(str(npz))
    assert (dataset.name, len(dataset.train)) == ("mine", 8)
    for part in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            (tmp_path / "animals" / part / name).mkdir(parents=True)
            Image.new("L", (2, 2), number).save(tmp_path / "animals" / part / name / "0.png")
    dataset = registry.load(str(tmp_path / "animals"))
    assert (dataset.name, dataset.classes) == ("animals", ("cat", "dog"))


def test_a_data_set_is_read_once_and_again_when_its_file_changes(npz):
    """A worker trains many trials on the same images."""
    first = registry.load(str(npz))
    assert registry.load(str(npz)) is first
    with np.load(npz) as arrays:
        content = dict(arrays)
    np.savez(npz, **{**content, "x_train": content["x_train"] + 1})
    os.utime(npz, ns=(1, 1))
    assert registry.load(str(npz)).fingerprint != first.fingerprint


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("minst", r"no data set 'minst'\. Did you mean mnist\?"),
        ("cifar-10", r"Did you mean cifar10\?"),
        ("xyzzy", r"no data set 'xyzzy'\. Known are digits, digits32, mnist"),
        ("there/is/none.npz", r"at /.*none\.npz \(there/is/none\.npz, from the folder that you are in\): correct"),
        ("/there/is/none.npz", r"no data set at /there/is/none\.npz: correct the path"),
        ("./none", "no data set at .*none .*: correct the path"),
        ("x" * 300, "cannot be read: .*File name too long"),
        ("~nobody-of-this-name/x", "cannot be read: .*home"),
        (__file__, r"test_registry\.py is not a data set: give a folder"),
    ],
)
def test_an_unknown_name_is_answered_with_what_is_near(name, says):
    with pytest.raises(DataError, match=says):
        registry.load(name)


def test_the_data_folder_is_the_option_then_the_variable_then_the_platforms(monkeypatch, tmp_path):
    monkeypatch.setenv("EAILAB_DATA", str(tmp_path / "variable"))
    assert registry.data_dir(tmp_path / "option") == tmp_path / "option"
    assert registry.data_dir() == tmp_path / "variable"
    monkeypatch.setenv("EAILAB_DATA", "")
    assert registry.data_dir() == platformdirs.user_data_path("eailab")


def test_without_a_network_the_error_names_folder_files_and_the_embedded_data(no_network, tmp_path):
    with pytest.raises(DataError) as caught:
        registry.load("mnist", tmp_path)
    message = str(caught.value)
    for part in (str(tmp_path), "MNIST/raw/t10k-labels-idx1-ubyte", "not known", "--data-dir"):
        assert part in message


def test_nothing_is_downloaded_where_it_was_not_wanted(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "fetch", lambda *_: pytest.fail("a download was tried"))
    with pytest.raises(DataError, match="nothing was to be downloaded"):
        registry.load("cifar10", tmp_path, download=False)
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_missing_is_named(no_network, tiny_mnist):
    (tiny_mnist / "MNIST" / "raw" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r": MNIST/raw/\S+ missing, and") as caught:
        registry.load("mnist", tiny_mnist)
    assert "train-labels-idx1-ubyte missing" in str(caught.value)


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"missing, and that folder cannot be made \("):
        registry.load("mnist", tmp_path / "file" / "data")


@pytest.fixture
def folder(tiny_mnist, monkeypatch):
    """A data folder whose four small files the table takes for MNIST's."""
    source = dataclasses.replace(registry.SOURCES["mnist"], files=published.MNIST_FILES)
    monkeypatch.setitem(registry.SOURCES, "mnist", source)
    return tiny_mnist


def test_published_files_are_in_order(folder):
    result = check("mnist", folder)
    assert [file.state for file in result.files] == ["ok"] * 4
    assert result.files[2].path.name == "t10k-images-idx3-ubyte.gz"
    assert result.dataset is not None
    assert len(result.dataset.train) == 12


def test_each_missing_and_damaged_file_is_found(folder):
    """All are looked at, so that one call tells everything."""
    raw = folder / "MNIST" / "raw"
    (raw / "train-images-idx3-ubyte").write_bytes(b"torn")
    (raw / "t10k-labels-idx1-ubyte").unlink()
    result = check("mnist", folder)
    assert [file.state for file in result.files] == ["damaged", "ok", "ok", "missing"]
    assert "its checksum is sha256:" in result.files[0].detail
    assert result.dataset is None


def test_embedded_data_are_read(tmp_path):
    result = check("digits", tmp_path)
    assert result.files == ()
    assert result.dataset is not None


def test_an_unknown_name_is_an_error(tmp_path):
    with pytest.raises(DataError, match="Did you mean digits"):
        check("digit", tmp_path)
