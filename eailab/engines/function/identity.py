"""Identify what a training function's result can depend on: its code, the code that it uses, and package versions."""

import ast
import dis
import hashlib
import inspect
import json
import platform
import sys
import textwrap
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import metadata, util
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from eailab import files
from eailab.engines.function.lookup import TrainingFunction, function_of, is_importable
from eailab.engines.program.identity import Identity
from eailab.errors import DataError
from eailab.own_code.identity import imported_modules, tree_digest
from eailab.plain import plain

_LOADED: dict[str, tuple[CodeType, str]] = {}
"""Of the functions that were looked at: the code that this process has of them, and the digest of their files then."""


def identity_of(reference: str) -> Identity:
    """Return what trials of a function depend on, as it is now.

    Of one that can be imported: its module by the syntax tree, and the modules of its author that this one imports. Of
    one in a notebook, a script or another function: its source, and the functions, classes and constants that it uses.

    Raises:
        RecipeError: The function is not here.
        DataError: Its module was edited since Python has loaded it.
    """
    function = inspect.unwrap(function_of(reference))
    followed = _Followed(function.__module__)
    if is_importable(function):
        followed.module(function.__module__)
        _refuse_edited(reference, function, followed.code)
    else:
        followed.source(function.__qualname__, function)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return Identity(followed.code, {}, {"python": python, **followed.versions}, tuple(dict.fromkeys(followed.notes)))


def _refuse_edited(reference: str, function: TrainingFunction, code: dict[str, str]) -> None:
    digest = hashlib.sha256(json.dumps(code, sort_keys=True).encode()).hexdigest()
    loaded, before = _LOADED.get(reference, (None, ""))
    if loaded is function.__code__ and before != digest:
        raise DataError(
            f"the code of {plain(reference)} was edited since Python has loaded it, so that the old one would run: "
            "reload the module (importlib.reload) or restart Python."
        )
    _LOADED[reference] = (function.__code__, digest)


class _Followed:
    """Hold what a function uses, as far as it can be followed."""

    def __init__(self, home: str) -> None:
        self.home = home
        """Module whose functions are followed one by one."""
        self.code: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.notes: list[str] = []

    # --- whole modules

    def module(self, name: str) -> None:
        """Add a module: one of its author by its file and what that imports, a package by its version."""
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("eailab", "__main__", "") or name in self.code:
            return
        file = _file_of(name)
        if file is None or "site-packages" in file.parts or "dist-packages" in file.parts:
            if (version := _version(top)) is not None:
                self.versions[version[0]] = version[1]
            elif file is not None or top in sys.modules:
                self.notes.append(f"{plain(top)} is a package whose version is not known: it is not followed.")
            return
        if file.suffix != ".py":
            self.notes.append(f"{plain(name)} is compiled code, which is not followed.")
            return
        try:
            stat = file.stat()
        except FileNotFoundError:
            self.notes.append(f"the file of {plain(name)} is gone: its changes are not seen.")
            return
        self.code[name], imported = _module_digest(file, stat.st_mtime_ns, stat.st_size)
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        for one in imported:
            self.module(util.resolve_name(one, package) if one.startswith(".") else one)

    # --- one by one

    def source(self, name: str, thing: Any) -> None:
        """Add a function or class by its source, and what that uses."""
        if name in self.code:
            return
        try:
            text = textwrap.dedent(inspect.getsource(thing))
            tree = ast.parse(text)
        except (OSError, TypeError, SyntaxError):
            self.notes.append(f"the source of {plain(name)} is not known: its changes are not seen.")
            return
        self.code[name] = tree_digest(tree)
        for module in imported_modules(tree):
            self.module(module)
        if isinstance(thing, type):
            for base in thing.__bases__:
                self.value(base.__qualname__, base)
            for member in vars(thing).values():
                self._uses(inspect.unwrap(getattr(member, "__func__", getattr(member, "fget", None) or member)))
        else:
            self._uses(thing)

    def _uses(self, function: Any) -> None:
        """Add what a function reads from outside: globals, closures and defaults."""
        if not isinstance(function, FunctionType):
            return
        for name in _globals_read(function.__code__):
            if name in function.__globals__:
                self.value(name, function.__globals__[name])
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self.value(name, cell.cell_contents)
            except ValueError:
                continue  # not yet assigned
        defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        for number, value in enumerate(defaults):
            self.value(f"default {number + 1} of {function.__qualname__}", value)

    def value(self, name: str, value: Any) -> None:
        """Add what a name stands for."""
        if isinstance(value, ModuleType):
            self.module(value.__name__)
        elif isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
            module = getattr(value, "__module__", None) or ""
            if module == self.home and isinstance(value := inspect.unwrap(value), FunctionType | type):
                self.source(value.__qualname__, value)
            else:
                self.module(module)
        elif name not in self.code:
            try:
                self.code[name] = hashlib.sha256(repr(_content(value)).encode()).hexdigest()
            except (TypeError, RecursionError):
                kind = type(value)
                self.notes.append(
                    f"{plain(name)} is a {plain(kind.__name__)}, whose content is not followed: where it changes, "
                    "finished trials are not trained again."
                )
                self.module(kind.__module__)


def _globals_read(code: CodeType) -> Iterator[str]:
    """Yield the global names that code reads, nested functions included, in their order."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_read(constant)


def _content(value: Any) -> object:
    """Return what tells equal values of plain types and of arrays.

    Raises:
        TypeError: It is of another type.
    """
    kind = type(value).__name__
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes() | Path() | np.generic():
            return kind, repr(value)
        case list() | tuple():
            return kind, [_content(one) for one in value]
        case set() | frozenset():
            return kind, sorted(map(repr, map(_content, value)))
        case dict():
            return kind, [(_content(key), _content(one)) for key, one in value.items()]
        case np.ndarray() if value.dtype.kind != "O":
            return kind, str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    raise TypeError(kind)


def _file_of(module: str) -> Path | None:
    """Return the file of a module; None where there is no such module or it has no file."""
    loaded = sys.modules.get(module)
    try:
        spec = loaded.__spec__ if loaded is not None else util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    return None if spec is None or not spec.has_location or spec.origin is None else Path(spec.origin)


@lru_cache(maxsize=1000)
def _module_digest(file: Path, *_state: int) -> tuple[str, tuple[str, ...]]:
    """Return the digest of a module's file in its present state, and the modules that it imports."""
    content = files.read(file, files.CODE)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise DataError(f"{plain(str(file))} is not Python: {plain(str(error))}.") from error
    return tree_digest(tree), tuple(dict.fromkeys(imported_modules(tree)))


def _version(top: str) -> tuple[str, str] | None:
    """Return the name and version of the package that a module is of; None where that is not known."""
    try:
        return top, metadata.version(top)
    except (metadata.PackageNotFoundError, ValueError):
        found = _distributions().get(top)
        return None if found is None else (found[0], metadata.version(found[0]))


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())
