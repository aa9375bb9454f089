"""Which figures a study has and how they are called; `plots` draws them, and formats that set them need no more."""

from collections.abc import Mapping
from itertools import count
from typing import Literal, TypeAlias

from eailab.findings.study import StudyFindings

INK, FAINT, PAPER = "#1a1a1a", "#6b6b6b", "#ffffff"
"""Of text, axes and the baseline; of notes and grids; of what is behind them. A page puts its theme's in their place.
"""

CJK_FONTS = (
    "Noto Sans CJK TC",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "PingFang TC",
    "Microsoft JhengHei",
    "WenQuanYi Micro Hei",
)
"""The first that is installed is taken for letters that the usual font has not."""

TITLES = {
    "intervals": "Differences from the baseline with their intervals",
    "curves": "Learning curves",
}
"""What a reader who cannot see a figure is told of it, by the figure's name, which is its files' name too."""


FileKind = Literal["png", "svg", "pdf"]
"""Of a figure's file, and its suffix."""

ON_SCREEN: tuple[FileKind, ...] = ("png", "svg")
IN_PRINT: tuple[FileKind, ...] = ("pdf",)

Drawing: TypeAlias = Mapping[FileKind, bytes]
"""One figure in each kind that was asked for."""


def figure_names(findings: StudyFindings) -> tuple[str, ...]:
    """Return the names of the figures that there are numbers for."""
    trials = [trial for arm in findings.arms for trial in arm.trials]
    names = []
    if findings.factor is not None and any(trial.value is not None for trial in trials):
        names.append("intervals")
    if any(trial.curves.epochs for trial in trials):
        names.append("curves")
    return tuple(names)


COLOURS = 6
"""Arms beside the baseline that a page tells apart by colour; further ones by their dashes too."""


def arm_classes(findings: StudyFindings) -> tuple[str, ...]:
    """Return what a page's style sheet calls the arms: `arm-0` the baseline, others by colour and dash."""
    others = count(1)
    return tuple(
        "arm-0" if arm.is_baseline or findings.factor is None else f"arm-{(number - 1) % COLOURS + 1} dash-{number % 4}"
        for arm in findings.arms
        for number in [0 if arm.is_baseline else next(others)]
    )
