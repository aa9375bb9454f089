import json
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path):
    """Whoever runs the tests may have set folders of their own."""
    monkeypatch.delenv("EAILAB_RUNS", raising=False)
    monkeypatch.setenv("EAILAB_DATA", str(tmp_path / "data"))


DIGITS = ("split", "--recipe", "digits-mlp")


def test_a_split_is_printed_and_written(eailab):
    done = eailab(*DIGITS)
    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert lines[0].split() == ["class", "train", "validation", "test"]
    assert lines[2].split() == ["0", "116", "26", "36"]
    assert lines[12].split() == ["all", "1149", "288", "360"]
    assert lines[13] == "one flattened image: x (1, 64), its one-hot class: y (1, 10)"
    assert [Path(line) for line in lines[14:]] == [
        Path("runs/splits/digits-23") / f"split.{e}" for e in ("json", "npz")
    ]
    with np.load(lines[15]) as arrays:
        assert sorted([*arrays["train"], *arrays["validation"]]) == list(range(1437))


def test_the_lab_reports_split_of_mnist(eailab, real_data):
    """54,000 / 6,000 / 10,000, index for index, and the two shapes that the lab prints."""
    done = eailab("split", "--data-dir", str(real_data))
    assert done.code == 0
    assert ["all", "54000", "6000", "10000"] in [line.split() for line in done.out.splitlines()]
    assert "x (1, 784), its one-hot class: y (1, 10)\n" in done.out
    np.random.seed(23)  # noqa: NPY002 - the lab report's own line
    order = np.random.permutation(60000)  # noqa: NPY002
    with np.load("runs/splits/mnist-23/split.npz") as arrays:
        np.testing.assert_array_equal(arrays["train"], order[: int(60000 * (1 - 0.1))])
        np.testing.assert_array_equal(arrays["validation"], order[int(60000 * (1 - 0.1)) :])


def test_json_says_what_the_file_says_and_where_it_is(eailab):
    done = eailab(*DIGITS, "--out", "here", "--json")
    printed = json.loads(done.out)
    assert done.code == 0
    assert printed.pop("x_shape") == [1, 64]
    assert printed.pop("y_shape") == [1, 10]
    assert [Path(path) for path in printed.pop("files")] == [Path("here/split.json"), Path("here/split.npz")]
    assert printed == json.loads(Path("here/split.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("written", [(), ("runs/splits/digits-23",), ("runs/splits/digits-23/split.json",)])
def test_a_written_split_is_checked(eailab, written):
    eailab(*DIGITS)
    done = eailab(*DIGITS, "--check", *written)
    assert (done.code, done.err) == (0, "")
    assert "fits the data digits" in done.out


def test_a_split_that_does_not_fit_is_a_failed_check(eailab):
    eailab(*DIGITS)
    done = eailab(*DIGITS, "-o", "data.split_seed=7", "--check", "runs/splits/digits-23", "--json")
    assert done.code == 1
    assert "split_seed: 23 in split.json, 7 by data and recipe" in done.err
    assert json.loads(done.out)["fits"] is False


def test_another_split_is_not_overwritten(eailab):
    eailab(*DIGITS)
    before = Path("runs/splits/digits-23/split.json").read_bytes()
    done = eailab(*DIGITS, "-o", "data.val_fraction=0.5")
    assert done.code == 2
    assert "contains another split, which is not overwritten" in done.err
    assert Path("runs/splits/digits-23/split.json").read_bytes() == before
    assert eailab(*DIGITS).code == 0  # the same one is simply written again


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("here",), "add --check"),
        (("--check", "--out", "here"), "--out is a folder to write to"),
        (("--check",), "Write the split with `eailab split`"),
        (("-o", "data.name=digitz"), "Did you mean digits"),
        (("-o", "data.split=per-block"), "a new split for each block"),
    ],
)
def test_a_wrong_word_is_answered_and_nothing_written(eailab, arguments, says):
    done = eailab(*DIGITS, *arguments)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert list(Path().iterdir()) == []
