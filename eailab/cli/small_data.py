"""The command at hand on images that come with eailab: for a machine without a network, or without hours to spare."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eailab.errors import MissingDataError

if TYPE_CHECKING:
    from eailab.recipe.schema import BaseRecipe


def on_small_data(recipe: "BaseRecipe") -> str | None:
    """Return the command at hand with a small recipe of the same engine; None where the command cannot take one."""
    command, *words = sys.argv[1:] or [""]
    small = recipe.small_example  # of the same engine, so that the command's own settings still fit
    if small is None or "digits" in recipe.data.name:
        return None
    if command == "explain" or any(word.startswith("--study") for word in words):
        return None
    if command == "noise":
        return f"eailab noise {small}"
    kept = [command]
    rest = iter(words)
    for word in rest:
        name, is_joined, value = word.partition("=")
        if name not in {"--recipe", "-o", "--override"}:
            kept.append(word)
            continue
        value = value if is_joined else next(rest, "")
        if name != "--recipe" and not value.startswith("data."):
            kept += [name, value]
    return shlex.join(["eailab", *kept, "--recipe", small])


@contextmanager
def offering_small_data(recipe: "BaseRecipe") -> Iterator[None]:
    """Add to an error about missing data which command needs no download."""
    try:
        yield
    except MissingDataError as error:
        command = on_small_data(recipe)
        if command is None:
            raise
        raise MissingDataError(f"{error} Without any download:\n  {command}") from error
