"""Export a finished trial's network to a file for other software, which is checked before it is written.

Shapes: `N` images, `H` rows, `W` columns, `C` channels, `K` classes.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab import __version__
from eailab.data.dataset import Pixels
from eailab.errors import CheckFailedError, DamagedError, DataError, UsageError
from eailab.files import safe_name
from eailab.inference.formats import FORMATS, ExportRunner
from eailab.inference.predict import WHITE, TrainedNetwork, data_of, find_finished, largest_pixel, read_network
from eailab.recipe.canonical import to_yaml
from eailab.runs import atomic
from eailab.runs.store import Store

AT_ONCE = 64
"""Images that an exported file is given at once; the last of a check has what is left."""
TOLERANCE = 1e-3
"""Largest difference from our own logits, as a share of the largest of them: sums in 32 bits, in another order."""


@dataclass(frozen=True)
class ExportCheck:
    """Describe how an exported file compared with the trial's own network on the same images."""

    by: str
    """The software that ran the file."""
    images: int
    which: str
    """What images these were, in words."""
    largest_difference: float
    """Between two logits of an image and class."""
    largest_logit: float
    """Of ours, without its sign."""
    same_class: int
    """Images whose likeliest class is the same."""
    as_recorded: int | None
    """Images that the file gives the class that the trial recorded when it ended; None where they are not its own."""


@dataclass(frozen=True)
class Exported:
    """A file that was written, and the check that it has passed."""

    file: Path
    trial: str
    holds: str
    """What is in it, in words."""
    pixels: str
    """Which values it expects of pixels, in words."""
    check: ExportCheck


def export(
    store: Store, name: str, to: str, out: Path | None = None, images: int = 256, data_dir: Path | None = None
) -> Exported:
    """Write a finished trial's network to a file for other software.

    The file's content is run on images, and compared with the trial's own network, before anything is written.

    Args:
        store: Where the trial lies.
        name: The trial's, as for `find_finished`.
        to: One of `FORMATS`.
        out: The file, which must not exist, or a folder for it; None for the store's folder `exports`.
        images: On how many images, at most, it is checked.
        data_dir: Folder of downloaded data sets; None for the usual one. Nothing is downloaded.

    Raises:
        UsageError: There is no such trial or format, the file exists, or a library is not installed.
        StoreError: The trial is damaged, or the file cannot be written.
        CheckFailedError: The file's logits are not the network's.
    """
    if to not in FORMATS:
        raise UsageError(f"there is no format {to!r}: choose one of {', '.join(FORMATS)}.")
    folder = find_finished(store, name)
    trained = read_network(folder)
    kind = FORMATS[to]
    usual = f"{safe_name(trained.recipe.name)}-{folder.path.name[:10]}{kind.suffix}"
    out = out or store.root / "exports" / usual
    out = out / usual if out.is_dir() else out
    if out.suffix != kind.suffix:
        raise UsageError(f"{out} is not a name for a file of --to {to}: let it end in {kind.suffix}.")
    if os.path.lexists(out):
        raise UsageError(f"{out} exists and is not overwritten: choose another file with --out, or delete it.")
    data = kind.write(trained, facts(trained))
    check = compare(trained, kind.load(data, trained), images, data_dir)
    bound = TOLERANCE * max(1.0, check.largest_logit)
    if not check.largest_difference <= bound:  # NaN does not agree
        raise CheckFailedError(
            f"nothing was written: run by {check.by} on {check.images} {check.which}, the logits differ from ours by "
            f"up to {check.largest_difference:.2g}, where rounding explains {bound:.2g}. "
            "Another version of the library may help; please report this."
        )
    atomic.write_bytes(out, data)
    return Exported(out, folder.path.name, kind.contents(trained), pixels_in_words(trained, data_dir), check)


def pixels_in_words(trained: TrainedNetwork, data_dir: Path | None) -> str:
    """Say which values a network expects of pixels; a picture's go to 255, those of other data may end before."""
    largest = largest_pixel(trained, data_dir)
    if largest is None:
        return "as in training; neither the trial nor data on this machine show how far those went"
    if 2 * largest >= WHITE:
        return f"0 to {WHITE}, as in a picture"
    return f"0 to {largest}, as in training: multiply those of a picture, 0 to {WHITE}, by {largest}/{WHITE} first"


def facts(trained: TrainedNetwork) -> dict[str, str]:
    """Return what a file's metadata tell of the network: where it comes from, and what it expects of images."""
    return {
        "eailab": __version__,
        "trial": trained.folder.path.name,
        "block": str(trained.block),
        "data": trained.data,
        "recipe_name": trained.recipe.name,
        "recipe": to_yaml(trained.recipe),
        **({} if trained.largest_pixel is None else {"largest_pixel": str(trained.largest_pixel)}),
        **trained.expected.facts(),
    }


def compare(trained: TrainedNetwork, runner: ExportRunner, images: int, data_dir: Path | None) -> ExportCheck:
    """Run an exported file and the trial's own network on the same images."""
    try:
        tested = data_of(trained, data_dir).test
    except DataError as error:
        shape = (images, *trained.expected.image)
        pixels: Pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        which, recorded = f"images of random pixels ({error})", None
    else:
        pixels, which = tested.pixels[:images], f"test images of {trained.recipe.data.name}"
        recorded = trained.folder.predictions()["test"]
        if len(recorded) != len(tested):
            raise DamagedError(
                f"{trained.folder.predictions_file} is of {len(recorded)} test images, and {trained.recipe.data.name} "
                f"has {len(tested)}: the trial is damaged. `eailab runs verify --repair` moves it aside."
            )
        recorded = recorded[: len(pixels)]
    ours = trained.logits(pixels)
    theirs = np.concatenate(
        [runner.logits(pixels[start : start + AT_ONCE]) for start in range(0, len(pixels), AT_ONCE)]
    )
    return ExportCheck(
        by=runner.by,
        images=len(pixels),
        which=which,
        largest_difference=float(np.abs(ours - theirs).max()),
        largest_logit=float(np.abs(ours).max()),
        same_class=_agreeing(ours.argmax(1), theirs.argmax(1)),
        as_recorded=None if recorded is None else _agreeing(recorded, theirs.argmax(1)),
    )


def _agreeing(some: NDArray[np.integer[Any]], others: NDArray[np.integer[Any]]) -> int:
    return int(np.count_nonzero(some == others))
