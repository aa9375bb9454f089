"""Choose the widths of columns, and set cells side by side, in cells of a terminal."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

LEAST_NAME = 10
"""Characters that are left of a name that is shortened."""

LABEL_WIDTH = 18
"""Characters that an arm's label may take before it is folded."""

GAP = 2
"""Cells between two columns."""

UNLIMITED = 100_000
"""Cells, which no line needs."""


def set_side_by_side(cells: Sequence[str], widths: Sequence[int], to_right: Sequence[bool]) -> str:
    """Return cells as a line, each filled up with blanks to the width of its column."""
    filled = []
    for cell, width, is_right in zip(cells, widths, to_right, strict=True):
        blank = " " * (width - cell_len(cell))
        filled.append(blank + cell if is_right else cell + blank)
    return (" " * GAP).join(filled)


def needed(texts: Sequence[str], *, is_number: bool, is_name: bool, is_first: bool) -> tuple[int, int]:
    """Return the cells that a column needs at least, and those with which it wraps nothing.

    Numbers do not wrap. A label needs `LABEL_WIDTH` at most, other text its longest word, of which one beyond
    `LABEL_WIDTH` may be folded, as the path of a setting.

    Args:
        texts: The heading and the cells.
        is_number: Whether these are numbers.
        is_name: Whether these are names that may be shortened.
        is_first: Whether these are the labels of the rows.
    """
    most = max(map(cell_len, texts))
    if is_number:
        return most, most
    if is_name:
        return min(LEAST_NAME, most), most
    pieces = texts[1:] if is_first else {word for text in texts for word in text.split()}
    return min(LABEL_WIDTH, max(map(cell_len, pieces), default=0)), most


def widths(needs: Sequence[tuple[int, int]], width: int) -> list[int] | None:
    """Return the width of each column, earlier ones wide first; None when the columns do not fit side by side.

    >>> widths([(5, 20), (6, 6), (4, 9)], 40)
    [20, 6, 9]
    >>> widths([(5, 20), (6, 6), (4, 9)], 30)
    [16, 6, 4]
    """
    spare = width - GAP * (len(needs) - 1) - sum(least for least, _ in needs)
    if spare < 0:
        return None
    found = []
    for least, most in needs:
        found.append(least + min(spare, most - least))
        spare -= found[-1] - least
    return found


def shortened(text: str, width: int) -> str:
    """Leave out the middle of a text that is too wide.

    >>> shortened("digits-mlp-batch-size", 16)
    'digits-m…ch-size'
    """
    if cell_len(text) <= width:
        return text
    end = (width - 1) // 2
    kept = text[len(text) - end :]
    return f"{set_cell_size(text, width - 1 - cell_len(kept))}…{kept}" if cell_len(kept) < width else text
