"""Differentiate numerically: central differences in float64, entry by entry, and along random directions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eailab.gradcheck.subject import Array, Subject

STEPS = (1e-5, 1e-6, 1e-4)
"""Of central differences, relative to values above 1; the later ones are tried where the first does not agree."""
COARSE_STEPS = (1e-2, 3e-3, 3e-2)
"""Where the layer computes in float32."""
TOLERANCE, COARSE_TOLERANCE = 1e-6, 2e-2
"""Of the largest relative error, in float64 and in float32."""
MOST_BENT = 200
"""Entries that are tried with other steps, since the output may bend there."""
FEW = 32
"""Entries that are left when a wrong one is looked for."""


@dataclass(frozen=True)
class Entry:
    """One number of an array, and the step by which it is moved."""

    name: str
    """Of the array."""
    place: int
    """Flat."""
    step: float
    """Relative to values above 1."""
    sides: tuple[int, int] = (1, -1)
    """Where the two outputs are computed, in steps."""
    values: Mapping[str, Array] | None = None
    """In place of the subject's."""


@dataclass
class Compared:
    """A gradient next to central differences."""

    numeric: Array
    """NaN where no difference was taken."""
    error: Array
    """Relative, per entry; NaN where no difference was taken."""
    kinks: int
    """Entries where the output bends, so that either side's slope is right."""


class Differences:
    """Central differences of sum(dy * output).

    Args:
        subject: What is checked.
        dy: Weights of the outputs.
        is_coarse: Whether the layer computes in float32.
    """

    def __init__(self, subject: Subject, dy: Array, *, is_coarse: bool) -> None:
        self._subject, self._dy = subject, dy
        self.steps = COARSE_STEPS if is_coarse else STEPS
        self.tolerance = COARSE_TOLERANCE if is_coarse else TOLERANCE

    def _slope(self, name: str, change: Array) -> float:
        """Return the difference of the loss between two sides of an array's value."""
        outputs = []
        for side in (1, -1):
            given = {**self._subject.values, name: self._subject.values[name] + side * change}
            outputs.append(np.asarray(self._subject.forward(given), np.float64))
        return float(np.sum(self._dy * (outputs[0] - outputs[1])))

    def of_entry(self, one: Entry) -> float:
        """Return the derivative of the loss by one entry."""
        return float(np.sum(self._dy * self.of_output(one)))

    def of_output(self, one: Entry) -> Array:
        """Return the derivative of each number of the output by one entry."""
        values = self._subject.values if one.values is None else one.values
        array, place = values[one.name], one.place
        size = one.step * max(1.0, abs(float(array.flat[place])))
        outputs = []
        for side in one.sides:
            moved = array.copy()
            moved.flat[place] += side * size
            given = {**values, one.name: moved}
            outputs.append((moved.flat[place], np.asarray(self._subject.forward(given), np.float64)))
        (high, above), (low, below) = outputs
        return np.asarray((above - below) / (high - low))

    def compare(self, name: str, gradient: NDArray[np.float64], places: NDArray[np.int64], scale: float) -> Compared:
        """Compare a gradient with differences at some entries, and along random directions where these are not all.

        The flat indices of the entries are `places`; below gradients of the size `scale`, errors do not count in full.
        """
        if len(places) < gradient.size and (wrong := self._located(name, gradient, scale)) is not None:
            places = np.union1d(places, wrong)
        numeric, error = np.full(gradient.shape, np.nan), np.full(gradient.shape, np.nan)
        for place in places:
            numeric.flat[place] = self.of_entry(Entry(name, int(place), self.steps[0]))
        floor = max(1e-3 * float(np.nanmax(np.abs(numeric), initial=0.0)), 1e-4 * scale, 1e-7)
        for place in places:
            error.flat[place] = relative(gradient.flat[place], numeric.flat[place], floor)
        kinks = 0
        wrong_places = [int(place) for place in places if error.flat[place] > self.tolerance]
        for place in wrong_places[:MOST_BENT]:
            better, is_kink = self._again(name, place, float(gradient.flat[place]), floor)
            kinks += is_kink
            if better is not None:
                numeric.flat[place], error.flat[place] = better, relative(gradient.flat[place], better, floor)
        return Compared(numeric, error, kinks)

    def _again(self, name: str, place: int, gradient: float, floor: float) -> tuple[float | None, bool]:
        """Return the difference that agrees best with the gradient, of smaller and one-sided steps, and if it bends."""
        for step in self.steps[1:]:
            found = self.of_entry(Entry(name, place, step))
            if relative(gradient, found, floor) <= self.tolerance:
                return found, False
        step = self.steps[1]
        left, right = (self.of_entry(Entry(name, place, step, sides)) for sides in ((0, -1), (1, 0)))
        if relative(left, right, floor) < 1e3 * self.tolerance:
            return None, False
        for side in (left, right):
            if relative(gradient, side, floor) <= 100 * self.tolerance:
                return gradient, True
        low, high = sorted((left, right))
        return (gradient, True) if low <= gradient <= high else (None, True)

    def _located(self, name: str, gradient: NDArray[np.float64], scale: float) -> NDArray[np.int64] | None:
        """Return a few entries among which one is wrong; None where slopes along random directions are right.

        Every entry goes into each direction. Where one is wrong, halves are tried until few entries are left.
        """
        chance = np.random.default_rng(1)
        signs = chance.choice([-1.0, 1.0], gradient.size)
        places = np.arange(gradient.size)
        if self._error_along(name, gradient, signs, places, scale) <= 100 * self.tolerance:
            return None
        while len(places) > FEW:
            halves = np.array_split(places, 2)
            places = max(halves, key=lambda half: self._error_along(name, gradient, signs, half, scale))
        return places

    def _error_along(
        self, name: str, gradient: NDArray[np.float64], signs: Array, places: NDArray[np.int64], scale: float
    ) -> float:
        """Return the error of the slope along some entries, relative to what chance would make of their gradients."""
        change = np.zeros(gradient.size)
        change[places] = signs[places]
        expected = float(np.sum(change * gradient.ravel()))
        size = float(np.sqrt(np.sum(gradient.ravel()[places] ** 2))) + max(1e-4 * scale, 1e-7)
        slopes = (self._slope(name, step * change.reshape(gradient.shape)) / (2 * step) for step in self.steps)
        return min(abs(slope - expected) / size for slope in slopes)


def relative(one: float, other: float, floor: float) -> float:
    """Return |one - other| relative to the larger of the two, or to `floor` if that is larger.

    >>> relative(1.0, 0.5, 1e-3), relative(0.0, 0.0, 1e-3)
    (0.5, 0.0)
    """
    if not (np.isfinite(one) and np.isfinite(other)):
        return float("inf")
    return abs(one - other) / max(abs(one), abs(other), floor)
