"""List the formats of a report, and the tools that studies are exported to: a new one is a module, and a line here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from eailab.errors import UsageError
from eailab.extras import install_command
from eailab.report import csv_rows, html, json_report, latex, markdown
from eailab.report.compose import Detail, report_document
from eailab.report.document import Document
from eailab.report.exports import mlflow, tensorboard, wandb
from eailab.report.exports.export_records import ExportStudy
from eailab.report.figures import IN_PRINT, FileKind
from eailab.report.study_report import Report


@dataclass(frozen=True)
class Format:
    """One way to set a document."""

    suffix: str
    render: Callable[[Document], str]
    detail: Detail = Detail.REPORT
    """How much of a study it shows."""
    figures: tuple[FileKind, ...] = ()
    """Kinds of the figures that are files next to it."""

    def text(self, report: Report) -> str:
        """Return a report in this format."""
        return self.render(report_document(report, self.detail))


FORMATS = {
    "html": Format(".html", html.render, Detail.PAGE),
    "markdown": Format(".md", markdown.render, figures=("png",)),
    "latex": Format(".tex", latex.render, figures=IN_PRINT),
    "csv": Format(".csv", csv_rows.render),
    "json": Format(".json", json_report.render),
}

DEFAULT_FORMATS = ("markdown", "html")


def chosen_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Return the formats that are asked for, each once; the usual ones where none is.

    Raises:
        UsageError: There is no such format.
    """
    if unknown := [name for name in names if name not in FORMATS]:
        raise UsageError(f"there is no format {unknown[0]!r}: choose from {', '.join(FORMATS)}.")
    return tuple(dict.fromkeys(names)) or DEFAULT_FORMATS


# --- exports ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Export:
    """One tool."""

    folder: str
    """Where its files go, in the report's folder."""
    write: Callable[[Sequence[ExportStudy], Path], None]
    extra: str = ""
    """The extra of eailab that installs what it needs."""
    needs: tuple[str, ...] = ()
    """Names of the packages."""
    opened_by: str | None = None
    """The command that shows or sends it, with `{}` for the folder."""


EXPORTS = {
    "tensorboard": Export("tensorboard", tensorboard.write, "tensorboard", ("tensorboard",), "tensorboard --logdir {}"),
    "mlflow": Export(
        "mlflow",
        mlflow.write,
        "mlflow",
        ("mlflow-skinny", "sqlalchemy", "alembic"),
        f"mlflow ui --backend-store-uri sqlite:///{{}}/{mlflow.FILE}",
    ),
    "wandb-offline": Export("wandb", wandb.write, "wandb", ("wandb",), "wandb sync {}/offline-run-*"),
    "csv": Export("csv", csv_rows.write),
}


def chosen_exports(names: Sequence[str]) -> tuple[str, ...]:
    """Return the exports that are asked for, each once.

    Raises:
        UsageError: There is no such tool, or its library is not installed.
    """
    for name in names:
        if name not in EXPORTS:
            raise UsageError(f"there is no export {name!r}: choose from {', '.join(EXPORTS)}.")
        for package in EXPORTS[name].needs:
            try:
                version(package)
            except PackageNotFoundError:
                needed = install_command(EXPORTS[name].extra)
                raise UsageError(f"--export {name} needs {package}: {needed}") from None
    return tuple(dict.fromkeys(names))
