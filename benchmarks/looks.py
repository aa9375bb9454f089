"""What it costs to judge a study again as it grows: false alarms at any of several looks, where nothing differs.

Run:  python benchmarks/looks.py [--studies 50000] [--json FILE]

Errors are normal with equal spread, blocks shift all arms alike, and a look judges all blocks so far as a table does.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from eailab.runs.atomic import write_text
from eailab.runs.records import collect
from eailab.stats.group_sequential import judgement_levels
from eailab.stats.power import judge

LOOKS = ((3, 5, 8), (5, 7, 10), (3, 5, 8, 12))
"""Numbers of blocks after which a study is judged."""
ARMS = (2, 3, 4)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=50_000)
    parser.add_argument("--json", type=Path, default=None, help="write the results there as well")
    options = parser.parse_args()
    found = []
    for looks in LOOKS:
        for arms in ARMS:
            rates = false_alarms(arms, looks, options.studies)
            print(f"{arms} arms, looks {looks}:", *(f"{name} {rate:.2%}" for name, rate in rates.items()), flush=True)
            found.append({"arms": arms, "looks": looks} | rates)
    if options.json:
        record = {
            "benchmark": "looks",
            "date": time.strftime("%Y-%m-%d"),
            "command": " ".join(["python", *sys.argv]),
            "studies": options.studies,
            "where": collect("cpu", 1, ("numpy", "scipy")),
            "found": found,
        }
        write_text(options.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
