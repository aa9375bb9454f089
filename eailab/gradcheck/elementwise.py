"""Find a wrong derivative of a function that is applied to each number by itself."""

from collections.abc import Callable, Iterator

import numpy as np

from eailab.gradcheck.case import Case
from eailab.gradcheck.subject import Array


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


SHAPES: dict[str, Callable[[Array], Array]] = {
    "{0}": lambda x: x,
    "1 - {0}": lambda x: 1 - x,
    "1 + {0}": lambda x: 1 + x,
    "{0} * (1 - {0})": lambda x: x * (1 - x),
    "{0} * {0}": lambda x: x * x,
    "1 - {0} * {0}": lambda x: 1 - x * x,
    "1 + {0} * {0}": lambda x: 1 + x * x,
    "exp({0})": np.exp,
    "exp(-{0})": lambda x: np.exp(-x),
    "1 / {0}": lambda x: 1 / x,
    "sigmoid({0})": _sigmoid,
    "tanh({0})": np.tanh,
    "({0} > 0)": lambda x: (x > 0).astype(np.float64),
    "({0} < 0)": lambda x: (x < 0).astype(np.float64),
    "({0} >= 1)": lambda x: (x >= 1).astype(np.float64),
    "1": np.ones_like,
}
"""Functions of one number that derivatives are made of."""


def derivative(case: Case) -> Iterator[str]:
    """Yield what a wrong derivative is, and what would be right."""
    if not case.is_input or case.found.shape != case.dy.shape or case.x.shape != case.y.shape:
        return
    with np.errstate(all="ignore"):
        variables = {"x": case.x, "y": case.y, "dy": case.dy}
        terms = {
            form.format(name): np.asarray(shape(array))
            for name, array in variables.items()
            for form, shape in SHAPES.items()
            if name != "dy" or form in ("{0}", "1")
        }
        is_written = [name for name, term in terms.items() if case.is_found(case.dy * term)]
        is_right = [name for name, term in terms.items() if case.agrees(case.dy * term)]
        softmax = case.y * (case.dy - (case.dy * case.y).sum(-1, keepdims=True))
        if case.agrees(softmax) and case.is_found(case.dy * case.y * (1 - case.y)):
            yield "dy * y * (1 - y) is the diagonal of softmax's derivative: y * (dy - sum(dy * y)) is right"
        elif is_written and is_right:
            yield f"it is dy * {_bracketed(is_written[0])}, and dy * {_bracketed(is_right[0])} is right (y: the output)"
        else:
            for name, term in terms.items():
                if name != "1" and case.agrees(case.found * term):
                    yield f"a factor {_bracketed(name)} is missing"
                    return
                if name != "1" and case.agrees(case.found / term):
                    yield f"a factor {_bracketed(name)} is too many"
                    return


def _bracketed(name: str) -> str:
    return f"({name})" if " " in name and not name.startswith("(") else name
