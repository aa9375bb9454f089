"""Figures as PNG, SVG or PDF: learning curves, and differences from the baseline with their intervals.

The only user of matplotlib, through its objects and never through pyplot, which would look for a display. Colours are
Okabe & Ito's (2008), told apart by all common kinds of colour vision; line styles and markers differ as well. The same
findings give the same bytes.
"""

import io
import logging
import math
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from eailab.findings.study import StudyFindings
from eailab.plain import plain
from eailab.report.describe import study_figure
from eailab.report.figures import (
    CJK_FONTS,
    ON_SCREEN,
    Bar,
    BarsFigure,
    CurvesFigure,
    Drawing,
    FileKind,
    IntervalRow,
    IntervalsFigure,
    Line,
    Look,
    figure_names,
)
from eailab.report.figures import Figure as FigureData
from eailab.translation import COLON, Say, english, joined, tr

# A font without bold letters is taken as it is, and a home folder that cannot be written needs no advice.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
named_backend = os.environ.pop("MPLBACKEND", None)  # one that is not installed here would refuse the import
try:
    import matplotlib as mpl
    from matplotlib import font_manager
    from matplotlib.figure import Figure
    from matplotlib.textpath import text_to_path
    from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
finally:
    if named_backend is not None:
        os.environ["MPLBACKEND"] = named_backend

INK, FAINT, PAPER = "#1a1a1a", "#6b6b6b", "#ffffff"
"""Of text, axes and the baseline; of notes and grids; of what is behind them."""
COLOURS = (INK, "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""By the number of a look: ink, then blue, vermillion, green, purple, orange and sky blue."""
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

PNG_DOTS_PER_INCH = 150
WIDTH = 8.0
"""Of every figure, in inches, as all lengths here."""
LINE = 0.165
"""Height of a further line of a label."""
LEGEND_COLUMNS, LEGEND_LABEL, LEGEND_LINE = 4, 3.0, 0.72
"""Columns at most; widths of a label at most, and of the line before it with the gaps."""
EPOCH = tr("epoch")


@dataclass(frozen=True)
class _Head:
    """A figure's title and the note under it, broken into lines."""

    title: str
    note: str

    @property
    def extra(self) -> float:
        """How much higher it is than with a line each, in inches."""
        return 0.2 * self.title.count("\n") + 0.17 * self.note.count("\n")


# --- figures ---------------------------------------------------------------------------------------------------------


def draw(figure: FigureData, say: Say = english, kinds: Sequence[FileKind] = ON_SCREEN) -> Drawing:
    """Draw a figure from its description.

    Args:
        figure: One with lines by epoch has one epoch or more.
        say: The language of the labels.
        kinds: Of the files.
    """
    with _style():
        match figure:
            case CurvesFigure():
                return _rendered(_curves(figure, say), kinds)
            case IntervalsFigure():
                return _rendered(_intervals(figure, say), kinds)
            case BarsFigure():
                return _rendered(_bars(figure, say), kinds)
    raise TypeError(f"{type(figure).__name__} is drawn in pages only")


def study_figures(
    findings: StudyFindings, say: Say = english, kinds: Sequence[FileKind] = ON_SCREEN
) -> dict[str, Drawing]:
    """Draw the figures of a study or a single trial, by their names, labelled in a language."""
    return {name: draw(study_figure(findings, name), say, kinds) for name in figure_names(findings)}


def _curves(curves: CurvesFigure, say: Say) -> Any:
    """Draw panels of lines with their bands, two in a row, under one legend."""
    head = _head(curves.title, joined(filter(None, (curves.subject, curves.note)), COLON), say)
    entries = [wrapped(say(name), LEGEND_LABEL) for name in curves.names]
    columns, legend = _legend_size(entries)
    rows = math.ceil(len(curves.panels) / 2)
    height = 1.35 + 2.4 * rows + legend + head.extra
    figure = Figure(figsize=(WIDTH, height))
    top = 1.0 - (0.8 + legend + head.extra) / height
    figure.subplots_adjust(left=0.07, right=0.98, top=top, bottom=0.55 / height, wspace=0.16, hspace=0.2)
    grid = figure.subplots(rows, min(2, len(curves.panels)), sharex=True, squeeze=False)
    for axes in grid.flat[len(curves.panels) :]:
        axes.remove()
    for place, panel in enumerate(curves.panels):
        axes = grid.flat[place]
        for line, look, entry in zip(panel.lines, curves.looks, entries, strict=True):
            _line(axes, line, look, entry)
        axes.set_title(say(panel.title) + (f" ({panel.unit})" if panel.unit else ""), fontsize=10)
        axis = panel.axis if panel.log is None or not panel.prefers_log else panel.log
        axes.set_ylim(axis.low, axis.high)
        if axis.is_log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        if place >= len(curves.panels) - 2:
            axes.set_xlabel(say(EPOCH))
            axes.tick_params(labelbottom=True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1, steps=[1, 2, 5, 10]))
        room = max(0.02 * (curves.epochs - 1), 0.1)
        axes.set_xlim(1 - room, curves.epochs + room)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    above = (0.5, 1.0 - (0.46 + head.extra) / height)
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=above, ncols=min(len(labels), columns))
    _heading(figure, head)
    return figure


def _line(axes: Any, line: Line, look: Look, entry: str) -> None:
    """Draw the mean and the band of the finished trials, and the others one by one, faintly."""
    colour, dash, marker = COLOURS[look.colour], DASHES[look.dash], MARKERS[look.marker]
    epochs, mean = _known(line.mean)
    if line.low:
        axes.fill_between(range(1, 1 + len(line.low)), line.low, line.high, color=colour, alpha=0.16, linewidth=0)
    if line.mean:
        every = max(1, math.ceil(len(epochs) / 8))
        shape = {"color": colour, "linestyle": dash, "marker": marker, "markersize": 4.5, "markevery": every}
        axes.plot(epochs, mean, linewidth=1.7, label=entry, **shape)
    for place, lone in enumerate(line.lone):
        label = None if line.mean or place else entry
        faint = {"color": colour, "alpha": 0.6, "linestyle": dash, "linewidth": 0.9}
        epochs, values = _known(lone.values)
        axes.plot(epochs, values, label=label, **faint)
        axes.plot(epochs[-1:], values[-1:], "x" if lone.has_diverged else ".", color=colour)


def _known(values: Sequence[float]) -> tuple[list[int], list[float]]:
    """Return the epochs that have a value, and their values; gaps are passed over."""
    known = [(epoch, value) for epoch, value in enumerate(values, start=1) if not math.isnan(value)]
    return [epoch for epoch, _ in known], [value for _, value in known]


def _legend_size(entries: Sequence[str]) -> tuple[int, float]:
    """Return the columns of a legend, and its height; entries run down the columns, as matplotlib sets them."""
    fitting = int((WIDTH - 0.1) / (widest(entries) + LEGEND_LINE))
    rows = math.ceil(len(entries) / max(1, min(fitting, LEGEND_COLUMNS)))
    columns = [entries[start : start + rows] for start in range(0, len(entries), rows)]
    return len(columns), max(sum(0.24 + 0.19 * entry.count("\n") for entry in column) for column in columns)


def _intervals(intervals: IntervalsFigure, say: Say) -> Any:
    """Draw each arm's difference from the baseline with its interval, the margin, and every block as a faint dot."""
    rows = intervals.rows
    head = _head(intervals.title, intervals.note, say)
    labels = [wrapped(row.label, 2.3) for row in rows]
    told = [(say(row.verdict), "\n".join(filter(None, (row.numbers, say(row.lost))))) for row in rows]
    beside = max(widest([line for lines in told for line in lines], bold=True), 0.5)
    figure, axes = _rows(labels, head, least=0.6, beside=0.32 + beside, below=0.68)
    axes.axvspan(-intervals.margin, intervals.margin, color=COLOURS[6], alpha=0.2, linewidth=0)
    for place, (row, (verdict, numbers)) in enumerate(zip(rows, told, strict=True)):
        _interval_row(axes, row, place)
        at: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 9.5}
        axes.text(1.03, place - 0.03, verdict, va="bottom", fontweight="bold", **at)
        axes.text(1.03, place + 0.03, numbers, va="top", **at)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_xlim(intervals.axis.low, intervals.axis.high)
    _finish(figure, axes, head, say(intervals.axis_title), say(intervals.key))
    return figure


def _interval_row(axes: Any, row: IntervalRow, place: int) -> None:
    """Draw one arm: its interval, its difference, and under them its blocks, equal ones stacked."""
    colour = COLOURS[row.look.colour]
    for difference, below in row.stacked:
        dot = place + 0.2 + 0.085 * below
        axes.plot(difference, dot, "o", color=colour, alpha=0.5, markersize=4.5, markeredgewidth=0)
    if row.interval is not None:
        axes.plot(row.interval, [place, place], color=colour, linewidth=2.6, solid_capstyle="butt")
        axes.plot(row.interval, [place, place], "|", color=colour, markersize=10, markeredgewidth=1.6)
    if row.difference is not None:
        shape = MARKERS[row.look.marker]
        axes.plot(row.difference, place, shape, color=colour, markersize=8, markeredgecolor=PAPER)


def _bars(bars: BarsFigure, say: Say) -> Any:
    """Draw gains that add up, a bar each from where it starts, with their intervals."""
    head = _head(bars.title, bars.note, say)
    figure, axes = _rows([wrapped(bar.label, 3.5) for bar in bars.bars], head, least=0.42, beside=0.88, below=0.85)
    for place, bar in enumerate(bars.bars):
        if bar.gain is not None:
            _bar(axes, place, bar, bar.gain)
        axes.text(1.02, place, bar.text, transform=axes.get_yaxis_transform(), va="center")
    axes.set_ylim(len(bars.bars) - 0.4, -0.6)
    _finish(figure, axes, head, say(bars.axis_title), say(bars.key))
    return figure


def _bar(axes: Any, place: int, bar: Bar, gain: float) -> None:
    colour = COLOURS[bar.look.colour]
    face = PAPER if bar.is_hollow else colour
    axes.barh(place, gain, left=bar.start, height=0.56, facecolor=face, edgecolor=colour, linewidth=1.2)
    if bar.bounds is not None:
        axes.plot(bar.bounds, [place, place], color=PAPER, linewidth=3.4, solid_capstyle="butt")
        ink = colour if bar.is_hollow else INK
        axes.plot(bar.bounds, [place, place], color=ink, linewidth=1.6, solid_capstyle="butt")
    if bar.is_followed:
        axes.plot([bar.start + gain] * 2, [place, place + 1], color=FAINT, linewidth=0.8, linestyle="dotted")


# --- parts -----------------------------------------------------------------------------------------------------------


def _rows(labels: Sequence[str], head: _Head, *, least: float, beside: float, below: float) -> tuple[Any, Any]:
    """Return a figure with a row for each label, high enough for all of it, and its axes with a line at 0."""
    row = max(least, *(0.12 + LINE * (1 + label.count("\n")) for label in labels))
    height = 0.87 + below + row * len(labels) + head.extra
    figure = Figure(figsize=(WIDTH, height))
    figure.subplots_adjust(
        left=(0.25 + widest(labels)) / WIDTH,
        right=1.0 - beside / WIDTH,
        top=1.0 - (0.62 + head.extra) / height,
        bottom=below / height,
    )
    axes = figure.subplots()
    axes.axvline(0.0, color=INK, linewidth=1.0)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    return figure, axes


def _finish(figure: Any, axes: Any, head: _Head, axis_title: str, key: str) -> None:
    """Set what stands above and below a figure of rows."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axes.set_xlabel(axis_title)
    _heading(figure, head)
    below = 0.06 / figure.get_figheight()
    figure.text(0.012, below, key, ha="left", va="bottom", fontsize=8.2, color=FAINT)


def _head(title: str, note: str, say: Say) -> _Head:
    """Return what stands above a figure, in a language."""
    room = WIDTH - 0.2
    return _Head(wrapped(say(title), room, 12.0, bold=True), wrapped(say(note), room, 8.8))


def _heading(figure: Any, head: _Head) -> None:
    """Set the title at the top left, and the note in small type under it."""
    inches = figure.get_figheight()
    under = 0.37 + 0.2 * head.title.count("\n")
    figure.text(0.012, 1.0 - 0.10 / inches, head.title, ha="left", va="top", fontsize=12, fontweight="bold")
    figure.text(0.012, 1.0 - under / inches, head.note, ha="left", va="top", fontsize=8.8, color=FAINT)


# --- rendering -------------------------------------------------------------------------------------------------------


@cache
def _families() -> list[str]:
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
    return len(_families()) > 1


@contextmanager
def _style() -> Iterator[None]:
    """Set what all figures share, whatever the user's own matplotlib settings are."""
    settings: dict[Any, Any] = {
        "font.family": _families(),
        "font.size": 9.5,
        "text.parse_math": False,  # a recipe named lr=$\frac{1}$ is a name
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "grid.color": FAINT,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "legend.handlelength": 3.2,
        "figure.facecolor": PAPER,
        "axes.facecolor": "none",
        "savefig.facecolor": "auto",
        "svg.hashsalt": "eailab",
        "svg.fonttype": "none",
        "pdf.fonttype": 3,
    }
    with mpl.rc_context(), warnings.catch_warnings():
        # A letter that no font has is drawn as a box in the PNG; the SVG holds the text itself.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


_METADATA: dict[FileKind, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Left out of the files, so that the same figure has the same bytes."""


def _rendered(figure: Any, kinds: Sequence[FileKind]) -> Drawing:
    """Write the figure in each kind, without date or version."""

    def saved(kind: FileKind) -> bytes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=PNG_DOTS_PER_INCH, metadata=_METADATA[kind])
        return buffer.getvalue()

    return {kind: saved(kind) for kind in kinds}


# --- text that fits --------------------------------------------------------------------------------------------------

HINTED = 1.05
"""Letters are set on whole dots of a PNG, which makes a line up to 4% wider than its outlines are."""


@lru_cache(maxsize=4096)
def width(text: str, size: float = 9.5, *, bold: bool = False) -> float:
    """Return how wide a line of text is drawn, in inches, in the font that figures have at the moment."""
    font = font_manager.FontProperties(size=size, weight="bold" if bold else "normal")
    outlines = float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])
    return HINTED * outlines / 72.0  # points an inch


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


def widest(texts: Sequence[str], *, bold: bool = False) -> float:
    """Return the width of the widest line of some texts, in inches; 0 for none."""
    return max((width(line, bold=bold) for text in texts for line in text.split("\n")), default=0.0)
