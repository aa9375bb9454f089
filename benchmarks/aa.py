"""How often `eailab ablate` tells arms apart that differ in nothing but chance: A/A studies on real trainings.

A pool of real trials of one recipe is trained through the store, as every command trains: rows are blocks, columns are
pseudo-arms. All trials of a row share the recipe and the data's split, and each has a block number of its own, hence
its own initial weights and data order. So the trials of a row may change places without changing what is true, and
whatever a verdict says of a difference between them is a false alarm. Two pools:

    fixed      the split is the recipe's own in every row: blocks differ by chance only, as in `ablate` by default
    per-block  the split is drawn again in each row: arms of a block have the luck of its split in common, as in
               `ablate -o data.split=per-block` (here by `data.split_seed`, as the block numbers must differ)

An A/A study of `n` blocks and `k` arms takes `n` rows at random without replacement, puts each row's trials in random
order, and gives the first `k` to `eailab.stats.model.compare`, the first of these as the baseline. Over pools and
draws, its error rate is exactly that of a study of fresh trials. Studies of one pool share trials, so a rate's own
uncertainty is also estimated by a jackknife over the pool's rows; the claim is held to the smaller, binomial one.

`--whole N` adds N whole studies, each in a store of its own and in blocks of its own: planned, trained, judged and read
as `ablate` does it, figures left out. Their arms are learning rates that differ by one or two percent, which changes
the rounding of every step and the mean by less than a tenth of a trial's SD; so they are trained apart, and whatever
is said of a difference is a false alarm too.

Run:    nice python benchmarks/aa.py --quick
        nice python benchmarks/aa.py --whole 200 --json benchmarks/results/aa.json

Trials are kept in the folder `--runs`: a second run trains none. `--pool` takes those of a record.
"""

import argparse
import json
import math
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eailab.data.registry import load as load_data
from eailab.findings.study import study_findings
from eailab.metrics import CLASSIFICATION
from eailab.recipe.base import Recipe, StudySettings
from eailab.recipe.load import Override
from eailab.recipe.load import load as load_recipe
from eailab.recipe.override import vary
from eailab.runs.context import RunContext
from eailab.runs.store import Store
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial
from eailab.stats.model import compare
from eailab.stats.verdict import Verdict, decide
from eailab.studies.design import one_at_a_time
from eailab.studies.factor import factor_from_text
from eailab.studies.judgements import record_judgement
from eailab.studies.run import Runner, run_studies
from eailab.studies.sharing import entered
from eailab.studies.storage import Plan

Values = NDArray[np.float64]
Split = Literal["fixed", "per-block"]

DECLARED = {metric.name: metric for metric in CLASSIFICATION}
RECIPE = "digits-mlp"
SPLITS: tuple[Split, ...] = ("fixed", "per-block")
METRICS: tuple[str, ...] = ("validation-accuracy", "validation-loss")
ROWS, COLUMNS = 100, 5
BLOCKS, ARMS = (3, 5), (3, 4, 5)
STUDIES = 2000
"""A/A studies of each number of blocks and arms."""
STRIDE = 1000
"""Block numbers of row `r` start at `r` times this; no two trials of the pool share one."""
ALARM = {Verdict.BETTER, Verdict.WORSE}


@dataclass(frozen=True)
class Rate:
    """How often A/A studies of one kind were called different, or the same."""

    split: Split
    metric: str
    blocks: int
    arms: int
    studies: int
    false_alarms: float
    """Share of studies with BETTER or WORSE for any arm."""
    binomial_error: float
    """Standard error of a rate of 5% over so many independent studies."""
    jackknife_error: float
    """Standard error of the found rate over pools, leaving out one row at a time."""
    limit: float
    """5% and two binomial standard errors."""
    holds: bool
    guarded: float
    """Share of studies whose errors were not pooled."""
    same: dict[str, float]
    """Share of arms called SAME, by the margin in the recipe's unit."""


# --- the pool --------------------------------------------------------------------------------------------------------


def pool_trials(recipe: Recipe, split: Split, rows: int, data: str) -> list[list[Trial]]:
    """Return the trials of a pool, row by row.

    Args:
        recipe: What every trial trains, but for the split of `per-block`.
        split: Which pool.
        rows: Blocks of the pool.
        data: Fingerprint of the data set.
    """
    pool = []
    for row in range(rows):
        shared = recipe if split == "fixed" else vary(recipe, "data.split_seed", STRIDE + row).recipe
        pool.append([Trial(shared, row * STRIDE + column, data) for column in range(COLUMNS)])
    return pool


def train(pool: Sequence[Sequence[Trial]], store: Store) -> None:
    """Bring every trial of a pool to its result; finished ones are left alone."""
    for trials in pool:
        for trial in trials:
            run_trial(trial, RunContext(store.root))


def read(pool: Sequence[Sequence[Trial]], store: Store, metric: str) -> Values:
    """Return `[rows, columns]`, a metric of every trial in the unit that tables show; NaN where one diverged."""

    def value(trial: Trial) -> float:
        result = store.folder(trial.fingerprint).result()
        found = None if result is None else DECLARED[metric].value(result.values)
        return math.nan if found is None else found

    return np.array([[value(trial) for trial in trials] for trials in pool])


# --- studies ---------------------------------------------------------------------------------------------------------


def a_a_studies(
    pool: Values,
    split: Split,
    metric: str,
    size: tuple[int, int],
    margins: Sequence[float],
    studies: int,
    seed: int,
) -> Rate:
    """Draw A/A studies from a pool and count their verdicts.

    Args:
        pool: `[rows, columns]`, real trials.
        split: Of the pool.
        metric: Of the pool.
        size: Blocks and arms of each study, the baseline counted.
        margins: At which SAME is counted, in the recipe's unit; the first is the one that `compare` is given.
        studies: To draw.
        seed: Of the drawing.
    """
    blocks, arms = size
    measure = DECLARED[metric]
    rng = np.random.default_rng(seed)
    alarms = np.zeros(studies, dtype=np.bool_)
    used = np.zeros((studies, len(pool)), dtype=np.bool_)
    guarded = 0
    same = dict.fromkeys(margins, 0)
    for study in range(studies):
        rows = rng.choice(len(pool), blocks, replace=False)
        used[study, rows] = True
        values = rng.permuted(pool[rows], axis=1)[:, :arms]
        found = compare(values, 0, margins[0] * measure.margin_scale, measure.higher_is_better, outlooks=False)
        alarms[study] = any(arm.verdict in ALARM for arm in found.arms)
        guarded += found.guard is not None
        for margin in margins:
            same[margin] += sum(
                decide(arm.interval95, arm.interval90, margin * measure.margin_scale) is Verdict.SAME
                for arm in found.arms
                if arm.interval95 is not None and arm.interval90 is not None and arm.withheld is None
            )
    rate = float(alarms.mean())
    binomial = math.sqrt(0.05 * 0.95 / studies)
    return Rate(
        split=split,
        metric=metric,
        blocks=blocks,
        arms=arms,
        studies=studies,
        false_alarms=rate,
        binomial_error=binomial,
        jackknife_error=jackknife(alarms, used),
        limit=0.05 + 2.0 * binomial,
        holds=rate <= 0.05 + 2.0 * binomial,
        guarded=guarded / studies,
        same={f"{margin:g}": count / (studies * (arms - 1)) for margin, count in same.items()},
    )


def jackknife(alarms: NDArray[np.bool_], used: NDArray[np.bool_]) -> float:
    """Return the standard error of a rate over pools: each row of the pool left out in turn, with its studies.

    Args:
        alarms: `[R]`, of the studies.
        used: `[R, rows]`, the rows that each study was drawn from.
    """
    without = (~used).astype(np.float64)
    rates = alarms.astype(np.float64) @ without / without.sum(axis=0)
    rows = used.shape[1]
    return math.sqrt((rows - 1) / rows * float(((rates - rates.mean()) ** 2).sum()))


# --- whole studies ---------------------------------------------------------------------------------------------------


EQUAL_RATES = (0.001, 0.00099, 0.00101, 0.00102)
"""Learning rates that are as good as one, the first of them the baseline."""
EPOCHS = 10
"""Of a trial of a whole study, a third of the recipe's."""


def whole_studies(runs: Path, number: int) -> list[dict[str, Any]]:
    """Run whole studies of equal arms, and return the size and the verdicts of each."""
    recipe = load_recipe(RECIPE, [Override("epochs", EPOCHS, "-o")]).recipe
    found = []
    for study, (arms, blocks) in enumerate(islice(cycle(product((2, 3, 4), BLOCKS)), number)):
        levels = factor_from_text("lr", list(EQUAL_RATES[:arms]), EQUAL_RATES[0])
        first = study * STRIDE
        (asked,) = one_at_a_time(recipe, [levels], range(first, first + blocks))
        runner = Runner(RunContext(runs / f"{study:03d}"), jobs=1)

        def judged(plans: Sequence[Plan], runner: Runner = runner) -> list[str]:
            store = runner.context.store
            with entered(plans[0], store, runner.note) as kept:
                findings = study_findings(store, record_judgement(plans[0], kept, store))
            compared = [arm.against_baseline for arm in findings.arms if not arm.is_baseline]
            return [one.verdict.value for one in compared if one is not None and one.verdict is not None]

        found.append({"arms": arms, "blocks": blocks, "verdicts": run_studies([asked], runner, judged)})
    return found


def whole_rate(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many whole studies have a false alarm, and hold that to 5%."""
    alarms = sum(bool({*one["verdicts"]} & ALARM) for one in found)
    limit = 0.05 + 2.0 * math.sqrt(0.05 * 0.95 / len(found))
    return {
        "command": f"eailab ablate lr {' '.join(map(str, EQUAL_RATES))} --recipe {RECIPE} -o epochs={EPOCHS}",
        "arms": "the first 2, 3 or 4 of these learning rates",
        "studies": len(found),
        "with_an_alarm": alarms,
        "false_alarms": alarms / len(found),
        "limit": limit,
        "holds": alarms / len(found) <= limit,
        "each": list(found),
    }


# --- the program -----------------------------------------------------------------------------------------------------


def record(rates: Sequence[Rate], pools: dict[str, dict[str, Values]], finished: str) -> dict[str, Any]:
    """Return what is kept of a run: its claim, its rates, its pools, and what it was run with."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "date": finished,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("eailab", "numpy", "scipy", "numba")},
        "recipe": RECIPE,
        "claim": {
            "text": "BETTER or WORSE in at most 5% of A/A studies, and two standard errors",
            "holds": all(rate.holds for rate in rates),
            "largest": max(rate.false_alarms for rate in rates),
            "studies": sum(rate.studies for rate in rates),
        },
        "rates": [asdict(rate) for rate in rates],
        "pools": {split: {metric: pool.tolist() for metric, pool in of.items()} for split, of in pools.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="12 rows and 50 studies of each kind: half a minute")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of trials (default runs)")
    parser.add_argument("--pool", type=Path, metavar="FILE", help="take the trials of this record, and train none")
    parser.add_argument("--whole", type=int, default=0, metavar="N", help="run N whole studies too (200: two minutes)")
    parser.add_argument("--json", type=Path, help="write rates and pools to this file")
    given = parser.parse_args()
    before = {} if given.pool is None else json.loads(given.pool.read_text(encoding="utf-8"))
    rows, studies = (12, 50) if given.quick else (ROWS, STUDIES)

    store, recipe = Store(given.runs), load_recipe(RECIPE).recipe
    margins = (recipe.study.margin, StudySettings().margin)
    rates: list[Rate] = []
    pools: dict[str, dict[str, Values]] = {}
    print("split      metric               blocks arms  alarms (limit; jackknife SE)  guard  SAME by margin")
    for split in SPLITS:
        if before:
            pools[split] = {metric: np.array(before["pools"][split][metric]) for metric in METRICS}
        else:
            pool = pool_trials(recipe, split, rows, load_data(recipe.data.name).fingerprint)
            train(pool, store)
            pools[split] = {metric: read(pool, store, metric) for metric in METRICS}
        for seed, (metric, size) in enumerate(product(METRICS, product(BLOCKS, ARMS))):
            rate = a_a_studies(pools[split][metric], split, metric, size, margins, studies, seed)
            rates.append(rate)
            print(
                f"{split:10s} {metric:20s} {rate.blocks:6d} {rate.arms:4d}  {rate.false_alarms:.4f} "
                f"({rate.limit:.4f}; {rate.jackknife_error:.4f}) {'holds' if rate.holds else 'FAILS'}  "
                f"{rate.guarded:.3f}  " + "  ".join(f"±{margin}: {share:.3f}" for margin, share in rate.same.items()),
                flush=True,
            )
    kept = record(rates, pools, datetime.now(UTC).date().isoformat())
    kept["pool_of"] = before.get("pool_of", before.get("date", kept["date"]))
    print(f"{kept['claim']['studies']} A/A studies, largest rate {kept['claim']['largest']:.4f}")
    if given.json is not None:
        write(given.json, kept)
    if given.whole:
        kept["whole"] = whole_rate(whole_studies(given.runs / "whole", given.whole))
        print({name: value for name, value in kept["whole"].items() if name != "each"})
        if given.json is not None:
            write(given.json, kept)
    if not (kept["claim"]["holds"] and kept.get("whole", kept["claim"])["holds"]) and not given.quick:
        sys.exit("the claim does not hold")


def write(file: Path, kept: dict[str, Any]) -> None:
    """Write the record with a line for each rate and each row of a pool."""
    rates = ",\n".join(f"  {json.dumps(rate)}" for rate in kept["rates"])
    pools = ",\n".join(
        f"  {json.dumps(split)}: {{\n"
        + ",\n".join(
            f"   {json.dumps(metric)}: [\n" + ",\n".join(f"    {json.dumps(row)}" for row in rows) + "\n   ]"
            for metric, rows in of.items()
        )
        + "\n  }"
        for split, of in kept["pools"].items()
    )
    head = json.dumps({key: value for key, value in kept.items() if key not in ("rates", "pools")}, indent=1)
    text = f'{head.removesuffix("}").rstrip()},\n "rates": [\n{rates}\n ],\n "pools": {{\n{pools}\n }}\n}}\n'
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
