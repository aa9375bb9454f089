"""The forest plot of a page: each arm's difference from the baseline with its interval, margin band and blocks.

Rows are laid out by the page, so that text keeps its size at every width; only the plot column is drawn, with positions
in percent of its width.
"""

from collections import Counter

from eailab.findings.arm import ArmFindings
from eailab.findings.numbers import decimals, interval, signed
from eailab.findings.study import StudyFindings
from eailab.report.figures import arm_classes
from eailab.report.markup import Markup, element, percent
from eailab.report.scales import Scale, spanning
from eailab.translation import Say

ROW_HEIGHT, BAR_AT, DOTS_AT, DOT_STEP = 46, 15, 31, 5
"""CSS pixels: of a row, and where its interval and its first dots stand in it."""

MOST_STACKED = 3
"""Equal differences that are drawn as dots above each other; further ones lie on the last."""


def forest(findings: StudyFindings, say: Say) -> Markup:
    """Return the plot of a study with a factor."""
    rows = [
        (arm, look)
        for arm, look in zip(findings.arms, arm_classes(findings), strict=True)
        if not arm.is_baseline and arm.against_baseline is not None
    ]
    scale = _scale(findings, [arm for arm, _ in rows])
    if scale is None:
        return Markup()
    measure, digits = findings.measure, decimals(findings)
    unit = "percentage points" if measure.difference_unit else "nats"
    better = "right is better" if measure.higher_is_better else "left is better"
    margin = measure.with_unit(f"{findings.margin:g}")
    told = say(f"difference in {measure.title} ({unit}; {better})")
    note = say(f"bar: simultaneous 95% interval; dots: single blocks; shaded: margin ±{margin}")
    return element(
        "figure",
        element(
            "div",
            *(part for arm, look in rows for part in _row(findings, arm, look, scale, digits, say)),
            element("span", class_="corner"),
            _axis(scale),
            element("span", class_="corner"),
            class_="forest",
        ),
        element("figcaption", told, Markup(" "), element("small", note)),
        class_="forest-figure",
    )


def block_differences(findings: StudyFindings, arm: ArmFindings) -> list[float]:
    """Return arm minus baseline in the blocks that have both."""
    pairs = zip(arm.trials, findings.baseline_arm.trials, strict=True)
    return [a.value - b.value for a, b in pairs if a.value is not None and b.value is not None]


def _scale(findings: StudyFindings, arms: list[ArmFindings]) -> Scale | None:
    """Return a scale that holds every interval and dot, zero and the margin; None where there is nothing to draw."""
    shown: list[float] = []
    for arm in arms:
        shown += block_differences(findings, arm)
        result = arm.against_baseline
        if result is not None and result.interval95 is not None:
            shown += result.interval95
    if not shown:
        return None
    return spanning([*shown, 0.0, -findings.margin, findings.margin])


def _row(findings: StudyFindings, arm: ArmFindings, look: str, scale: Scale, digits: int, say: Say) -> list[Markup]:
    result = arm.against_baseline
    assert result is not None  # noqa: S101 - rows are made of compared arms
    if result.difference is None:
        verdict, numbers = say("no value"), ""
    else:
        bounds = f" {interval(result.interval95, digits)}" if result.interval95 is not None else ""
        verdict = say(result.verdict or "SCREEN")
        numbers = f"{signed(result.difference, digits)}{bounds}"
    told = [element("b", verdict, class_=f"verdict {(result.verdict or 'none').lower()}"), Markup(" ")]
    told.append(element("span", numbers, class_="numbers"))
    if lost := arm.count("diverged"):
        told.append(element("span", say(f"{lost} of {len(arm.trials)} diverged"), class_="lost"))
    return [
        element("span", arm.label, class_="label"),
        _plot(findings, arm, look, scale),
        element("span", *told, class_="told"),
    ]


def _plot(findings: StudyFindings, arm: ArmFindings, look: str, scale: Scale) -> Markup:
    """Draw one row; the text beside it says the same, so a screen reader skips it."""
    margin = (scale.position(-findings.margin), scale.position(findings.margin))
    parts = [
        element(
            "rect",
            x=percent(margin[0]),
            y="0",
            width=percent(margin[1] - margin[0]),
            height=str(ROW_HEIGHT),
            class_="margin",
        ),
        _line(scale.position(0.0), 0, ROW_HEIGHT, "zero"),
    ]
    seen: Counter[float] = Counter()
    for difference in block_differences(findings, arm):
        key = round(difference, 9)
        height = DOTS_AT + DOT_STEP * min(seen[key], MOST_STACKED - 1)
        seen[key] += 1
        parts.append(element("circle", cx=percent(scale.position(difference)), cy=str(height), r="3.2", class_="block"))
    result = arm.against_baseline
    assert result is not None  # noqa: S101 - rows are made of compared arms
    if result.interval95 is not None:
        low, high = (scale.position(bound) for bound in result.interval95)
        parts.append(
            element("line", x1=percent(low), x2=percent(high), y1=str(BAR_AT), y2=str(BAR_AT), class_="interval")
        )
        parts += [_line(end, BAR_AT - 5, BAR_AT + 5, "end") for end in (low, high)]
    if result.difference is not None:
        at = percent(scale.position(result.difference))
        parts.append(element("circle", cx=at, cy=str(BAR_AT), r="5.2", class_="estimate"))
    return element("svg", *parts, height=str(ROW_HEIGHT), width="100%", class_=f"row {look}", aria_hidden="true")


def _line(at: float, top: int, bottom: int, kind: str) -> Markup:
    return element("line", x1=percent(at), x2=percent(at), y1=str(top), y2=str(bottom), class_=kind)


def _axis(scale: Scale) -> Markup:
    ticks = scale.ticks(5)
    return element(
        "svg",
        *(
            element("text", label, x=percent(scale.position(tick)), y="14")
            for tick, label in zip(ticks, scale.labels(ticks), strict=True)
        ),
        *(_line(scale.position(tick), 0, 4, "tick") for tick in ticks),
        height="18",
        width="100%",
        class_="axis",
        aria_hidden="true",
    )
