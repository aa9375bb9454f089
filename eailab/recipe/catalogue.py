"""The recipes that come with eailab."""

from pathlib import Path

from eailab.errors import EailabError
from eailab.recipe.schema import ENGINES
from eailab.recipe.yaml12 import parse

_HERE = Path(__file__).resolve().parent


def shipped() -> dict[str, Path]:
    """Return the files of the shipped recipes by name, in alphabetical order.

    They lie beside this module in an installed package, and at the top of a checkout.

    Raises:
        EailabError: When the installation has none.
    """
    for folder in (_HERE / "shipped", _HERE.parents[1] / "recipes"):
        files = sorted(folder.glob("*.yaml"))
        if files:
            return {file.stem: file for file in files}
    raise EailabError("this installation of eailab has no recipes: install it again")


def names(engine: str) -> dict[str, Path]:
    """Return the shipped recipes of one engine.

    Raises:
        KeyError: When there is no such engine.
    """
    if engine not in ENGINES:
        raise KeyError(engine)
    return {name: file for name, file in shipped().items() if engine_of(file) == engine}


def engine_of(file: Path) -> object:
    """Return what a recipe's file writes for `engine`, without checking the rest."""
    value = parse(file.read_bytes(), file.name).value
    return value.get("engine") if isinstance(value, dict) else None
