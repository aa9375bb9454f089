"""Find the recipes that come with eailab."""

import re
from dataclasses import dataclass
from pathlib import Path

from eailab.errors import EailabError
from eailab.recipe.schema import RECIPES
from eailab.recipe.yaml12 import parse

HEADER = re.compile(r"#\s*(Run|What):\s*(.+)")

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Header:
    """Hold what the comments at the top of a recipe say."""

    run: str
    """A command that uses it."""
    what: str
    """What it is, in one line."""


STUDY = re.compile(r"^factors:", re.MULTILINE)
"""What a study file has at its top level and a recipe has not."""


def shipped() -> dict[str, Path]:
    """Return the files of the shipped recipes by name, in alphabetical order.

    They lie next to this module in an installed package, and at the top of a checkout; study files lie with them.

    Raises:
        EailabError: When the installation has none.
    """
    return {file.stem: file for file in _files() if not is_study(file)}


def shipped_studies() -> dict[str, Path]:
    """Return the shipped study files by name, in alphabetical order.

    Raises:
        EailabError: When the installation has no recipes.
    """
    return {file.stem: file for file in _files() if is_study(file)}


def is_study(file: Path) -> bool:
    """Return whether a file declares a study: it lists factors, without a look at the rest."""
    return STUDY.search(file.read_text("utf-8", errors="replace")) is not None


def _files() -> list[Path]:
    for folder in (_HERE / "shipped", _HERE.parents[1] / "recipes"):
        if files := sorted(folder.glob("*.yaml")):
            return files
    raise EailabError("this installation of eailab has no recipes: install it again")


def names(engine: str) -> dict[str, Path]:
    """Return the shipped recipes of one engine.

    Raises:
        KeyError: When there is no such engine.
    """
    if engine not in RECIPES:
        raise KeyError(engine)
    return {name: file for name, file in shipped().items() if engine_of(file) == engine}


def engine_of(file: Path) -> object:
    """Return what a recipe's file writes for `engine`, without checking the rest."""
    value = parse(file.read_bytes(), file.name).value
    return value.get("engine") if isinstance(value, dict) else None


def header(file: Path) -> Header:
    """Return what the lines `# Run:` and `# What:` of a recipe say; empty where there is none."""
    said = {match[1]: match[2] for match in map(HEADER.match, file.read_text("utf-8").splitlines()) if match}
    return Header(said.get("Run", ""), said.get("What", ""))
