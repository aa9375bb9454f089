"""Figures as PNG, SVG or PDF: learning curves, and differences from the baseline with their intervals.

The only user of matplotlib, through its objects and never through pyplot, which would look for a display. Colours are
Okabe & Ito's (2008), told apart by all common kinds of colour vision; line styles and markers differ as well. The same
findings give the same bytes.
"""

import io
import logging
import math
import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from eailab.findings.arm import ArmFindings
from eailab.findings.numbers import decimals, decimals_for, interval, signed
from eailab.findings.path import Waterfall
from eailab.findings.study import StudyFindings
from eailab.findings.tables import arm_name
from eailab.findings.trial import Curves
from eailab.plain import plain
from eailab.report.figures import CJK_FONTS, FAINT, INK, ON_SCREEN, PAPER, Drawing, FileKind, figure_names
from eailab.report.lettering import widest, wrapped
from eailab.stats.verdict import Interval, Verdict
from eailab.translation import Say, english

# A font without bold letters is taken as it is, and a home folder that cannot be written needs no advice.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
named_backend = os.environ.pop("MPLBACKEND", None)  # matplotlib is not imported with one that is not installed here
try:
    import matplotlib as mpl
    from matplotlib import font_manager
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
finally:
    if named_backend is not None:
        os.environ["MPLBACKEND"] = named_backend

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
"""Of the arms other than the baseline, in turn."""
DASHES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

PNG_DOTS_PER_INCH = 150
LOG_FROM = 20.0
"""Losses that span more than this factor are drawn on a logarithmic axis."""
WIDTH = 8.0
"""Of every figure, in inches, as all lengths here."""
LINE = 0.165
"""Height of a further line of a label."""
LEGEND_COLUMNS, LEGEND_LABEL, LEGEND_LINE = 4, 3.0, 0.72
"""Columns at most; widths of a label at most, and of the line before it with the gaps."""
EARLY = 0.15
"""Share of the epochs whose accuracies may lie below the axis."""


@dataclass(frozen=True)
class _Head:
    """A figure's title and the note under it, broken into lines."""

    title: str
    note: str

    @property
    def extra(self) -> float:
        """How much higher it is than with a line each, in inches."""
        return 0.2 * self.title.count("\n") + 0.17 * self.note.count("\n")


@dataclass(frozen=True)
class _Look:
    """How an arm is drawn, the same in every figure."""

    colour: str
    dash: Any
    marker: str


# --- figures ---------------------------------------------------------------------------------------------------------


def trial_curves(curves: Curves, title: str, say: Say = english, kinds: Sequence[FileKind] = ON_SCREEN) -> Drawing:
    """Draw the loss and the accuracy of one trial by epoch, training against validation.

    Args:
        curves: One epoch or more.
        title: What the trial is called.
        say: The language of the labels.
        kinds: Of the files.
    """
    with _style():
        head = _head(
            title,
            f"loss and accuracy by epoch; after epoch {curves.epochs[-1]}: "
            f"training {curves.train_accuracy[-1]:.2f}%, validation {curves.validation_accuracy[-1]:.2f}%",
            say,
            beside=2.7,
        )
        height = 3.55 + head.extra
        figure = Figure(figsize=(WIDTH, height))
        figure.subplots_adjust(
            left=0.09, right=0.985, top=1.0 - (0.7 + head.extra) / height, bottom=0.53 / height, wspace=0.24
        )
        panels = figure.subplots(1, 2)
        looks = {"training": _Look(BLUE, DASHES[1], "s"), "validation": _Look(VERMILLION, DASHES[0], "o")}
        pairs = (
            (panels[0], "loss", (curves.train_loss, curves.validation_loss)),
            (panels[1], "accuracy", (curves.train_accuracy, curves.validation_accuracy)),
        )
        for axes, quantity, lines in pairs:
            for (name, look), values in zip(looks.items(), lines, strict=True):
                _line(axes, curves.epochs, values, look, name)
            _epoch_axis(axes, curves.epochs)
            _quantity_axis(axes, quantity, [(curves.epochs, values) for values in lines])
        figure.legend(*panels[0].get_legend_handles_labels(), loc="upper right", bbox_to_anchor=(0.995, 0.985), ncols=2)
        _heading(figure, head)
        return _rendered(figure, say, kinds)


def study_figures(
    findings: StudyFindings, say: Say = english, kinds: Sequence[FileKind] = ON_SCREEN
) -> dict[str, Drawing]:
    """Draw the figures of a study or a single trial, by their names, labelled in a language."""
    drawings = {}
    for name in figure_names(findings):
        if name == "intervals":
            drawings[name] = _intervals(findings, say, kinds)
        elif findings.planned == 1:
            drawings[name] = trial_curves(findings.arms[0].trials[0].curves, findings.title, say, kinds)
        else:
            drawings[name] = _study_curves(findings, say, kinds)
    return drawings


def _study_curves(findings: StudyFindings, say: Say, kinds: Sequence[FileKind]) -> Drawing:
    """Draw mean curves of the arms, training beside validation on one scale, with bands from block to block."""
    with _style():
        blocks = len(findings.blocks)
        band = f"mean of {blocks} blocks, band from lowest to highest" if blocks > 1 else "one block"
        if any(arm.count("finished") < blocks for arm in findings.arms):
            band += "; thin: unfinished trials, x: diverged"
        by = f" by {findings.spoken_factor}" if findings.factor else ""
        head = _head(f"Learning curves{by}", f"{findings.name}: {band}", say)
        entries = [wrapped(say(_legend_entry(arm)), LEGEND_LABEL) for arm in findings.arms]
        columns, legend = _legend_size(entries)
        height = 6.15 + legend + head.extra
        top = 1.0 - (0.8 + legend + head.extra) / height
        figure = Figure(figsize=(WIDTH, height))
        figure.subplots_adjust(left=0.1, right=0.98, top=top, bottom=0.55 / height, wspace=0.08, hspace=0.2)
        panels = figure.subplots(2, 2, sharex=True, sharey="row")
        every = [trial.curves for arm in findings.arms for trial in arm.trials if trial.curves.epochs]
        last = max((curves.epochs for curves in every), key=len)
        for row, quantity in enumerate(("loss", "accuracy")):
            for column, split in enumerate(("train", "validation")):
                axes = panels[row, column]
                for arm, look, entry in zip(findings.arms, _looks(findings), entries, strict=True):
                    _arm_curves(axes, arm, look, f"{split}_{quantity}", entry)
                _epoch_axis(axes, last, labelled=row == 1)
                axes.set_title(f"{'training' if split == 'train' else split} {quantity}", fontsize=10)
            names = (f"train_{quantity}", f"validation_{quantity}")
            shown = [(curves.epochs, getattr(curves, name)) for curves in every for name in names]
            _quantity_axis(panels[row, 0], quantity, shown)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        above = (0.5, 1.0 - (0.46 + head.extra) / height)
        figure.legend(handles, labels, loc="upper center", bbox_to_anchor=above, ncols=min(len(labels), columns))
        _heading(figure, head)
        return _rendered(figure, say, kinds)


def _legend_entry(arm: ArmFindings) -> str:
    """Return what a legend calls an arm, with the state of its trials where none has finished."""
    begun = [trial.state for trial in arm.trials if trial.state in ("diverged", "unfinished") and trial.curves.epochs]
    return f"{arm_name(arm)}: {begun[0]}" if arm.curves is None and begun else arm_name(arm)


def _legend_size(entries: Sequence[str]) -> tuple[int, float]:
    """Return the columns of a legend, and its height; entries run down the columns, as matplotlib sets them."""
    fitting = int((WIDTH - 0.1) / (widest(entries) + LEGEND_LINE))
    rows = math.ceil(len(entries) / max(1, min(fitting, LEGEND_COLUMNS)))
    columns = [entries[start : start + rows] for start in range(0, len(entries), rows)]
    return len(columns), max(sum(0.24 + 0.19 * entry.count("\n") for entry in column) for column in columns)


def _arm_curves(axes: Any, arm: ArmFindings, look: _Look, name: str, entry: str) -> None:
    """Draw the mean and the band of the finished trials, and the others one by one, faintly."""
    finished = [getattr(trial.curves, name) for trial in arm.finished]
    if arm.curves is not None:
        epochs, mean = arm.curves.epochs, getattr(arm.curves, name)
        if len(finished) > 1:
            low, high = zip(*((min(values), max(values)) for values in zip(*finished, strict=True)), strict=True)
            axes.fill_between(epochs, low, high, color=look.colour, alpha=0.16, linewidth=0)
        _line(axes, epochs, mean, look, entry)
    label = entry if arm.curves is None else None
    for trial in arm.trials:
        if trial.state in ("diverged", "unfinished") and trial.curves.epochs:
            values = getattr(trial.curves, name)
            faint = {"color": look.colour, "alpha": 0.6, "linestyle": look.dash, "linewidth": 0.9}
            axes.plot(trial.curves.epochs, values, label=label, **faint)
            end = "x" if trial.state == "diverged" else "."
            axes.plot(trial.curves.epochs[-1], values[-1], end, color=look.colour)
            label = None


def _intervals(findings: StudyFindings, say: Say, kinds: Sequence[FileKind]) -> Drawing:
    """Draw each arm's difference from the baseline with its interval, the margin, and every block as a faint dot."""
    rows = [
        (arm, look)
        for arm, look in zip(findings.arms, _looks(findings), strict=True)
        if not arm.is_baseline and arm.against_baseline is not None
    ]
    measure, digits = findings.measure, decimals(findings)
    baseline = findings.baseline_arm
    mean = baseline.against_baseline.mean if baseline.against_baseline else None
    blocks = len(findings.blocks)
    told = [_row_text(arm, digits) for arm, _ in rows]
    with _style():
        head = _head(
            f"{findings.spoken_factor.capitalize()}: difference from {baseline.label}",
            f"{findings.name}; {blocks} block{'s' * (blocks > 1)}; baseline "
            + ("has no value" if mean is None else f"mean {mean:.{digits}f}{measure.unit}"),
            say,
        )
        labels = [wrapped(say(arm.label), 2.3) for arm, _ in rows]
        row = max(0.6, *(0.12 + LINE * (1 + label.count("\n")) for label in labels))
        height = 1.55 + row * len(rows) + head.extra
        beside = max(widest([say(line) for one in told for line in one], bold=True), 0.5)
        figure = Figure(figsize=(WIDTH, height))
        figure.subplots_adjust(
            left=(0.25 + widest(labels)) / WIDTH,
            right=1.0 - (0.32 + beside) / WIDTH,
            top=1.0 - (0.62 + head.extra) / height,
            bottom=0.68 / height,
        )
        axes = figure.subplots()
        axes.axvspan(-findings.margin, findings.margin, color=SKY, alpha=0.2, linewidth=0)
        axes.axvline(0.0, color=INK, linewidth=1.0)
        for place, (arm, look) in enumerate(rows):
            _interval_row(axes, findings, arm, look, place)
            at: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 9.5}
            verdict, *numbers = told[place]
            axes.text(1.03, place - 0.03, verdict, va="bottom", fontweight="bold", **at)
            axes.text(1.03, place + 0.03, "\n".join(numbers), va="top", **at)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_yticks(range(len(rows)), labels)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -1.2 * findings.margin), max(high, 1.2 * findings.margin))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
        unit = "percentage points" if measure.difference_unit else "nats"
        axes.set_xlabel(
            f"difference in {measure.title} ({unit}; {'right' if measure.higher_is_better else 'left'} is better)"
        )
        _heading(figure, head)
        legend = "bars: simultaneous 95% intervals; dots below: single blocks; shaded: "
        legend += f"margin ±{measure.with_unit(f'{findings.margin:g}')}"
        figure.text(0.012, 0.06 / height, legend, ha="left", va="bottom", fontsize=8.2, color=FAINT)
        return _rendered(figure, say, kinds)


def _interval_row(axes: Any, findings: StudyFindings, arm: ArmFindings, look: _Look, place: int) -> None:
    """Draw one arm: its interval, its difference, and under them its blocks, equal ones stacked."""
    result = arm.against_baseline
    assert result is not None  # noqa: S101 - rows are made of compared arms
    pairs = zip(arm.trials, findings.baseline_arm.trials, strict=True)
    seen: Counter[float] = Counter()
    for ours, theirs in pairs:
        if ours.value is not None and theirs.value is not None:
            difference = ours.value - theirs.value
            key = round(difference, 9)
            dot = place + 0.2 + 0.085 * seen[key]
            seen[key] += 1
            axes.plot(difference, dot, "o", color=look.colour, alpha=0.5, markersize=4.5, markeredgewidth=0)
    if result.difference is None:
        return
    if result.interval95 is not None:
        axes.plot(result.interval95, [place, place], color=look.colour, linewidth=2.6, solid_capstyle="butt")
        axes.plot(result.interval95, [place, place], "|", color=look.colour, markersize=10, markeredgewidth=1.6)
    axes.plot(result.difference, place, look.marker, color=look.colour, markersize=8, markeredgecolor=PAPER)


def _row_text(arm: ArmFindings, digits: int) -> list[str]:
    """Return the lines beside a row: the verdict, the numbers, and how many trials diverged."""
    result = arm.against_baseline
    lines = ["no value"]
    if result is not None and result.difference is not None:
        bounds = f"  {interval(result.interval95, digits)}" if result.interval95 is not None else ""
        lines = [result.verdict or Verdict.SCREEN, f"{signed(result.difference, digits)}{bounds}"]
    if lost := arm.count("diverged"):
        lines.append(f"{lost} of {len(arm.trials)} diverged")
    return [*lines, ""] if len(lines) == 1 else lines


def waterfall_figure(found: Waterfall) -> Drawing:
    """Draw a walk from one recipe to another: each step's gain as a bar from the total before it, with its interval."""
    measure, steps = found.measure, found.steps
    bounds = [found.gap_interval95, *(step.interval95 for step in steps)]
    digits = decimals_for([one for one in bounds if one is not None], measure.decimals)
    blocks = len(found.blocks)
    order = "steps by largest gain, chosen on the same trials" if found.order == "gain" else "steps as listed"
    with _style():
        head = _head(f"From {' to '.join(found.names)}", f"{blocks} block{'s' * (blocks > 1)}; {order}", english)
        told = [*(", ".join(step.changes) for step in steps), f"{found.names[1]} - {found.names[0]}"]
        labels = [wrapped(label, 3.5) for label in told]
        row = max(0.42, *(0.12 + LINE * (1 + label.count("\n")) for label in labels))
        height = 1.75 + row * len(labels) + head.extra
        figure = Figure(figsize=(WIDTH, height))
        figure.subplots_adjust(
            left=(0.25 + widest(labels)) / WIDTH,
            right=0.89,
            top=1.0 - (0.62 + head.extra) / height,
            bottom=0.85 / height,
        )
        axes = figure.subplots()
        axes.axvline(0.0, color=INK, linewidth=1.0)
        before: float | None = 0.0
        for place, step in enumerate(steps):
            if step.gain is not None and before is not None:
                colour = BLUE if step.gain >= 0.0 else VERMILLION
                _bar(axes, place, (before, step.gain), step.interval95, colour, hollow=step.may_be_noise)
                if step.total is not None:
                    axes.plot([step.total] * 2, [place, place + 1], color=FAINT, linewidth=0.8, linestyle="dotted")
            before = step.total
            axes.text(1.02, place, signed(step.gain, digits), transform=axes.get_yaxis_transform(), va="center")
        if found.gap is not None:
            _bar(axes, len(steps), (0.0, found.gap), found.gap_interval95, INK, hollow=False)
        axes.text(1.02, len(steps), signed(found.gap, digits), transform=axes.get_yaxis_transform(), va="center")
        axes.set_ylim(len(steps) + 0.6, -0.6)
        axes.set_yticks(range(len(labels)), labels)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
        axes.set_xlabel(f"gain in {measure.title} ({'percentage points' if measure.difference_unit else 'nats'})")
        _heading(figure, head)
        legend = "lines: 95% intervals, simultaneous over the moves tried for a step; hollow: the interval includes 0"
        figure.text(0.012, 0.06 / height, legend, ha="left", va="bottom", fontsize=8.2, color=FAINT)
        return _rendered(figure)


def _bar(
    axes: Any, place: int, extent: tuple[float, float], bounds: Interval | None, colour: str, *, hollow: bool
) -> None:
    """Draw one gain from where it starts, and its interval from there too."""
    left, gain = extent
    face = PAPER if hollow else colour
    axes.barh(place, gain, left=left, height=0.56, facecolor=face, edgecolor=colour, linewidth=1.2)
    if bounds is not None:
        ends = [left + bounds[0], left + bounds[1]]
        axes.plot(ends, [place, place], color=PAPER, linewidth=3.4, solid_capstyle="butt")
        axes.plot(ends, [place, place], color=colour if hollow else INK, linewidth=1.6, solid_capstyle="butt")


# --- parts -----------------------------------------------------------------------------------------------------------

_Y_LABELS = {"loss": "loss", "accuracy": "accuracy (%)"}


def _looks(findings: StudyFindings) -> Iterator[_Look]:
    """Yield the look of each arm: the baseline in ink, the others in colours."""
    number = 0
    for arm in findings.arms:
        if arm.is_baseline:
            yield _Look(INK, DASHES[0], MARKERS[0])
        else:
            number += 1
            turn = number - 1
            yield _Look(COLOURS[turn % len(COLOURS)], DASHES[number % len(DASHES)], MARKERS[number % len(MARKERS)])


def _line(axes: Any, epochs: Sequence[int], values: Sequence[float], look: _Look, label: str) -> None:
    axes.plot(
        epochs,
        values,
        color=look.colour,
        linestyle=look.dash,
        marker=look.marker,
        markevery=max(1, math.ceil(len(epochs) / 8)),
        markersize=4.5,
        linewidth=1.7,
        label=label,
    )


def _epoch_axis(axes: Any, epochs: Sequence[int], *, labelled: bool = True) -> None:
    if labelled:
        axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1, steps=[1, 2, 5, 10]))
    room = max(0.02 * (epochs[-1] - 1), 0.1)
    axes.set_xlim(1 - room, epochs[-1] + room)


def _quantity_axis(axes: Any, quantity: str, lines: Sequence[tuple[Sequence[int], Sequence[float]]]) -> None:
    """Label the axis, and choose its range so that the later epochs, which tell arms apart, fill it.

    Args:
        axes: Where the lines were drawn.
        quantity: `loss` or `accuracy`.
        lines: Epochs and values of all that share the axis.
    """
    axes.set_ylabel(_Y_LABELS[quantity])
    every = [value for _, values in lines for value in values]
    if quantity == "loss":
        if min(every) > 0.0 and max(every) > LOG_FROM * min(every):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        return
    early = max(epochs[-1] for epochs, _ in lines) * EARLY
    late = [value for line in lines for number, value in zip(*line, strict=True) if number > early]
    room = 0.06 * (max(every) - min(late))
    if room > 0.0:
        axes.set_ylim(min(late) - room, max(every) + room)


def _head(title: str, note: str, say: Say, beside: float = 0.0) -> _Head:
    """Return what stands above a figure, in a language; `beside` is what something else takes of the title's width."""
    room = WIDTH - 0.2
    return _Head(wrapped(say(plain(title)), room - beside, 12.0, bold=True), wrapped(say(plain(note)), room, 8.8))


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
    """Return whether a font with Chinese letters is installed, so that labels would be no empty boxes."""
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


def _rendered(figure: Any, say: Say = english, kinds: Sequence[FileKind] = ON_SCREEN) -> Drawing:
    """Write the figure in each kind, its texts in a language, without date or version."""
    for text in figure.findobj(Text):
        text.set_text("\n".join(map(say, text.get_text().split("\n"))))

    def saved(kind: FileKind) -> bytes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=PNG_DOTS_PER_INCH, metadata=_METADATA[kind])
        return buffer.getvalue()

    return {kind: saved(kind) for kind in kinds}
