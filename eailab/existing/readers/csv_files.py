"""Read CSV and TSV: separated by commas, semicolons or tabs, also packed, with decimal commas, percents and spreads."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from eailab.errors import UsageError
from eailab.existing.readers.common import text_of
from eailab.existing.table import ResultsTable, Value
from eailab.existing.values import value_of
from eailab.plain import plain
from eailab.translation import trn


def read(path: Path) -> ResultsTable:
    """Read a table whose first line names its columns.

    Raises:
        UsageError: It is missing, or not such a table.
    """
    text = text_of(path)
    if text.lstrip()[:9].lower().startswith(("<!doctype", "<html", "<?xml")):
        raise UsageError(f"{path} is a web page, not a table: a download may have failed. Fetch it again.")
    # Read the names of the columns.
    delimiter = max("\t;,", key=text.lstrip().partition("\n")[0].count)
    lines = lines_of(text, path, delimiter)
    names = [plain(name.strip()) for name in next(lines, (0, ()))[1]]
    if not names:
        raise UsageError(f"{path} is empty: expected a table with a line of column names.")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"{path} has the column {twice[0]!r} twice: name each column once.")
    # Read the rows.
    values, numbers, texts = _Values(decimal_comma=delimiter != ","), [], list[str]()
    for number, cells in lines:  # all in one list: Python looks through 100,000 lists again and again
        if len(cells) != len(names):
            raise UsageError(
                f"{path.name}:{number} has {len(cells)} cells, and the first line names {len(names)} columns."
            )
        numbers.append(number)
        texts += cells
    if not numbers:
        raise UsageError(f"{path} has column names and no rows.")
    found = [values[cell] for cell in texts]
    spreads = sum("±" in cell for cell in texts)
    lost = trn(
        "{file}: what stands behind ± was left out in {n} cell",
        "{file}: what stands behind ± was left out in {n} cells",
        spreads,
        file=path.name,
    )
    return ResultsTable(
        columns={name: found[at :: len(names)] for at, name in enumerate(names)},
        places=[f"{path.name}:{number}" for number in numbers],
        roles=dict.fromkeys(names, "unknown"),
        reader="TSV" if delimiter == "\t" else "CSV",
        files=(path,),
        notes=(lost,) if spreads else (),
    )


def lines_of(text: str, path: Path, delimiter: str = ",") -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the number and the cells of each line that is not empty.

    Raises:
        UsageError: It is not a table.
    """
    lines = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        for cells in lines:
            if any(cells):
                yield lines.line_num, cells
    except csv.Error as error:
        raise UsageError(f"{path}, line {lines.line_num}, cannot be read as a table: {error}.") from error


class _Values(dict[str, Value]):
    """The values of cells, each text that occurs read once."""

    def __init__(self, *, decimal_comma: bool) -> None:
        super().__init__()
        self.decimal_comma = decimal_comma

    def __missing__(self, cell: str) -> Value:
        value = self[cell] = value_of(cell, decimal_comma=self.decimal_comma)
        return value
