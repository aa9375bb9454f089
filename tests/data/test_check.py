import dataclasses

import pytest

from eailab.data import mnist, registry
from eailab.data.registry import check
from eailab.errors import DataError


@pytest.fixture
def folder(tiny_mnist, monkeypatch):
    """A data folder whose four small files the table takes for MNIST's."""
    source = dataclasses.replace(registry.SOURCES["mnist"], files=mnist.MNIST_FILES)
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
