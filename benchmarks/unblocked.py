"""Count the false alarms of groups of runs that share no seeds.

    uv run python benchmarks/unblocked.py [--draws 20000]

Normal values without any difference between arms, judged by `compare_unblocked` as a study is; an alarm is a study in
which any arm is BETTER or WORSE. Last, `eailab judge` is timed on 100,000 rows.
`docs/decisions.md` quotes the worst cells.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from eailab.stats.model import compare
from eailab.stats.unblocked import Sample, compare_unblocked
from eailab.stats.verdict import Verdict

DESIGNS: tuple[tuple[tuple[int, ...], tuple[float, ...]], ...] = (
    ((3, 3), (1, 1)),
    ((5, 5), (1, 1)),
    ((3, 8), (1, 1)),
    ((8, 3), (1, 1)),
    ((3, 3, 3, 3), (1, 1, 1, 1)),
    ((5, 5, 5, 5), (1, 1, 1, 1)),
    ((8, 3, 3, 3), (1, 1, 1, 1)),
    ((3, 5, 8), (1, 1, 1)),
    ((10, 10, 10), (1, 1, 1)),
    ((3, 3), (1, 5)),
    ((3, 8), (2, 1)),
    ((3, 8), (5, 1)),
    ((5, 10), (2, 1)),
    ((5, 5, 5, 5), (1, 1, 1, 5)),
    ((8, 3, 3, 3), (1, 2, 2, 2)),
    ((10, 10, 10), (1, 1, 3)),
)
"""Runs and spread of each arm, the baseline first."""
SHOWN = (Verdict.BETTER, Verdict.WORSE)


def alarms(numbers: tuple[int, ...], spreads: tuple[float, ...], draws: int) -> float:
    """Return the share of studies without any difference in which one is called."""
    chance, found = np.random.default_rng(18), 0
    for _ in range(draws):
        samples = [Sample.of(chance.normal(0.0, sd, n)) for n, sd in zip(numbers, spreads, strict=True)]
        found += any(arm.verdict in SHOWN for arm in compare_unblocked(samples, 0, 0.0).arms)
    return found / draws


def blocked_alarms(blocks: int, arms: int, draws: int) -> float:
    """Return the same where arms share seeds, whose luck is as large as that of a run."""
    chance, found = np.random.default_rng(18), 0
    for _ in range(draws):
        values = chance.normal(size=(blocks, arms)) + chance.normal(size=(blocks, 1))
        found += any(arm.verdict in SHOWN for arm in compare(values, 0, 0.0).arms)
    return found / draws


def seconds_of(rows: str) -> float:
    """Return how long the command takes on a file."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "results.csv").write_text(rows)
        began = time.perf_counter()
        command = [sys.executable, "-m", "eailab", "judge", "results.csv", "--metric", "acc", "--by", "arm"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began


def main() -> None:
    """Print a line for each design, and the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20_000)
    draws = parser.parse_args().draws
    allowed = 0.05 + 2.0 * math.sqrt(0.05 * 0.95 / draws)
    print(f"false alarms; 5% and two standard errors are {allowed:.4f}")
    for numbers, spreads in DESIGNS:
        design = f"{'-'.join(map(str, numbers)):10} SD {'-'.join(map(str, spreads)):10}"
        print(f"{design} {alarms(numbers, spreads, draws):.4f}")
    for blocks, arms in ((3, 2), (3, 4), (5, 2), (5, 4), (10, 4)):
        print(f"{blocks} blocks, {arms} arms {blocked_alarms(blocks, arms, draws):.4f}")
    value = np.random.default_rng(0).normal(90.0, 1.0, (4, 25, 1000))
    rows = [f"m{a},{s},{e},{value[a, s, e]:.4f}" for a in range(4) for s in range(25) for e in range(1000)]
    print(f"100,000 rows of 100 runs: {seconds_of(chr(10).join(['arm,seed,epoch,acc', *rows])):.1f} s")


if __name__ == "__main__":
    main()
