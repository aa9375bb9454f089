"""Draw a sheet of training images: a row as they are, and a row for each way to vary them, with their classes above."""

from typing import Any

import numpy as np

from eailab.data.dataset import Pixels
from eailab.plain import plain
from eailab.report.augmented_images import COLUMNS, Sheet
from eailab.report.figure_style import SCREEN
from eailab.report.fonts import widest, wrapped
from eailab.report.plot_parts import LINE, add_heading, head_of
from eailab.report.plots import rendered, styled

BETWEEN = 0.06
"""Of two images, in inches as all lengths here."""
SMALL = 7.5


def draw_sheet(sheet: Sheet, title: str, note: str) -> bytes:
    """Return a sheet as PNG: `COLUMNS` images side by side, above them a title, and under that a note in small type."""
    from matplotlib.figure import Figure

    with styled(SCREEN):
        # Measure the texts, and place rows and columns around them.
        head = head_of(title, note, lambda text: text, SCREEN)
        labels = [wrapped(row.label, SCREEN.label / 1.5, SCREEN.letters) for row in sheet.rows]
        left = widest(labels, SCREEN.letters) + 0.2
        cell = (SCREEN.width - left - 0.1) / COLUMNS
        names = [wrapped(plain(name), cell - BETWEEN, SMALL) for name in sheet.classes]
        heights = [cell + 2 * LINE * bool(row.notes) for row in sheet.rows]
        starts = range(0, len(names), COLUMNS)
        tops = [0.1 + LINE * max(1 + name.count("\n") for name in names[at : at + COLUMNS]) for at in starts]
        height = head.height + sum(tops) + len(tops) * sum(heights) + 0.1

        # Draw the images with their texts.
        figure = Figure(figsize=(SCREEN.width, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, SCREEN.width)
        axes.set_ylim(height, 0)
        y = head.height
        for at, top in zip(starts, tops, strict=True):
            y += top
            for place, name in enumerate(names[at : at + COLUMNS]):
                axes.text(left + place * cell, y - 0.05, name, fontsize=SMALL, va="bottom")
            for row, label, row_height in zip(sheet.rows, labels, heights, strict=True):
                axes.text(0.1, y + cell / 2, label, va="center")
                for place, pixels in enumerate(row.images[at : at + COLUMNS]):
                    x = left + place * cell
                    _image(axes, pixels, sheet.brightest, (x, y, cell - BETWEEN))
                    for said in row.notes[at + place : at + place + 1]:
                        axes.text(x, y + cell, wrapped(plain(said), cell - BETWEEN, SMALL), fontsize=SMALL, va="top")
                y += row_height
        add_heading(figure, head)
        axes.set_xlim(0, SCREEN.width)
        axes.set_ylim(height, 0)
        return rendered(figure, ["png"])["png"]


def _image(axes: Any, pixels: Pixels, brightest: int, box: tuple[float, float, float]) -> None:
    """Draw an image into a square box of a left end, a top and a side, as large as its shape allows."""
    left, top, side = box
    rows, columns = pixels.shape[:2]
    across, down = side * columns / max(rows, columns), side * rows / max(rows, columns)
    whole = np.minimum(pixels.astype(np.float32) / brightest, 1.0)
    shown = whole[:, :, 0] if pixels.shape[2] == 1 else whole
    axes.imshow(
        shown,
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(left, left + across, top + down, top),
        interpolation="nearest",
        aspect="auto",
    )
