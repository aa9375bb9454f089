"""The learning curves of a page: four panels, drawn here, which a script may show otherwise and read out.

A panel's lines live in a box of 1000 by 1000 units that is stretched to the page's width; ticks and text lie outside
it, in pixels. The same numbers stand beside the drawing for the script: it draws lines anew on a logarithmic scale, and
says the values under the pointer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eailab.findings.arm import ArmFindings
from eailab.findings.study import StudyFindings
from eailab.findings.tables import arm_name
from eailab.report.figures import arm_classes
from eailab.report.markup import Markup, data_block, element, percent
from eailab.report.plain_numbers import rounded
from eailab.report.scales import Scale, spanning
from eailab.translation import Say

BOX = 1000
"""Units of a panel's box, in both directions."""

EARLY = 0.15
"""Share of the epochs whose accuracies may lie below the axis."""

PANELS = (
    ("validation_accuracy", "validation accuracy", "%"),
    ("train_accuracy", "training accuracy", "%"),
    ("validation_loss", "validation loss", ""),
    ("train_loss", "training loss", ""),
)
"""Name of the values, title, unit."""


@dataclass(frozen=True)
class _Series:
    """One arm in one panel: the mean of its finished trials, the band over blocks, and trials that did not finish."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    """Lowest and highest block at each epoch; empty for fewer than two."""
    lone: tuple[tuple[float, ...], ...]

    @property
    def values(self) -> list[float]:
        return [*self.mean, *self.low, *self.high, *(value for line in self.lone for value in line)]


def learning_curves(findings: StudyFindings, anchor: str, say: Say) -> Markup:
    """Return the panels of a study with their controls, or nothing where no epoch has ended.

    Args:
        findings: Whose curves.
        anchor: Put before every id.
        say: The report's language.
    """
    epochs = max((len(trial.curves.epochs) for arm in findings.arms for trial in arm.trials), default=0)
    if not epochs:
        return Markup()
    panels = [(name, [_series(arm, name) for arm in findings.arms]) for name, _, _ in PANELS]
    scales = {
        name: _scale([series for other, row in panels if _kind(other) == _kind(name) for series in row], name, epochs)
        for name, _ in panels
    }
    logs = {
        name: _log_scale([s for other, row in panels if _kind(other) == _kind(name) for s in row], name)
        for name, _ in panels
    }
    looks = arm_classes(findings)
    numbers = {
        "epochs": epochs,
        "arms": [say(arm_name(arm)) for arm in findings.arms],
        "panels": [
            {
                "title": say(title),
                "unit": unit,
                "linear": [scales[name].low, scales[name].high],
                "log": [log.low, log.high] if (log := logs[name]) else None,
                "arms": [_plain(one) for one in series],
            }
            for (name, title, unit), (_, series) in zip(PANELS, panels, strict=True)
        ],
    }
    charts = [
        _chart(name, say(title), unit, series, looks, scales[name], logs[name], epochs, say)
        for (name, title, unit), (_, series) in zip(PANELS, panels, strict=True)
    ]
    return element(
        "div",
        _controls(findings, looks, any(logs.values()), anchor, say),
        element("div", *charts, class_="charts"),
        element("p", _band_note(findings, say), class_="note"),
        data_block(numbers, class_="numbers"),
        class_="curves",
        data_scale="linear",
    )


def _kind(name: str) -> str:
    return name.rpartition("_")[2]


def _series(arm: ArmFindings, name: str) -> _Series:
    finished = [getattr(trial.curves, name) for trial in arm.finished]
    by_epoch = list(zip(*finished, strict=True)) if len(finished) > 1 else []
    return _Series(
        mean=() if arm.curves is None else getattr(arm.curves, name),
        low=tuple(min(values) for values in by_epoch),
        high=tuple(max(values) for values in by_epoch),
        lone=tuple(
            getattr(trial.curves, name)
            for trial in arm.trials
            if trial.state in ("diverged", "unfinished") and trial.curves.epochs
        ),
    )


def _scale(series: Sequence[_Series], name: str, epochs: int) -> Scale:
    """Return a linear scale: of losses all, of accuracies the later epochs, which tell arms apart."""
    every = [value for one in series for value in one.values if math.isfinite(value)]
    if _kind(name) == "loss":
        return spanning(every)
    early = int(EARLY * epochs)
    late = [v for one in series for line in (one.mean, one.low, one.high, *one.lone) for v in line[early:]]
    return spanning([*(late or every), max(every)])


def _log_scale(series: Sequence[_Series], name: str) -> Scale | None:
    """Return a logarithmic scale for losses that are all positive; None elsewhere."""
    every = [value for one in series for value in one.values if math.isfinite(value)]
    if _kind(name) != "loss" or min(every) <= 0.0:
        return None
    return Scale(min(every) / 1.15, max(every) * 1.15, is_log=True)


def _plain(series: _Series) -> dict[str, Any]:
    return {
        "mean": rounded(series.mean),
        "low": rounded(series.low),
        "high": rounded(series.high),
        "lone": [rounded(line) for line in series.lone],
    }


def _controls(findings: StudyFindings, looks: Sequence[str], has_log: bool, anchor: str, say: Say) -> Markup:
    """Return the legend, which is also where arms are switched; without a script it is a legend only."""
    entries = []
    for index, (arm, look) in enumerate(zip(findings.arms, looks, strict=True)):
        swatch = element(
            "svg",
            element("path", d="M0 7H26", class_="line"),
            class_=f"swatch {look}",
            width="26",
            height="14",
            aria_hidden="true",
        )
        box = element(
            "input",
            type="checkbox",
            checked="",
            id=f"{anchor}-arm-{index}",
            data_arm=str(index),
            hidden="",
            class_="scripted",
        )
        entries.append(element("label", box, swatch, Markup(" "), say(arm_name(arm)), for_=f"{anchor}-arm-{index}"))
    if has_log:
        box = element("input", type="checkbox", id=f"{anchor}-log", class_="log")
        entries.append(
            element("label", box, say("logarithmic loss"), for_=f"{anchor}-log", hidden="", class_="scripted")
        )
    return element("fieldset", element("legend", say("Arms")), *entries, class_="legend")


def _band_note(findings: StudyFindings, say: Say) -> str:
    blocks = len(findings.blocks)
    note = f"Line: mean of {blocks} blocks; band: from the lowest block to the highest." if blocks > 1 else "One block."
    lost = any(arm.count("finished") < blocks for arm in findings.arms)
    return say(note) + (" " + say("Thin lines: trials that diverged or have not finished.") if lost else "")


def _chart(
    name: str,
    title: str,
    unit: str,
    series: Sequence[_Series],
    looks: Sequence[str],
    scale: Scale,
    log: Scale | None,
    epochs: int,
    say: Say,
) -> Markup:
    groups = [
        _arm(one, look, index, scale, epochs) for index, (one, look) in enumerate(zip(series, looks, strict=True))
    ]
    kinds = [("linear", scale), *([("log", log)] if log is not None else [])]
    grid = [
        element(
            "g",
            *(_horizontal(BOX * (1.0 - of.position(tick))) for tick in of.ticks(5)),
            class_=f"grid {kind}" + (" has-log" if log is not None else ""),
        )
        for kind, of in kinds
    ]
    plot = element(
        "svg",
        *grid,
        *groups,
        element("line", x1="0", x2="0", y1="0", y2=str(BOX), class_="cursor", visibility="hidden"),
        viewBox=f"0 0 {BOX} {BOX}",
        preserveAspectRatio="none",
        class_="plot",
        role="img",
        aria_label=f"{title}: {_spoken(series, unit, say)}",
    )
    heading = title + (f" ({unit})" if unit else "")
    return element(
        "figure",
        element("figcaption", heading),
        element("div", *(_value_axis(kind, of, log is not None) for kind, of in kinds), class_="value-axis"),
        element("div", plot, element("div", class_="readout", hidden=""), class_="plot-box"),
        _epoch_axis(epochs, say),
        class_="chart",
        data_panel=name,
    )


def _spoken(series: Sequence[_Series], unit: str, say: Say) -> str:
    """Return what a screen reader says of a panel: the last values' range."""
    last = [one.mean[-1] for one in series if one.mean]
    if not last:
        return say("no trial has finished")
    return say(f"after the last epoch from {min(last):.4g}{unit} to {max(last):.4g}{unit}")


def _arm(series: _Series, look: str, index: int, scale: Scale, epochs: int) -> Markup:
    parts = []
    if series.low:
        parts.append(element("path", d=_band(series.low, series.high, scale, epochs), class_="band"))
    if series.mean:
        parts.append(element("path", d=_path(series.mean, scale, epochs), class_="line"))
    parts += [element("path", d=_path(line, scale, epochs), class_="lone") for line in series.lone]
    return element("g", *parts, class_=look, data_arm=str(index))


def _points(values: Sequence[float], scale: Scale, epochs: int) -> list[str]:
    step = BOX / max(epochs - 1, 1)
    return [f"{index * step:.0f} {BOX * (1.0 - scale.position(value)):.0f}" for index, value in enumerate(values)]


def _path(values: Sequence[float], scale: Scale, epochs: int) -> str:
    points = _points(values, scale, epochs)
    if len(points) == 1:  # a single epoch is a dot, which round line caps draw
        points.append(points[0])
    return f"M{'L'.join(points)}"


def _band(low: Sequence[float], high: Sequence[float], scale: Scale, epochs: int) -> str:
    return f"M{'L'.join([*_points(low, scale, epochs), *reversed(_points(high, scale, epochs))])}Z"


def _horizontal(at: float) -> Markup:
    return element("line", x1="0", x2=str(BOX), y1=f"{at:.0f}", y2=f"{at:.0f}")


def _value_axis(kind: str, scale: Scale, has_log: bool) -> Markup:
    ticks = scale.ticks(5)
    return element(
        "svg",
        *(
            element("text", label, x="100%", y=percent(1.0 - scale.position(tick)))
            for tick, label in zip(ticks, scale.labels(ticks), strict=True)
        ),
        class_=f"axis {kind}" + (" has-log" if has_log else ""),
        width="100%",
        height="100%",
        aria_hidden="true",
    )


def _epoch_axis(epochs: int, say: Say) -> Markup:
    scale = Scale(1.0, max(float(epochs), 2.0))
    ticks = sorted({1.0, *(tick for tick in scale.ticks(5) if tick >= 1.0 and tick == int(tick))})
    if len(ticks) > 2 and ticks[1] - 1.0 < 0.6 * (ticks[2] - ticks[1]):
        ticks.pop(1)
    shown = [tick for tick in ticks if tick <= epochs]
    texts = [element("text", f"{tick:g}", x=percent(scale.position(tick)), y="12") for tick in shown]
    return element(
        "svg",
        *texts,
        element("text", say("epoch"), x="50%", y="27"),
        class_="axis epochs",
        width="100%",
        height="32",
        aria_hidden="true",
    )
