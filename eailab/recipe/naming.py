"""What a recipe is called after its data or its model have changed: `digits-mlp` on `mine.npz` is `mine-mlp`."""

import re
from pathlib import Path

from eailab.recipe.schema import Recipe

LONGEST = 200
"""Letters of a recipe's name."""


def data_word(recipe: Recipe) -> str:
    """Return what a recipe's data are called in names and titles: a data set's name, or that of a file or folder.

    Nothing where it has no data set.

    >>> from eailab.recipe.load import Override, load
    >>> data_word(load("digits-mlp", [Override("data.name", "/scans/mine.npz", "-o")]).recipe)
    'mine'
    """
    name = recipe.data_name or ""
    return Path(name).stem or name


def model_word(recipe: Recipe) -> str:
    """Return what a recipe's model is called in names and lists; of an engine without models, what the engine is."""
    return recipe.images.model.name if recipe.images else recipe.engine


def name_after(name: str, before: Recipe, after: Recipe) -> str:
    """Return a recipe's name with the words for its data and its model replaced by those of another recipe.

    A name that has no such word gets the new one at its end.

    Args:
        name: Of the recipe before.
        before: The recipe that the name is of.
        after: The recipe as it was changed.
    """
    for old, new in ((data_word(before), data_word(after)), (model_word(before), model_word(after))):
        if old != new:
            words = name.split("-")
            at = next((place for place, word in enumerate(words) if len(word) > 2 and old.startswith(word)), None)
            if re.search(whole := rf"\b{re.escape(old)}\b", name):
                name = re.sub(whole, new.replace("\\", r"\\"), name, count=1)
            elif at is not None:
                name = "-".join([*words[:at], new, *words[at + 1 :]])
            else:
                name = f"{name}-{new}"
    return name[:LONGEST]


def may_have_been(before: str, now: str, recipe: Recipe) -> bool:
    """Return whether a study was called `before` by versions that named it by its recipe's file alone.

    Only the words for data and model may differ.
    """
    known = "|".join(map(re.escape, filter(None, (data_word(recipe), model_word(recipe)))))
    words, earlier = re.sub(rf"(?<![^-])(?:{known})(?![^-])", "*", now).split("-"), before.split("-")
    if before == now or "*" not in words:
        return False
    replaced = len(words) == len(earlier) and all(one in ("*", old) for one, old in zip(words, earlier, strict=True))
    return replaced or [one for one in words if one != "*"] == earlier
