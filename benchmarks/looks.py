"""What it costs to look at a study several times: false alarms at any of the looks, where nothing differs.

Run:  python benchmarks/looks.py [--studies 20000] [--json FILE]

Errors are normal, blocks shift all arms alike, and a look judges all blocks so far as a table does. First, a study that
is judged again as it grows, at 5% each time and at the levels that it is held at. Then a study that looks after each
block until its arms are decided, at equal spreads and where some arms are wider; and how many blocks that takes where
an arm differs. The worst cells are simulated again with new seeds, four times as often, and those rates are the ones to
quote: the worst of many rates is too high by its own choice.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.runs.atomic import write_text
from eailab.runs.records import collect
from eailab.stats.group_sequential import judgement_levels, look_levels, looks_within
from eailab.stats.power import judge

Array = NDArray[np.float64]

LOOKS = ((3, 5, 8), (5, 7, 10), (3, 5, 8, 12))
"""Numbers of blocks after which a study is judged."""
ARMS = (2, 3, 4)

MOST = (4, 5, 6, 8, 10, 13, 20)
"""Most blocks of a study that adds blocks until its arms are decided."""
ARMS_UNTIL_DECIDED = (2, 3, 4, 6)
RATIOS = (2.0, 5.0, 20.0)
EFFECTS = (0.0, 1.0, 1.5, 2.0, 3.0)
"""True differences of one arm, in SDs of a trial."""
BAR, BAR_UNEQUAL = 0.05, 0.065
"""Most false alarms of a study that looks until its arms are decided, with equal and with unequal spread."""
WORST = 3
"""Cells that are simulated again."""
STUDIES = 20_000
CHUNK = 10_000
"""Studies that are drawn at once."""


def false_alarms(arms: int, looks: tuple[int, ...], studies: int) -> dict[str, float]:
    """Return the shares of studies in which some arm is called different: at the last look, and at any of them.

    `paid` is at any look at the levels of studies that are judged again, the others are at 5% each.
    """
    random = np.random.default_rng(0)
    values = random.normal(size=(studies, looks[-1], arms)) + random.normal(size=(studies, looks[-1], 1))
    judged = [judge(values[:, :blocks]) for blocks in looks]
    levels = judgement_levels(len(looks))
    free = np.array([one.alarm().any(axis=1) for one in judged])
    paid = np.array([one.alarm(level).any(axis=1) for one, level in zip(judged, levels, strict=True)])
    shares = {"last": free[-1], "any": free.any(axis=0), "paid": paid.any(axis=0)}
    return {name: float(alarms.mean()) for name, alarms in shares.items()}


def until_decided(most: int, sd: Array, effect: float, studies: int, seed: int = 0) -> tuple[float, float]:
    """Return the share of studies in which some arm is called different, and the blocks until then or the last look.

    Args:
        most: Blocks at the last look.
        sd: Of the errors of each arm, the baseline first.
        effect: True difference of the last arm.
        studies: How many to simulate.
        seed: Another one gives other studies.
    """
    looks = looks_within(most * len(sd), len(sd))
    random = np.random.default_rng([most, len(sd), seed])
    mean = np.zeros(len(sd))
    mean[-1] = effect
    at = []
    for start in range(0, studies, CHUNK):
        values = random.normal(size=(min(CHUNK, studies - start), most, len(sd))) * sd + mean
        alarms = np.array([
            judge(values[:, :blocks]).alarm(level).any(axis=1)
            for blocks, level in zip(looks, look_levels(looks, len(sd)), strict=True)
        ])  # fmt: skip
        at.append(np.where(alarms.any(axis=0), np.array(looks)[alarms.argmax(axis=0)], np.inf))
    first = np.concatenate(at)
    return float(np.isfinite(first).mean()), float(np.minimum(first, most).mean())


def spreads(arms: int) -> Iterator[tuple[str, float, Array]]:
    """Yield who is wide, how many times, and the SD of each arm; two arms have one spread, that of their difference."""
    yield "none", 1.0, np.ones(arms)
    who = {"baseline": [0], "arm": [arms - 1]} | ({"half": list(range(arms - arms // 2, arms))} if arms > 3 else {})
    for wide, columns in who.items() if arms > 2 else ():
        for ratio in RATIOS:
            sd = np.ones(arms)
            sd[columns] = ratio
            yield wide, ratio, sd


def repeated(cells: list[dict[str, Any]], studies: int) -> list[dict[str, Any]]:
    """Simulate the worst cells again with new seeds, four times as often, and hold them to their bar."""
    found = []
    for seed, cell in enumerate(sorted(cells, key=lambda one: -float(one["any"]))[:WORST], start=1):
        [sd] = [sd for wide, ratio, sd in spreads(cell["arms"]) if (wide, ratio) == (cell["wide"], cell["ratio"])]
        rate, _ = until_decided(cell["most"], sd, 0.0, 4 * studies, seed)
        error = math.sqrt(rate * (1.0 - rate) / (4 * studies))
        bar = BAR if cell["wide"] == "none" else BAR_UNEQUAL
        found.append(cell | {"again": rate, "error": error, "bar": bar, "holds": rate - 2.0 * error <= bar})
    return found


def measure(studies: int) -> dict[str, Any]:
    """Simulate all kinds of studies, so many of each."""
    again: list[dict[str, Any]] = []
    for looks in LOOKS:
        for arms in ARMS:
            rates = false_alarms(arms, looks, studies)
            print(f"{arms} arms, looks {looks}:", *(f"{name} {rate:.2%}" for name, rate in rates.items()), flush=True)
            again.append({"arms": arms, "looks": looks} | rates)
    decided: list[dict[str, Any]] = []
    for arms in ARMS_UNTIL_DECIDED:
        for most in MOST:
            for wide, ratio, sd in spreads(arms):
                rate, _ = until_decided(most, sd, 0.0, studies)
                decided.append({"arms": arms, "most": most, "wide": wide, "ratio": ratio, "any": rate})
            own = [one for one in decided if (one["arms"], one["most"]) == (arms, most)]
            worst = max(own, key=lambda one: float(one["any"]))
            said = f"worst {worst['any']:.2%} ({worst['wide']} {worst['ratio']:g} times as wide)"
            print(f"{arms} arms, each block to {most}: {own[0]['any']:.2%}, {said}", flush=True)
    alike = [cell["wide"] == "none" for cell in decided]
    again_worst = [
        cell
        for equal in (True, False)
        for cell in repeated([one for one, same in zip(decided, alike, strict=True) if same is equal], studies)
    ]
    for cell in again_worst:
        print(", ".join(f"{name} {value}" for name, value in cell.items()), flush=True)
    saved: list[dict[str, Any]] = []
    for arms in (2, 4):
        for effect in EFFECTS:
            power, blocks = until_decided(13, np.ones(arms), effect, studies)
            print(f"{arms} arms, {effect:g} SD, to 13: found in {power:.1%}, {blocks:.1f} blocks", flush=True)
            saved.append({"arms": arms, "effect": effect, "power": power, "blocks": blocks})
    return {"found": again, "until_decided": decided, "worst_again": again_worst, "saved": saved}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=STUDIES)
    parser.add_argument("--json", type=Path, default=None, help="write the results there as well")
    options = parser.parse_args()
    found = measure(options.studies)
    if options.json:
        record = {
            "benchmark": "looks",
            "date": time.strftime("%Y-%m-%d"),
            "command": " ".join(["python", *sys.argv]),
            "studies": options.studies,
            "where": collect("cpu", 1, ("numpy", "scipy")),
            **found,
        }
        write_text(options.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
