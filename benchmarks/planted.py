"""How often the verdicts on real trainings are wrong whose truth is known: studies drawn from a pool of trials.

The pool has digits-mlp with Adam at six learning rates, SGD at six and Adam at three more batch sizes, in blocks that
share nothing but the split. The truth of each arm is its mean over all blocks of the pool. From it come the studies of
five questions, of 3, 5 and 10 blocks drawn without replacement and judged by `eailab.stats.model.compare`, by
validation accuracy and by validation loss. Counted is in how many studies an interval misses the truth of its arm, a
verdict has the wrong sign, and SAME is said of an arm whose truth is beyond the margin. Arms of which a trial of the
pool collapsed have no part in it: few blocks see none of these, and no rule knows of what it has not seen.

Run:    nice python benchmarks/planted.py --quick
        nice python benchmarks/planted.py --runs runs --json benchmarks/results/planted.json

Trials are kept in the folder `--runs`: a second run trains none.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.data.registry import load as load_data
from eailab.data.split import split_of
from eailab.metrics import CLASSIFICATION
from eailab.recipe.load import load as load_recipe
from eailab.recipe.override import vary_together
from eailab.runs.atomic import write_text
from eailab.runs.context import RunContext
from eailab.runs.records import collect
from eailab.runs.store import Store
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial
from eailab.stats.collapse import Chance, collapsed
from eailab.stats.model import compare
from eailab.stats.verdict import Verdict

Values = NDArray[np.float64]

RECIPE = "digits-mlp"
SIZES = (8, 16, 64)
"""Of the batch; 32 is the recipe's, which Adam at 1e-3 has."""
METRICS = {
    metric.name: metric for metric in CLASSIFICATION if metric.name in ("validation-accuracy", "validation-loss")
}
BLOCKS = (3, 5, 10)
STUDIES = 1000
MOST_MISSED, MOST_WRONG = 0.08, 0.01
"""Bars: studies in which an interval misses, and in which a verdict has the wrong sign."""

Arm = tuple[str, float, int]
"""Optimizer, learning rate and batch size."""


@dataclass(frozen=True)
class Grid:
    """One question: the arms that it compares, the baseline first."""

    name: str
    arms: tuple[Arm, ...]


def _adam(*rates: float) -> tuple[Arm, ...]:
    return tuple(("adam", rate, 32) for rate in rates)


GRIDS = (
    Grid("batch size", (("adam", 1e-3, 32), *(("adam", 1e-3, size) for size in SIZES))),
    Grid("lr", _adam(1e-3, 1e-4, 3e-4, 3e-3, 1e-2, 3e-2)),
    Grid("three lr", _adam(1e-3, 3e-3, 1e-2)),
    Grid("sgd", tuple(("sgd", rate, 32) for rate in (1e-1, 1e-3, 3e-3, 1e-2, 3e-2, 3e-1))),
    Grid("optimizer", (("adam", 1e-2, 32), ("sgd", 1e-1, 32))),
)


def pool(store: Store, blocks: int) -> dict[Arm, dict[str, Values]]:
    """Train what is missing, and return each arm's metrics by block, in the unit shown; NaN where it diverged."""
    recipe = load_recipe(RECIPE).recipe
    data = load_data(recipe.data.name).fingerprint
    arms = dict.fromkeys([arm for grid in GRIDS for arm in grid.arms])
    found: dict[Arm, dict[str, Values]] = {}
    for arm in arms:
        optimizer, rate, size = arm
        changes: dict[str, Any] = {"optimizer.name": optimizer, "optimizer.lr": rate}
        own = vary_together(recipe, changes | ({} if size == 32 else {"batch_size": size})).recipe
        rows = []
        for block in range(blocks):
            trial = Trial(own, block, data)
            if store.folder(trial.fingerprint).record() is None:
                run_trial(trial, RunContext(store.root))
            result = store.folder(trial.fingerprint).result(thorough=False)
            values = {} if result is None else result.values
            rows.append([np.nan if (one := metric.value(values)) is None else one for metric in METRICS.values()])
        found[arm] = dict(zip(METRICS, np.array(rows).T, strict=True))
    return found


def chance() -> Chance:
    """Return what a network has that has learnt nothing, in percent."""
    data, recipe = load_data("digits"), load_recipe(RECIPE).recipe
    share = float(np.bincount(data.train.labels).max() / len(data.train))
    level = Chance.of_share(share, len(split_of(len(data.train), recipe.data, 0).validation))
    return Chance(100.0 * level.level, 100.0 * level.error)


def judged(values: Values, metric: str, blocks: int, studies: int, seed: int) -> dict[str, Any]:
    """Draw studies of a number of blocks from `[B, A]`, the baseline first, and count what is wrong."""
    rng, measure = np.random.default_rng(seed), METRICS[metric]
    margin = load_recipe(RECIPE).recipe.study.margin * measure.margin_scale
    truth = values.mean(axis=0)[1:] - values[:, 0].mean()
    better = truth > 0.0 if measure.higher_is_better else truth < 0.0
    missed = wrong = same = decided = 0
    for _ in range(studies):
        rows = rng.choice(len(values), blocks, replace=False)
        arms = compare(values[rows], 0, margin, measure.higher_is_better, outlooks=False).arms[1:]
        verdicts = [arm.verdict for arm in arms]
        missed += any(
            arm.interval95 is not None and not arm.interval95[0] <= true <= arm.interval95[1]
            for arm, true in zip(arms, truth, strict=True)
        )
        wrong += any(
            verdict is (Verdict.WORSE if is_better else Verdict.BETTER)
            for verdict, is_better in zip(verdicts, better, strict=True)
        )
        same += any(one is Verdict.SAME and abs(true) > margin for one, true in zip(verdicts, truth, strict=True))
        decided += sum(verdict is not Verdict.UNDECIDED for verdict in verdicts)
    return {
        "metric": metric,
        "blocks": blocks,
        "arms": values.shape[1],
        "studies": studies,
        "missed": missed / studies,
        "error": math.sqrt(missed / studies * (1.0 - missed / studies) / studies),
        "wrong_sign": wrong / studies,
        "wrong_same": same / studies,
        "decided": decided / studies / (values.shape[1] - 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="12 blocks and 200 studies of each kind")
    parser.add_argument("--blocks", type=int, default=160, help="blocks of the pool (default 160: 2,400 trials)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of trials (default runs)")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    given = parser.parse_args()
    blocks, studies = (12, 200) if given.quick else (given.blocks, STUDIES)
    started = time.perf_counter()
    found = pool(Store(given.runs), blocks)
    cells, left_out = [], {}
    level = chance()
    for grid in GRIDS:
        accuracy = np.column_stack([found[arm]["validation-accuracy"] for arm in grid.arms])
        failed = (collapsed(accuracy, level) | ~np.isfinite(accuracy)).any(axis=0)
        kept = [arm for arm, out in zip(grid.arms, failed, strict=True) if not out]
        left_out[grid.name] = [list(arm) for arm, out in zip(grid.arms, failed, strict=True) if out]
        for metric in METRICS:
            values = np.column_stack([found[arm][metric] for arm in kept])
            for number in BLOCKS:
                cell = {"grid": grid.name} | judged(values, metric, number, studies, len(cells))
                cells.append(cell)
                print("  ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                                for name, value in cell.items()), flush=True)  # fmt: skip
    claims = {
        "an interval misses in at most 8% of studies": max(cell["missed"] - 2.0 * cell["error"] for cell in cells)
        <= MOST_MISSED,
        "a wrong sign in at most 1%": max(cell["wrong_sign"] for cell in cells) <= MOST_WRONG,
    }
    print(claims, left_out)
    if given.json is not None:
        record = {
            "command": " ".join(["python", *sys.argv]),
            "where": collect("cpu", 1, ("numpy", "scipy", "numba")),
            "seconds": round(time.perf_counter() - started, 1),
            "pool": {"blocks": blocks, "trials": blocks * len(found)},
            "claims": claims,
            "left_out": left_out,
            "cells": cells,
            "values": {
                " ".join(map(str, arm)): {metric: np.round(values, 6).tolist() for metric, values in own.items()}
                for arm, own in found.items()
            },
        }
        write_text(given.json, json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
