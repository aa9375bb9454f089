"""Check the gradients of a layer, a loss or a pair of functions against central differences."""

import time
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from eailab.errors import UsageError
from eailab.gradcheck.build import CheckRequest, Labels, Values, build
from eailab.gradcheck.comparison import GradientComparison
from eailab.gradcheck.report import GradientReport
from eailab.gradcheck.subject import Subject
from eailab.own_code.load import OwnModule, seeded
from eailab.units import roughly

LONG = 30.0
"""Seconds; what takes longer is announced."""
SAID = {
    "probabilities": "rows of positive numbers that sum up to 1",
    "positive": "numbers between 0.5 and 1.5",
    "one-hot": "one-hot labels",
    "values": "labels that are any numbers",
}


def gradcheck(
    asked: CheckRequest,
    values: Values | None = None,
    labels: Labels | None = None,
    say: Callable[[str], None] | None = None,
) -> GradientReport:
    """Compare every gradient with central differences.

    Args:
        asked: What is checked.
        values: What inputs are drawn as; None for normal numbers, and others where forward is not finite for these, or
            where it is a loss that passes with others only.
        labels: What a loss compares with; None to try classes, one-hot rows and numbers.
        say: Called with the time that it takes, if that is long.

    Raises:
        UsageError: The code cannot be loaded, constructed or called so.
    """
    with seeded(0):
        module = OwnModule(asked.reference.file)
        with module.running("the check"):
            first: GradientReport | None = None
            for kinds, subject in _subjects(module, asked, values, labels):
                subject.notes += [
                    f"checked with {SAID[kind]}" for kind in kinds if kind in SAID and kinds != (values, labels)
                ]
                report = _checked(subject, asked.entries, say)
                if report.passed or subject.labels is None:
                    return report
                first = first or report
    assert first is not None  # noqa: S101 - there is a subject, or an error was raised
    return first


def _subjects(
    module: OwnModule, asked: CheckRequest, values: Values | None, labels: Labels | None
) -> Iterator[tuple[tuple[Values, Labels], Subject]]:
    """Yield subjects whose output is finite, for kinds of inputs and of labels in turn.

    Raises:
        UsageError: There is none.
    """
    all_values: tuple[Values, ...] = ("normal", "probabilities", "positive")
    all_labels: tuple[Labels, ...] = ("classes", "one-hot", "values")
    first: Exception | None = None
    found = False
    takes_labels = True
    for kinds in product(all_values if values is None else (values,), all_labels if labels is None else (labels,)):
        if not takes_labels and kinds[1] != (labels or all_labels[0]):
            continue  # the same subject again
        try:
            subject = build(module, asked, *kinds)
        except (UsageError, IndexError, ValueError, TypeError) as error:
            first = first or error
            continue
        takes_labels = subject.labels is not None
        if np.isfinite(subject.forward(subject.values)).all():
            found = True
            yield kinds, subject
        elif subject.labels is None and kinds[0] == "normal" and values is None:
            continue
        else:
            first = first or UsageError(
                f"forward of {subject.title} gives numbers that are not finite: say with --values what its inputs are."
            )
    if not found and first is not None:
        raise first


def _checked(subject: Subject, entries: int, say: Callable[[str], None] | None) -> GradientReport:
    """Check all gradients of a subject; a loss that returns one number an image may mean their mean or their sum."""
    output = subject.forward(subject.values)
    started = time.perf_counter()
    again = subject.forward(subject.values)
    seconds = 2 * (time.perf_counter() - started) * sum(min(entries, one.size) for one in subject.values.values())
    if not np.array_equal(output, again):
        raise UsageError(
            f"forward of {subject.title} gives other numbers when it is called again with the same: what it draws must "
            "come from a generator that is its attribute, or from Python's, numpy's or torch's own, which are seeded "
            "before each call."
        )
    if seconds > LONG and say is not None:
        say(f"this takes {roughly(seconds)}: a smaller --input, or --entries 100, is quicker.")
    if output.ndim == 0 or output.size == 1:
        return GradientComparison(subject, np.ones(output.shape), output, entries).report()
    if subject.labels is None:
        dy = np.random.default_rng(2).standard_normal(output.shape)
        return GradientComparison(subject, dy, output, entries).report()
    reports = [
        GradientComparison(subject, np.full(output.shape, weight), output, entries).report()
        for weight in (1 / output.size, 1.0)
    ]
    return next((one for one in reports if one.passed), reports[0])
