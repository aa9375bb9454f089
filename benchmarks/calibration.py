"""How often the verdicts of `eailab ablate` are wrong, and how often they see what is there.

Simulated studies in which the truth is known, over blocks, arms, spread and shape of the errors. Correlation within
blocks is left out: a block's effect cancels in every number that is judged. The worst cell with normal errors at each
number of blocks is simulated again with a new seed, four times as often, and that rate is the one to quote: the worst
of many rates is too high by its own choice. Studies of real trials, in which nothing but chance separates the arms,
are those of `aa.py`.

Besides the verdicts on arms it measures null tables of factorials, and what `looks.py`, `planning.py` and
`new_images.py` measure by themselves.

Run:    python benchmarks/calibration.py --quick            (the verdicts on arms alone, half a minute)
        python benchmarks/calibration.py --studies 3000     (five minutes: all cells, a quarter of the studies)
        python benchmarks/calibration.py --json benchmarks/results/calibration.json     (twenty minutes of one core)
        python benchmarks/calibration.py --only factorials --json benchmarks/results/calibration.json

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
from functools import lru_cache
from itertools import combinations, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy import special

from eailab.stats import p_values
from eailab.stats.contrasts import factorial
from eailab.stats.model import compare
from eailab.stats.power import JudgedStudies, judge

Array = NDArray[np.float64]
Wide = Literal["none", "arm", "baseline", "half of the arms"]
Errors = Literal["normal", "skewed", "288 images", "outlier 1 in 20", "collapse 1 in 20"]

BLOCKS, ARMS = (2, 3, 5, 10, 15), (2, 3, 4, 6)
WIDE: tuple[Wide, ...] = ("arm", "baseline", "half of the arms")
RATIOS = (1.5, 2.0, 2.5, 3.0, 5.0, 20.0, 100.0)
ERRORS: tuple[Errors, ...] = ("normal", "skewed", "288 images", "outlier 1 in 20", "collapse 1 in 20")
RATIOS_OF_OTHERS = (2.0, 5.0)
"""Where errors are not normal."""
BARS = {3: 0.075, 5: 0.065, 10: 0.060, 15: 0.060}
"""Most false alarms with normal errors at any spread, by number of blocks."""
LEAST_POWER = {3: 0.18, 5: 0.54, 10: 0.93}
"""To see 2 SD with four arms of equal spread, by number of blocks."""
EFFECT = 2.0
"""True difference of one arm where power is measured, in SDs of a trial."""
MARGINS = (0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)
"""At which SAME is put to the test, in half-widths of the 90% interval."""
USUAL = 12_000
"""Studies of a cell."""
CHECKED = 2
"""Studies of a cell that are also given to `compare`."""


@dataclass(frozen=True)
class Design:
    """One cell of the grid."""

    blocks: int
    arms: int
    wide: Wide
    ratio: float
    errors: Errors


def scales(design: Design) -> Array:
    """`[A]`, the SD of each arm's errors."""
    sd = np.ones(design.arms)
    if design.wide == "half of the arms":
        sd[-(design.arms // 2) :] = design.ratio
    elif design.wide != "none":
        sd[0 if design.wide == "baseline" else -1] = design.ratio
    return sd


def draw(design: Design, studies: int, rng: np.random.Generator) -> Array:
    """`[R, B, A]`: errors with mean 0 and SD 1, in the wide arms `ratio` times that."""
    shape = (studies, design.blocks, design.arms)
    sd = scales(design)
    if design.errors == "normal":
        return sd * rng.standard_normal(shape)
    if design.errors == "skewed":
        return sd * (rng.standard_exponential(shape) - 1.0)
    if design.errors == "288 images":  # counts of errors near 100%, whose spread is their mean's root
        return 2.0 * sd**2 - rng.poisson(2.0 * sd**2, shape)  # whole numbers for the ratios of RATIOS_OF_OTHERS
    depth, share = (10.0, 0.05) if design.errors == "outlier 1 in 20" else (80.0, 0.05)
    return sd * (rng.standard_normal(shape) - depth * ((rng.random(shape) < share) - share))


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


def check(y: Array, judged: JudgedStudies) -> None:
    """Hold the first studies to what the library says of them."""
    for study in range(CHECKED):
        found = compare(y[study], 0, 0.0)
        results = found.arms[1:]
        if any(result.interval95 is None for result in results):  # whole numbers of images, without any spread
            continue
        middle, half95, half90 = judged.difference[study], judged.half(0.95)[study], judged.half(0.90)[study]
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
    covered = np.abs(shifted.difference - truth[1:]) <= shifted.half(0.95)
    return asdict(design) | {
        "studies": studies,
        "false_alarms": float(null.alarm().any(axis=1).mean()),
        "simultaneous_coverage": float(covered.all(axis=1).mean()),
        "coverage_of_one": float(covered.mean()),
        "wrong_same": max(wrong_same(null, margin) for margin in MARGINS),
        "guarded": float(null.guarded.mean()),
        "power": float(shifted.alarm()[:, 0].mean()),
        "power_paired_t_holm": float(paired_t_holm(seen)[:, 0].mean()),
        "power_without_guard": float(without_guard(seen)[:, 0].mean()),
        "false_alarms_paired_t_holm": float(paired_t_holm(y).any(axis=1).mean()),
        "false_alarms_without_guard": float(without_guard(y).any(axis=1).mean()),
    }


def wrong_same(null: JudgedStudies, margin: float) -> float:
    """Return the share of studies that call an arm SAME when every arm is off by just the margin.

    Args:
        null: Studies without any difference; adding one moves their intervals and nothing else.
        margin: In median half-widths of the 90% interval: below 1 hardly any interval fits within it, and far above 1
            an interval that is narrow enough to do so excludes zero, so that the worst lies between.
    """
    margin *= float(np.median(null.half(0.90)))
    difference = null.difference + margin
    excludes_zero = np.abs(difference) > null.half(0.95)
    return float((~excludes_zero & (np.abs(difference) + null.half(0.90) <= margin)).any(axis=1).mean())


def grid(quick: bool) -> Iterator[Design]:
    """Every cell, or those of a quick look."""
    for blocks, arms, errors in product(BLOCKS, ARMS, ERRORS):
        if quick and (blocks not in (3, 5) or arms not in (3, 4) or errors not in ("normal", "skewed")):
            continue
        yield Design(blocks, arms, "none", 1.0, errors)
        ratios = RATIOS if errors == "normal" and not quick else RATIOS_OF_OTHERS
        for wide, ratio in product(WIDE, ratios):
            if arms > 3 or wide != "half of the arms":
                yield Design(blocks, arms, wide, ratio, errors)


def criteria(cells: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The claims that are made, each with the worst cell's number, and whether it holds within two standard errors."""
    claims = {}
    equal = [cell for cell in cells if cell["wide"] == "none" and cell["errors"] == "normal"]
    again = [repeated(cell, seed) for cell in equal if cell["arms"] > 2 and cell["blocks"] > 2]
    rates = [cell["false_alarms"] for cell in again]
    claims["equal spread, normal: false alarms"] = {
        "claim": "0.04 to 0.056",
        "found": [min(rates), max(rates)],
        "holds": min(rates) + 2 * error_of(again[0]) >= 0.04 and max(rates) - 2 * error_of(again[0]) <= 0.056,
    }
    for blocks, bar in BARS.items():
        normal = [cell for cell in cells if cell["blocks"] == blocks and cell["errors"] == "normal"]
        if not normal:
            continue
        worst = repeated(max(normal, key=lambda cell: float(cell["false_alarms"])), seed + blocks)
        claims[f"any spread, normal, {blocks} blocks: false alarms"] = {
            "claim": f"at most {bar}",
            "found": worst["false_alarms"],
            "holds": worst["false_alarms"] - 2 * error_of(worst) <= bar,
            "cell": {name: worst[name] for name in ("arms", "wide", "ratio", "studies")},
        }
    for blocks, least in LEAST_POWER.items():
        for cell in equal:
            if cell["blocks"] == blocks and cell["arms"] == 4:
                found = repeated(cell, seed + 100)["power"]
                claims[f"equal spread, 4 arms, {blocks} blocks: power to see 2 SD"] = {
                    "claim": f"at least {least}",
                    "found": found,
                    "holds": found + 0.003 >= least,
                }
    for cell in cells:
        if cell["blocks"] == 10 and cell["arms"] == 3 and cell["wide"] == "arm" and cell["errors"] == "normal":
            claims[f"3 arms, 10 blocks, the other arm {cell['ratio']:g}x: power to see 2 SD"] = {
                "claim": "at least 0.9",
                "found": cell["power"],
                "holds": cell["power"] >= 0.9,
            }
    for errors in ERRORS:
        others = [cell for cell in cells if cell["errors"] == errors and cell["blocks"] > 2]
        if errors != "normal" and others:
            worst = max(others, key=lambda cell: float(cell["false_alarms"]))
            claims[f"{errors}, any spread: false alarms"] = {
                "claim": None,
                "found": worst["false_alarms"],
                "cell": {name: worst[name] for name in ("blocks", "arms", "wide", "ratio")},
            }
    return claims


def repeated(cell: dict[str, Any], seed: int) -> dict[str, Any]:
    """Measure a cell again with another seed, four times as often."""
    design = Design(cell["blocks"], cell["arms"], cell["wide"], cell["ratio"], cell["errors"])
    return calibrate(design, 4 * int(cell["studies"]), seed)


def error_of(cell: dict[str, Any]) -> float:
    """Return the Monte Carlo standard error of a cell's rate of false alarms."""
    rate = float(cell["false_alarms"])
    return math.sqrt(rate * (1.0 - rate) / int(cell["studies"]))


# --- null tables of a factorial ---------------------------------------------------------------------------------------


SHAPES = ((2, 2), (2, 3), (3, 3), (2, 2, 2))
WIDE_CELLS = ("none", "one combination", "one level")
"""Which combinations are wide: none, that of the baseline levels, or all of the last factor's last level."""
WIDE_BY = (3.0, 5.0, 8.0, 20.0)
FACTORIAL_TABLES = 12_000
MAIN_EFFECT = 3.0
"""Of the first factor where power is measured, in SDs of a trial."""


@lru_cache(maxsize=16)
def contrasts(shape: tuple[int, ...]) -> Array:
    """Return the weights of the cells in each effect, `[E, A]`: main effects, then two-way interactions."""

    def along(axis: int, level: int) -> Array:
        return np.eye(shape[axis])[level] - np.eye(shape[axis])[0]

    rows = []
    for number in (1, 2):
        for axes in combinations(range(len(shape)), number):
            for levels in product(*(range(1, shape[axis]) for axis in axes)):
                weights = np.ones(())
                for axis, size in enumerate(shape):
                    own = along(axis, levels[axes.index(axis)]) if axis in axes else np.full(size, 1.0 / size)
                    weights = np.multiply.outer(weights, own)
                rows.append(weights.ravel() / 2.0 ** (number - 1))
    return np.array(rows)


@lru_cache(maxsize=64)
def critical_values(effects: int, most: float) -> tuple[Array, Array]:
    """Return logarithms of degrees of freedom and of the critical values of 95%, to be read between."""
    df = np.geomspace(1.0, most + 1.0, 250)
    return np.log(df), np.log([p_values.critical_value(0.95, effects, float(one), 0.0) for one in df])


def effects_of(y: Array, shape: tuple[int, ...]) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Judge factorials `[R, B, cells]` as `eailab.stats.contrasts.factorial` does.

    Returns:
        Estimates and half-widths `[R, E]`, and whether errors were kept apart `[R]`.
    """
    _, blocks, cells = y.shape
    weights = contrasts(shape)
    squared = (weights**2).sum(axis=1)
    residuals = y - y.mean(axis=1, keepdims=True) - y.mean(axis=2, keepdims=True) + y.mean(axis=(1, 2), keepdims=True)
    squares, df = (residuals**2).sum(axis=1), (blocks - 1) * (cells - 1)
    by_block = y @ weights.T
    own = by_block.var(axis=1, ddof=1)

    # Each effect's error with a share of the common one, whose degrees of freedom follow from the cells' squares.
    total = squares.sum(axis=1)
    common_df = np.maximum(df * total**2 / (cells * (squares**2).sum(axis=1)), blocks - 1)
    prior = 2.0 / (blocks + 1)
    share = (1.0 - prior) ** 2
    moderated = 1.0 / (share / (blocks - 1) + (1.0 - share) / common_df)
    variance = prior * (total / df)[:, None] * squared + (1.0 - prior) * own
    quantile = np.exp(np.interp(np.log(moderated), *critical_values(len(weights), float(df))))
    half = quantile[:, None] * np.sqrt(variance / blocks)

    # Where one cell is far wider than the others, and with two blocks, each by its own values.
    largest, of_cell = squares.max(axis=1), df / cells
    most = special.fdtri(of_cell, (cells - 1) * of_cell, 1.0 - 0.01 / cells)
    apart = (largest * (cells - 1) > most * (total - largest)) | (blocks == 2)
    alone = -special.stdtrit(blocks - 1, 0.025 / len(weights)) * np.sqrt(own / blocks)
    return by_block.mean(axis=1), np.where(apart[:, None], alone, half), apart


def check_effects(y: Array, shape: tuple[int, ...], half: Array, apart: NDArray[np.bool_]) -> None:
    """Hold the first factorials to what the library says of them."""
    names = [(name, "0123"[:size]) for name, size in zip("abc", shape, strict=False)]
    for study in range(CHECKED):
        found = factorial(y[study].reshape(-1, *shape), names)
        assert found is not None  # noqa: S101 - normal errors vary
        ends = np.array([one.interval95 for one in found.effects], dtype=np.float64)
        np.testing.assert_equal(found.guard is not None, apart[study])
        np.testing.assert_allclose((ends[:, 1] - ends[:, 0]) / 2.0, half[study], rtol=1e-4)


def null_tables(
    shape: tuple[int, ...], blocks: int, wide: str, ratio: float, studies: int, seed: int
) -> dict[str, Any]:
    """Return in which share of factorials without any effect an interval of an effect excludes zero."""
    rng, sd = np.random.default_rng(seed), np.ones(shape)
    if wide == "one combination":
        sd[(0,) * len(shape)] = ratio
    elif wide == "one level":
        sd[..., -1] = ratio
    y = sd.ravel() * rng.standard_normal((studies, blocks, sd.size))
    estimate, half, apart = effects_of(y, shape)
    check_effects(y, shape, half, apart)
    wrong = float((np.abs(estimate) > half).any(axis=1).mean())
    shift = np.zeros(shape)
    shift[1] = MAIN_EFFECT
    seen, half_seen, _ = effects_of(y + shift.ravel(), shape)
    return {
        "shape": shape,
        "blocks": blocks,
        "wide": wide,
        "ratio": ratio,
        "studies": studies,
        "false_effects": wrong,
        "error": math.sqrt(wrong * (1.0 - wrong) / studies),
        "apart": float(apart.mean()),
        "power": float((np.abs(seen[:, 0]) > half_seen[:, 0]).mean()),
    }


def factorials(studies: int) -> dict[str, Any]:
    """Measure null tables of several factorials, at equal spread and where some combinations are wide."""
    cells = []
    for shape, blocks, wide in product(SHAPES, (2, 3, 5, 10), WIDE_CELLS):
        for ratio in (1.0,) if wide == "none" else WIDE_BY:
            cells.append(null_tables(shape, blocks, wide, ratio, studies, len(cells)))
            print("  ".join(f"{name} {value}" for name, value in cells[-1].items()), flush=True)

    def again(some: list[dict[str, Any]], seed: int) -> dict[str, Any]:
        worst = max(some, key=lambda cell: float(cell["false_effects"]))
        how = (worst["shape"], worst["blocks"], worst["wide"], worst["ratio"])
        return null_tables(*how, 4 * studies, 10_000 + seed)

    equal = again([cell for cell in cells if cell["wide"] == "none"], 0)
    claims: dict[str, Any] = {"equal spread: at most 5%": equal | {"holds": held(equal, 0.05)}}
    for blocks in (2, 3, 5, 10):
        worst = again([cell for cell in cells if cell["blocks"] == blocks], blocks)
        bar = BARS.get(blocks)
        holds = {} if bar is None else {"holds": held(worst, bar)}
        claims[f"any spread, {blocks} blocks" + (f": at most {bar}" if bar else "")] = worst | holds
    for name, claim in claims.items():
        print(f"{name}: {claim}")
    return {"claims": claims, "cells": cells}


def held(cell: dict[str, Any], most: float) -> bool:
    """Return whether a rate is at most a bar, within two standard errors."""
    return float(cell["false_effects"]) - 2.0 * float(cell["error"]) <= most


# --- the program ------------------------------------------------------------------------------------------------------


PARTS = ("factorials", "looks", "planning", "new_images")
"""What is measured besides the verdicts on arms."""


def part(name: str, share: float) -> dict[str, Any]:
    """Measure one of `PARTS` with a share of its usual studies a cell."""
    import looks
    import new_images
    import planning

    measure, studies = {
        "factorials": (factorials, FACTORIAL_TABLES),
        "looks": (looks.measure, looks.STUDIES),
        "planning": (planning.measure, planning.PILOTS_OF_A_CELL),
        "new_images": (new_images.measure, new_images.STUDIES),
    }[name]
    return measure(max(int(studies * share), 60))


def arms_table(quick: bool, studies: int) -> dict[str, Any]:
    """Measure the verdicts on arms in every cell of the grid, and hold them to what is claimed."""
    cells = [calibrate(design, studies, seed) for seed, design in enumerate(grid(quick))]
    print("blocks arms wide             ratio errors            alarms cover  same guard  power (Holm, unguarded)")
    for cell in cells:
        print(
            f"{cell['blocks']:6d} {cell['arms']:4d} {cell['wide']:16s} {cell['ratio']:5g} {cell['errors']:16s}"
            f"  {cell['false_alarms']:.3f}  {cell['simultaneous_coverage']:.3f} {cell['wrong_same']:.3f} "
            f"{cell['guarded']:.2f}   {cell['power']:.2f}  ({cell['power_paired_t_holm']:.2f}, "
            f"{cell['power_without_guard']:.2f})"
        )
    claims = criteria(cells, seed=10_000)
    for name, claim in claims.items():
        print(f"{name}: {claim['claim']}; found {claim['found']} {claim.get('holds', '')}")
    return {"claims": claims, "cells": cells}


def written(record: dict[str, Any]) -> str:
    """Return the record as JSON with a line for each cell of the arms."""
    lines = ",\n".join("  " + json.dumps(cell) for cell in record["cells"])
    text = json.dumps({name: value for name, value in record.items() if name != "cells"}, indent=1)
    return text.removesuffix("\n}") + f',\n "cells": [\n{lines}\n ]\n}}\n'


def left_out(asked: list[str], studies: int, *, quick: bool) -> str:
    """Return what a run leaves out of the whole."""
    parts = [name for name in ("arms", *PARTS) if name not in asked]
    said = [f"the parts {', '.join(parts)}"] if parts else []
    said += ["all cells of arms but those of 3 and 5 blocks, 3 and 4 arms, normal and skewed errors"] if quick else []
    said += [f"{1.0 - studies / USUAL:.0%} of the studies of each cell"] if studies < USUAL else []
    return "; ".join(said) or "nothing"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the arms' verdicts alone, a small grid of few studies")
    parser.add_argument("--studies", type=int, help="simulated studies a cell of the arms (default 12000; quick 4000)")
    parser.add_argument("--only", choices=["arms", *PARTS], help="measure this alone, and leave the rest of the file")
    parser.add_argument("--json", type=Path, help="write all cells to this file")
    given = parser.parse_args()
    studies = given.studies or (4000 if given.quick else USUAL)
    asked = [given.only] if given.only else ["arms"] if given.quick else ["arms", *PARTS]

    print(f"left out: {left_out(asked, studies, quick=given.quick)}")
    before = json.loads(given.json.read_text()) if given.only and given.json and given.json.exists() else {}
    record = {"cells": [], "claims": {}} | before
    for name in asked:
        started = time.perf_counter()
        found = arms_table(given.quick, studies) if name == "arms" else part(name, studies / USUAL)
        own = {
            "command": " ".join(["python", *sys.argv]),
            "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
            "seconds": round(time.perf_counter() - started, 1),
            "left_out": left_out(asked, studies, quick=given.quick),
        }
        record |= own | found if name == "arms" else {name: own | found}
        if given.json is not None:  # after each part, so that one that is stopped has left the others
            given.json.write_text(written(record))


if __name__ == "__main__":
    main()
