"""Complete the word at the cursor in a shell: recipes, factors, levels, studies, trials, formats, languages.

A shell asks at each press of the key, so nothing here imports numpy or torch; what cannot be read offers nothing.
"""

import ast
import os
import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eailab.errors import EailabError
from eailab.files import expanded

STATES = ("finished", "diverged", "timed-out", "training", "stopped", "damaged")
"""Named here, since the modules that have them are slow to import; a test compares the lists with theirs."""

Offer = Callable[[Any, str], list[str]]


def _offering(find: Callable[[Any, str], Iterable[str]]) -> Offer:
    """Return what Typer asks: the words that begin like the one at the cursor."""

    def offer(ctx: Any, incomplete: str) -> list[str]:
        try:
            return [_as_typed(word) for word in dict.fromkeys(find(ctx, incomplete)) if word.startswith(incomplete)]
        except (EailabError, OSError):  # the command itself says what is wrong
            return []

    return offer


def _as_typed(word: str) -> str:
    """Return a word as a command line takes it; bash puts it there as it is, other shells quote it themselves."""
    if os.environ.get("_EAILAB_COMPLETE") != "complete_bash":
        return word
    return re.sub(r"([^\w@%+=:,./×-])", r"\\\1", word)


def _runs(ctx: Any) -> Path:
    return expanded(Path(ctx.params.get("runs") or "runs"))


def _files(incomplete: str) -> list[str]:
    """Return the YAML files and the folders that a beginning may lead to."""
    begin = Path(incomplete if incomplete.endswith("/") else f"{incomplete}_").parent
    prefix = "" if str(begin) == "." and not incomplete.startswith("./") else f"{str(begin).rstrip('/')}/"
    return [
        f"{prefix}{path.name}{'/' if path.is_dir() else ''}"
        for path in sorted(begin.iterdir())
        if path.suffix in (".yaml", ".yml") or path.is_dir()
    ]


@_offering
def recipes(_: Any, incomplete: str) -> Iterable[str]:
    """Offer the recipes that come with eailab, and files."""
    from eailab.recipe.catalogue import shipped

    return [*shipped(), *_files(incomplete)]


@_offering
def shipped_files(_: Any, __: str) -> Iterable[str]:
    """Offer the recipes and study files that come with eailab."""
    from eailab.recipe.catalogue import shipped, shipped_studies

    return [*shipped(), *shipped_studies()]


@_offering
def study_files(ctx: Any, incomplete: str) -> Iterable[str]:
    """Offer the study files that come with eailab, others, and the studies of the runs folder."""
    from eailab.recipe.catalogue import shipped_studies

    return [*shipped_studies(), *_files(incomplete), *_study_names(ctx)]


def _engines(ctx: Any) -> list[str]:
    """Return the engine of the recipe on the line, or all."""
    from eailab.recipe.catalogue import engine_of, shipped
    from eailab.recipe.schema import RECIPES, offered

    name = ctx.params.get("recipe")
    file = None if name is None else shipped().get(name, Path(name))
    found = None if file is None or not file.is_file() else engine_of(file)
    return [str(found)] if found in RECIPES else offered()


@_offering
def factors(ctx: Any, incomplete: str) -> Iterable[str]:
    """Offer the factors of the recipe's engine; of a bundle, the next setting."""
    from eailab.recipe.factors import short_names

    done, plus, _ = incomplete.rpartition("+")
    return [f"{done}{plus}{name}" for engine in _engines(ctx) for name in short_names(engine)]


@_offering
def levels(ctx: Any, _: str) -> Iterable[str]:
    """Offer the levels of a factor that has names or truth values for them."""
    from eailab.recipe.factors import choices_of

    factor = ctx.params.get("factor") or ""
    given = ctx.params.get("levels") or []
    return [word for engine in _engines(ctx) for word in choices_of(factor, engine) if word not in map(str, given)]


@_offering
def studies(ctx: Any, _: str) -> Iterable[str]:
    """Offer the studies of the runs folder."""
    return _study_names(ctx)


def _study_names(ctx: Any) -> list[str]:
    """Return the own names of studies, and the names of their folders where several have one name."""
    from eailab.studies.heads import STEPS, STUDIES, heads, path_heads

    runs = _runs(ctx)
    called = [(head.name, head.called) for head in heads(runs, STUDIES)]
    called += [(path.name, path.called) for path in path_heads(heads(runs, STEPS))]
    names = [name for name, _ in called]
    return [name if names.count(name) == 1 else folder for name, folder in called]


@_offering
def trials(ctx: Any, incomplete: str) -> Iterable[str]:
    """Offer the trials of the runs folder by their shortest names; with a study before them once one is written."""
    from eailab.studies.heads import heads, trial_names, uses

    runs = _runs(ctx)
    table = {name: places for name, places in uses(heads(runs)).items() if (runs / "trials" / name).is_dir()}
    short = list(trial_names(table).values())
    longer = (name for places in table.values() for place in places for name in place.names)
    return short if any(name.startswith(incomplete) for name in short) else longer


@_offering
def languages(_: Any, __: str) -> Iterable[str]:
    """Offer the languages of reports."""
    from eailab.translation import languages as known

    return known()


def names_in(table: str) -> list[str]:
    """Return the names in a table of `report/formats.py`, which is too slow to import here: from its source."""
    module = "eailab.report.formats"
    loader: Any = getattr(find_spec(module), "loader", None)
    tree = ast.parse(loader.get_source(module))
    dicts = [node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == table]
    return [ast.literal_eval(key) for one in dicts if isinstance(one, ast.Dict) for key in one.keys if key is not None]


@_offering
def formats(_: Any, __: str) -> Iterable[str]:
    """Offer the formats of reports."""
    return names_in("FORMATS")


@_offering
def exports(_: Any, __: str) -> Iterable[str]:
    """Offer the tools that studies are exported to."""
    return names_in("EXPORTS")


def one_of(words: Iterable[str]) -> Offer:
    """Return what offers some words."""
    known = list(words)
    return _offering(lambda _, __: known)
