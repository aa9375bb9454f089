"""Define how figures look, in one place: colours, dashes, markers and sizes, for screens and for print.

Colours are Okabe & Ito's (2008), told apart by all common kinds of colour vision; dashes and markers differ as well, so
that a figure can be read in grey.
"""

from dataclasses import dataclass
from typing import Any

INK, FAINT, PAPER = "#1a1a1a", "#6b6b6b", "#ffffff"
"""Of text, axes and the baseline; of notes and grids; of what is behind them."""
COLOURS = (INK, "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""By the number of a look: ink, then blue, vermillion, green, purple, orange and sky blue."""
ON_PAGES = (
    ("#0072b2", "#4fb0ea"),
    ("#d55e00", "#ff8a3d"),
    ("#008561", "#35c79b"),
    ("#b4558b", "#e39cc6"),
    ("#a97400", "#efb63a"),
    ("#2b85b8", "#8ccdf2"),
)
"""The same on a page, light and dark, as dark or light as text has to be there."""
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Style:
    """Sizes of a figure: lengths in inches, letters in points."""

    width: float
    letters: float
    """Of labels."""
    panel: float
    """Height of a panel of lines."""
    label: float
    """Width of a row's label, before it is broken."""
    legend_label: float
    """Width of a legend's label likewise."""
    has_heading: bool
    """Whether title, note and key stand in the figure; else a caption says them."""

    @property
    def scale(self) -> float:
        """Return how large letters, lines and gaps are, compared with those on a screen."""
        return self.letters / 9.5


SCREEN = Style(width=8.0, letters=9.5, panel=2.4, label=2.3, legend_label=3.0, has_heading=True)
PRINT = Style(width=3.35, letters=7.0, panel=1.15, label=1.0, legend_label=1.3, has_heading=False)
"""One column of a paper."""


def page_colours() -> str:
    """Return the rules of a style sheet that give each arm its colour."""
    return "\n".join(
        f".arm-{number} {{ --arm: light-dark({light}, {dark}); }}"
        for number, (light, dark) in enumerate(ON_PAGES, start=1)
    )
