"""Read results into one table: CSV and TSV here, other files and folders by `readers/`."""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eailab import files
from eailab.errors import UsageError
from eailab.existing.readers import json_files, mlflow, run_folders
from eailab.existing.table import Role, Row, Table, Value
from eailab.existing.values import value_of
from eailab.plain import plain

_GZIP = b"\x1f\x8b"


def read_table(paths: Sequence[Path]) -> Table:
    """Read one table from some files, which have the same columns.

    Raises:
        UsageError: A file is missing, or not a table, or has other columns than the first.
    """
    tables = [_read(path) for path in paths]
    if all(path.is_dir() for path in paths) and len({table.reader for table in tables}) == 1:  # runs of one library
        columns: dict[str, Role] = {name: role for table in tables for name, role in table.roles.items()}
        empty: dict[str, Value] = dict.fromkeys(columns)
        tables = [
            replace(table, rows=tuple(Row({**empty, **row.values}, row.place) for row in table.rows), roles=columns)
            for table in tables
        ]
    for path, table in zip(paths, tables, strict=True):
        if odd := sorted(set(table.roles) ^ set(tables[0].roles)):
            raise UsageError(
                f"{path} has other columns than {paths[0]} ({', '.join(odd[:6])}): judge files with the same columns."
            )
    return Table(
        rows=tuple(row for table in tables for row in table.rows),
        roles=tables[0].roles,
        reader=" and ".join(dict.fromkeys(table.reader for table in tables)),
        files=tuple(path for table in tables for path in table.files),
        notes=tuple(note for table in tables for note in table.notes),
    )


def _read(path: Path) -> Table:
    if path.is_dir():
        return run_folders.read(path)
    if json_files.recognises(path):
        return json_files.read(path)
    return mlflow.read(path) if mlflow.recognises(path) else _read_csv(path)


def _read_csv(path: Path) -> Table:
    try:
        data = files.read(path, files.IMPORT)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}.") from error
    text = _text(data, path)
    _check(text, path)
    first = text.lstrip().partition("\n")[0]
    delimiter = max("\t;,", key=first.count)
    lines = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        columns = [plain(name.strip()) for name in next(lines)]
        if twice := [name for name, count in Counter(columns).items() if count > 1]:
            raise UsageError(f"{path} has the column {twice[0]!r} twice: name each column once.")
        rows, spreads = [], 0
        for cells in lines:
            if not any(cells):
                continue
            place = f"{path.name}:{lines.line_num}"
            if len(cells) != len(columns):
                raise UsageError(f"{place} has {len(cells)} cells, and the first line names {len(columns)} columns.")
            found = [value_of(cell, decimal_comma=delimiter != ",") for cell in cells]
            spreads += sum("±" in cell for cell in cells)
            rows.append(Row(dict(zip(columns, found, strict=True)), place))
    except csv.Error as error:
        raise UsageError(f"{path}, line {lines.line_num}, cannot be read as a table: {error}.") from error
    if not rows:
        raise UsageError(f"{path} has column names and no rows.")
    notes = [f"{path.name}: what stands behind ± was left out in {spreads} cells"] if spreads else []
    kind = "TSV" if delimiter == "\t" else "CSV"
    return Table(tuple(rows), dict.fromkeys(columns, "unknown"), kind, (path,), tuple(notes))


def _check(text: str, path: Path) -> None:
    """Refuse what is not a table at all."""
    head = text.lstrip()[:200].lower()
    if not head:
        raise UsageError(f"{path} is empty: expected a table with a line of column names.")
    if head.startswith(("<!doctype", "<html", "<?xml")):
        raise UsageError(f"{path} is a web page, not a table: a download may have failed. Fetch it again.")


def _text(data: bytes, path: Path) -> str:
    try:
        if data.startswith(_GZIP):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(files.IMPORT.largest + 1)
            if len(data) > files.IMPORT.largest:
                raise UsageError(f"{path} is more than {files.IMPORT.largest} bytes when it is unpacked.")
        return data.decode("utf-8-sig")
    except (OSError, EOFError) as error:
        raise UsageError(f"{path} cannot be unpacked: {error}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a table of text in UTF-8: save it as CSV in UTF-8.") from error
