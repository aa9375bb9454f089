"""Describe each figure once: drawn for print by `plots` with matplotlib, and for a page by `html` as SVG.

A description has numbers, labels, axes and looks, and no length, font or colour; texts are translated as they are set.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeAlias

from eailab.findings.study import StudyFindings
from eailab.metrics import TRAIN, VALIDATION, Metric, by_quantity
from eailab.report.axes import Axis, spanning
from eailab.stats.verdict import Interval
from eailab.translation import tr

CJK_FONTS = (
    "Noto Sans CJK TC",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "PingFang TC",
    "Microsoft JhengHei",
    "WenQuanYi Micro Hei",
)
"""The first that is installed is taken for letters that the usual font lacks."""

TITLES = {
    "intervals": tr("Differences from the baseline with their intervals"),
    "curves": tr("Learning curves"),
    "training-validation": tr("Training and validation of each arm"),
    "tuning": tr("Scores of the tuning by value, and the best of k values"),
}
"""What a figure is called for a reader who cannot see it, by its name, which is its files' name too."""

PATH_FIGURE = "waterfall"
"""Name of a path ablation's figure, and of its files."""

FileKind = Literal["png", "svg", "pdf"]
"""Of a figure's file, and its suffix."""

ON_SCREEN: tuple[FileKind, ...] = ("png", "svg")
IN_PRINT: tuple[FileKind, ...] = ("pdf",)

Drawing: TypeAlias = Mapping[FileKind, bytes]
"""One figure in each kind that was asked for."""

MOST_PANELS = 12
"""Arms at most that get a panel each."""

COLOURS = 6
"""Arms other than the baseline that colour tells apart; further ones differ by dash and marker."""


@dataclass(frozen=True)
class Look:
    """Describe how an arm looks in every figure: the number of its colour, 0 for ink, of its dash and of its marker."""

    colour: int = 0
    dash: int = 0
    marker: int = 0


# --- learning curves ---


@dataclass(frozen=True)
class Lone:
    """The values of a trial without a result, by epoch."""

    values: tuple[float, ...]
    has_diverged: bool


@dataclass(frozen=True)
class Line:
    """One arm in one panel, by epoch."""

    mean: tuple[float, ...]
    """Over the finished trials."""
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    """Lowest and highest block; empty for fewer than two."""
    lone: tuple[Lone, ...] = ()

    @property
    def series(self) -> tuple[tuple[float, ...], ...]:
        """Return all that is drawn, each by epoch."""
        return self.mean, self.low, self.high, *(one.values for one in self.lone)


@dataclass(frozen=True)
class Panel:
    """One quantity of all arms."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    axis: Axis
    log: Axis | None
    """The same on a logarithmic scale; None where that shows nothing."""
    prefers_log: bool
    """Whether a drawing that cannot be switched takes the logarithmic one."""


@dataclass(frozen=True)
class CurvesFigure:
    """Lines by epoch, in panels."""

    title: str
    subject: str
    """Whose curves they are, where the title does not say so."""
    note: str
    names: tuple[str, ...]
    """Of the lines of every panel."""
    looks: tuple[Look, ...]
    panels: tuple[Panel, ...]
    steps: tuple[int, ...]
    """Numbers of the epochs or steps, rising; the values of a line are those of the first ones."""
    x_title: str
    """What they count."""
    names_are: str = tr("Arms")
    """Of what."""

    def across(self, place: int) -> float:
        """Return where a step stands, from 0 at the left to 1 at the right."""
        return (self.steps[place] - self.steps[0]) / max(self.steps[-1] - self.steps[0], 1)


# --- differences from the baseline ---


@dataclass(frozen=True)
class IntervalRow:
    """One arm against the baseline."""

    label: str
    look: Look
    blocks: tuple[float, ...]
    """The difference in each block that both arms have."""
    difference: float | None
    interval: Interval | None
    verdict: str
    numbers: str
    lost: str
    """How many of its trials diverged or collapsed; empty for none."""

    @property
    def stacked(self) -> Iterator[tuple[float, int]]:
        """Return the difference in each block, with how many equal ones lie below it."""
        seen: Counter[float] = Counter()
        for difference in self.blocks:
            yield difference, seen[round(difference, 9)]
            seen[round(difference, 9)] += 1


@dataclass(frozen=True)
class IntervalsFigure:
    """Each arm's difference from the baseline with its interval and blocks, and the margin around 0."""

    title: str
    note: str
    rows: tuple[IntervalRow, ...]
    margin: float
    axis: Axis
    axis_title: str
    key: str
    """What the marks mean."""


# --- gains of a path ablation ---


@dataclass(frozen=True)
class Bar:
    """One gain, from where it starts."""

    label: str
    start: float
    gain: float | None
    interval: Interval | None
    """Of the gain."""
    look: Look
    is_hollow: bool
    is_followed: bool
    """Whether the next bar starts where this one ends."""
    text: str

    @property
    def ends(self) -> tuple[float, float]:
        """Return its lower end and its upper; the start twice where there is no gain."""
        end = self.start + (self.gain or 0.0)
        return min(self.start, end), max(self.start, end)

    @property
    def bounds(self) -> Interval | None:
        """Return the interval, from where the bar starts; None without a bar."""
        if self.interval is None or self.gain is None:
            return None
        return self.start + self.interval[0], self.start + self.interval[1]


@dataclass(frozen=True)
class BarsFigure:
    """Gains that add up, a bar each."""

    title: str
    note: str
    bars: tuple[Bar, ...]
    axis_title: str
    key: str

    @property
    def axis(self) -> Axis:
        """Return the range that holds every bar and every interval."""
        return spanning([0.0, *(end for bar in self.bars for end in (bar.start, *bar.ends, *(bar.bounds or ())))])


# --- cost ---


@dataclass(frozen=True)
class Point:
    """One arm."""

    label: str
    look: Look
    x: float
    y: float
    spoken: str


@dataclass(frozen=True)
class PointsFigure:
    """Arms as points."""

    title: str
    points: tuple[Point, ...]
    x_axis: Axis
    x_title: str
    y_axis: Axis


# --- tuning ---

Place: TypeAlias = tuple[float, float]
"""Across and up."""


@dataclass(frozen=True)
class SearchLine:
    """One arm in one panel."""

    line: tuple[Place, ...]
    dots: tuple[Place, ...] = ()


@dataclass(frozen=True)
class SearchPanel:
    """The metric of all arms over one thing."""

    title: str
    unit: str
    lines: tuple[SearchLine, ...]
    x_axis: Axis
    x_title: str
    x_ticks: tuple[tuple[float, str], ...]
    y_axis: Axis


@dataclass(frozen=True)
class SearchFigure:
    """The search of a tuning: the metric over each tuned setting, and the best of k values, an arm a line."""

    title: str
    subject: str
    note: str
    names: tuple[str, ...]
    looks: tuple[Look, ...]
    panels: tuple[SearchPanel, ...]


# --- all figures of a study ---

Figure: TypeAlias = CurvesFigure | IntervalsFigure | BarsFigure | PointsFigure | SearchFigure


def figure_names(findings: StudyFindings) -> tuple[str, ...]:
    """Return the names of the figures that there are numbers for."""
    trials = [trial for arm in findings.arms for trial in arm.trials]
    names = []
    if findings.factor is not None and any(trial.value is not None for trial in trials):
        names.append("intervals")
    has_epochs = findings.counted is None  # a program's run is one, and its own epochs are what it has reported
    if any(not (trial.curves if has_epochs else trial.reported).is_empty for trial in trials):
        names.append("curves")
        if findings.planned > 1 and len(findings.arms) <= MOST_PANELS and compared_by_epoch(findings) is not None:
            names.append("training-validation")
    if findings.tuning is not None and any(
        one.score is not None for arm in findings.tuning.arms for one in arm.trainings
    ):
        names.append("tuning")
    return tuple(names)


def compared_by_epoch(findings: StudyFindings) -> tuple[Metric, Metric] | None:
    """Return training and validation of the quantity that shows overfitting, a loss if there is one; None without."""
    drawn = {
        metric.key
        for metric in findings.metrics
        for arm in findings.arms
        if arm.curves is not None and any(value is not None for value in arm.curves.values.get(metric.key, ()))
    }
    by_split = by_quantity([metric for metric in findings.metrics if metric.key in drawn]).values()
    both = [(one[TRAIN], one[VALIDATION]) for one in by_split if TRAIN in one and VALIDATION in one]
    return min(both, key=lambda pair: pair[0].higher_is_better, default=None)


def looks(findings: StudyFindings) -> tuple[Look, ...]:
    """Return the look of each arm: ink for the baseline or an arm that is alone, colours for the others."""
    others = count(1)
    return tuple(
        Look()
        if arm.is_baseline or findings.factor is None
        else Look((number - 1) % COLOURS + 1, number % 4, number % 7)
        for arm in findings.arms
        for number in [0 if arm.is_baseline else next(others)]
    )
