"""Whether planning numbers keep their word: studies that are planned from a pilot, simulated to their end.

Three promises are held to what comes of them, over pilots of 3 to 10 blocks of two to four arms and true differences of
0 to 2.5 SD of a trial; the power of more than two arms is that of simulated studies, which are judged as tables are.

- "an even chance of a verdict with about N1 blocks, four in five with about N2": every undecided pilot goes on to N1
  and to N2 blocks; counted is how many then have a verdict, at the level of a second judgement.
- `--detect`: the blocks that the pilot's SD, at its upper 80% bound, asks for; counted is the power that a study of so
  many blocks has for that difference. The SD itself in place of the bound is shown beside it.
- "smallest difference detectable with 80% power": the power for the difference that the pilot's table names.

Run:    python benchmarks/planning.py --quick
        python benchmarks/planning.py     (some minutes)
"""

import argparse
import json
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eailab.runs.atomic import write_text
from eailab.runs.records import collect
from eailab.stats import p_values
from eailab.stats.model import compare
from eailab.stats.power import detectable_difference, judge
from eailab.stats.variance import upper_sd
from eailab.stats.verdict import SINGLE_LOOK, Verdict, next_level

PILOTS, ARMS = (3, 5, 10), (2, 3, 4)
TRUTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
"""True differences of one arm, in SDs of a trial; without a margin 0 is left out, since nothing decides it."""
MARGINS = (0.0, 0.5, 1.0)
WANTED = (1.0, 2.0, 3.0)
"""Differences that `--detect` is asked for, in SDs of a trial."""
PILOTS_OF_A_CELL = 600
"""Of two arms; of more half as many."""
BAR = 0.78
"""Least share of studies, on average over pilots, that do what four in five are promised to do."""


def kept_by_outlook(blocks: int, arms: int, margin: float, studies: int, seed: int) -> dict[str, Any]:
    """Let undecided pilots go on to the blocks that their tables name, and count the verdicts."""
    chance = np.random.default_rng(seed)
    truths = [truth for truth in TRUTHS if truth or margin]
    ended: dict[str, list[bool]] = {"even": [], "likely": []}
    undecided = beyond = 0
    for study in range(studies):
        shift = np.zeros(arms)
        shift[1] = truths[study % len(truths)]
        pilot = chance.standard_normal((blocks, arms)) + shift
        arm = compare(pilot, 0, margin).arms[1]
        if arm.verdict is not Verdict.UNDECIDED:
            continue
        undecided += 1
        beyond += arm.blocks_likely is None
        for name, number in (("even", arm.blocks_needed), ("likely", arm.blocks_likely)):
            if number is not None:
                more = chance.standard_normal((number - blocks, arms)) + shift
                whole = np.vstack([pilot, more])
                verdict = compare(whole, 0, margin, level=next_level(SINGLE_LOOK)).arms[1].verdict
                ended[name].append(verdict is not Verdict.UNDECIDED)
    return {
        "blocks": blocks,
        "arms": arms,
        "margin": margin,
        "undecided": undecided,
        "not_within_1000": beyond,
        "even": float(np.mean(ended["even"])),
        "likely": float(np.mean(ended["likely"])),
    }


SIMULATED = 20_000
"""Studies by which the power of three arms or more is found."""


@lru_cache(maxsize=256)
def reached(blocks: int, arms: int) -> NDArray[np.float64]:
    """Return what a true difference must exceed to be found, in each of many studies, in SDs and sorted."""
    found = judge(np.random.default_rng([blocks, arms]).standard_normal((SIMULATED, blocks, arms)))
    return np.sort((found.half(0.95) - found.difference)[:, 0])


def power(difference: Any, blocks: int, arms: int) -> Any:
    """Return the power of a study for a true difference in SDs: by noncentral t, of three arms or more simulated."""
    if arms > 2:
        return np.searchsorted(reached(blocks, arms), np.asarray(difference)) / SIMULATED
    critical = p_values.critical_value(0.95, 1, blocks - 1)
    return 1.0 - special.nctdtr(blocks - 1, np.asarray(difference) / np.sqrt(2.0 / blocks), critical)


def kept_by_detect(blocks: int, arms: int, wanted: float, pilots: int, seed: int) -> dict[str, Any]:
    """Plan studies by the SD of a pilot, and return the power that they have on average."""
    df = (arms - 1) * (blocks - 1)
    sd = np.sqrt(np.random.default_rng(seed).chisquare(df, pilots) / df)
    numbers = np.arange(3, 61)
    shown = np.array([detectable_difference(number, arms, 1.0) for number in numbers])  # falls with the blocks
    of_number = np.array([power(wanted, number, arms) for number in numbers])

    def mean(planned: Any) -> float:
        place = np.searchsorted(-shown, -wanted / planned)
        return float(of_number[np.minimum(place, len(numbers) - 1)].mean())

    return {"blocks": blocks, "arms": arms, "wanted": wanted, "power": mean(sd * upper_sd(1.0, df)), "by_sd": mean(sd)}


def kept_by_detectable(blocks: int, arms: int, pilots: int, seed: int) -> dict[str, Any]:
    """Return the mean power of a new study for the difference that a pilot's table calls detectable."""
    chance = np.random.default_rng(seed)
    named = [compare(chance.standard_normal((blocks, arms)), 0, 0.0).arms[1].detectable for _ in range(pilots)]
    return {"blocks": blocks, "arms": arms, "power": float(np.mean([power(one, blocks, arms) for one in named]))}


def measure(studies: int) -> dict[str, Any]:
    """Hold the plans of so many pilots a cell to what they promise."""
    cells = [(blocks, arms) for arms in ARMS for blocks in PILOTS]
    outlook = [
        kept_by_outlook(*cell, margin, studies if cell[1] == 2 else studies // 2, 1)
        for cell in cells
        for margin in MARGINS
    ]
    detect = [kept_by_detect(*cell, wanted, 20_000, 2) for cell in cells for wanted in WANTED]
    detectable = [kept_by_detectable(*cell, studies, 3) for cell in cells]
    for rows in (outlook, detect, detectable):
        for row in rows:
            print("  ".join(f"{name} {value:.3g}" for name, value in row.items()))
    claims: dict[str, Any] = {}
    for arms in ARMS:
        own = [[row for row in rows if row["arms"] == arms] for rows in (outlook, detect, detectable)]
        means = {
            "verdicts with N2 blocks, mean": float(np.mean([row["likely"] for row in own[0]])),
            "power of plans by --detect, mean": float(np.mean([row["power"] for row in own[1]])),
            "power at the detectable difference, mean": float(np.mean([row["power"] for row in own[2]])),
        }
        claims[f"{arms} arms"] = {name: {"found": found, "holds": found >= BAR} for name, found in means.items()} | {
            "verdicts with N1 blocks, mean": {"found": float(np.mean([row["even"] for row in own[0]]))},
            "power of plans by --detect, least": {"found": min(row["power"] for row in own[1])},
            "power at the detectable difference, least": {"found": min(row["power"] for row in own[2])},
        }
        for name, claim in claims[f"{arms} arms"].items():
            print(f"{arms} arms, {name}: {claim}")
    return {"claims": claims, "outlook": outlook, "detect": detect, "detectable": detectable}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few pilots: a quarter of a minute")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    given = parser.parse_args()
    started = time.perf_counter()
    found = measure(60 if given.quick else PILOTS_OF_A_CELL)
    if given.json is not None:
        record = {
            "command": " ".join(["python", *sys.argv]),
            "where": collect("cpu", 1, ("numpy", "scipy")),
            "seconds": round(time.perf_counter() - started, 1),
            **found,
        }
        write_text(given.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
