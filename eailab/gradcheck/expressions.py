"""Search for a gradient's formula among products and derivatives of the arrays that a backward pass has at hand.

Backpropagated gradients are `dy`, that times a function of an array, and both times a matrix, twice over: as deep as
a network of two layers. A parameter's gradient is one of them, summed or multiplied with an array. Losses have formulas
of their own.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from eailab.gradcheck.case import Case
from eailab.gradcheck.subject import Array

MOST = 20_000
"""Formulas that are tried."""
LARGEST = 200_000
"""Numbers of the largest array that is searched with."""
ENOUGH = 4
"""Entries other than 0 that show of an array, whatever number it is times, that it is what a gradient lacks."""


class Term(NamedTuple):
    """An array, and how it is written."""

    text: str
    array: Array

    @property
    def bracketed(self) -> str:
        """Return how it is written in a product."""
        text = self.text
        whole = text.startswith("(") and text.endswith(")") and text.count("(") == 1
        return f"({text})" if " " in text and not whole else text


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


SHAPES: dict[str, Callable[[Array], Array]] = {
    "{0}": lambda x: x,
    "({0} > 0)": lambda x: (x > 0).astype(np.float64),
    "1 - {0}": lambda x: 1 - x,
    "1 + {0}": lambda x: 1 + x,
    "{0} * (1 - {0})": lambda x: x * (1 - x),
    "1 - {0} * {0}": lambda x: 1 - x * x,
    "{0} * {0}": lambda x: x * x,
    "1 + {0} * {0}": lambda x: 1 + x * x,
    "exp({0})": np.exp,
    "exp(-{0})": lambda x: np.exp(-x),
    "1 / {0}": lambda x: 1 / x,
    "({0} < 0)": lambda x: (x < 0).astype(np.float64),
    "({0} >= 1)": lambda x: (x >= 1).astype(np.float64),
    "sigmoid({0})": _sigmoid,
    "tanh({0})": np.tanh,
    "sigmoid({0}) * (1 - sigmoid({0}))": lambda x: _sigmoid(x) * (1 - _sigmoid(x)),
    "1 - tanh({0}) * tanh({0})": lambda x: 1 - np.tanh(x) ** 2,
}
"""Functions of one number that derivatives are made of."""


def formulas(case: Case) -> Iterator[str]:
    """Yield which formula a gradient has, and which is right, as far as they are found."""
    largest = max(one.size for one in (case.x, case.y, case.value, *case.values.values()))
    if largest > LARGEST or case.found.shape != case.value.shape:
        return
    with np.errstate(all="ignore"):
        written, right, lacking = _search(case, _with_labels(case) if case.y.ndim == 0 else _gradients(case))
    about = " (y: the output)" if "y" in f"{written} {right} {lacking}".replace("dy", "") else ""
    if written and right:
        yield f"it is {written}, and {right} is right{about}"
    elif right:
        yield f"{right} is right{about}"
    elif lacking:
        yield f"{lacking}: a term is missing, or one is too many{about}"
    elif case.is_input and case.found.shape == case.y.shape:
        yield from _factor(case)


def _search(case: Case, candidates: Iterable[Term]) -> tuple[str, str, str]:
    """Return which formula a gradient has, which is right, and what it lacks in words; empty for what is not found."""
    written = right = lacking = ""
    rest = case.numeric - case.found
    for _, term in zip(range(MOST), candidates, strict=False):
        if term.array.shape != case.found.shape:
            continue
        if not written and case.is_found(term.array):
            written = term.text
        if not right and case.agrees(term.array):
            right = term.text
        if not lacking and (times := _times_in(rest, term.array, case)):
            amount = "" if abs(abs(times) - 1) < 1e-4 else f"{abs(times):.4g} * "
            lacking = (
                f"it {'lacks' if times > 0 else 'has too much of'} {amount}{term.bracketed if amount else term.text}"
            )
        if written and right:
            break
    return written, right, lacking


def _times_in(rest: Array, array: Array, case: Case) -> float:
    """Return by which number an array gives what a gradient lacks; 0 where none does."""
    there = np.isfinite(rest)
    if np.count_nonzero(array[there]) < ENOUGH:
        return 0.0
    times = float(np.sum(rest[there] * array[there]) / np.sum(array[there] ** 2))
    return times if case.agrees(times * array, rest) else 0.0


def _factor(case: Case) -> Iterator[str]:
    """Yield which factor is missing or too many."""
    with np.errstate(all="ignore"):
        for term in _functions((Term("x", case.x), Term("y", case.y), Term("dy", case.dy))):
            for candidate, said in ((case.found * term.array, "missing"), (case.found / term.array, "too many")):
                if case.agrees(candidate):
                    yield f"a factor {term.bracketed} is {said}"
                    return


def _gradients(case: Case) -> Iterator[Term]:
    """Yield gradients that the value may have, the simple ones first."""
    arrays = _arrays(case)
    factors = [*_functions(arrays), *_normalised(case)]
    matrices = [Term(name, one) for name, one in case.values.items() if one.ndim == 2 and name != case.first]
    if case.is_input:
        yield from _log_softmax(case)
    level = [Term("dy", case.dy), *_softmax(case)]
    for depth in range(3):
        level = list(_distinct([*level, *_times(level, factors)]))
        for one in level:
            yield from [one] if case.is_input else _of_parameter(one, arrays + _normalised(case), case)
        if depth < 2:
            level = list(_through(level, matrices))


def _arrays(case: Case) -> list[Term]:
    """Return the arrays at hand, each once."""
    own = [Term(name, one) for name, one in (case.cached | case.values).items() if name not in (case.first, case.name)]
    return list(_distinct([Term("x", case.x), Term("y", case.y), Term("dy", case.dy), *own]))


def _distinct(terms: Iterable[Term]) -> Iterator[Term]:
    """Yield terms without those that an earlier one equals."""
    seen = set()
    for term in terms:
        key = (term.array.shape, np.round(term.array, 10).tobytes())
        if key not in seen and np.isfinite(term.array).all():
            seen.add(key)
            yield term


def _functions(arrays: Iterable[Term]) -> Iterator[Term]:
    """Yield functions of arrays, the simple ones of all of them first."""
    arrays = list(arrays)
    for form, shape in SHAPES.items():
        for one in arrays:
            array = np.asarray(shape(one.array), np.float64)
            if np.isfinite(array).all() and np.ptp(array) > 0:
                yield Term(form.format(one.text), array)


def _normalised(case: Case) -> list[Term]:
    """Return the input less its mean, and normalised, over the usual axes."""
    x, terms = case.x, []
    for axes in {(0,), (x.ndim - 1,), (0, 2, 3)[: x.ndim], tuple(range(1, x.ndim))}:
        if x.ndim < 2 or max(axes) >= x.ndim:
            continue
        mean, sd = x.mean(axes, keepdims=True), x.std(axes, keepdims=True)
        if sd.all():
            terms += [Term("(x - mean)", x - mean), Term("(x - mean) / sd", (x - mean) / sd)]
    return terms


def _softmax(case: Case) -> list[Term]:
    y, dy = case.y, case.dy
    return [Term("y * (dy - sum(dy * y))", y * (dy - (dy * y).sum(-1, keepdims=True)))] if y.ndim else []


def _log_softmax(case: Case) -> list[Term]:
    x, dy = case.x, case.dy
    if dy.shape != x.shape or not x.ndim:
        return []
    raised = np.exp(x - x.max(-1, keepdims=True))
    softmax = raised / raised.sum(-1, keepdims=True)
    return [
        Term("dy - softmax(x) * sum(dy)", dy - softmax * dy.sum(-1, keepdims=True)),
        Term("dy - softmax(x) * dy", dy - softmax * dy),
        Term("dy - softmax(x)", dy - softmax),
    ]


def _times(level: Iterable[Term], factors: Iterable[Term]) -> Iterator[Term]:
    factors = list(factors)
    for one in level:
        for factor in factors:
            if factor.array.shape == one.array.shape:
                yield Term(f"{one.bracketed} * {factor.bracketed}", one.array * factor.array)


def _through(level: Iterable[Term], matrices: Iterable[Term]) -> Iterator[Term]:
    matrices = list(matrices)
    for one in level:
        for matrix in matrices if one.array.ndim == 2 else ():
            for text, array in ((f"{matrix.text}.T", matrix.array.T), (matrix.text, matrix.array)):
                if one.array.shape[1] == array.shape[0]:
                    yield Term(f"{one.bracketed} @ {text}", one.array @ array)


def _of_parameter(one: Term, arrays: list[Term], case: Case) -> Iterator[Term]:
    """Yield gradients of a parameter that are made from one of what it is added to or multiplied with."""
    wanted, error = case.value.shape, one.array
    products = [(f"{one.bracketed} * {a.bracketed}", error * a.array) for a in arrays if a.array.shape == error.shape]
    for text, array in [(one.text, error), *products]:
        for axes in (axes for n in range(1, array.ndim + 1) for axes in combinations(range(array.ndim), n)):
            kept = tuple(size for axis, size in enumerate(array.shape) if axis not in axes)
            if int(np.prod(kept)) == case.value.size:
                over = f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
                summed = array.sum(axes).reshape(wanted)
                yield Term(f"the sum of {text} over {over}", summed)
                yield Term(f"the mean of {text} over {over}", summed / np.prod([array.shape[axis] for axis in axes]))
    if error.ndim != 2 or len(wanted) != 2:
        return
    for a in arrays:
        if a.array.ndim != 2 or len(a.array) != len(error):
            continue
        for left, right in ((a, one), (one, a)):
            if wanted == (left.array.shape[1], right.array.shape[1]):
                text, array = f"{left.bracketed}.T @ {right.bracketed}", left.array.T @ right.array
                yield Term(text, array)
                yield Term(f"{text} / {len(error)}", array / len(error))


def _with_labels(case: Case) -> Iterator[Term]:
    """Yield gradients of the usual losses, with the usual factors."""
    x, labels = case.x, case.labels
    if labels is None or x.ndim != 2:
        return
    if labels.ndim == 1 and labels.dtype.kind in "iu" and labels.size == len(x):
        target, name = np.eye(x.shape[1])[labels], "onehot"
    elif labels.shape == x.shape:
        target, name = np.asarray(labels, np.float64), "labels"
    else:
        return
    shifted = np.exp(x - x.max(1, keepdims=True))
    softmax = shifted / shifted.sum(1, keepdims=True)
    bases = [
        Term(f"(softmax(x) - {name})", softmax - target),
        Term(f"(x - {name})", x - target),
        Term(f"(sigmoid(x) - {name})", _sigmoid(x) - target),
        Term(f"-{name} / x", -target / x),
        Term(f"((1 - {name}) / (1 - x) - {name} / x)", (1 - target) / (1 - x) - target / x),
        Term("softmax(x)", softmax),
        Term(f"-{name}", -target),
        Term(f"-{name} / softmax(x)", -target / softmax),
        Term(f"({name} - softmax(x))", target - softmax),
        Term(f"({name} - x)", target - x),
        Term(f"softmax(x) * (1 - softmax(x)) * (softmax(x) - {name})", softmax * (1 - softmax) * (softmax - target)),
        Term("x", x),
    ]
    number, entries = len(x), x.size
    for base in bases:
        for text, factor in (("{}", 1.0), (f"{{}} / {number}", 1 / number), (f"{{}} / {entries}", 1 / entries)):
            yield Term(text.format(base.text), base.array * factor)
            yield Term(f"2 * {text.format(base.text)}", 2 * base.array * factor)
