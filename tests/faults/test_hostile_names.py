"""Names of recipes, classes, files and folders that a terminal would obey: each command shows them."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from eailab.plain import CONTROLS

NAME = "run [/b] [red]x :snake: \u202eevil\u202c <b>"
"""Markup of rich, an emoji's code, a direction of writing, HTML."""
CLASSES = ("\x1b[31mred", "two\nlines", "[b]")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with images of hostile classes, and a recipe of a hostile name for them."""
    here = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    for part, images in (("train", 8), ("test", 2)):
        for name in CLASSES:
            folder = here / "data" / part / name
            folder.mkdir(parents=True)
            for number in range(images):
                Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).save(folder / f"{number}\x1b]0;owned\x07.png")
    (here / "r.yaml").write_text(
        f'name: "{NAME}"\nengine: numpy-mlp\ndata: {{name: {here}/data, val_fraction: 0.3}}\nmodel: {{hidden: [4]}}\n'
        "optimizer: {name: adam}\nepochs: 1\nbatch_size: 4\n",
        encoding="utf-8",
    )
    return here


def test_no_command_lets_a_terminal_obey_a_name(eailab, place, tmp_path, forked):
    """Also the messages about what is wrong with such a name."""
    recipe = place / "r.yaml"

    def run(*words, code=0):
        done = eailab(*words)
        assert done.code == code, done.err
        found = CONTROLS.search((done.out + done.err).replace("\n", ""))
        assert found is None, (words, done.out, done.err)
        return done.out + done.err

    assert "�[31mred" in run("split", "--recipe", recipe)
    assert "two lines" in run("split", "--recipe", recipe, "--out", "again")
    assert "[/b] [red]x :snake:" in run("recipes", "check", recipe)
    run("recipes", "show", recipe)
    run("data", "check", place / "data")
    run("noise", recipe, "--seeds", "2", "--jobs", "1")
    study = ("ablate", "lr", "1e-3", "1e-2", "--recipe", recipe, "--jobs", "1")
    run(*study, "--seeds", "2")
    assert "[/b] [red]x :snake:" in run(*study, "--seeds", "3", "-n")
    assert "run [/b] [red]x" in run("runs", "list")
    trials = sorted(folder.name for folder in (tmp_path / "runs" / "trials").iterdir())
    run("runs", "show", trials[0])
    run("runs", "list", "--json")
    run("runs", "verify")
    run("diff", trials[0], trials[1], "--all")
    image = next((place / "data" / "test" / CLASSES[0]).iterdir())
    assert "�]0;owned�.png" in run("predict", trials[0], image)
    run("export", trials[0], "--to", "safetensors")
    run("report", "--format", "html", "--format", "markdown", "--format", "csv", "--format", "json")
    run("verify", "report/report.html")
    run("runs", "rm", trials[0], "--yes")
    for words in (
        ("predict", trials[1], place / "\x1b[31mno.png"),
        ("\x1b[31mablate",),
        ("ablate", "lr", "1", "--\x1b[31mx"),
        ("ablate", "\x1b[31m", "1", "2"),
        ("ablate", "optimizer", "\x1b[31m", "2", "--recipe", "digits-mlp"),
        ("recipes", "check", "\x1b[31m.yaml"),
        ("runs", "show", "\x1b[31m"),
        ("ablate", "lr", "1", "2", "--device", "\x1b[31m"),
        ("ablate", "--study", "\u202e"),
        ("report", "\x1b[31m"),
        ("split", "--recipe", "digits-mlp", "-o", "data.name=\udcb2"),
    ):
        run(*words, code=2)


@pytest.mark.skipif(sys.platform != "linux", reason="names here are bytes on Linux alone")
def test_classes_that_are_not_utf8_are_refused_by_name(eailab, place, tmp_path):
    """In tables "??" and "??" could not be told apart; such folders come from zip files made on a Chinese Windows."""
    for part in ("train", "test"):
        for name in ("貓".encode("big5"), "狗".encode("big5")):
            (tmp_path / "big5" / part / os.fsdecode(name)).mkdir(parents=True)
    done = eailab("split", "--recipe", "digits-mlp", "-o", "data.name=big5")
    assert done.code == 2
    assert done.err.endswith(
        "train/\\xaa\\xaf is a class whose name is not UTF-8: rename the folder, such as to class-1.\n"
    )


def test_a_file_whose_name_is_not_utf8_is_predicted_and_named(eailab, place, tmp_path):
    image = next((place / "data" / "test" / CLASSES[0]).iterdir())
    name = os.fsdecode(b"\xb2.png")
    (tmp_path / name).write_bytes(image.read_bytes())
    eailab("train-mlp", "--recipe", place / "r.yaml")
    (trial,) = (tmp_path / "runs" / "trials").iterdir()
    assert eailab("predict", trial.name, name).out.startswith("\\xb2.png: ")


def test_two_classes_that_look_the_same_are_refused(eailab, tmp_path):
    """`é` may be one letter or two, and a table shows both alike."""
    for name in ("caf\u00e9", "cafe\u0301"):
        (tmp_path / "cafes" / "train" / name).mkdir(parents=True)
    done = eailab("split", "--recipe", "digits-mlp", "-o", "data.name=cafes")
    assert done.code == 2
    assert "two classes that look the same, 'cafe\\u0301' and 'caf\\xe9': rename one" in done.err
