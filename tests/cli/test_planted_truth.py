"""Programs whose value is known from factor, seed and noise: what is reported is what `stats` says of it."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from eailab.stats.model import compare

PROGRAM = Path(__file__).parents[1] / "programs" / "argparse_style.py"
BLOCKS = range(11, 17)
LEVELS = (1e-3, 1e-4, 2e-3)


def value(lr: float, seed: int, effect: float, noise: float) -> float:
    """What the program prints last, computed by hand."""
    of_seed = random.Random(seed).gauss(0, 0.03)  # noqa: S311
    of_trial = random.Random(f"{seed} {lr} 0.0").gauss(0, noise)  # noqa: S311
    return round(0.9 + of_seed + of_trial + effect * (lr < 1e-3), 6)


@pytest.mark.parametrize(
    ("effect", "noise", "verdict"), [(0.02, 0.002, "BETTER"), (0.0, 0.002, "SAME"), (0.0, 0.05, "UNDECIDED")]
)
def test_differences_intervals_and_verdicts_are_those_of_the_planted_values(eailab, effect, noise, verdict):
    command = f"{sys.executable} -S {PROGRAM} --lr {{lr}} --seed {{seed}} --epochs 1 --effect {effect} --noise {noise}"
    seeds = ",".join(map(str, BLOCKS))
    done = eailab(
        *("ablate", "lr", *map(str, LEVELS), "--run", command, "--metric", "val_acc", "--unit", "share"),
        *("--seeds", seeds, "--margin", "1", "--no-audit", "--json"),
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    values = 100 * np.array([[value(lr, seed, effect, noise) for lr in LEVELS] for seed in BLOCKS])
    expected = compare(values, 0, 1.0, higher_is_better=True)
    assert [arm["label"] for arm in found["arms"]] == ["0.001", "0.0001", "0.002"]
    for arm, truth in zip(found["arms"][1:], expected.arms[1:], strict=True):
        assert arm["difference"] == pytest.approx(truth.difference, abs=1e-9)
        assert arm["interval95"] == pytest.approx(truth.interval95, abs=1e-9)
        assert arm["verdict"] == truth.verdict.value
    assert found["arms"][1]["verdict"] == verdict
