"""What `--tune` promises, on real trials: false alarms and coverage of tuned comparisons.

A pool of real trials is trained through the store, as every command trains: digits-mlp with adam and with sgd, six
learning rates each, in 170 blocks; 2,040 trials. The truth of a learning rate is its mean over the pool. A simulated
use draws blocks from the pool without replacement: three to tune on, by `eailab.studies.tuning.tune` itself (six
values, three, two; the pool has no value beyond the ends, so none is added), and others to judge on, whose interval is
that of `eailab.stats.model.compare` for two arms, the paired t (a share of the uses is held to `compare` itself).

    frozen    the winners are judged on other blocks: does the interval contain their true difference?
    carry     `--carry 2`: best of two by all blocks: does it contain the difference of the truly best values? Its level
              is 4%; the same at 5%, and how often each sees best values that are a point apart, are shown beside it
    again     `--tune-again`: tuned for each block: does it contain the difference of arms that are so tuned?
    nothing   all settings of an arm are the same recipe, with other seeds: how often is it called BETTER?

Run:    nice python benchmarks/tuning.py --quick
        nice python benchmarks/tuning.py --json benchmarks/results/tuning.json
        (ten minutes of one core for the pool, then two to four)

Trials are kept in the folder `--runs`: a second run trains none. `--pool` takes those of a record.
"""

import argparse
import json
import math
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from eailab.data.registry import load as load_data
from eailab.metrics import CLASSIFICATION
from eailab.recipe.load import load as load_recipe
from eailab.recipe.override import vary_together
from eailab.runs.context import RunContext
from eailab.runs.store import Store
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial
from eailab.seeding import TUNING_BLOCKS
from eailab.stats.model import compare
from eailab.stats.verdict import BETTER_OF_TWO, SINGLE_LOOK
from eailab.studies.tuning import Point, Space, Training, tune

Values = NDArray[np.float64]

MEASURE = {metric.name: metric for metric in CLASSIFICATION}["validation-accuracy"]
RECIPE = "digits-mlp"
RATES: Mapping[str, tuple[float, ...]] = {
    "adam": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "sgd": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1),
}
BLOCKS = 170
TUNED_ON = 3
JUDGED_ON = (3, 5, 10)
BEYOND = 20
"""Blocks that no bar is for: what tuning has dropped shows ever more clearly."""
APART = 1.0
"""Points between the truly best values where power is measured."""
USES, USES_AGAIN, CHECKED = 12_000, 600, 200
"""Simulated uses of each procedure, and how many are held to `compare`."""
FLAT = (("adam", 3e-3), ("adam", 1e-2), ("sgd", 3e-2), ("sgd", 1e-1))
"""Recipes of the pool whose trials stand for settings that do nothing."""


@dataclass(frozen=True)
class Rate:
    """One rate, with its bar."""

    procedure: str
    what: str
    blocks: int
    uses: int
    rate: float
    error: float
    """Monte Carlo standard error."""
    bar: str
    holds: bool | None
    """None where there is no bar; met unless it is missed by more than two standard errors."""


# --- the pool --------------------------------------------------------------------------------------------------------


def pool(store: Store, blocks: int) -> dict[str, Values]:
    """Train what is missing of the pool, and return `[blocks, rates]` of each optimizer, in percent."""
    recipe = load_recipe(RECIPE).recipe
    assert recipe.images is not None  # noqa: S101 - a recipe of images
    data = load_data(recipe.images.data.name).fingerprint
    found = {name: np.full((blocks, len(rates)), math.nan) for name, rates in RATES.items()}
    for block in range(blocks):
        for name, rates in RATES.items():
            for place, rate in enumerate(rates):
                varied = vary_together(recipe, {"optimizer.name": name, "optimizer.lr": rate}).recipe
                trial = Trial(varied, block, data)
                run_trial(trial, RunContext(store.root))
                result = store.folder(trial.fingerprint).result()
                value = None if result is None else MEASURE.value(result.values)
                found[name][block, place] = math.nan if value is None else value
    return found


# --- one use ---------------------------------------------------------------------------------------------------------


def chosen(scores: Mapping[str, Values], *, everything: bool = False) -> dict[str, tuple[int, int]]:
    """Tune all arms by tables of scores `[tuning blocks, values]`, and return the places of winner and runner-up.

    Args:
        scores: Of each arm.
        everything: Train every value in every block, as `--tune-all` does.
    """
    searched = {
        arm: Space(("optimizer.lr",), tuple((at,) for at in range(own.shape[1]))) for arm, own in scores.items()
    }

    def train(wanted: Mapping[str, Sequence[Training]]) -> dict[str, dict[Training, float]]:
        return {
            arm: {at: _score(scores[arm][at.block - TUNING_BLOCKS, at.point[0]]) for at in trainings}
            for arm, trainings in wanted.items()
        }

    def nothing_beyond(_arm: str, _point: Point) -> bool:
        return False

    found = tune(searched, len(next(iter(scores.values()))), train, everything=everything, valid=nothing_beyond)
    return {
        arm: (one.winner[0], one.winner[0] if one.runner_up is None else one.runner_up[0]) for arm, one in found.items()
    }


def _score(value: float) -> float:
    return -math.inf if math.isnan(value) else float(value)


def better(scores: Values, judged: Values, pair: tuple[int, int]) -> int:
    """Return which of two values has the better mean over tuning and judging blocks; of equal ones the first."""
    first, second = (float(np.concatenate((scores[:, at], judged[:, at])).mean()) for at in pair)
    return pair[0] if first >= second else pair[1]


def intervals(differences: Values, level: float = SINGLE_LOOK) -> tuple[Values, Values]:
    """Return the ends of the paired t interval of each row of differences, `[uses, blocks]`, at a level."""
    n = differences.shape[1]
    half = scipy.special.stdtrit(n - 1, 1.0 - level / 2.0) * differences.std(axis=1, ddof=1) / math.sqrt(n)
    return differences.mean(axis=1) - half, differences.mean(axis=1) + half


def hold_to_compare(pairs: Values, level: float) -> None:
    """Hold the intervals of some uses, `[uses, blocks, 2]`, to those that studies have at a level."""
    low, high = intervals(pairs[:, :, 1] - pairs[:, :, 0], level)
    for use, ends in zip(pairs, zip(low, high, strict=True), strict=True):
        interval = compare(use, 0, 0.5, level=level, outlooks=False).arms[1].interval
        if interval is not None and not np.allclose(interval, ends, rtol=0.0, atol=1e-9):
            sys.exit(f"the interval {ends} is not that of compare, {interval}")


# --- procedures ------------------------------------------------------------------------------------------------------


def tuned_studies(found: Mapping[str, Values], uses: int, seed: int) -> list[Rate]:
    """Tune once and judge on other blocks: the frozen winners, and the better of the best two."""
    rng = np.random.default_rng(seed)
    truth = {arm: values.mean(axis=0) for arm, values in found.items()}
    best = truth["sgd"].max() - truth["adam"].max()
    sizes, rows = (*JUDGED_ON, BEYOND), len(next(iter(found.values())))
    kinds = ("frozen", "carry", "carry, --tune-all")
    pairs = {(kind, n): np.empty((uses, n, 2)) for kind in kinds for n in sizes}
    true_of_frozen = np.empty(uses)
    for use in range(uses):
        drawn = rng.choice(rows, TUNED_ON + BEYOND, replace=False)
        scores = {arm: values[drawn[:TUNED_ON]] for arm, values in found.items()}
        places, of_all = chosen(scores), chosen(scores, everything=True)
        true_of_frozen[use] = truth["sgd"][places["sgd"][0]] - truth["adam"][places["adam"][0]]
        for n in sizes:
            for column, arm in enumerate(("adam", "sgd")):
                judged = found[arm][drawn[TUNED_ON : TUNED_ON + n]]
                pairs["frozen", n][use, :, column] = judged[:, places[arm][0]]
                pairs["carry", n][use, :, column] = judged[:, better(scores[arm], judged, places[arm])]
                pairs["carry, --tune-all", n][use, :, column] = judged[:, better(scores[arm], judged, of_all[arm])]
    rates = []
    for (kind, n), values in pairs.items():
        has_bar, differences = n in JUDGED_ON, values[:, :, 1] - values[:, :, 0]
        if kind == "frozen":
            hold_to_compare(values[:CHECKED], SINGLE_LOOK)
            low, high = intervals(differences)
            own, other = (low <= true_of_frozen) & (true_of_frozen <= high), (low <= best) & (best <= high)
            bar = {"least": 0.94, "most": 0.96} if has_bar else {}
            said = "94 to 96%" if has_bar else "none"
            rates += [
                _rate(kind, "covers the frozen pair", n, own, said, **bar),
                _rate(kind, "covers best minus best", n, other, "none"),
            ]
            continue
        hold_to_compare(values[:CHECKED], BETTER_OF_TWO)
        for procedure, level in ((kind, BETTER_OF_TWO), (f"{kind}, at 5%", SINGLE_LOOK)):
            low, high = intervals(differences, level)
            is_held = has_bar and procedure == "carry"
            bar, said = ({"least": 0.94}, "94% or more") if is_held else ({}, "none")
            seen = (low - best + APART > 1e-9) | (high - best + APART < -1e-9)
            rates += [
                _rate(procedure, "covers best minus best", n, (low <= best) & (best <= high), said, **bar),
                _rate(procedure, "sees best values a point apart", n, seen, "none"),
            ]
    return rates


def tuned_again(found: Mapping[str, Values], uses: int, seed: int) -> list[Rate]:
    """Tune again for each judging block, on blocks of its own."""
    rng = np.random.default_rng(seed)
    truth = {arm: values.mean(axis=0) for arm, values in found.items()}
    rates = []
    for n in JUDGED_ON:
        pairs, expected = np.empty((uses, n, 2)), np.empty((uses, n, 2))
        for use in range(uses):
            drawn = rng.choice(len(found["adam"]), n * (TUNED_ON + 1), replace=False).reshape(n, TUNED_ON + 1)
            for place, blocks in enumerate(drawn):
                places = chosen({arm: values[blocks[1:]] for arm, values in found.items()})
                for column, arm in enumerate(("adam", "sgd")):
                    pairs[use, place, column] = found[arm][blocks[0], places[arm][0]]
                    expected[use, place, column] = truth[arm][places[arm][0]]
        so_tuned = float((expected[:, :, 1] - expected[:, :, 0]).mean())
        low, high = intervals(pairs[:, :, 1] - pairs[:, :, 0])
        best = truth["sgd"].max() - truth["adam"].max()
        covered = (low <= so_tuned) & (so_tuned <= high)
        rates += [
            _rate("again", "covers arms that are so tuned", n, covered, "none"),
            _rate("again", "covers best minus best", n, (low <= best) & (best <= high), "none"),
        ]
    return rates


def nothing(values: Values, kind: str, uses: int, seed: int) -> dict[tuple[str, int], NDArray[np.bool_]]:
    """Return how often an arm whose settings do nothing is BETTER than one whose do nothing either.

    Args:
        values: Of trials of one recipe, which may change places.
        kind: What the other arm is: `one` setting that is not tuned, or `six` that are.
        uses: Number of studies.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    most, count = max(JUDGED_ON), 6
    better_by: dict[tuple[str, int], NDArray[np.bool_]] = {}
    pairs = {(how, n): np.empty((uses, n, 2)) for how in ("frozen", "carry", "same blocks") for n in JUDGED_ON}
    others = 1 if kind == "one" else count
    for use in range(uses):
        # Every training is another trial, so that no two settings share a value.
        size = TUNED_ON * (count + others) + most * 4
        drawn = rng.permutation(values)[:size] if size <= len(values) else rng.choice(values, size)
        own, rest = drawn[: TUNED_ON * count].reshape(TUNED_ON, count), drawn[TUNED_ON * count :]
        other, rest = rest[: TUNED_ON * others].reshape(TUNED_ON, others), rest[TUNED_ON * others :]
        places = chosen({"own": own, "other": other} if kind == "six" else {"own": own})
        judged = rest.reshape(most, 4)
        for n in JUDGED_ON:
            tables = np.zeros((n, count)), np.zeros((n, others))
            for column, (arm, table) in enumerate(zip(("own", "other"), tables, strict=True)):
                pair = places.get(arm, (0, 0))
                table[:, pair[1]], table[:, pair[0]] = judged[:n, 2 * column + 1], judged[:n, 2 * column]
                pairs["frozen", n][use, :, 1 - column] = table[:, pair[0]]
                scores = own if arm == "own" else other
                pairs["carry", n][use, :, 1 - column] = table[:, better(scores, table, pair)]
            same = rng.choice(values, (n, count + others))
            pairs["same blocks", n][use, :, 1] = same[:, same[:, :count].mean(axis=0).argmax()]
            pairs["same blocks", n][use, :, 0] = same[:, count + same[:, count:].mean(axis=0).argmax()]
    for (how, n), found in pairs.items():
        low, _ = intervals(found[:, :, 1] - found[:, :, 0], BETTER_OF_TWO if how == "carry" else SINGLE_LOOK)
        better_by[how, n] = low > 1e-9
    return better_by


def settings_that_do_nothing(found: Mapping[str, Values], uses: int, seed: int) -> list[Rate]:
    """Return the rates of BETTER over all recipes that stand for settings that do nothing."""
    rates = []
    for kind, against in (("one", "one setting, not tuned (--tune-unequal)"), ("six", "six settings, tuned alike")):
        by = [
            nothing(found[name][:, RATES[name].index(rate)], kind, uses // len(FLAT), seed + place)
            for place, (name, rate) in enumerate(FLAT)
        ]
        for how, n in by[0]:
            has_bar = how == "frozen"
            called = np.concatenate([one[how, n] for one in by])
            bar = {"most": 0.03} if has_bar else {}
            said = "3% or less" if has_bar else "none"
            rates.append(_rate(f"nothing, {how}", f"six settings BETTER than {against}", n, called, said, **bar))
    return rates


def _rate(
    procedure: str,
    what: str,
    blocks: int,
    found: NDArray[np.bool_],
    bar: str,
    *,
    least: float | None = None,
    most: float | None = None,
) -> Rate:
    rate = float(found.mean())
    error = math.sqrt(rate * (1.0 - rate) / len(found))
    holds = (least is None or rate + 2.0 * error >= least) and (most is None or rate - 2.0 * error <= most)
    return Rate(procedure, what, blocks, len(found), rate, error, bar, holds if (least, most) != (None, None) else None)


# --- the program -----------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="50 blocks and 400 uses: no bar is held")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of trials (default runs)")
    parser.add_argument("--pool", type=Path, metavar="FILE", help="take the trials of this record, and train none")
    parser.add_argument("--json", type=Path, help="write rates and pool to this file")
    given = parser.parse_args()
    if given.pool is None:
        found = pool(Store(given.runs), 50 if given.quick else BLOCKS)
    else:
        kept = json.loads(given.pool.read_text(encoding="utf-8"))["pool"]
        found = {name: np.array(values) for name, values in kept.items()}
    for name, values in found.items():
        said = ", ".join(
            f"{rate:g} {mean:.2f} (SD {sd:.2f})"
            for rate, mean, sd in zip(RATES[name], values.mean(axis=0), values.std(axis=0, ddof=1), strict=True)
        )
        print(f"{name}: {said}")
    uses, fewer = (400, 100) if given.quick else (USES, USES_AGAIN)
    rates = []
    for made in (
        tuned_studies(found, uses, 1),
        settings_that_do_nothing(found, uses, 2),
        tuned_again(found, fewer, 3),
    ):
        for one in made:
            verdict = {True: "holds", False: "FAILS", None: ""}[one.holds]
            print(
                f"{one.procedure:22s} {one.what:60s} {one.blocks:3d} blocks  {one.rate:.4f} ± {one.error:.4f}  "
                f"{'' if one.holds is None else one.bar} {verdict}",
                flush=True,
            )
        rates += made
    if given.json is not None:
        write(given.json, record(rates, found))
    if any(one.holds is False for one in rates) and not given.quick:
        sys.exit("a bar does not hold")


def record(rates: Sequence[Rate], found: Mapping[str, Values]) -> dict[str, Any]:
    """Return what is kept of a run."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("eailab", "numpy", "scipy", "numba")},
        "recipe": RECIPE,
        "metric": MEASURE.name,
        "learning_rates": {name: list(rates) for name, rates in RATES.items()},
        "rates": [asdict(one) for one in rates],
        "pool": {name: np.round(values, 6).tolist() for name, values in found.items()},
    }


def write(file: Path, kept: dict[str, Any]) -> None:
    """Write the record with a line for each rate and each block of the pool."""
    rates = ",\n".join(f"  {json.dumps(one)}" for one in kept["rates"])
    pools = ",\n".join(
        f"  {json.dumps(name)}: [\n" + ",\n".join(f"   {json.dumps(row)}" for row in rows) + "\n  ]"
        for name, rows in kept["pool"].items()
    )
    head = json.dumps({key: value for key, value in kept.items() if key not in ("rates", "pool")}, indent=1)
    text = f'{head.removesuffix("}").rstrip()},\n "rates": [\n{rates}\n ],\n "pool": {{\n{pools}\n }}\n}}\n'
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
