"""`eailab data`: which data sets there are, where their files lie, and whether these are the published ones."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from eailab.cli.commands import Commands
from eailab.cli.options import AsJson, DataDir
from eailab.cli.output import echo, echo_json, echo_rows
from eailab.errors import CheckFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from eailab.data.check import DataCheck
    from eailab.data.source import Source

data = Commands(
    help="List the data sets, and check their files.\n\nExample: eailab data list",
)


@data.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the data sets that have a name, and where their files are looked for.

    Example: eailab data list
    """
    from eailab.data import table

    folder = table.data_dir(data_dir)
    known = [_about(source, folder) for source in table.SOURCES.values()]
    if as_json:
        echo_json({"data_dir": str(folder), "data": known})
        return
    rows = []
    for entry in known:
        size = "x".join(str(side) for side in entry["shape"])
        where = {"embedded": "embedded", "downloaded": "in the folder" if entry["here"] else "to download"}
        rows.append(
            [
                entry["name"],
                *(str(entry[part]) for part in ("train", "test")),
                size,
                str(entry["classes"]),
                where[entry["kind"]],
                entry["about"],
            ]
        )
    headings = ("name", "training", "test", "image", "classes", "files", "")
    echo_rows(headings, rows, numbers=("training", "test", "classes"))
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
    """Say where a data set's files are looked for and whether their checksums hold; nothing is downloaded.

    Example: eailab data check digits
    """
    from eailab.data.check import check as check_data

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


def _about(source: "Source", folder: "Path") -> dict[str, Any]:
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
