"""Read results into one table, each file or folder by the reader that knows it."""

from collections.abc import Sequence
from pathlib import Path

from eailab.errors import UsageError
from eailab.existing.readers import csv_files, json_files, mlflow, run_folders
from eailab.existing.table import ResultsTable, joined


def read_table(paths: Sequence[Path]) -> ResultsTable:
    """Read one table from some files, which have the same columns, or from folders of runs of one library.

    Raises:
        UsageError: A file is missing, or not a table, or has other columns than the first.
    """
    paths = [path.parent if path.suffix == ".wandb" and path.is_file() else path for path in paths]
    tables = [_read(path) for path in paths]
    if len(tables) == 1:
        return tables[0]
    if not all(path.is_dir() for path in paths) or len({table.reader for table in tables}) > 1:
        for path, table in zip(paths, tables, strict=True):
            if odd := sorted(set(table.roles) ^ set(tables[0].roles)):
                raise UsageError(
                    f"{path} has other columns than {paths[0]} ({', '.join(odd[:6])}): judge files with the same "
                    "columns."
                )
    return joined(tables)


def _read(path: Path) -> ResultsTable:
    if path.is_dir():
        return run_folders.read(path)
    if json_files.recognises(path):
        return json_files.read(path)
    return mlflow.read(path) if mlflow.recognises(path) else csv_files.read(path)
