"""Whether the interval for new images covers: studies whose images are drawn again too, simulated.

A network has an image right with a chance that depends on the image, on the arm, on both, and on the block's seeds.
Each study draws its images and seeds; the truth is the mean difference over very many of both. Counted is how often the
interval of the seeds, as tables have it, and the second one, for new images, contain that truth. The reference is the
variance of the difference over the studies themselves, which no formula enters: beside it stands the mean of what the
formula says of each study.

Run:    python benchmarks/new_images.py --quick
        python benchmarks/new_images.py     (two minutes)
"""

import argparse
import json
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from eailab.runs.atomic import write_text
from eailab.runs.records import collect
from eailab.stats.model import compare
from eailab.stats.new_images import for_new_images

Array = NDArray[np.float64]

BLOCKS, IMAGES = (3, 5, 10, 30), (288, 2000)
INTERACTIONS = {"none": 0.0, "usual": 1.0, "strong": 3.0}
"""SD, on the logit scale, by which an arm's chance on an image differs from the baseline's."""
LEVEL, DIFFICULTY, SEEDS = 4.5, 3.0, 0.3
"""Mean and SD over images of the logit of being right, and its SD over trials: 97% right with a trial's SD of 0.8 pp
on 288 images."""
STUDIES = 2000


def rights(interaction: float, shape: tuple[int, ...], chance: np.random.Generator) -> Array:
    """Return `[R, B, 2, N]`, whether each trial has each image right, 0 or 1."""
    studies, blocks, images = shape
    logit = LEVEL + DIFFICULTY * chance.standard_normal((studies, 1, 1, images))
    own = np.zeros((studies, 1, 2, images))
    own[:, :, 1] = interaction * chance.standard_normal((studies, 1, images)) + 0.2
    seeds = SEEDS * chance.standard_normal((studies, blocks, 2, 1))
    found: Array = (chance.random((studies, blocks, 2, images)) < special.expit(logit + own + seeds)).astype(np.float64)
    return found


def true_difference(interaction: float) -> float:
    """Return the mean difference over images and seeds, in percentage points, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    weights /= weights.sum()

    def share(spread: float, shift: float) -> float:
        return float(weights @ special.expit(LEVEL + shift + spread * nodes))

    baseline = np.hypot(DIFFICULTY, SEEDS)
    return 100.0 * (share(float(np.hypot(baseline, interaction)), 0.2) - share(float(baseline), 0.0))


def covered(blocks: int, images: int, interaction: str, studies: int, seed: int) -> dict[str, Any]:
    """Return how often each interval contains the truth, and the variance that the formula finds over the real one."""
    chance = np.random.default_rng(seed)
    truth = true_difference(INTERACTIONS[interaction])
    seeds = both = 0
    differences, variances = [], []
    for _ in range(studies):
        [right] = rights(INTERACTIONS[interaction], (1, blocks, images), chance)
        result = compare(100.0 * right.mean(axis=2), 0, 0.0, outlooks=False).arms[1]
        gains = 100.0 * (right[:, 1] - right[:, 0])
        found = for_new_images(gains, result, 1)
        differences.append(float(gains.mean()))
        if found is None or result.interval is None:  # equal in every block
            continue
        variances.append(found.standard_error**2)
        seeds += result.interval[0] <= truth <= result.interval[1]
        both += found.interval[0] <= truth <= found.interval[1]
    judged = len(variances)
    return {
        "blocks": blocks,
        "images": images,
        "interaction": interaction,
        "studies": judged,
        "truth": truth,
        "seeds_alone": seeds / judged,
        "new_images": both / judged,
        "variance_ratio": float(np.mean(variances) / np.var(differences, ddof=1)),
    }


def measure(studies: int) -> dict[str, Any]:
    """Measure all cells with so many studies each, and hold them to the claim."""
    cells = []
    for images, blocks, interaction in product(IMAGES, BLOCKS, INTERACTIONS):
        cells.append(covered(blocks, images, interaction, studies, len(cells)))
        print("  ".join(f"{name} {value}" for name, value in cells[-1].items()), flush=True)
    return {
        "claim": {
            "text": "for new images at least 94%",
            "least": min(cell["new_images"] for cell in cells),
            "seeds_alone_least": min(cell["seeds_alone"] for cell in cells),
        },
        "cells": cells,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the studies")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    given = parser.parse_args()
    started = time.perf_counter()
    found = measure(STUDIES // 10 if given.quick else STUDIES)
    if given.json is not None:
        record = {
            "command": " ".join(["python", *sys.argv]),
            "where": collect("cpu", 1, ("numpy", "scipy")),
            "seconds": round(time.perf_counter() - started, 1),
            **found,
        }
        write_text(given.json, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
