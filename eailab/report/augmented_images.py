"""Show how recipes vary training images: some of them as they are, and as a block's first epoch has them.

A study keeps its images in `augmented.json`, which is written where the study was trained: a report reads them there,
and needs neither the data set nor the engine.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from eailab.data.dataset import Dataset, Pixels
from eailab.data.registry import load
from eailab.data.split import trial_data
from eailab.engines.registry import images_of
from eailab.errors import DataError, StoreError
from eailab.files import TABLE, folder_name, read
from eailab.recipe.base import ImageRecipe
from eailab.recipe.canonical import digest
from eailab.recipe.describe import in_words
from eailab.report.pictures import brightest, data_address
from eailab.runs import records
from eailab.runs.atomic import write_changed
from eailab.studies.storage import StudyRecord
from eailab.translation import COMMA, joined, tr

NAME = "augmented.json"
SCHEMA_VERSION = 1
ORIGINAL = tr("original")
COLUMNS = 8
"""Images side by side, and as many as a page shows."""


@dataclass(frozen=True)
class SheetRow:
    """The same images, varied in one way."""

    label: str
    images: tuple[Pixels, ...]
    """Each `[rows, columns, C]`."""
    notes: tuple[str, ...] = ()
    """What mixup adds to each; empty without."""


@dataclass(frozen=True)
class Sheet:
    """Training images of one block as they are, and as the first epoch of each recipe has them."""

    block: int
    classes: tuple[str, ...]
    """Of each image."""
    rows: tuple[SheetRow, ...]
    """The first as they are."""
    brightest: int
    """Pixel value that is shown as white."""


def varies(recipe: ImageRecipe) -> bool:
    """Return whether a recipe varies its training images."""
    return recipe.data.augment.name != "none" or getattr(recipe, "mixup", None) is not None


def how(recipe: ImageRecipe) -> str:
    """Return in words how a recipe varies its training images.

    >>> from eailab.recipe.load import load
    >>> how(load("resnet18-digits").recipe.images)
    'crop-flip (padding 4)'
    """
    mixup = getattr(recipe, "mixup", None)
    parts = [in_words(recipe.data.augment.model_dump(mode="json"))] if recipe.data.augment.name != "none" else []
    return joined([*parts, *([f"mixup {mixup:g}"] if mixup is not None else [])], COMMA)


def sheet(recipes: Sequence[ImageRecipe], dataset: Dataset, block: int, count: int) -> Sheet:
    """Return the first images that a block trains on, as they are and as each recipe that varies them has them.

    The recipes divide the data alike; of those that vary images alike, one is shown.

    Raises:
        DataError: A split would be empty, or has fewer images than the recipe's limit.
    """
    data = trial_data(dataset, recipes[0].data, block)
    train, first = data.train, images_of(recipes[0]).augmented(recipes[0], data, block, count)
    originals = [train.pixels[number] for number in first.numbers]
    rows = [SheetRow(ORIGINAL, tuple(originals))]
    for label, recipe in {how(one): one for one in recipes if varies(one)}.items():
        made = images_of(recipe).augmented(recipe, trial_data(dataset, recipe.data, block), block, count)
        named = [(dataset.classes[train.labels[number]], share) for number, share in made.mixed_with]
        rows.append(SheetRow(label, tuple(made.pixels), tuple(f"+ {share:.0%} {name}" for name, share in named)))
    classes = tuple(dataset.classes[label] for label in train.labels[first.numbers])
    return Sheet(block, classes, tuple(rows), brightest(dataset))


def sheet_name(recipe: ImageRecipe, block: int, count: int) -> str:
    """Return a file name for a recipe's sheet, which another recipe or block does not share."""
    key = digest([recipe.model_dump(mode="json", exclude={"study"}), block, count])[:10]
    return f"{folder_name(recipe.name, key)}.png"


# --- of a study ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeptRow:
    """A row whose images are addresses that hold all of them."""

    label: str
    images: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeptSheet:
    """A sheet as a study's folder has it."""

    block: int
    classes: tuple[str, ...]
    rows: tuple[KeptRow, ...]


def _shown(record: StudyRecord) -> list[ImageRecipe]:
    """Return the recipes of a study that a sheet shows: those that divide the data as the baseline does."""
    recipes = [one for arm in record.study.arms if (one := arm.recipe.images) is not None]
    if len(recipes) < len(record.study.arms):
        return []
    divided = recipes[record.study.baseline].data.model_copy(update={"augment": recipes[0].data.augment})
    alike = [one for one in recipes if one.data.model_copy(update={"augment": divided.augment}) == divided]
    return alike if any(map(varies, alike)) else []


def keep_sheet(folder: Path, record: StudyRecord, data_dir: Path | None = None) -> None:
    """Write a study's sheet into its folder, where its recipes vary images and it has none of theirs yet.

    Where the data set is not on this machine, as where a study's files are written again elsewhere, nothing is written.

    Raises:
        StoreError: The file cannot be written.
    """
    recipes = _shown(record)
    if not recipes or kept_sheet(folder, record) is not None:
        return
    block = record.study.blocks[0]
    try:
        made = sheet(recipes, load(recipes[0].data.name, data_dir, download=False), block, COLUMNS)
    except DataError:
        return
    rows = [
        KeptRow(row.label, tuple(data_address(one, made.brightest) for one in row.images), row.notes)
        for row in made.rows
    ]
    content = asdict(KeptSheet(block, made.classes, tuple(rows)))
    numbers = {"schema_version": SCHEMA_VERSION, "of": _digest(record), "sheet": json.loads(json.dumps(content))}
    text = json.dumps(numbers | {"checksum": records.seal(numbers)}, indent=2)
    write_changed(folder / NAME, f"{text}\n".encode())


def kept_sheet(folder: Path, record: StudyRecord) -> KeptSheet | None:
    """Return a study's sheet; None where there is none of these recipes, or it is damaged."""
    if not _shown(record):
        return None
    try:
        content = records.parse(read(folder / NAME, TABLE))
        seal = content.pop("checksum")
        if seal != records.seal(content) or content["of"] != _digest(record):
            return None
        found = content["sheet"]
        rows = tuple(KeptRow(one["label"], tuple(one["images"]), tuple(one["notes"])) for one in found["rows"])
        return KeptSheet(found["block"], tuple(found["classes"]), rows)
    except (StoreError, FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _digest(record: StudyRecord) -> str:
    shown = [[how(one), one.data.model_dump(mode="json"), one.batch_size] for one in _shown(record)]
    return digest([shown, record.study.blocks[0]])
