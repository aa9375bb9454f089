"""Draw figures as PNG, SVG or PDF: learning curves, and differences from the baseline with their intervals.

The only user of matplotlib with `fonts`, through its objects and never through pyplot, which would look for a display.
The same findings give the same bytes.
"""

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from eailab.findings.study import StudyFindings
from eailab.findings.tables import with_unit
from eailab.plain import plain
from eailab.report.describe import study_figure
from eailab.report.figure_style import COLOURS, DASHES, FAINT, INK, MARKERS, PAPER, PRINT, SCREEN, Style
from eailab.report.figures import (
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
    SearchFigure,
    figure_names,
)
from eailab.report.figures import Figure as FigureData
from eailab.report.fonts import families, mpl, widest, wrapped
from eailab.report.plot_parts import LINE, FigureHead, add_heading, add_legend, grid_of_panels, head_of
from eailab.translation import COLON, Say, english, joined

from matplotlib.figure import Figure  # isort: skip - after `fonts`, which prepares its import
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter  # isort: skip

PNG_DOTS_PER_INCH = 150
TICK = 0.42
"""Width of an axis that a labelled tick needs, on a screen."""


# --- figures ---------------------------------------------------------------------------------------------------------


def draw(figure: FigureData, say: Say = english, kinds: Sequence[FileKind] = ON_SCREEN) -> Drawing:
    """Draw a figure from its description: PDF in the style of print, PNG and SVG in that of screens.

    Args:
        figure: One with lines by epoch has one epoch or more.
        say: The language of the labels.
        kinds: Of the files.
    """
    drawn: dict[FileKind, bytes] = {}
    for style, own in ((SCREEN, [kind for kind in kinds if kind != "pdf"]), (PRINT, [k for k in kinds if k == "pdf"])):
        if own:
            with styled(style):
                drawn |= rendered(_figure(figure, say, style), own)
    return {kind: drawn[kind] for kind in kinds}


def _figure(figure: FigureData, say: Say, style: Style) -> Any:
    match figure:
        case CurvesFigure():
            return _curves(figure, say, style)
        case IntervalsFigure():
            return _intervals(figure, say, style)
        case BarsFigure():
            return _bars(figure, say, style)
        case SearchFigure():
            return _search(figure, say, style)
    raise TypeError(f"{type(figure).__name__} is drawn in pages only")


def study_figures(
    findings: StudyFindings, say: Say = english, kinds: Sequence[FileKind] = ON_SCREEN
) -> dict[str, Drawing]:
    """Draw the figures of a study or a single trial, by their names, labelled in a language."""
    return {name: draw(study_figure(findings, name), say, kinds) for name in figure_names(findings)}


def _curves(curves: CurvesFigure, say: Say, style: Style) -> Any:
    """Draw panels of lines with their bands, two in a row, under one legend."""
    scale = style.scale
    head = head_of(curves.title, joined(filter(None, (curves.subject, curves.note)), COLON), say, style)
    entries = [wrapped(say(name), style.legend_label, style.letters) for name in curves.names]
    axes_of = [one.axis if one.log is None or not one.prefers_log else one.log for one in curves.panels]
    named = [say(with_unit(one.title, one.unit)) for one in curves.panels]
    figure, grid, titles, across = grid_of_panels(head, entries, named, axes_of, style, between=0.42, is_shared=True)

    # Lines, axes and titles of each panel.
    for place, (panel, axes, axis, title) in enumerate(zip(curves.panels, grid, axes_of, titles, strict=True)):
        for line, look, entry in zip(panel.lines, curves.looks, entries, strict=True):
            _line(axes, line, curves.steps, look, entry, scale)
        above_axes = {"y": 1.0, "pad": 4}  # a given height saves matplotlib from measuring every tick for it
        axes.set_title(title, fontsize=10 * scale, **above_axes)
        axes.set_ylim(axis.low, axis.high)
        if axis.is_log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_locator(NullLocator())
        if place >= len(curves.panels) - 2:
            axes.set_xlabel(say(curves.x_title))
            axes.tick_params(labelbottom=True)
        ticks = max(4, min(8, int(across / TICK / scale)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=ticks, min_n_ticks=1, steps=[1, 2, 5, 10]))
        first, last = curves.steps[0], curves.steps[-1]
        room = max(0.02 * (last - first), 0.1)
        axes.set_xlim(first - room, last + room)
    add_legend(figure, grid[0], head, entries, style)
    return figure


def _search(search: SearchFigure, say: Say, style: Style) -> Any:
    """Draw panels of the metric over each tuned setting, and over the number of values tried."""
    scale = style.scale
    head = head_of(search.title, joined(filter(None, (search.subject, search.note)), COLON), say, style)
    entries = [wrapped(say(name), style.legend_label, style.letters) for name in search.names]
    axes_of = [one.y_axis for one in search.panels]
    named = [say(with_unit(one.title, one.unit)) for one in search.panels]
    figure, grid, titles, _ = grid_of_panels(head, entries, named, axes_of, style, between=0.8, is_shared=False)
    for panel, axes, title in zip(search.panels, grid, titles, strict=True):
        for line, look, entry in zip(panel.lines, search.looks, entries, strict=True):
            colour = COLOURS[look.colour]
            shape = {"color": colour, "linestyle": DASHES[look.dash], "linewidth": 1.7 * scale, "label": entry}
            axes.plot([x for x, _ in line.line], [y for _, y in line.line], **shape)
            dots: dict[str, Any] = {"color": colour, "alpha": 0.6, "markersize": 4.5 * scale, "markeredgewidth": 0}
            axes.plot([x for x, _ in line.dots], [y for _, y in line.dots], MARKERS[look.marker], **dots)
        axes.set_title(title, fontsize=10 * scale, pad=4)
        for axis, set_scale, limit in (
            (panel.x_axis, axes.set_xscale, axes.set_xlim),
            (panel.y_axis, axes.set_yscale, axes.set_ylim),
        ):
            set_scale("log" if axis.is_log else "linear")
            limit(axis.low, axis.high)
        axes.set_xticks([place for place, _ in panel.x_ticks], [plain(label) for _, label in panel.x_ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(*zip(*panel.y_axis.labelled(5), strict=True))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(say(panel.x_title))
    add_legend(figure, grid[0], head, entries, style)
    return figure


def _line(axes: Any, line: Line, steps: Sequence[int], look: Look, entry: str, scale: float) -> None:
    """Draw the mean and the band of the finished trials, and the others one by one, faintly."""
    colour, dash, marker = COLOURS[look.colour], DASHES[look.dash], MARKERS[look.marker]
    epochs, mean = _known(line.mean, steps)
    if line.low:
        known, low = _known(line.low, steps)
        _, high = _known(line.high, steps)
        axes.fill_between(known, low, high, color=colour, alpha=0.16, linewidth=0)
    if line.mean:
        every = max(1, math.ceil(len(epochs) / 8))
        shape = {"color": colour, "linestyle": dash, "marker": marker, "markersize": 4.5 * scale, "markevery": every}
        axes.plot(epochs, mean, linewidth=1.7 * scale, label=entry, **shape)
    for place, lone in enumerate(line.lone):
        label = None if line.mean or place else entry
        faint = {"color": colour, "alpha": 0.6, "linestyle": dash, "linewidth": 0.9 * scale}
        epochs, values = _known(lone.values, steps)
        axes.plot(epochs, values, label=label, **faint)
        axes.plot(epochs[-1:], values[-1:], "x" if lone.has_diverged else ".", color=colour, markersize=6 * scale)


def _known(values: Sequence[float], steps: Sequence[int]) -> tuple[list[int], list[float]]:
    """Return the epochs or steps that have a value, and their values; gaps are passed over."""
    known = [(step, value) for step, value in zip(steps, values, strict=False) if not math.isnan(value)]
    return [epoch for epoch, _ in known], [value for _, value in known]


def _intervals(intervals: IntervalsFigure, say: Say, style: Style) -> Any:
    """Draw each arm's difference from the baseline with its interval, the margin, and every block as a faint dot."""
    rows, scale, letters = intervals.rows, style.scale, style.letters
    head = head_of(intervals.title, intervals.note, say, style)
    labels = [wrapped(row.label, style.label, letters) for row in rows]
    told = [(say(row.verdict), "\n".join(filter(None, (row.numbers, say(row.lost))))) for row in rows]
    beside = max(widest([line for lines in told for line in lines], letters, bold=True), 0.5 * scale)
    figure, axes = _rows(labels, head, style, say(intervals.axis_title), least=0.6, beside=0.32 * scale + beside)
    axes.axvspan(-intervals.margin, intervals.margin, color=COLOURS[6], alpha=0.2, linewidth=0)
    for place, (row, (verdict, numbers)) in enumerate(zip(rows, told, strict=True)):
        _interval_row(axes, row, place, scale)
        at: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": letters}
        axes.text(1.03, place - 0.03, verdict, va="bottom", fontweight="bold", **at)
        axes.text(1.03, place + 0.03, numbers, va="top", **at)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.set_xlim(intervals.axis.low, intervals.axis.high)
    _finish(figure, head, say(intervals.key))
    return figure


def _interval_row(axes: Any, row: IntervalRow, place: int, scale: float) -> None:
    """Draw one arm: its interval, its difference, and under them its blocks, equal ones stacked."""
    colour = COLOURS[row.look.colour]
    dots: dict[str, Any] = {"color": colour, "alpha": 0.5, "markersize": 4.5 * scale, "markeredgewidth": 0}
    stacked = list(row.stacked)
    heights = [place + 0.2 + 0.085 * below for _, below in stacked]
    axes.plot([difference for difference, _ in stacked], heights, "o", **dots)
    if row.interval is not None:
        axes.plot(row.interval, [place, place], color=colour, linewidth=2.6 * scale, solid_capstyle="butt")
        axes.plot(row.interval, [place, place], "|", color=colour, markersize=10 * scale, markeredgewidth=1.6 * scale)
    if row.difference is not None:
        shape = MARKERS[row.look.marker]
        axes.plot(row.difference, place, shape, color=colour, markersize=8 * scale, markeredgecolor=PAPER)


def _bars(bars: BarsFigure, say: Say, style: Style) -> Any:
    """Draw gains that add up, a bar each from where it starts, with their intervals."""
    head = head_of(bars.title, bars.note, say, style)
    labels = [wrapped(say(bar.label), 1.5 * style.label, style.letters) for bar in bars.bars]
    figure, axes = _rows(labels, head, style, say(bars.axis_title), least=0.42, beside=0.88 * style.scale)
    for place, bar in enumerate(bars.bars):
        if bar.gain is not None:
            _bar(axes, place, bar, bar.gain)
        axes.text(1.02, place, bar.text, transform=axes.get_yaxis_transform(), va="center")
    axes.set_ylim(len(bars.bars) - 0.4, -0.6)
    _finish(figure, head, say(bars.key))
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


def _rows(
    labels: Sequence[str], head: FigureHead, style: Style, axis_title: str, *, least: float, beside: float
) -> tuple[Any, Any]:
    """Return a figure with a row for each label, high enough for all of it, and its axes with a line at 0."""
    scale = style.scale
    row = max(least, *(0.12 + LINE * (1 + label.count("\n")) for label in labels)) * scale
    left = 0.25 * scale + widest(labels, style.letters)
    across = style.width - left - beside
    middle = left + across / 2
    titled = wrapped(axis_title, 2 * min(middle, style.width - middle) - 0.1, style.letters)
    below = 0.63 * scale + LINE * scale * titled.count("\n") + (0.08 if style.has_heading else 0.0)
    height = head.height + 0.12 * scale + below + row * len(labels)
    figure = Figure(figsize=(style.width, height))
    figure.subplots_adjust(
        left=left / style.width,
        right=1.0 - beside / style.width,
        top=1.0 - (head.height + 0.12 * scale) / height,
        bottom=below / height,
    )
    axes = figure.subplots()
    axes.axvline(0.0, color=INK, linewidth=1.0)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=max(2, min(7, int(across / TICK / scale))), steps=[1, 2, 5, 10]))
    axes.set_xlabel(titled)
    return figure, axes


def _finish(figure: Any, head: FigureHead, key: str) -> None:
    """Set what stands above and below a figure of rows, where it has a heading."""
    add_heading(figure, head)
    if head.height:
        below = 0.06 / figure.get_figheight()
        figure.text(0.012, below, key, ha="left", va="bottom", fontsize=8.2, color=FAINT)


# --- rendering -------------------------------------------------------------------------------------------------------


@contextmanager
def styled(style: Style) -> Iterator[None]:
    """Set what all figures of a style share, whatever the user's own matplotlib settings are."""
    settings: dict[Any, Any] = {
        "font.family": families(),
        "font.size": style.letters,
        "text.parse_math": False,  # a recipe named lr=$\frac{1}$ is a name
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8 * style.scale,
        "grid.color": FAINT,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6 * style.scale,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.size": 3.5 * style.scale,
        "ytick.major.size": 3.5 * style.scale,
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


def rendered(figure: Any, kinds: Sequence[FileKind]) -> Drawing:
    """Write the figure in each kind, without date or version."""

    def saved(kind: FileKind) -> bytes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=PNG_DOTS_PER_INCH, metadata=_METADATA[kind])
        return buffer.getvalue()

    return {kind: saved(kind) for kind in kinds}
