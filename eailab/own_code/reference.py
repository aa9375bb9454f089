"""Read what names a person's own code: `net.py:Net`, `layers.py:Linear(784, 10)` or `layers.py:forward,backward`."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from eailab import files
from eailab.errors import UsageError
from eailab.plain import nearest, plain

FILES_ALIKE = 0.75
"""Share of letters, the ending among them, that the name of a file and one that there is have in common."""
HOW = "write FILE.py:NAME, FILE.py:NAME(VALUE, NAME=VALUE) or FILE.py:FORWARD,BACKWARD"


@dataclass(frozen=True)
class Reference:
    """Names in a file of Python, and what to construct the first one with."""

    file: Path
    names: tuple[str, ...]
    positional: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)


def parse_reference(text: str) -> Reference:
    """Read what names code, without running any.

    >>> parse_reference("net.py:Net(depth=20)").named
    {'depth': 20}

    Raises:
        UsageError: It is not of that form, there is no such file, or the file is not Python.
    """
    name, colon, rest = text.rpartition(".py:")
    if not colon:
        file = Path(text)
        known = f"; it has {', '.join(defined(file)) or 'none'}" if text.endswith(".py") and file.is_file() else ""
        raise UsageError(f"{plain(text)} names no class or function of a file: {HOW}{known}.")
    try:
        return Reference(Path(f"{name}.py"), *parse_call(rest))
    except ValueError as error:
        raise UsageError(
            f"{plain(rest)!r} is not a name in {plain(name)}.py, nor a call with plain values, each given once: {HOW}."
        ) from error


def parse_call(text: str) -> tuple[tuple[str, ...], tuple[Any, ...], dict[str, Any]]:
    """Return the names that an expression is, and the plain values that the one name is called with.

    >>> parse_call("Net(depth=20)")
    (('Net',), (), {'depth': 20})

    Raises:
        ValueError: It is another kind of expression, or has values that are not plain, or an argument twice.
    """
    try:
        return _read(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:  # a list as a key, brackets without end
        raise ValueError(str(error)) from error


def _read(tree: ast.expr) -> tuple[tuple[str, ...], tuple[Any, ...], dict[str, Any]]:
    """Return what `parse_call` does, of a syntax tree."""
    match tree:
        case ast.Name(id=name):
            return (name,), (), {}
        case ast.Tuple(elts=parts) if parts and all(isinstance(one, ast.Name) for one in parts):
            return tuple(one.id for one in parts if isinstance(one, ast.Name)), (), {}
        case ast.Call(func=ast.Name(id=name), args=positional, keywords=named):
            if any(one.arg is None for one in named):
                raise ValueError("** is not a value")
            if len({one.arg for one in named}) < len(named):
                raise ValueError("an argument is given twice")
            values = {str(one.arg): ast.literal_eval(one.value) for one in named}
            return (name,), tuple(map(ast.literal_eval, positional)), values
    raise ValueError("neither a name, nor names, nor a call")


def defined(file: Path) -> list[str]:
    """Return the classes and functions that a file defines, without running it.

    Raises:
        UsageError: There is no such file, or it is not Python.
    """
    tree = parsed(file)
    kinds = ast.ClassDef | ast.FunctionDef
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def place_of(file: Path, name: str, method: str = "") -> str:
    """Return where a file defines a name, or a method of a class, as `net.py:12`; the file alone where it imports it.

    Raises:
        UsageError: There is no such file, or it is not Python.
    """
    kinds = ast.ClassDef | ast.FunctionDef
    found = next((one for one in parsed(file).body if isinstance(one, kinds) and one.name == name), None)
    inside = () if found is None else found.body
    own = next((one for one in inside if isinstance(one, ast.FunctionDef) and one.name == method), found)
    return plain(str(file) if own is None else f"{file}:{own.lineno}")


def parsed(file: Path) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        UsageError: There is no such file, or it is not Python.
    """
    try:
        return _tree(files.read(file, files.CODE))
    except FileNotFoundError as error:
        near = [one.name for one in file.parent.glob("*.py")] if file.parent.is_dir() else []
        said = nearest(file.name, near, alike=FILES_ALIKE) or "."
        raise UsageError(f"{plain(str(file))}: there is no such file{said}") from error
    except SyntaxError as error:
        raise UsageError(f"{plain(str(file))}:{error.lineno or 1}: this is not Python: {plain(error.msg)}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{plain(str(file))}: this is not Python: {plain(str(error))}.") from error


@lru_cache(maxsize=64)
def _tree(code: bytes) -> ast.Module:
    """Return the syntax tree of code, which nobody changes: a file is named, found and run by several hands."""
    return ast.parse(code)
