"""Render documents as one self-contained page: a card for each study, then all that its claim rests on.

The page is made of `templates`, in which every value is escaped. Everything is readable without the script: it sorts
tables, switches arms, scales and themes, and reads curves out. The page's policy allows that one script and style sheet
by their hashes, pictures that the page holds itself, and no network.
"""

import base64
import hashlib
import math
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import pairwise, product
from textwrap import wrap
from typing import Any, NoReturn, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from eailab.findings.tables import with_unit
from eailab.metrics import behind
from eailab.plain import plain
from eailab.report.axes import Axis
from eailab.report.compiled_templates import CompiledTemplates
from eailab.report.document import Block, Document, Section
from eailab.report.figure_style import page_colours
from eailab.report.figures import CurvesFigure, Line, Look, Panel, Point, PointsFigure
from eailab.report.manifest import MARK
from eailab.stats.verdict import Verdict
from eailab.translation import BETWEEN_SENTENCES, Say, english, tr

WORDS = {
    "blank": BETWEEN_SENTENCES,
    "study": tr("Study"),
    "light": tr("Light"),
    "dark": tr("Dark"),
    "sort": tr("sort by this column"),
    "log": tr("logarithmic scale"),
}
"""Of the page itself."""

BOX = 1000
"""Units of a panel's box, in both directions; it is stretched to the page's width."""

MOST_STACKED = 3
"""Equal differences that are drawn as dots above each other; further ones lie on the last."""

DIGITS = 4
"""Significant ones of the numbers for the script: a reader's screen has about a thousand pixels."""

PLOT_PIXELS = 200
"""Height of a plot on a screen, as in `page.css`."""
LINE_PIXELS = 14
"""Height of a point's label."""
PLOT_WIDTH = 440
"""Of the plot that has labels, in print, where it is narrow."""
LETTER_PIXELS = 7.5
"""Width of a letter of a label."""
DOT = 6.0
"""Half the size of a point."""
LABEL_ROOM = 40
"""Left of the plot, under the numbers of its axis."""
LABEL_LETTERS = 18
"""Of such a label before it goes on below, so that none leaves a narrow page."""
Rectangle: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""
SHIFTS = (0, LINE_PIXELS, -LINE_PIXELS, 2 * LINE_PIXELS, -2 * LINE_PIXELS)


def render(document: Document) -> str:
    """Return the text of a page."""
    say = document.say
    sections = [block for block in document.blocks if isinstance(block, Section)]
    first = next((place for place, section in enumerate(sections) if section.name), 0)
    environment = _environment()
    style, script = _style(), _source("page.js")
    return environment.get_template("page.html").render(
        document=document,
        cards=[section for section in sections if section.name],
        firsts=sections[:first],
        others=[section for section in sections[first:] if not section.name],
        mark=MARK,
        policy=policy(style, script),
        style=Markup(style),  # noqa: S704 - ours
        script=Markup(script),  # noqa: S704 - ours
        say=say,
        numbers=partial(_numbers, say=say),
    )


def fragment(title: str, blocks: Sequence[Block]) -> str:
    """Return blocks as a notebook shows them: a part of a page, with a style of its own and without a script."""
    style = _style().replace(":root", "&")
    return (
        _environment()
        .get_template("notebook.html")
        .render(
            title=title,
            blocks=blocks,
            style=Markup(_NOTEBOOK % style),  # noqa: S704 - ours
            say=english,
            numbers=None,
        )
    )


_NOTEBOOK = """
.eailab { %s
  background: var(--sheet); color: var(--ink); padding: .6rem .8rem; max-width: 60rem; container-type: inline-size;
  font: 14px/1.5 system-ui, sans-serif;
  td, th { background: none; }
  dl dt, dl dd { float: none; width: auto; }
}
body[data-jp-theme-light="true"] .eailab, .vscode-light .eailab, html[theme="light"] .eailab { color-scheme: light; }
body[data-jp-theme-light="false"] .eailab, .vscode-dark .eailab, html[theme="dark"] .eailab { color-scheme: dark; }
"""
"""Of a notebook's output, around the style of pages: the themes are those of Jupyter, VS Code and Colab."""


def policy(style: str, script: str) -> str:
    """Return the content security policy of a page: one style sheet and one script, and nothing loaded or sent."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("eailab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else plain(str(value)),
        bytecode_cache=CompiledTemplates(),
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.globals |= {
        "words": WORDS,
        "box": BOX,
        "kind_of": lambda value: type(value).__name__,
        "no_template": _no_template,
        "verdict_class": verdict_class,
        "css": css,
        "percent": percent,
        "path": path,
        "band": band,
        "spoken": spoken,
        "with_unit": with_unit,
        "pairs": pairwise,
        "epoch_labels": epoch_labels,
        "most_stacked": MOST_STACKED,
        "labelled_points": labelled_points,
    }
    return environment


def _no_template(kind: str) -> NoReturn:
    raise TypeError(f"no template sets {kind}")


def _style() -> str:
    return f"{_source('page.css')}\n{page_colours()}"


def _source(name: str) -> str:
    environment = _environment()
    assert environment.loader is not None  # noqa: S101 - it has just been given one
    return environment.loader.get_source(environment, name)[0]


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


# --- what the templates ask for --------------------------------------------------------------------------------------


def verdict_class(cell: str) -> str:
    """Return the classes of a cell that is a verdict, after a space; nothing for another."""
    return f" verdict {cell.lower()}" if cell in tuple(Verdict) else ""


def css(look: Look) -> str:
    """Return what the style sheet calls a look."""
    return f"arm-{look.colour} dash-{look.dash}" if look.colour else "arm-0"


def percent(share: float) -> str:
    """Return a share of a drawing's width or height as SVG writes it.

    >>> percent(0.12345)
    '12.35%'
    """
    return f"{100.0 * share:z.2f}%"


def path(values: Sequence[float], axis: Axis, curves: CurvesFigure) -> str:
    """Return a line through values, one a step; steps without one are passed over."""
    points = _points(values, axis, curves)
    if len(points) == 1:  # a single epoch is a dot, which round line caps draw
        points.append(points[0])
    return f"M{'L'.join(points)}" if points else ""


def band(line: Line, axis: Axis, curves: CurvesFigure) -> str:
    """Return the outline of a band, from the lowest block to the highest."""
    points = [*_points(line.low, axis, curves), *reversed(_points(line.high, axis, curves))]
    return f"M{'L'.join(points)}Z" if points else ""


def _points(values: Sequence[float], axis: Axis, curves: CurvesFigure) -> list[str]:
    known = [(place, value) for place, value in enumerate(values) if not math.isnan(value)]
    return [f"{BOX * curves.across(place):.0f} {BOX * (1.0 - axis.position(value)):.0f}" for place, value in known]


def spoken(panel: Panel) -> str:
    """Return what a screen reader says of a panel: the last values' range."""
    last = [line.mean[-1] for line in panel.lines if line.mean and not math.isnan(line.mean[-1])]
    if not last:
        return tr("no trial has finished")
    low, high = (f"{value:.4g}{behind(panel.unit)}" for value in (min(last), max(last)))
    return tr("after the last epoch from {low} to {high}", low=low, high=high)


def epoch_labels(steps: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Yield where the labels of the epochs or steps stand, and what they are."""
    first, last = float(steps[0]), float(steps[-1])
    axis = Axis(first, max(last, first + 1.0))
    ticks = sorted({first, *(tick for tick in axis.ticks(5) if tick >= first and tick == int(tick))})
    if len(ticks) > 2 and ticks[1] - first < 0.6 * (ticks[2] - ticks[1]):
        ticks.pop(1)
    yield from ((percent(axis.position(tick)), f"{tick:.10g}") for tick in ticks if tick <= last)


def labelled_points(figure: PointsFigure) -> Iterator[tuple[Point, list[str], int, int, str]]:
    """Yield each point with the lines of its label, how far the label is moved, and its class."""
    places = [(figure.x_axis.position(one.x), 1.0 - figure.y_axis.position(one.y)) for one in figure.points]
    labels = [wrap(point.label, LABEL_LETTERS) or [point.label] for point in figure.points]
    for point, lines, (side, shift) in zip(figure.points, labels, label_places(places, labels), strict=True):
        yield point, lines, 9 * side, 4 + shift, "start" if side > 0 else "end-anchor"


def label_places(places: Sequence[tuple[float, float]], labels: Sequence[Sequence[str]]) -> list[tuple[int, int]]:
    """Return on which side of its point each label stands, 1 for the right, and how far down, in pixels.

    No label stands on an earlier one, on another point, or beyond the plot's edges. Where points crowd so much that no
    place is free of all these, it stands on no earlier label, but it may stand on a point or beyond an edge; where that
    fails too, it stays next to its point. The table below the plot has every number.

    >>> label_places([(0.1, 0.5), (0.15, 0.52), (0.9, 0.5)], [["adam"], ["sgd"], ["rmsprop"]])
    [(1, -14), (1, 0), (-1, 0)]
    """
    points = [(x * PLOT_WIDTH, y * PLOT_PIXELS) for x, y in places]
    taken: list[Rectangle] = []
    found = []
    for number, ((x, y), lines) in enumerate(zip(points, labels, strict=True)):
        dots = [(at - DOT, top - DOT, at + DOT, top + DOT) for at, top in points[:number] + points[number + 1 :]]
        sides = (1, -1) if x < 0.7 * PLOT_WIDTH else (-1, 1)
        boxes = {place: _label_box(x, y, *place, lines) for place in product(sides, SHIFTS)}
        free = {place: box for place, box in boxes.items() if not any(_touch(box, other) for other in taken)}
        best = (place for place, box in free.items() if _is_inside(box) and not any(_touch(box, one) for one in dots))
        chosen = next(best, next(iter(free), (sides[0], 0)))
        taken.append(boxes[chosen])
        found.append(chosen)
    return found


def _label_box(x: float, y: float, side: int, shift: int, lines: Sequence[str]) -> Rectangle:
    """Return where a label stands in a plot: left, top, right, bottom."""
    width = max(map(len, lines)) * LETTER_PIXELS
    left = x + DOT if side > 0 else x - DOT - width
    top = y + shift - LINE_PIXELS / 2.0
    return left, top, left + width, top + len(lines) * LINE_PIXELS - 1.0


def _is_inside(box: Rectangle) -> bool:
    return box[0] >= -LABEL_ROOM and box[2] <= PLOT_WIDTH


def _touch(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _numbers(curves: CurvesFigure, say: Say) -> dict[str, Any]:
    """Return a figure's values for the page's script."""

    def rounded(values: Sequence[float]) -> list[float | None]:
        return [None if math.isnan(value) else float(f"{value:.{DIGITS}g}") for value in values]

    return {
        "steps": curves.steps,
        "arms": [plain(say(name)) for name in curves.names],
        "panels": [
            {
                "unit": behind(panel.unit),
                "linear": [panel.axis.low, panel.axis.high],
                "log": [panel.log.low, panel.log.high] if panel.log else None,
                "arms": [
                    {
                        "mean": rounded(line.mean),
                        "low": rounded(line.low),
                        "high": rounded(line.high),
                        "lone": [rounded(lone.values) for lone in line.lone],
                    }
                    for line in panel.lines
                ],
            }
            for panel in curves.panels
        ],
    }
