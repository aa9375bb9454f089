"""How often the verdicts of `eailab ablate` are wrong, and how often they see what is there.

Simulated studies in which the truth is known, over blocks, arms, correlation within blocks, spread and shape of the
errors. Studies of real trials, in which nothing but chance separates the arms, are those of `aa.py`.

Run:    python benchmarks/calibration.py --quick
        python benchmarks/calibration.py --json benchmarks/results/calibration.json

Each simulated cell draws its studies as arrays; the first few are also given to `eailab.stats.model.compare`, which
must return the same intervals, so that what is calibrated is what is shipped.
"""

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import special

from eailab.stats import p_values
from eailab.stats.model import compare
from eailab.stats.power import Judged, judge

Array = NDArray[np.float64]
Spread = Literal["equal", "one arm 5x", "baseline 5x"]
Errors = Literal["normal", "skewed"]

BLOCKS, ARMS, CORRELATIONS = (2, 3, 5, 10), (2, 3, 4, 5, 6), (0.0, 0.3, 0.8)
SPREADS: tuple[Spread, ...] = ("equal", "one arm 5x", "baseline 5x")
ERRORS: tuple[Errors, ...] = ("normal", "skewed")
EFFECT = 2.0
"""True difference of one arm where power is measured, in SDs of a trial."""
MARGINS = (0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)
"""At which SAME is put to the test, in half-widths of the 90% interval."""
CHECKED = 2
"""Studies of a cell that are also given to `compare`."""


@dataclass(frozen=True)
class Design:
    """One cell of the grid."""

    blocks: int
    arms: int
    correlation: float
    spread: Spread
    errors: Errors


def draw(design: Design, studies: int, rng: np.random.Generator) -> Array:
    """`[R, B, A]`: block effects and errors with a total variance of 1 (25 for the wide arm's errors in proportion)."""
    shape = (studies, design.blocks, design.arms)
    errors = rng.standard_normal(shape) if design.errors == "normal" else rng.standard_exponential(shape) - 1.0
    sd = np.ones(design.arms)
    if design.spread != "equal":
        sd[0 if design.spread == "baseline 5x" else -1] = 5.0
    block = rng.standard_normal((studies, design.blocks, 1))
    return math.sqrt(design.correlation) * block + math.sqrt(1.0 - design.correlation) * sd * errors


def paired_t_holm(y: Array) -> NDArray[np.bool_]:
    """`[R, k]`, which arms differ by paired t with Holm's correction at 5%, the textbook's way."""
    _, blocks, arms = y.shape
    paired = y[:, :, 1:] - y[:, :, :1]
    t = paired.mean(axis=1) / (paired.std(axis=1, ddof=1) / math.sqrt(blocks))
    p = 2.0 * special.stdtr(blocks - 1, -np.abs(t))
    order = np.argsort(p, axis=1)
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, 1) * np.arange(arms - 1, 0, -1), axis=1)
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, stepped, 1)
    called: NDArray[np.bool_] = adjusted < 0.05
    return called


def without_guard(y: Array) -> NDArray[np.bool_]:
    """`[R, k]`, which arms differ by Dunnett's intervals with the error always pooled."""
    _, blocks, arms = y.shape
    df = (arms - 1) * (blocks - 1)
    residuals = y - y.mean(axis=1, keepdims=True) - y.mean(axis=2, keepdims=True) + y.mean(axis=(1, 2), keepdims=True)
    error = np.sqrt((residuals**2).sum(axis=(1, 2)) / df * 2.0 / blocks)[:, None]
    t = (y[:, :, 1:] - y[:, :, :1]).mean(axis=1) / error
    called: NDArray[np.bool_] = np.abs(t) > p_values.critical_value(0.95, arms - 1, df)
    return called


def check(y: Array, judged: Judged) -> None:
    """Hold the first studies to what the library says of them."""
    for study in range(CHECKED):
        found = compare(y[study], 0, 0.0)
        results = found.arms[1:]
        middle, half95, half90 = judged.difference[study], judged.half95[study], judged.half90[study]
        ends95 = np.array([result.interval95 for result in results], dtype=np.float64)
        ends90 = np.array([result.interval90 for result in results], dtype=np.float64)
        np.testing.assert_equal(found.guard is not None, judged.guarded[study])
        np.testing.assert_allclose(ends95, np.c_[middle - half95, middle + half95], rtol=1e-9)
        np.testing.assert_allclose(ends90, np.c_[middle - half90, middle + half90], rtol=1e-9)


def calibrate(design: Design, studies: int, seed: int) -> dict[str, Any]:
    """Measure one cell."""
    rng = np.random.default_rng(seed)
    y = draw(design, studies, rng)
    null = judge(y)
    check(y, null)
    truth = np.zeros(design.arms)
    truth[1] = EFFECT
    seen = draw(design, studies, rng) + truth
    shifted = judge(seen)
    covered = np.abs(shifted.difference - truth[1:]) <= shifted.half95
    return asdict(design) | {
        "studies": studies,
        "false_alarms": float(null.alarm.any(axis=1).mean()),
        "simultaneous_coverage": float(covered.all(axis=1).mean()),
        "coverage_of_one": float(covered.mean()),
        "wrong_same": max(wrong_same(null, margin) for margin in MARGINS),
        "guarded": float(null.guarded.mean()),
        "power": float(shifted.alarm[:, 0].mean()),
        "power_paired_t_holm": float(paired_t_holm(seen)[:, 0].mean()),
        "power_without_guard": float(without_guard(seen)[:, 0].mean()),
        "false_alarms_paired_t_holm": float(paired_t_holm(y).any(axis=1).mean()),
        "false_alarms_without_guard": float(without_guard(y).any(axis=1).mean()),
    }


def wrong_same(null: Judged, margin: float) -> float:
    """Return the share of studies that call an arm SAME when every arm is off by just the margin.

    Args:
        null: Studies without any difference; adding one moves their intervals and nothing else.
        margin: In median half-widths of the 90% interval: below 1 hardly any interval fits within it, and far above 1
            an interval that is narrow enough to do so excludes zero, so that the worst lies between.
    """
    margin *= float(np.median(null.half90))
    difference = null.difference + margin
    excludes_zero = np.abs(difference) > null.half95
    return float((~excludes_zero & (np.abs(difference) + null.half90 <= margin)).any(axis=1).mean())


def grid(quick: bool) -> Iterator[Design]:
    """Every cell, or those of a quick look."""
    blocks, arms, correlations = ((2, 3, 5), (2, 4), (0.3,)) if quick else (BLOCKS, ARMS, CORRELATIONS)
    for cell in product(blocks, arms, correlations, SPREADS, ERRORS):
        yield Design(*cell)


def criteria(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """The claims that are made, each with the worst cell's number."""
    holds = [cell for cell in cells if cell["spread"] == "equal" and cell["errors"] == "normal"]
    wide = [cell for cell in cells if cell["spread"] != "equal" and cell["errors"] == "normal"]
    alarms = [cell["false_alarms"] for cell in holds]
    coverage = [cell["simultaneous_coverage"] for cell in holds]
    error = math.sqrt(0.05 * 0.95 / holds[0]["studies"])
    return {
        "model holds: false alarms": {"claim": "0.04 to 0.06", "found": [min(alarms), max(alarms)]},
        "model holds: simultaneous coverage": {"claim": "0.94 to 0.96", "found": [min(coverage), max(coverage)]},
        "normal, one arm or baseline 5x: false alarms": {
            "claim": "at most 0.08",
            "found": max(cell["false_alarms"] for cell in wide),
        },
        "model holds: wrong SAME": {
            "claim": "at most 0.05",
            "found": max(cell["wrong_same"] for cell in holds),
            "standard_error_of_a_cell": error,
            "cells": len(holds),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small grid of few studies: half a minute at most")
    parser.add_argument("--studies", type=int, help="simulated studies a cell (default 50000; quick 4000)")
    parser.add_argument("--json", type=Path, help="write all cells to this file")
    given = parser.parse_args()
    studies = given.studies or (4000 if given.quick else 50_000)

    started = time.perf_counter()
    cells = [calibrate(design, studies, seed) for seed, design in enumerate(grid(given.quick))]
    seconds = time.perf_counter() - started
    print("blocks arms corr spread       errors   alarms cover  same guard  power (paired t + Holm, unguarded)")
    for cell in cells:
        print(
            f"{cell['blocks']:6d} {cell['arms']:4d} {cell['correlation']:4.1f} {cell['spread']:12s} {cell['errors']:7s}"
            f"  {cell['false_alarms']:.3f}  {cell['simultaneous_coverage']:.3f} {cell['wrong_same']:.3f} "
            f"{cell['guarded']:.2f}   {cell['power']:.2f}  ({cell['power_paired_t_holm']:.2f}, "
            f"{cell['power_without_guard']:.2f})"
        )
    claims = criteria(cells)
    for name, claim in claims.items():
        print(f"{name}: {claim['claim']}; found {claim['found']}")
    if given.json is not None:
        record = {
            "command": ["python", *sys.argv],
            "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
            "seconds": round(seconds, 1),
            "claims": claims,
        }
        lines = ",\n".join("  " + json.dumps(cell) for cell in cells)
        text = json.dumps(record, indent=1).removesuffix("\n}")
        given.json.write_text(f'{text},\n "cells": [\n{lines}\n ]\n}}\n')


if __name__ == "__main__":
    main()
