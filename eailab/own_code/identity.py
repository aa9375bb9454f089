"""Identify code by what it says: the syntax trees of a file and of the modules next to it that it imports."""

import ast
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from eailab.own_code.reference import parsed

DIGITS = 20
"""Hexadecimal, of a digest of code."""


def digest_of(file: Path) -> str:
    """Return a digest of a file and of the modules next to it that it imports; comments change nothing.

    The file's own name and place are not part of it.

    Raises:
        UsageError: A file is missing, or is not Python.
    """
    digests = {name: tree_digest(parsed(path)) for name, path in files_of(file).items()}
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:DIGITS]


def files_of(file: Path) -> dict[str, Path]:
    """Return a file and the modules next to it that it imports, by their paths there; the file itself has none.

    Raises:
        UsageError: A file is missing, or is not Python.
    """
    folder = file.parent
    found = {"": file}
    left = [("", file)]
    while left:
        name, path = left.pop()
        package = PurePosixPath(name).parent.parts if name else ()
        for module in imported_modules(parsed(path)):
            for beside in _beside(folder, module, package):
                relative = beside.relative_to(folder).as_posix()
                if relative not in found and beside != file:
                    found[relative] = beside
                    left.append((relative, beside))
    return found


def _beside(folder: Path, module: str, package: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files of a module, and of the packages around it, that lie in a folder."""
    dots = len(module) - len(module.lstrip("."))
    base = () if dots == 0 else package[: len(package) - dots + 1]
    parts = (*base, *(part for part in module.lstrip(".").split(".") if part))
    for length in range(1, len(parts) + 1):
        place = folder.joinpath(*parts[:length])
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.is_file():
                yield path


def tree_digest(tree: ast.AST) -> str:
    """Return the SHA-256 of what a syntax tree says, see `_skeleton`."""
    return hashlib.sha256(repr(_skeleton(tree)).encode()).hexdigest()


def _skeleton(node: Any) -> Any:
    """Return what a syntax tree says, in a form that is the same in every version of Python.

    `ast.dump` is not: later versions have fields that earlier ones lack, and leave out those that are empty.
    """
    if isinstance(node, ast.AST):
        fields = ((name, _skeleton(value)) for name, value in ast.iter_fields(node))
        return (type(node).__name__, *(one for one in fields if one[1] not in ((), None) and one[0] != "ctx"))
    if isinstance(node, list):
        return tuple(_skeleton(one) for one in node)
    return None if node is None else (type(node).__name__, repr(node))


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that code imports; those relative to its own package begin with dots.

    What is imported from a module may be one itself: `from package import module` yields both.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            yield from (f"{base}{'.' * bool(node.module)}{alias.name}" for alias in node.names)
