"""Print lists on a terminal, in columns, quickly and without what only tables of findings need.

Where the columns do not fit side by side, `eailab.report.terminal` wraps them.
"""

import shutil
import sys
from collections.abc import Collection, Iterable, Sequence

from eailab.plain import plain
from eailab.report.columns import GAP, UNLIMITED, needed, set_side_by_side, shortened, widths


def print_list(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Collection[str] = (),
    names: Collection[str] = (),
    err: bool = False,
) -> None:
    """Print rows of text under their headings.

    Args:
        headings: Of the columns.
        rows: A cell for each heading.
        numbers: Headings of the columns that are set to the right, and never wrapped.
        names: Headings of the columns whose cells may be shortened.
        err: Whether it goes to standard error.
    """
    stream = sys.stderr if err else sys.stdout
    said = [[plain(cell) for cell in row] for row in rows]
    needs = [
        needed([heading, *cells], is_number=heading in numbers, is_name=heading in names, is_first=not place)
        for place, (heading, *cells) in enumerate(zip(headings, *said, strict=True))
    ]
    found = widths(needs, shutil.get_terminal_size().columns if stream.isatty() else UNLIMITED)
    is_whole = found is not None and all(
        width >= most or heading in names for heading, (_, most), width in zip(headings, needs, found, strict=True)
    )
    if found is None or not is_whole:
        from eailab.report.terminal import print_wrapped

        print_wrapped(headings, said, numbers=numbers, names=names, stream=stream)
        return
    to_right = [heading in numbers for heading in headings]
    line = "─" if stream.isatty() and (stream.encoding or "").lower().startswith("utf") else "-"
    rule = line * (sum(found) + GAP * (len(found) - 1))
    lines = [set_side_by_side(headings, found, to_right), rule]
    lines += [set_side_by_side(list(map(shortened, row, found)), found, to_right) for row in said]
    stream.write("".join(f"{one.rstrip()}\n" for one in lines))
