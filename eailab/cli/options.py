"""Options that several commands share, so that they read and behave alike everywhere."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

RunsDir: TypeAlias = Annotated[
    Path, typer.Option("--runs", envvar="EAILAB_RUNS", help="Folder of trials and studies.", show_default=True)
]
DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data-dir", envvar="EAILAB_DATA", help="Folder of downloaded data sets.", show_default=False),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("-o", "--override", metavar="KEY=VALUE", help="Set any field of the recipe; repeatable."),
]

RUNS_DIR = Path("runs")
