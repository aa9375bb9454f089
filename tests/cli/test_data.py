import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eailab.data.registry import SOURCES


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path):
    """Whoever runs the tests may have set folders of their own."""
    monkeypatch.delenv("EAILAB_RUNS", raising=False)
    monkeypatch.setenv("EAILAB_DATA", str(tmp_path / "data"))


def test_the_list_has_every_data_set_and_where_it_is(eailab, tmp_path):
    done = eailab("data", "list")
    rows = {line.split()[0]: line for line in done.out.splitlines() if line}
    assert done.code == 0
    assert set(SOURCES) <= set(rows)
    assert rows["digits"].split()[:6] == ["digits", "1437", "360", "8x8x1", "10", "embedded"]
    assert "60000  10000  28x28x1       10  to download" in rows["mnist"]
    assert str(tmp_path / "data") in done.out


def test_the_list_as_json_says_what_is_here(eailab, real_data):
    done = eailab("data", "list", "--json", "--data-dir", str(real_data))
    printed = json.loads(done.out)
    assert printed["data_dir"] == str(real_data)
    here = {entry["name"]: entry["here"] for entry in printed["data"]}
    assert here["digits"] is here["mnist"] is True


def test_the_list_as_json_says_what_is_missing(eailab):
    here = {entry["name"]: entry["here"] for entry in json.loads(eailab("data", "list", "--json").out)["data"]}
    assert here == {"digits": True, "digits32": True, "mnist": False, "fashion-mnist": False, "cifar10": False}


def test_embedded_data_and_a_users_own_are_checked_by_reading_them(eailab):
    done = eailab("data", "check", "digits")
    assert done.code == 0
    assert done.out.startswith("digits: 1437 training and 360 test images of 8x8x1, 10 classes, fingerprint 1c68e687")
    x, y = np.zeros((4, 2, 2), np.uint8), np.arange(4) % 2
    np.savez("mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    done = eailab("data", "check", "mine.npz", "--json")
    assert (done.code, json.loads(done.out)["files"]) == (0, [])
    assert len(json.loads(done.out)["fingerprint"]) == 64


def test_missing_files_fail_the_check_and_nothing_is_downloaded(eailab, tmp_path):
    done = eailab("data", "check", "cifar10")
    assert done.code == 1
    assert done.out.count("missing ") == 6
    assert "6 of the 6 files of cifar10 are missing or damaged" in done.err
    assert not (tmp_path / "data").exists()


def test_a_changed_byte_fails_the_check_and_its_file_is_named(eailab, real_data, tmp_path):
    """On a copy of the real MNIST, with one bit of the test labels changed."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    shutil.copytree(real_data / "MNIST" / "raw", raw, copy_function=shutil.copyfile)
    assert eailab("data", "check", "mnist").code == 0
    labels = raw / "t10k-labels-idx1-ubyte"
    blob = bytearray(labels.read_bytes())
    blob[5000] ^= 1
    labels.write_bytes(blob)
    done = eailab("data", "check", "mnist")
    assert done.code == 1
    assert [line.split()[0] for line in done.out.splitlines()] == ["ok", "ok", "ok", "damaged"]
    assert str(labels) in done.err


def test_an_unknown_name_is_a_usage_error(eailab):
    done = eailab("data", "check", "cifar-10")
    assert (done.code, done.out) == (2, "")
    assert "Did you mean cifar10?" in done.err


@pytest.mark.parametrize("module", ["data", "networks"])
def test_the_commands_modules_are_light(module):
    """`--help` imports every command's module, and is to answer at once."""
    program = f"import sys, eailab.cli.{module}; print([m for m in ('numpy', 'torch', 'pydantic') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.draws
def test_a_recipes_images_are_drawn_and_its_splits_counted(eailab):
    deform = ("-o", "data.augment.name=deform")
    done = eailab("data", "show", "digits-mlp", *deform, "--images", "8", "--out", "sheet.png")
    assert done.code == 0
    assert done.out.splitlines()[-1] == "sheet.png"
    assert ["all", "1149", "288", "360"] in [line.split() for line in done.out.splitlines()]
    assert "augmentation: deform (rotation 12.0" in done.out
    with Image.open("sheet.png") as drawn:
        first = np.asarray(drawn.convert("L"))
    assert first.shape[1] == 1200
    assert first.min() < 20

    other = json.loads(eailab("data", "show", "digits-mlp", *deform, "--images", "8", "--block", "1", "--json").out)
    assert other["sizes"] == {"train": 1149, "validation": 288, "test": 360}
    assert sum(other["class_counts"]["train"].values()) == 1149
    assert Path(other["file"]).read_bytes() != Path("sheet.png").read_bytes()


def test_a_program_has_no_images_to_show(eailab, tmp_path):
    recipe = "name: mine\nengine: program\nrun: python train.py --seed {seed}\nmetric: loss\n"
    (tmp_path / "mine.yaml").write_text(recipe)
    (tmp_path / "train.py").write_text("print('loss=1')\n")
    done = eailab("data", "show", "mine.yaml")
    assert (done.code, done.out) == (2, "")
    assert "mine.yaml has no images to show" in done.err
    done = eailab("data", "show", "digits-mlp", "--out", "sheet.pdf")
    assert done.code == 2
    assert "its name ends in .png" in done.err
