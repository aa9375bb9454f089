"""Compare the gradients of one backward pass with central differences, and find out what is wrong with each."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eailab.gradcheck.case import Case
from eailab.gradcheck.differences import Differences, Entry
from eailab.gradcheck.formulas import suspects
from eailab.gradcheck.report import GradientCheck, GradientReport
from eailab.gradcheck.subject import Array, Subject

FEW = 24
"""Entries of which differences are taken where a few are enough."""


class GradientComparison:
    """The gradients of sum(dy * output), next to differences.

    Args:
        subject: What is checked.
        dy: Weights of the outputs.
        output: Of the forward pass, as it came.
        entries: Of each array that are compared one by one, at most.
    """

    def __init__(self, subject: Subject, dy: Array, output: NDArray[Any], entries: int) -> None:
        self._subject, self._dy, self._output, self._entries = subject, dy, output, entries
        self._is_coarse = output.dtype.kind == "f" and output.dtype != np.float64
        self._differences = Differences(subject, dy, is_coarse=self._is_coarse)
        self._gradients = subject.backward(subject.values, dy)
        self._sizes = {name: self._size_of(name) for name in subject.values}
        self._numeric: dict[str, Array] = {}

    def report(self) -> GradientReport:
        """Return what is right and what is wrong."""
        subject = self._subject
        compared = [(name, self._compared(name)) for name in subject.values]
        checks = [self._explained(name, check) for name, check in compared if check is not None]
        if subject.values[subject.inputs[0]].shape[:1] == (1,):
            subject.notes.append("a batch of 1 shows no sum over images that should be a mean: check a larger one too")
        return GradientReport(
            subject=subject.title,
            passed=not subject.faults and all(check.state == "right" for check in checks),
            inputs={name: list(subject.values[name].shape) for name in subject.inputs},
            output=list(self._output.shape),
            precision="float32" if self._is_coarse else "float64",
            tolerance=self._differences.tolerance,
            checks=checks,
            faults=list(subject.faults),
            notes=list(dict.fromkeys(subject.notes)),
        )

    def _places(self, size: int, most: int) -> NDArray[np.int64]:
        """Return entries of an array, all or as many as `most`, drawn alike each time."""
        return np.sort(np.random.default_rng(3).permutation(size)[:most])

    def _size_of(self, name: str) -> float:
        """Return the largest slope of a few entries."""
        places = self._places(self._subject.values[name].size, FEW)
        step = self._differences.steps[0]
        return max((abs(self._differences.of_entry(Entry(name, int(place), step))) for place in places), default=0.0)

    def _gradient(self, name: str) -> NDArray[np.float64] | None:
        """Return what the backward pass gave, in the value's shape where only axes of length 1 differ."""
        if name not in self._gradients.by_name:
            return None
        found, shape = np.asarray(self._gradients.by_name[name], np.float64), self._subject.values[name].shape
        is_alike = [one for one in found.shape if one != 1] == [one for one in shape if one != 1]
        return found.reshape(shape) if is_alike else found

    def _compared(self, name: str) -> GradientCheck | None:
        """Compare one gradient; None for a value that has none and needs none."""
        value, found = self._subject.values[name], self._gradient(name)
        scale = max(self._sizes.values())
        kind: Literal["input", "parameter"] = "input" if name in self._subject.inputs else "parameter"
        place = self._gradients.found_as.get(name)
        shape = list(value.shape)
        if found is None:
            if self._sizes[name] <= 1e-7 * max(scale, 1.0):
                return None
            if name in self._subject.may_lack:
                self._subject.notes.append(
                    f"{name} changes the output and has no gradient, such as d{name}: a constant, or one is missing"
                )
                return None
            return GradientCheck(name=name, kind=kind, gradient=None, shape=shape, state="missing")
        places = self._places(value.size, self._entries)
        fits = found.shape == value.shape
        compared = self._differences.compare(name, found if fits else np.zeros(value.shape), places, scale)
        self._numeric[name] = compared.numeric
        if not fits:
            return GradientCheck(name=name, kind=kind, gradient=place, shape=shape, state="wrong", entries=len(places))
        wrong = compared.error > self._differences.tolerance
        worst = int(np.nanargmax(compared.error))
        largest = float(compared.error.flat[worst])
        return GradientCheck(
            name=name,
            kind=kind,
            gradient=place,
            shape=shape,
            state="wrong" if wrong.any() else "right",
            error=largest if np.isfinite(largest) else None,
            index=[int(one) for one in np.unravel_index(worst, value.shape)],
            backward=_finite(found.flat[worst]),
            difference=_finite(compared.numeric.flat[worst]),
            entries=int(np.isfinite(compared.numeric).sum()),
            wrong_entries=int(wrong.sum()),
            kinks=compared.kinks,
        )

    def _explained(self, name: str, check: GradientCheck) -> GradientCheck:
        """Add to a wrong gradient which mistakes would make it."""
        found = self._gradient(name)
        if check.state != "wrong" or found is None:
            return check
        subject = self._subject
        case = Case(
            name=name,
            found=found,
            numeric=self._numeric[name],
            value=subject.values[name],
            x=subject.values[subject.inputs[0]],
            y=np.asarray(self._output, np.float64),
            dy=self._dy,
            is_input=name in subject.inputs,
            labels=subject.labels,
            values=subject.values,
            differences=self._numeric,
            changed=self._changed(name),
            others=tuple(one for one in subject.values if one not in (name, *subject.inputs[:1])),
            cached=subject.cached,
            contributions=self._contributions(name),
        )
        said = suspects(case)
        if not said and found.shape != case.value.shape:
            said = [f"its shape is {list(found.shape)}, and that of {name} is {list(case.value.shape)}"]
        return GradientCheck(**{**vars(check), "suspects": said})

    def _few(self, name: str, slope: Callable[[int], float]) -> Array:
        numeric = np.full(self._subject.values[name].shape, np.nan)
        for place in self._places(numeric.size, FEW):
            numeric.flat[place] = slope(int(place))
        return numeric

    def _changed(self, name: str) -> Callable[[str, Callable[[Array], Array]], Array]:
        """Return a function that gives some differences where another value is changed."""

        def differences(other: str, change: Callable[[Array], Array]) -> Array:
            values = {**self._subject.values, other: np.ascontiguousarray(change(self._subject.values[other]))}
            step = self._differences.steps[0]
            return self._few(name, lambda place: self._differences.of_entry(Entry(name, place, step, values=values)))

        return differences

    def _contributions(self, name: str) -> Callable[[int], Array]:
        """Return a function that gives what each number of the output adds to the gradient at one place."""
        return lambda place: self._dy * self._differences.of_output(Entry(name, place, self._differences.steps[0]))


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
