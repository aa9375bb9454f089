"""Measure the fonts of figures: which there are, and how wide they set a text. Imports matplotlib first."""

import logging
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache

from eailab.plain import plain
from eailab.report.figures import CJK_FONTS

# A font without bold letters is taken as it is, and a home folder that cannot be written needs no advice.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
named_backend = os.environ.pop("MPLBACKEND", None)  # one that is not installed here would refuse the import
try:
    import matplotlib as mpl
    from matplotlib import font_manager
    from matplotlib.textpath import text_to_path
finally:
    if named_backend is not None:
        os.environ["MPLBACKEND"] = named_backend

__all__ = ["families", "mpl", "widest", "width", "wrapped", "writes_chinese"]


@cache
def families() -> list[str]:
    """Return the fonts to look for letters in."""
    fonts = font_manager.fontManager
    if not any(font.name in CJK_FONTS for font in fonts.ttflist):
        # matplotlib's list of fonts is older than one that was installed to mend this
        listed = {font.fname for font in fonts.ttflist}
        for file in font_manager.findSystemFonts():
            if file not in listed:
                with suppress(OSError, RuntimeError, NotImplementedError):  # one that matplotlib cannot read
                    fonts.addfont(file)
    installed = {font.name for font in fonts.ttflist}
    return ["DejaVu Sans", *(name for name in CJK_FONTS if name in installed)]


def writes_chinese() -> bool:
    """Return whether a font with Chinese letters is installed, so that labels are not empty boxes."""
    return len(families()) > 1


HINTED = 1.05
"""Letters are set on whole dots of a PNG, which makes a line up to 4% wider than its outlines are."""


@lru_cache(maxsize=4096)
def width(text: str, size: float = 9.5, *, bold: bool = False) -> float:
    """Return how wide a line of text is drawn, in inches, in the font that figures have at the moment."""
    font = font_manager.FontProperties(size=size, weight="bold" if bold else "normal")
    outlines = float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])
    return HINTED * outlines / 72.0  # points an inch


def wrapped(text: str, inches: float, size: float = 9.5, *, bold: bool = False) -> str:
    """Return text in lines of at most this many inches, broken between words, and within one that is wider."""
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
