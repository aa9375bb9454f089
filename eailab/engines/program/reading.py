"""Read a trial's metrics from what its program reported, in one of five ways; the trials of a study share one way."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, isnan
from pathlib import Path
from typing import Literal

from eailab import files
from eailab.engines.named_metrics import SHARE, declare, is_higher_better, tokens
from eailab.engines.program.parsing import (
    QUALIFIERS,
    Row,
    Value,
    json_lines,
    lines_matching,
    lines_of_output,
    metrics_file,
    number,
)
from eailab.errors import TrialFailedError, UsageError
from eailab.metrics import LARGEST_NUMBER, Metric
from eailab.plain import plain
from eailab.recipe.describe import closest
from eailab.recipe.own import OwnRecipe
from eailab.translation import Text, tr

Way = Literal["log", "file", "regex", "stdout", "stderr"]
"""How metrics come back: lines of JSON at `$EAILAB_METRICS`, `--metrics-file`, `--metric-regex`, lines of output."""
IN_WORDS: dict[Way, str] = {
    "log": "by eailab.log, in JSON lines at $EAILAB_METRICS",
    "file": "in its metrics file",
    "regex": "where --metric-regex matches",
    "stdout": "on standard output",
    "stderr": "on standard error",
}
SHOWN = 12
"""Names that a message lists."""


@dataclass(frozen=True)
class ReportingRules:
    """Hold what a study asks of a program's report."""

    metrics: tuple[Metric, ...]
    """The first is the one that the study is judged by."""
    at: str = "last"
    """Which of a trial's values counts: "last", "best" of the judged metric, or that of a step, such as "12"."""
    regex: str | None = None
    """One group, or groups named `value`, `step` or as metrics."""


@dataclass(frozen=True)
class Sources:
    """Hold where a program may have left its metrics; each file may be missing."""

    log: Path
    """What `$EAILAB_METRICS` named."""
    stdout: Path
    stderr: Path
    file: Path | None = None
    """Of `--metrics-file`."""


@dataclass(frozen=True)
class Reading:
    """The metrics of one trial."""

    way: Way
    values: Mapping[str, float]
    """By `Metric.key`."""
    curves: Mapping[str, tuple[tuple[int, float], ...]]
    """By `Metric.key`: steps, rising, and values; steps are epochs, steps, or, where neither is reported, 1 to n."""
    axes: Mapping[str, str]
    """By `Metric.key`: what its steps count, "epoch" or "step"; empty where the reports themselves are counted."""
    seen: tuple[str, ...]
    """Names of all that was reported in this way."""

    @property
    def is_finite(self) -> bool:
        """Return whether every value is a number that can be recorded; else the trial has diverged."""
        return all(isfinite(value) and abs(value) <= LARGEST_NUMBER for value in self.values.values())


class _AbsentError(TrialFailedError):
    """A metric was not reported in one of the ways."""


def declared(recipe: OwnRecipe) -> tuple[Metric, ...]:
    """Return the declarations of what a recipe's training reports, once it is known that they can be read.

    Raises:
        UsageError: See `declare`, `check_names` and `check_at`.
    """
    first, *others = recipe.metrics
    metrics = [declare(first, recipe.goal, recipe.unit)]
    for name in others:  # no verdict rests on these; the unit is for those that are named alike: val_acc, test_acc
        unit = recipe.unit if tokens(name)[-1:] == tokens(first)[-1:] else "raw"
        metrics.append(declare(name, "max" if is_higher_better(name) is None else None, unit))
    check_names(metrics)
    check_at(recipe.at)
    return tuple(metrics)


def counted(recipe: OwnRecipe) -> Text:
    """Say which of the values that were reported step by step counts."""
    if recipe.at == "last":
        return tr("the last value reported")
    if recipe.at == "best":
        return tr("the best of the values reported, which is a selection and better than a new run would show")
    return tr("the value reported at step {step}", step=recipe.at)


def check_names(metrics: Iterable[Metric]) -> None:
    """Refuse two metrics that one record cannot hold.

    Raises:
        UsageError: Two names differ in case or punctuation only, or not at all.
    """
    known: dict[tuple[str, ...], str] = {}
    for metric in metrics:
        other = known.setdefault(tokens(metric.name), metric.name)
        if other is not metric.name:
            raise UsageError(f"the metrics {other!r} and {metric.name!r} are one: name each once.")


def check_at(at: str) -> None:
    """Refuse what `--at` does not take.

    Raises:
        UsageError: It is neither `last`, `best` nor a whole number.
    """
    if at not in ("last", "best") and not re.fullmatch(r"\d{1,15}", at):
        raise UsageError(f"--at {at!r}: expected last, best or the number of a step, such as 10.")


def check_regex(regex: str, metrics: Iterable[Metric]) -> None:
    """Refuse a regular expression that cannot give the metrics.

    Raises:
        UsageError: It is not one, has no group, or has a group of another name.
    """
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise UsageError(f"--metric-regex {regex!r} is not a regular expression: {error}.") from error
    judged, *others = metrics
    known = {"value", "step", *(metric.key for metric in (judged, *others))}
    if strange := [name for name in pattern.groupindex if name not in known]:
        raise UsageError(f"--metric-regex: the group {strange[0]!r} is neither value, step nor a metric.")
    if not pattern.groups:
        raise UsageError(
            f"--metric-regex {regex!r} has no group: put the number in one, as in '{judged.name} ([0-9.]+)'."
        )
    named = set(pattern.groupindex)
    if named and not named & {"value", judged.key}:
        raise UsageError(f"--metric-regex: name the group of {judged.name} (?P<value>…).")
    if missing := [one.name for one in others if one.key not in named]:
        raise UsageError(
            f"--metric-regex gives {judged.name} only: add a group (?P<{missing[0]}>…), or leave out {missing[0]}."
        )


def read(wanted: ReportingRules, sources: Sources, way: Way | None = None) -> Reading:
    """Return the metrics that a trial's program reported.

    `way` is how earlier trials of the study reported them; None for the first, which finds the way.

    Raises:
        TrialFailedError: A metric was not reported, or is not one number.
    """
    readers = readers_of(wanted, sources, _whole)
    failures: dict[Way, _AbsentError] = {}
    seen: dict[str, None] = {}
    for one in readers if way is None else [way]:
        rows = readers[one]() if one in readers else []
        names = dict.fromkeys(value.name for row in rows for value in row.values)
        seen |= names
        try:
            curves = [_curve(metric, rows) for metric in wanted.metrics]
        except _AbsentError as error:
            failures[one] = error
            continue
        step = _chosen(wanted, curves[0])
        values = {curve.metric.key: curve.at(step) for curve in curves}
        points = {curve.metric.key: curve.points for curve in curves}
        return Reading(one, values, points, {curve.metric.key: curve.axis for curve in curves}, tuple(names))
    raise TrialFailedError(_missing(wanted, way, failures, list(seen)))


def last_values(wanted: ReportingRules, rows: Iterable[Row]) -> dict[str, float]:
    """Return the last values in some rows by `Metric.key`; none where the judged metric is not among them."""
    rows, values = list(rows), dict[str, float]()
    for metric in wanted.metrics:
        with suppress(TrialFailedError):
            last = _curve(metric, rows).last
            if isfinite(last):
                values[metric.key] = last
    return values if wanted.metrics[0].key in values else {}


def readers_of(
    wanted: ReportingRules, sources: Sources, text_of: Callable[[Path], str]
) -> dict[Way, Callable[[], list[Row]]]:
    """Return how each way is read, in the order in which they are tried.

    `text_of` returns what is read of a file; nothing where it is missing.
    """

    def parsed(file: Path, parse: Callable[[str], list[Row]]) -> list[Row]:
        try:
            return parse(text_of(file))
        except ValueError as error:
            raise TrialFailedError(f"{file} cannot be read: {plain(str(error))}.") from error

    readers: dict[Way, Callable[[], list[Row]]] = {"log": lambda: parsed(sources.log, json_lines)}
    if (file := sources.file) is not None:
        readers["file"] = lambda: parsed(file, metrics_file)
    if wanted.regex is not None:
        pattern, judged = re.compile(wanted.regex), wanted.metrics[0].key
        outputs = (sources.stdout, sources.stderr)
        readers["regex"] = lambda: [row for one in outputs for row in lines_matching(text_of(one), pattern, judged)]
    else:
        readers["stdout"] = lambda: lines_of_output(text_of(sources.stdout))
        readers["stderr"] = lambda: lines_of_output(text_of(sources.stderr))
    return readers


def _whole(file: Path) -> str:
    """Return what a program wrote, or nothing."""
    try:
        return files.read(file, files.OUTPUT).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


@dataclass(frozen=True)
class _Curve:
    """All values of one metric in a trial."""

    metric: Metric
    points: tuple[tuple[int, float], ...]
    axis: str
    """What its steps count."""
    last: float

    def at(self, step: int | None) -> float:
        """Return the value of a step, or the last one, also where the metric was not reported at that step."""
        return self.last if step is None else dict(self.points).get(step, self.last)


def _curve(metric: Metric, rows: Iterable[Row]) -> _Curve:
    """Return the values of a metric in the order of their steps."""
    found = [(row, value) for row, value in _found(metric.name, rows) if value.text]
    for (row, value), (next_row, next_value) in pairwise(found):
        if row is next_row and value.text != next_value.text:
            raise TrialFailedError(
                f"two different values are called {metric.name}: {plain(value.text)} and {plain(next_value.text)} "
                f"in one line. Give the metrics different names."
            )
    numbers = [(row, _number(metric, value)) for row, value in found]
    if not numbers:
        raise _AbsentError(metric.name)
    axis = next((one for one in ("epoch", "step") if all(_is_whole(row.steps.get(one)) for row, _ in numbers)), "")
    points: dict[int, float] = {}
    lines: dict[int, int] = {}
    for row, reported in numbers:
        points[int(row.steps[axis]) if axis else lines.setdefault(row.line, len(lines) + 1)] = reported
    return _Curve(metric, tuple(sorted(points.items())), axis, numbers[-1][1])


def _is_whole(step: float | None) -> bool:
    return step is not None and isfinite(step) and step == int(step) and 0 <= step < 1e15


def _found(name: str, rows: Iterable[Row]) -> list[tuple[Row, Value]]:
    """Return the values of a name.

    A name matches the last words before a number. What precedes them must not be ambiguous: of `train acc 0.9` and
    `val acc 0.8`, none is `acc`; and `best acc 0.9` is not `acc`, since it is a selection.
    """
    meant = tokens(name)
    groups: dict[frozenset[str], list[tuple[Row, Value]]] = {}
    for row in rows:
        for value in row.values:
            words = [tokens(word) for word in ((value.qualifier,) if value.qualifier else ()) + value.words]
            endings = [sum(words[start:], ()) for start in range(len(words))]
            if meant in endings:
                rest = words[: endings.index(meant)]
                others = frozenset(word for word in sum(rest, ()) if word in QUALIFIERS)
                groups.setdefault(others, []).append((row, value))
    if frozenset() in groups:
        return groups[frozenset()]
    known = {others: found for others, found in groups.items() if "best" not in others}
    if len(known) > 1:
        names = " and ".join(sorted(f"{' '.join(sorted(others))} {name}" for others in known))
        raise TrialFailedError(f"two different metrics are called {name}: {names}. Ask for one of them with --metric.")
    return next(iter(known.values()), [])


def _number(metric: Metric, value: Value) -> float:
    try:
        found = number(value.text)
    except ValueError as error:
        raise TrialFailedError(f"{metric.name}: {plain(str(error))}.") from error
    if metric.scale == SHARE:
        found = found / 100 if value.percent else found
        if isfinite(found) and not metric.least <= found <= metric.most:
            raise TrialFailedError(
                f"{metric.name} is {plain(value.text)}, and --unit share is for values from 0 to 1: "
                "where a program reports percent, say --unit percent."
            )
    return found


def _chosen(wanted: ReportingRules, judged: _Curve) -> int | None:
    """Return the step whose values count; None for the last."""
    if wanted.at == "last":
        return None
    if wanted.at == "best":
        best = max if judged.metric.higher_is_better else min
        finite = [point for point in judged.points if not isnan(point[1])]
        return best(finite, key=lambda point: point[1])[0] if finite else None
    step, steps = int(wanted.at), [one for one, _ in judged.points]
    if step not in steps:
        raise TrialFailedError(
            f"{judged.metric.name} was not reported at step {step}, but at {len(steps)} steps from {steps[0]} to "
            f"{steps[-1]}: give one of these to --at, or last."
        )
    return step


def _missing(wanted: ReportingRules, way: Way | None, failures: Mapping[Way, _AbsentError], seen: list[str]) -> str:
    """Return why no way gave the metrics."""
    names = [metric.name for metric in wanted.metrics]
    absent = min((str(error) for error in failures.values()), key=names.index, default=names[0])
    if way is None and len(names) > 1:  # of the way that has the judged metric, the one that is missing there
        absent = max((str(error) for error in failures.values()), key=names.index)
    place = f" {IN_WORDS[way]}, where earlier trials of this study reported it" if way else ""
    close = closest(absent, seen)
    order = sorted(seen, key=lambda name: name != close)
    shown = ", ".join(map(plain, order[:SHOWN])) + (f" and {len(seen) - SHOWN} more" if len(seen) > SHOWN else "")
    listed = f"seen: {shown}" if seen else "no numbers with names were seen"
    meant = f" Did you mean {plain(close)!r}?" if close else ""
    return (
        f"the program ended without reporting {absent}{place}; {listed}.{meant} "
        f"Print a line such as '{absent}: 0.5', or call eailab.log({_as_argument(absent)})."
    )


def _as_argument(name: str) -> str:
    return f"{name}=0.5" if name.isidentifier() else f"{{{name!r}: 0.5}}"
