"""Lay out parts of figures that matplotlib draws: heading, legend, and the grid of panels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eailab.report.axes import Axis
from eailab.report.figure_style import FAINT, Style
from eailab.report.fonts import widest, wrapped
from eailab.translation import Say

LINE = 0.165
"""Height of a further line of a label on a screen, in inches as all lengths here."""
LEGEND_COLUMNS, LEGEND_LINE = 4, 0.72
"""Columns at most; width of the line before a label with the gaps, on a screen."""


@dataclass(frozen=True)
class FigureHead:
    """A figure's title and the note under it, broken into lines; both empty where a caption says them."""

    title: str
    note: str

    @property
    def height(self) -> float:
        """Return the height of both, in inches."""
        lines = 0.2 * self.title.count("\n") + 0.17 * self.note.count("\n")
        return 0.5 + lines if self.title or self.note else 0.0


def head_of(title: str, note: str, say: Say, style: Style) -> FigureHead:
    """Return what stands above a figure, in a language."""
    if not style.has_heading:
        return FigureHead("", "")
    room = style.width - 0.2
    return FigureHead(wrapped(say(title), room, 12.0, bold=True), wrapped(say(note), room, 8.8))


def add_heading(figure: Any, head: FigureHead) -> None:
    """Set the title at the top left, and the note in small type under it."""
    inches = figure.get_figheight()
    under = 0.37 + 0.2 * head.title.count("\n")
    figure.text(0.012, 1.0 - 0.10 / inches, head.title, ha="left", va="top", fontsize=12, fontweight="bold")
    figure.text(0.012, 1.0 - under / inches, head.note, ha="left", va="top", fontsize=8.8, color=FAINT)


def grid_of_panels(
    head: FigureHead,
    entries: Sequence[str],
    titles: Sequence[str],
    axes_of: Sequence[Axis],
    style: Style,
    *,
    between: float,
    is_shared: bool,
) -> tuple[Any, list[Any], list[str], float]:
    """Return a figure of panels, two in a row, with room for heading, legend, titles and labels, all in inches.

    Args:
        head: What stands above.
        entries: Of the legend.
        titles: Of the panels.
        axes_of: Of the panels, upright.
        style: Of the figure.
        between: Height between two rows, on a screen.
        is_shared: Whether all panels have one axis across.

    Returns:
        The figure, the axes of its panels, their titles broken into lines, and their width.
    """
    from matplotlib.figure import Figure

    scale, rows = style.scale, math.ceil(len(titles) / 2)
    _, legend = legend_size(entries, style)
    labels = widest([label for axis in axes_of for _, label in axis.labelled(6)], style.letters)
    left, right = max(0.56 * scale, 0.16 * scale + labels), 0.16 * scale
    beside = left
    across = (style.width - left - right - beside) / 2
    broken = [wrapped(title, across, 10 * scale) for title in titles]
    lines = LINE * scale * max(title.count("\n") for title in broken)
    above, below, apart = head.height + 0.34 * scale + legend + lines, 0.55 * scale, between * scale + lines
    height = above + below + style.panel * rows + apart * (rows - 1)
    figure = Figure(figsize=(style.width, height))
    figure.subplots_adjust(
        left=left / style.width,
        right=1.0 - right / style.width,
        top=1.0 - above / height,
        bottom=below / height,
        wspace=beside / across,
        hspace=apart / style.panel,
    )
    grid = figure.subplots(rows, min(2, len(titles)), sharex=is_shared, squeeze=False)
    for axes in grid.flat[len(titles) :]:
        axes.remove()
    return figure, list(grid.flat[: len(titles)]), broken, across


def add_legend(figure: Any, axes: Any, head: FigureHead, entries: Sequence[str], style: Style) -> None:
    """Set the legend of a figure's panels, and its heading."""
    columns, _ = legend_size(entries, style)
    handles, labels = axes.get_legend_handles_labels()
    place = (0.5, 1.0 - max(head.height - 0.04, 0.0) / figure.get_figheight())
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=place, ncols=min(len(labels), columns))
    add_heading(figure, head)


def legend_size(entries: Sequence[str], style: Style) -> tuple[int, float]:
    """Return the columns of a legend, and its height; entries run down the columns, as matplotlib sets them."""
    for most in range(min(LEGEND_COLUMNS, len(entries)), 0, -1):
        rows = math.ceil(len(entries) / most)
        columns = [entries[start : start + rows] for start in range(0, len(entries), rows)]
        across = sum(widest(column, style.letters) + LEGEND_LINE * style.scale for column in columns)
        if most == 1 or across <= style.width - 0.1:
            break
    heights = [sum(0.24 + 0.19 * entry.count("\n") for entry in column) for column in columns]
    return len(columns), max(heights) * style.scale
