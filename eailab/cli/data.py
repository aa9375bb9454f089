"""`eailab data` and `eailab split`: the data sets, their files and images, and their division for training."""

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eailab.cli import completion
from eailab.cli.advice import offering_small_data
from eailab.cli.commands import Commands
from eailab.cli.options import RUNS_DIR, AsJson, DataDir, Overrides, RunsDir, load_recipe
from eailab.cli.output import echo, echo_json
from eailab.errors import CheckFailedError, UsageError

if TYPE_CHECKING:
    from eailab.data.dataset import Dataset
    from eailab.data.published import Source
    from eailab.data.registry import DataCheck
    from eailab.data.split import SplitFiles


data = Commands(help="List data sets, check their files, show a recipe's images.\n\nExample: eailab data list")


@data.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the data sets that have a name, and where their files are looked for.

    Example: eailab data list
    """
    from eailab.data import registry
    from eailab.report.lists import print_list

    folder = registry.data_dir(data_dir)
    known = [_about(source, folder) for source in registry.SOURCES.values()]
    if as_json:
        echo_json({"data_dir": str(folder), "data": known})
        return
    rows = [
        (
            one["name"],
            str(one["train"]),
            str(one["test"]),
            "x".join(map(str, one["shape"])),
            str(one["classes"]),
            "embedded" if one["kind"] == "embedded" else "in the folder" if one["here"] else "to download",
            one["about"],
        )
        for one in known
    ]
    headings = ("name", "training", "test", "image", "classes", "files", "")
    print_list(headings, rows, numbers=("training", "test", "classes"))
    echo(f"\nfolder of downloaded files: {folder}")
    echo(
        "your own: the path of an .npz file (x_train, y_train, x_test, y_test) or of a folder (train/CLASS/*.png)",
        hang=2,
    )


@data.command()
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of `eailab data list`, or a path.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check a data set's files: where they are looked for, and whether their checksums match; nothing is downloaded.

    Example: eailab data check digits
    """
    from eailab.data.registry import check as check_data

    result = check_data(name, data_dir)
    if as_json:
        echo_json(_as_json(name, result))
    else:
        echo(_as_text(name, result), hang=2)
    wrong = [file for file in result.files if file.state != "ok"]
    if wrong:
        raise CheckFailedError(
            f"{len(wrong)} of the {len(result.files)} files of {name} are missing or damaged, {wrong[0].path} first."
        )


@data.command()
def show(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Name or path of a recipe.", autocompletion=completion.recipes)
    ],
    override: Overrides = None,
    block: Annotated[int, typer.Option(min=0, metavar="N", help="Block whose images are shown.")] = 0,
    images: Annotated[int, typer.Option(min=1, max=200, metavar="N", help="Number of images, at most.")] = 24,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A .png file [default: in RUNS/sheets].", show_default=False)
    ] = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Draw training images of a recipe as they are and as they are trained on, and count its splits.

    Example: eailab data show mnist-mlp-best
    """
    from eailab.data.registry import load
    from eailab.data.split import class_counts, trial_data
    from eailab.report.augmented_images import how, sheet, sheet_name
    from eailab.report.image_sheet import draw_sheet
    from eailab.report.lists import print_list
    from eailab.runs.atomic import write_changed

    loaded = load_recipe(recipe, {}, override).recipe
    settings = loaded.images
    if settings is None:
        raise UsageError(
            f"{recipe} has no images to show, since its engine {loaded.engine} reads its own data: choose a recipe of "
            "`eailab recipes list` that has a data set."
        )
    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: a sheet is a PNG file, so its name ends in .png.")
    # Draw the sheet.
    dataset = load(settings.data.name, data_dir)
    counts = class_counts(trial_data(dataset, settings.data, block))
    made = sheet([settings], dataset, block, images)
    varied = how(settings) or "none; every epoch trains on the images as they are"
    title = f"Training images of {loaded.name}, block {block}"
    drawn = draw_sheet(made, title, f"{dataset.name}; augmentation: {varied}")
    file = out or runs / "sheets" / sheet_name(settings, block, images)
    write_changed(file, drawn)

    # Print what the splits have.
    sizes = {name: sum(part.values()) for name, part in counts.items()}
    if as_json:
        echo_json({
            "recipe": loaded.name, "data": dataset.name, "block": block, "augmentation": how(settings) or None,
            "sizes": sizes, "class_counts": counts, "file": str(file),
        })  # fmt: skip
        return
    rows = [(name, *(str(part[name]) for part in counts.values())) for name in dataset.classes]
    print_list(("class", *counts), [*rows, ("all", *map(str, sizes.values()))], numbers=tuple(counts))
    echo(f"augmentation: {varied}", hang=2)
    echo(file)


def _about(source: "Source", folder: Path) -> dict[str, Any]:
    return {
        "name": source.name,
        "about": source.about,
        "train": source.train,
        "test": source.test,
        "shape": list(source.shape),
        "classes": source.classes,
        "kind": source.kind,
        "here": not source.missing(folder),
    }


def _as_text(name: str, result: "DataCheck") -> str:
    lines = [f"{file.state:<8} {file.path}" + (f": {file.detail}" if file.detail else "") for file in result.files]
    dataset = result.dataset
    if dataset is not None:
        size = "x".join(str(side) for side in dataset.train.pixels.shape[1:])
        lines.append(
            f"{name}: {len(dataset.train)} training and {len(dataset.test)} test images of {size}, "
            f"{len(dataset.classes)} classes, fingerprint {dataset.fingerprint}"
        )
    return "\n".join(lines)


def _as_json(name: str, result: "DataCheck") -> dict[str, Any]:
    files = [{"path": str(file.path), "state": file.state, "detail": file.detail} for file in result.files]
    return {"name": name, "files": files, "fingerprint": result.dataset and result.dataset.fingerprint}


def split(
    written: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="With --check: a split.json, or its folder.", show_default=False),
    ] = None,
    recipe: Annotated[str, typer.Option(help="Name or path of the recipe whose data are divided.")] = "mnist-mlp",
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; say whether a written split still fits the data.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to [default: RUNS/splits/DATA-SEED].", show_default=False)
    ] = None,
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Divide a recipe's data into training, validation and test images, and write the split.

    Example: eailab split --recipe digits-mlp
    """
    from eailab.data.registry import load
    from eailab.data.split import split_files

    if written is not None and not check:
        raise UsageError(f"{written} is a split to check: add --check, or name a folder to write to with --out.")
    if out is not None and check:
        raise UsageError("--out is a folder to write to: name the split to check after --check instead.")
    loaded = load_recipe(recipe, {}, override).recipe.images
    if loaded is None:
        raise UsageError(f"{recipe} has no data set to divide: choose a recipe of `eailab recipes list` that has one.")
    settings = loaded.data
    with offering_small_data(loaded):
        dataset = load(settings.name, data_dir)
    files = split_files(dataset, settings)
    folder = written or out or runs / "splits" / f"{dataset.name}-{settings.split_seed}"
    if check:
        _check(files, folder.parent if folder.is_file() else folder, as_json)
    else:
        _write(files, dataset, folder, as_json)


def _check(files: "SplitFiles", folder: Path, as_json: bool) -> None:
    from eailab.data.split import differences

    found = differences(files, folder)
    if as_json:
        echo_json({"folder": str(folder), "fits": not found, "differences": found})
    if found:
        listed = "".join(f"\n  {difference}" for difference in found)
        raise CheckFailedError(
            f"the split in {folder} does not fit the data:{listed}\nWrite it again with `eailab split`."
        )
    if not as_json:
        echo(f"the split in {folder} fits the data {files.summary['data']}")


def _write(files: "SplitFiles", dataset: "Dataset", folder: Path, as_json: bool) -> None:
    from eailab.data.split import JSON_NAME, differences
    from eailab.report.lists import print_list
    from eailab.runs.atomic import write_bytes

    if (folder / JSON_NAME).exists() and differences(files, folder):
        raise UsageError(
            f"{folder} contains another split, which is not overwritten: choose another folder with --out or delete it."
        )
    contents = files.contents()
    for name, content in contents.items():
        write_bytes(folder / name, content)
    paths = [str(folder / name) for name in reversed(contents)]
    x_shape = (1, prod(dataset.train.pixels.shape[1:]))
    y_shape = (1, len(dataset.classes))
    if as_json:
        echo_json({**files.summary, "x_shape": x_shape, "y_shape": y_shape, "files": paths})
        return
    counts = files.summary["class_counts"]
    rows = [(name, *(str(part[name]) for part in counts.values())) for name in counts["train"]]
    rows.append(("all", *map(str, files.summary["sizes"].values())))
    print_list(("class", *counts), rows, numbers=tuple(counts))
    echo(f"one flattened image: x {x_shape}, its one-hot class: y {y_shape}")
    for path in paths:
        echo(path)
