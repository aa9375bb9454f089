"""Programs in the styles that people have are run as they are, and what they give is read to the last digit."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eailab.engines.program import process
from eailab.engines.program.spec import try_once
from eailab.errors import DivergedError, TrialFailedError
from eailab.recipe.of_command import recipe_of_command

PROGRAMS = Path(__file__).parents[2] / "programs"
DIGITS = Path(__file__).parents[3] / "eailab" / "data" / "digits.npz"


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path, monkeypatch):
    """Where the code of a program is looked for, and where it would leave files by mistake."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def python(name: str) -> str:
    return f"{sys.executable} -S {PROGRAMS / name}"


def tried(command: str, metric: str, seed: int = 3, lr: str = "1e-4", **given):
    """Return the value, the way and the curve that one run of a program gives."""
    recipe = recipe_of_command(command, {"metric": metric, **given}, {"lr": lr}, [])
    reading = try_once(recipe, seed, Path("runs")).reading
    (value,) = reading.values.values()
    (curve,) = reading.curves.values()
    return value, reading.way, curve


def gauss(seed: int, sd: float) -> float:
    return random.Random(seed).gauss(0, sd)  # noqa: S311


@pytest.mark.parametrize(
    ("command", "metric", "given", "way", "value", "steps"),
    [
        (
            "hydra_style.py optimizer.lr={lr} seed={seed} hydra.run.dir={out}",
            "val/loss",
            {},
            "stdout",
            0.5 + gauss(3, 0.01),
            1,
        ),
        ("progress_line.py {lr} {seed}", "acc", {}, "stderr", round(0.92 + gauss(3, 0.01), 5), 1),
        (
            "csv_logger.py {lr} {seed} {out}",
            "val_acc",
            {"metrics_file": "{out}/metrics.csv"},
            "file",
            0.92 + gauss(3, 0.01),
            3,
        ),
        ("json_lines.py {lr} {seed} {out}", "val_acc", {}, "log", 0.92 + gauss(3, 0.01), 4),
    ],
)
def test_each_style_is_read_in_its_way(command, metric, given, way, value, steps):
    found, by, curve = tried(python(command), metric, **given)
    assert (by, len(curve)) == (way, steps)
    assert found == pytest.approx(value, abs=1e-15)


def test_flags_and_a_line_an_epoch():
    value, way, curve = tried(f"{python('argparse_style.py')} --lr {{lr}} --seed {{seed}}", "val_acc")
    assert way == "stdout"
    assert [step for step, _ in curve] == [1, 2, 3]
    assert value == pytest.approx(0.94, abs=0.1)


def test_a_notebook_takes_its_seed_from_a_variable():
    value, way, _ = tried(f"LR={{lr}} {python('notebook_style.py')}", "test_accuracy", unit="share", seed_env=True)
    random.seed(3)
    assert (way, value) == ("stdout", pytest.approx((92 + random.gauss(0, 1)) / 100, abs=1e-6))


def test_a_loss_that_is_not_finite_has_diverged():
    command = f"{python('prints_nan.py')} {{lr}} {{seed}}"
    assert tried(command, "loss")[0] == 0.53
    with pytest.raises(DivergedError, match="nan"):
        tried(command, "loss", lr="0.5")


def test_a_shell_script_is_a_program():
    value, *_ = tried(f"sh {PROGRAMS / 'shell_style.sh'} {{lr}} {{seed}}", "val_acc")
    assert value == float(f"0.92{(3 * 7919 + 104729) % 100:02d}")


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_compiled_program_is_a_program(tmp_path):
    subprocess.run(["cc", "-o", tmp_path / "train", PROGRAMS / "c_style.c"], check=True)
    value, _, curve = tried("./train {lr} {seed}", "val_bpb")
    assert len(curve) == 3
    assert value == pytest.approx(1 / 3 + (3 * 2654435761 % 2**32 % 1000) / 1e5, abs=1e-5)


def test_a_program_that_fails_says_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)  # its children may stay as zombies
    with pytest.raises(TrialFailedError, match="an illegal memory access was encountered"):
        tried(f"{python('forks_children.py')} {tmp_path / 'children'} {{lr}} {{seed}}", "val_acc")


def test_scikit_learn_on_digits_gives_what_it_keeps_itself(tmp_path):
    pytest.importorskip("sklearn")
    command = f"{sys.executable} {PROGRAMS / 'digits_sklearn.py'} --lr {{lr}} --seed {{seed}}"
    value, way, _ = tried(command, "val_acc", lr="0.003")
    assert (way, value) == ("stdout", json.loads((tmp_path / "score.json").read_text()))
    assert value > 0.3


def test_torch_on_digits_gives_what_it_keeps_itself(tmp_path):
    """Through `eailab.log`, epoch by epoch."""
    command = f"{sys.executable} {PROGRAMS / 'digits_torch.py'} --digits {DIGITS} --lr {{lr}} --seed {{seed}}"
    value, way, curve = tried(command, "val_acc", lr="0.3")
    assert way == "log"
    assert [list(point) for point in curve] == json.loads((tmp_path / "history.json").read_text())
    assert len(curve) == 3
    assert value == curve[-1][1] > 0.7
