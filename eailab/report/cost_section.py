"""The part of a page about cost: what an arm takes beside what it brings."""

from collections.abc import Sequence
from textwrap import wrap

from eailab.findings.costs import ArmCost, energy_sentence, with_timed
from eailab.findings.numbers import NOTHING, amount, decimals, number
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Table, arm_name
from eailab.report.figures import arm_classes
from eailab.report.markup import Markup, element, percent, table_element
from eailab.report.scales import spanning
from eailab.translation import Say

ABOUT_SECONDS = (
    "Wall-clock seconds of the epochs, validation included, as the trials ran; trials side by side slow each other."
)

PLOT_PIXELS = 200
"""Height of the plot on a screen, as in `page.css`."""
LINE_PIXELS = 14
"""Height of a label."""
LABEL_SHARE = 0.35
"""Of the plot's width, that a label may take."""
LABEL_LETTERS = 18
"""Of a label before it goes on below, so that none leaves a narrow page."""
SHIFTS = (0, LINE_PIXELS, -LINE_PIXELS, 2 * LINE_PIXELS, -2 * LINE_PIXELS)


def cost_section(findings: StudyFindings, costs: Sequence[ArmCost], say: Say) -> list[Markup]:
    """Return the heading, the plot of cost against the metric, and the table of costs."""
    note = f"{say(ABOUT_SECONDS)} {say(energy_sentence(costs))}"
    return [
        element("h3", say("Cost")),
        *([_plot(findings, costs, say)] if findings.factor else []),
        table_element(cost_table(findings, costs), say("Cost by arm"), say, sortable=bool(findings.factor)),
        element("p", note, class_="note"),
    ]


def cost_table(findings: StudyFindings, costs: Sequence[ArmCost]) -> Table:
    """Return the seconds, images a second, and energy where a GPU counted it, of every arm."""
    counted = any(cost.joules is not None for cost in costs)
    return Table(
        columns=(
            Column(findings.heading or "trial"),
            Column("seconds a trial", is_number=True),
            Column("seconds in all", is_number=True),
            Column("images/s", is_number=True),
            *([Column("energy in all (kJ)", is_number=True)] if counted else []),
            Column("device"),
        ),
        rows=tuple(
            (
                arm_name(arm),
                amount(cost.seconds_a_trial),
                with_timed(amount(cost.seconds if cost.timed else None), cost.timed, cost.epochs),
                NOTHING if cost.images_per_second is None else f"{cost.images_per_second:,.0f}",
                *([amount(None if cost.joules is None else cost.joules / 1000.0)] if counted else []),
                ", ".join(cost.devices) or NOTHING,
            )
            for arm, cost in zip(findings.arms, costs, strict=True)
        ),
    )


def label_shifts(places: Sequence[tuple[float, float]]) -> list[int]:
    """Return how far each point's label is moved down so that none stands on an earlier one, in pixels.

    Where points crowd so much that no place is free the label stays; the table below the plot has every number.

    >>> label_shifts([(0.1, 0.5), (0.15, 0.52), (0.15, 0.52), (0.9, 0.5)])
    [0, 14, 28, 0]
    """
    placed: list[tuple[float, float]] = []
    shifts = []
    for x, y in places:
        heights = {shift: y * PLOT_PIXELS + shift for shift in SHIFTS}
        near = [height for other, height in placed if abs(other - x) < LABEL_SHARE]
        free = (shift for shift in SHIFTS if all(abs(height - heights[shift]) >= LINE_PIXELS - 1 for height in near))
        shifts.append(next(free, 0))
        placed.append((x, heights[shifts[-1]]))
    return shifts


def _plot(findings: StudyFindings, costs: Sequence[ArmCost], say: Say) -> Markup:
    """Draw the metric's mean over the seconds of a trial, a point an arm, named beside it."""
    points = [
        (cost.seconds_a_trial, arm.against_baseline.mean, arm, look)
        for arm, cost, look in zip(findings.arms, costs, arm_classes(findings), strict=True)
        if cost.seconds_a_trial and arm.against_baseline is not None and arm.against_baseline.mean is not None
    ]
    if len(points) < 2:
        return Markup()
    across, up = spanning([seconds for seconds, *_ in points] + [0.0]), spanning([mean for _, mean, *_ in points], 0.2)
    measure, digits = findings.measure, decimals(findings)
    marks = []
    places = [(across.position(seconds), 1.0 - up.position(mean)) for seconds, mean, *_ in points]
    for (x, y), shift, (*_, arm, look) in zip(places, label_shifts(places), points, strict=True):
        right = x < 0.7
        words = {"x": percent(x), "y": percent(y), "dx": "9" if right else "-9", "dy": str(4 + shift)}
        anchor = {"class_": "start" if right else "end-anchor"}
        dot = element("circle", cx=percent(x), cy=percent(y), r="5", class_="estimate")
        first, *further = wrap(arm.label, LABEL_LETTERS) or [arm.label]
        below = (element("tspan", line, x=words["x"], dx=words["dx"], dy="1.1em") for line in further)
        marks.append(element("g", dot, element("text", first, *below, **words, **anchor), class_=look))
    x_ticks, y_ticks = [tick for tick in across.ticks(5) if tick >= 0.0], up.ticks(4)
    frame = [
        element("line", x1="0", x2="100%", y1=percent(1.0 - up.position(tick)), y2=percent(1.0 - up.position(tick)))
        for tick in y_ticks
    ]
    value_axis = [
        element("text", label, x="100%", y=percent(1.0 - up.position(tick)))
        for tick, label in zip(y_ticks, up.labels(y_ticks), strict=True)
    ]
    second_axis = [
        element("text", label, x=percent(across.position(tick)), y="12")
        for tick, label in zip(x_ticks, across.labels(x_ticks), strict=True)
    ]
    spoken = "; ".join(f"{arm.label}: {seconds:.3g} s, {number(mean, digits)}" for seconds, mean, arm, _ in points)
    title = f"{measure.title}{f' ({measure.unit})' if measure.unit else ''}"
    plot = element("svg", element("g", *frame, class_="grid"), *marks, class_="plot", role="img", aria_label=spoken)
    values = element("svg", *value_axis, class_="axis", width="100%", height="100%", aria_hidden="true")
    return element(
        "figure",
        element("figcaption", say(title)),
        element("div", values, class_="value-axis"),
        element("div", plot, class_="plot-box"),
        element(
            "svg",
            *second_axis,
            element("text", say("seconds a trial"), x="50%", y="27"),
            class_="axis epochs",
            width="100%",
            height="32",
            aria_hidden="true",
        ),
        class_="chart cost",
    )
