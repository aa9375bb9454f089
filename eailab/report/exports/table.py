"""The tools that studies can be handed on to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from eailab.errors import UsageError
from eailab.extras import install_command
from eailab.report.exports import csv_files, mlflow, tensorboard, wandb
from eailab.report.exports.export_records import ExportStudy


@dataclass(frozen=True)
class Export:
    """One tool."""

    folder: str
    """Where its files go, in the report's folder."""
    write: Callable[[Sequence[ExportStudy], Path], None]
    extra: str | None = None
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
    "csv": Export("csv", csv_files.write),
}
"""A new tool: one module, one entry, one extra."""


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
                needed = install_command(EXPORTS[name].extra or name)
                raise UsageError(f"--export {name} needs {package}: {needed}") from None
    return tuple(dict.fromkeys(names))
