"""Read what the fields of settings mean from the texts below them in the source, where that is shown."""

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache


@cache
def descriptions(kind: type) -> Mapping[str, str]:
    """Return the meaning of each field of a class that has one, its base classes' fields first.

    pydantic would read them when it makes a class, which takes most commands a tenth of a second for nothing.
    """
    inherited = {name: text for base in reversed(kind.__bases__) for name, text in descriptions(base).items()}
    return inherited | _of_module(kind.__module__).get(kind.__qualname__, {})


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """Return the texts below the annotated names of each class of a module; none where it has no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError):
        return {}
    return {node.name: _of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in zip(node.body, node.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }
