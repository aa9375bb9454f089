"""How wide text is in a figure, and text broken into lines that fit: no letter of a figure is ever cut off."""

import re
from collections.abc import Sequence
from functools import lru_cache

from eailab.plain import plain

POINTS_AN_INCH = 72.0
HINTED = 1.05
"""Letters are set on whole dots of a PNG, which makes a line up to 4% wider than its outlines are."""


@lru_cache(maxsize=4096)
def width(text: str, size: float = 9.5, *, bold: bool = False) -> float:
    """Return how wide a line of text is drawn, in inches, in the font that figures have at the moment."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight="bold" if bold else "normal")
    outlines = float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])
    return HINTED * outlines / POINTS_AN_INCH


def wrapped(text: str, inches: float, size: float = 9.5, *, bold: bool = False) -> str:
    """Return text in lines of at most so many inches, broken between words, and within one that is wider."""
    lines = [""]
    for word in re.findall(r"\s*\S+", plain(text)):
        if width(lines[-1] + word, size, bold=bold) <= inches:
            lines[-1] += word
            continue
        if lines[-1]:
            lines.append("")
        for letter in word.lstrip():
            if lines[-1] and width(lines[-1] + letter, size, bold=bold) > inches:
                lines.append("")
            lines[-1] += letter
    return "\n".join(lines).strip()


def widest(texts: Sequence[str], size: float = 9.5, *, bold: bool = False) -> float:
    """Return the width of the widest line of some texts, in inches; 0 for none."""
    return max((width(line, size, bold=bold) for text in texts for line in text.split("\n")), default=0.0)
