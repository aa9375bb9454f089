"""Find the dotted paths that people mean by their names for the settings of a study."""

from eailab.errors import Correction, RecipeError
from eailab.recipe.base import Recipe
from eailab.recipe.catalogue import names
from eailab.recipe.describe import choices, nearest
from eailab.recipe.networks import ARGS
from eailab.recipe.schema import RECIPES, settings, variants
from eailab.recipe.validate import value_at

SHORT = {"sched": "schedule"}
"""Further words for parts on the command line."""


SEEDS = frozenset({"seed", "seeds", "block", "blocks", "random_seed", "random_state"})
"""What people call blocks."""


def resolve(factor: str, recipe: Recipe) -> str:
    """Return the dotted path of a factor.

    Args:
        factor: A setting's own name (`batch-size`, `lr`), a part's (`optimizer`, `sched`, `augment`) for the name in
            it, or a dotted path; `-` and `_` are alike.
        recipe: Its engine says which settings there are.

    Raises:
        RecipeError: No factor has the name, or several have.
    """
    return own_setting(factor, recipe) or path_of(factor, recipe.engine, recipe=recipe)


def own_setting(word: str, recipe: Recipe) -> str | None:
    """Return the dotted path of a setting that a recipe's author has named, as for a program; None for other words."""
    place = recipe.own_place
    plain = _plain(word.removeprefix(place))
    if place == "settings.":
        return next((f"{place}{name}" for name in recipe.own_settings if _plain(name) == plain), None)
    if place and word.startswith(place) and plain.isidentifier():  # also one that is at its default in the code
        return f"{place}{plain}"
    is_ours = any(one.leaf == plain for one in settings(recipe.engine).values()) or plain in _parts(recipe.engine)
    return f"{place}{plain}" if plain in recipe.own_settings and not is_ours else None


def level_of(recipe: Recipe, path: str) -> object:
    """Return the recipe's own value of a factor; of `data.augment` it is the name."""
    value = value_at(recipe.model_dump(), tuple(path.split(".")))
    return value["name"] if isinstance(value, dict) else value


def path_of(word: str, engine: str, factors_only: bool = True, recipe: Recipe | None = None) -> str:
    """Return the dotted path of a setting of an engine; like `resolve`, but labels and `study` too if asked.

    Args:
        word: What a person calls it.
        engine: Of the recipe.
        factors_only: Leave out what is not a factor.
        recipe: Its author may have named settings that were meant.

    Raises:
        RecipeError: No setting has the name, or several have.
    """
    plain = _plain(word)
    paths = matches(plain, engine, factors_only) if plain != "engine" else []
    if len(paths) == 1:
        return paths[0]
    if paths:
        raise RecipeError(f"{word!r} may be {' or '.join(paths)}: write the whole path.")
    # Say of a word that has a meaning, though not as a factor here, what to do instead.
    if plain == "engine":
        raise RecipeError("the engine of a recipe stays: choose a recipe of another engine, with --recipe.")
    if plain in SEEDS:
        raise RecipeError(
            f"{word!r} is not a setting: every level is trained in several blocks of seeds, the same for all, so that "
            "the factor is distinguished from chance. --seeds 5 says how many blocks (--seed 3, in train-mlp and "
            "train-resnet, which; from Python seeds=5, and block=3 in train); `eailab noise` measures what seeds alone "
            "change."
        )
    if factors_only and matches(plain, engine, factors_only=False):
        raise RecipeError(f"{word!r} is not a factor: it does not change what is trained, and can only be set with -o.")
    for other in sorted(engines_with(word)):
        examples = sorted(names(other), key=lambda name: "digits" not in name)  # they need no download
        if not examples:
            continue
        raise RecipeError(
            f"{word!r} is a factor of the engine {other}, and the recipe is for {engine}: choose another recipe, such "
            f"as {' or '.join(examples[:2])}.",
            Correction(options={"--recipe": examples[0]}) if factors_only else None,
        )
    # Say of any other word which it may have been meant for.
    own = {} if recipe is None else recipe.own_settings
    table = [one for one in settings(engine).values() if one.is_factor or not factors_only]
    known = {known.replace("_", "-") for one in table for known in (one.leaf, one.path)} | {*_parts(engine), *own}
    said = nearest(plain, known) or f"; choose {', '.join([*own, *short_names(engine)])}."
    if recipe is not None and recipe.own_place == ARGS and plain.isidentifier():
        said += f" An argument of the network is written {ARGS}{plain}."
    raise RecipeError(f"there is no setting {word!r}{said}")


def known_words() -> set[str]:
    """Return the names by which the command line knows the settings of all engines."""
    return {
        word.replace("_", "-")
        for engine in RECIPES
        for setting in settings(engine).values()
        for word in (setting.leaf, setting.path, *_parts(engine))
    }


def engines_with(factor: str) -> set[str]:
    """Return the engines whose recipes have a factor of that name; none for a word that is not a factor."""
    return {engine for engine in RECIPES if matches(_plain(factor), engine)}


def matches(word: str, engine: str, factors_only: bool = True) -> list[str]:
    """Return the dotted paths that a word may mean: a path, a part with a name, or the last word of a path."""
    table = {path: one for path, one in settings(engine).items() if one.is_factor or not factors_only}
    part = _parts(engine).get(SHORT.get(word, word))
    if part is not None:
        return [part]
    if word in table:
        return [_short_augment(word)]
    return [_short_augment(path) for path, one in table.items() if one.leaf == word]


def _parts(engine: str) -> dict[str, str]:
    """Return what a part's own name and path stand for: the setting that names its variant."""
    found = {"data": "data.name"} if "data.name" in settings(engine) else {}
    for part in variants(engine):
        for word in (part, part.rpartition(".")[2]):
            found[word] = _short_augment(f"{part}.name")
    return found


def _short_augment(path: str) -> str:
    """Return `data.augment` for the path of its name, since a recipe writes `augment: cutout`."""
    return "data.augment" if path == "data.augment.name" else path


def _plain(word: str) -> str:
    return word.strip().replace("-", "_")


def short_names(engine: str) -> list[str]:
    """Return the shortest names of an engine's factors, as a person types them."""
    leaves = [one.leaf for one in settings(engine).values() if one.is_factor]
    plain = [leaf for leaf in leaves if leaf != "name" and leaves.count(leaf) == 1]
    return [leaf.replace("_", "-") for leaf in [*(part.rpartition(".")[2] for part in variants(engine)), *plain]]


def choices_of(word: str, engine: str) -> list[str]:
    """Return the values of a factor that has names or truth values for them; none for any other word."""
    paths = matches(_plain(word), engine)
    if len(paths) != 1:
        return []
    part = paths[0].removesuffix(".name")
    if part in variants(engine):
        return list(variants(engine)[part])
    setting = settings(engine)[paths[0]]
    field = setting.owners[0].model_fields[setting.leaf]
    return ["true", "false"] if field.annotation is bool else choices(field)
