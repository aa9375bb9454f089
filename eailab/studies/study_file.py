"""Read study files: a recipe, blocks, and a list of factors, declared before any comparison is made.

recipe: resnet18-cifar10
blocks: 5
factors:
  - {factor: stem, levels: [7x7, 3x3]}
  - {joint: [optimizer, lr], levels: [[adam, 0.001], [sgd, 0.1]]}
  - cross:
      - {factor: optimizer, levels: [adam, sgd]}
      - {factor: sched, levels: [constant, steplr]}
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails

from eailab import files
from eailab.errors import EailabError, StudyError
from eailab.files import expanded
from eailab.recipe.catalogue import shipped, shipped_studies
from eailab.recipe.describe import KeyPath, Problem, expected, found, nearest
from eailab.recipe.load import Loaded, Override, load
from eailab.recipe.parts import PRINTABLE, Margin, Settings
from eailab.recipe.validate import value_at
from eailab.recipe.yaml12 import YamlDocument, parse
from eailab.runs.store import Store
from eailab.seeding import LARGEST_BLOCK
from eailab.studies.design import Hold, ResolvedFactor, Study, all_combinations, resolved, studies_of
from eailab.studies.factor import LONGEST_LABEL, FactorLevels, check_labels
from eailab.studies.heads import STUDIES, heads
from eailab.studies.lookup import one_study
from eailab.studies.storage import read_record

Block = Annotated[int, Field(ge=0, le=LARGEST_BLOCK)]


def _one_each(labels: list[str] | None, info: ValidationInfo) -> list[str] | None:
    """Refuse labels that are not one for each level."""
    levels = info.data.get("levels")
    if labels is not None and levels is not None:
        check_labels(labels, len(levels))
    return labels


Label = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL, pattern=PRINTABLE)]
Labels = Annotated[Annotated[list[Label], Field(min_length=1)] | None, AfterValidator(_one_each)]


class CrossedFactor(Settings):
    """One factor of a factorial."""

    factor: str
    """A setting's short name or dotted path."""
    levels: Annotated[list[Any], Field(min_length=1)]
    """Its values, in the order in which tables and figures have their arms."""
    labels: Labels = None
    """What tables and figures call the levels, one each; left out, the levels in words."""
    baseline: Any = None
    """The level that the others are compared with; left out, the recipe's own, else the first."""


class DeclaredComparison(Settings):
    """One comparison: a factor, a declared bundle of settings, or a factorial."""

    factor: str | None = None
    """A setting's short name or dotted path."""
    joint: Annotated[list[str], Field(min_length=2)] | None = None
    """Settings that are changed together."""
    cross: Annotated[list[CrossedFactor], Field(min_length=2)] | None = None
    """Factors whose combinations are all trained."""
    levels: Annotated[list[Any], Field(min_length=1)] | None = None
    """The factor's values, in the order in which tables and figures have their arms; of a bundle, a list of values
    each."""
    labels: Labels = None
    """What tables and figures call the levels, one each; left out, the levels in words."""
    baseline: Any = None
    """The level that the others are compared with; left out, the recipe's own, else the first."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(one is not None for one in (self.factor, self.joint, self.cross)) != 1:
            raise ValueError("write one of factor, joint and cross: one setting, a bundle, or a factorial")
        if self.cross is None and self.levels is None:
            raise ValueError("levels are missing: write levels: [A, B]")
        if self.cross is not None and any(one is not None for one in (self.levels, self.labels, self.baseline)):
            raise ValueError("the factors below cross have levels, labels and a baseline of their own: move them there")
        return self


class StudyFile(Settings):
    """The content of a study file."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)] | None = None
    """What tables and folders call it; left out, the file's own name."""
    recipe: str
    """What all arms share: a shipped recipe's name, or a path relative to this file."""
    blocks: Annotated[int, Field(ge=1, le=10_000)] | Annotated[list[Block], Field(min_length=1)] = 5
    """A number of blocks, or a list of them."""
    hold: Hold = "epochs"
    """What arms have in common when a level changes the updates of an epoch."""
    margin: Margin | None = None
    """In place of the recipe's."""
    metric: str | None = None
    """In place of the recipe's."""
    factors: Annotated[list[DeclaredComparison], Field(min_length=1)]
    """The comparisons, one table each."""


BELOW: dict[int | str, type[Settings]] = {"factors": DeclaredComparison, "cross": CrossedFactor}
"""What the lists of a study file hold."""


@dataclass(frozen=True)
class Declared:
    """A study file, checked down to the levels of each factor."""

    name: str
    loaded: Loaded
    """The baseline, after the command line's overrides."""
    studies: tuple[Study, ...]
    """In the order of the file."""


def declared(file: str | Path, overrides: Sequence[Override] = (), blocks: Sequence[int] | None = None) -> Declared:
    """Read and check a study file: one that is shipped, by its name, or another by its path.

    Overrides of the command line change its recipe; blocks stand in place of its own.

    Raises:
        RecipeError: The file or its recipe cannot be read, or has problems: all of them, each with its place.
        StudyError: There is no such file, or it is a recipe.
    """
    path, source, text = _find(file)
    document = parse(text, source)
    if isinstance(document.value, dict) and "engine" in document.value and "factors" not in document.value:
        raise StudyError(
            f"{source} is a recipe, and declares no study: name a factor and its levels with --recipe {source}, "
            "or copy a study with `eailab recipes copy lab-task1`."
        )
    asked = _checked(document)
    loaded = _load_recipe(path, document, asked, overrides)
    if blocks is None:
        blocks = range(asked.blocks) if isinstance(asked.blocks, int) else sorted(set(asked.blocks))
    name = asked.name or path.stem
    recipe = loaded.recipe
    found = _comparisons(document, loaded, asked)
    alone = studies_of(recipe, [one for one in found if isinstance(one, ResolvedFactor)], blocks, asked.hold)
    waiting = iter(alone)
    studies = [next(waiting) if isinstance(one, ResolvedFactor) else one for one in found]
    named = [replace(one, name=name + one.name.removeprefix(recipe.name), blocks=tuple(blocks)) for one in studies]
    return Declared(name, loaded, tuple(named))


def check_recipe(text: str, source: str, recipe: str | Path) -> None:
    """Check that a recipe, by name or path, has the factors and levels of a study file that has another one.

    `source` is what messages call the study file.

    Raises:
        RecipeError: The recipe cannot be read, or a factor or level does not fit it: all of them, each with its place.
    """
    document = parse(text.encode(), source)
    asked = _checked(document)
    _comparisons(document, load(recipe, _changes(asked)), asked)


def stored(store: Store, text: str) -> Study | None:
    """Return the comparison of a store that a name means, so that it is continued; None where no study is called so.

    A file, and a study that is shipped, are meant before one of the store.

    Raises:
        UsageError: Several studies are meant, or one that this cannot continue.
        StoreError: Its record cannot be read.
    """
    if text in shipped_studies() or expanded(Path(text)).is_file():
        return None
    found = heads(store.root, STUDIES)
    if not any(text and name.startswith(text) for head in found for name in head.names):
        return None
    study = read_record(one_study(found, text, store.root).folder).study
    if study.factor is None or study.looks:
        raise StudyError(
            f"{text} has one arm, or looks of its own (--until-decided): continue it with its own command."
        )
    return replace(study, data={})


def _find(file: str | Path) -> tuple[Path, str, bytes]:
    """Return a study file's path, what messages call it, and its content."""
    path, source, known = expanded(file), str(file), shipped_studies()
    if source in known and not path.is_file():
        path, source = known[source], f"{source}.yaml"
    try:
        return path, source, files.read(path, files.RECIPE)
    except FileNotFoundError as error:
        if source in shipped():
            raise StudyError(f"{file} is a recipe: write --recipe {file}, with a factor and its levels.") from error
        hint = nearest(source, known) or f": give its path; shipped are {', '.join(known)}."
        raise StudyError(f"there is no study file {file}{hint}") from error


def _load_recipe(file: Path, document: YamlDocument, asked: StudyFile, overrides: Sequence[Override]) -> Loaded:
    """Load the baseline; a mistake in its name is reported at its place in the study file."""
    relative = file.parent / asked.recipe
    recipe: str | Path = asked.recipe if asked.recipe in shipped() else relative
    if isinstance(recipe, Path) and not recipe.is_file():
        message = f"there is no recipe {asked.recipe!r}{nearest(asked.recipe, shipped())}"
        raise document.error([Problem(("recipe",), message)])
    return load(recipe, [*_changes(asked), *overrides])


def _changes(asked: StudyFile) -> list[Override]:
    """Return what a study file changes in its recipe."""
    own = {"study.margin": asked.margin, "study.metric": asked.metric}
    return [Override(path, value, "-o") for path, value in own.items() if value is not None]


def _alone(one: DeclaredComparison | CrossedFactor) -> FactorLevels:
    names = tuple(one.labels or ())
    if isinstance(one, CrossedFactor) or one.joint is None:
        levels = tuple((level,) for level in one.levels or ())
        return FactorLevels((one.factor or "",), levels, None if one.baseline is None else (one.baseline,), names)
    words, bundles = tuple(one.joint), one.levels or []
    for level in [*bundles, *([one.baseline] if one.baseline is not None else [])]:
        if not isinstance(level, list) or len(level) != len(words):
            raise StudyError(f"a level of {'+'.join(words)} is a list of {len(words)} values, not {found(level)}.")
    return FactorLevels(words, tuple(map(tuple, bundles)), None if one.baseline is None else tuple(one.baseline), names)


def _comparisons(document: YamlDocument, loaded: Loaded, asked: StudyFile) -> list[ResolvedFactor | Study]:
    """Build each comparison by itself, so that what is wrong with it is reported with its place.

    Returns:
        In the order of the file: each factor, which the others at their baselines complete, or a factorial.

    Raises:
        RecipeError: A factor or level that does not fit, or a factor that two comparisons name.
    """
    wrong: list[Problem] = []
    found: list[ResolvedFactor | Study] = []
    seen: dict[str, int] = {}
    for number, one in enumerate(asked.factors):
        place: KeyPath = ("factors", number)
        try:
            if one.cross is not None:
                found.append(all_combinations(loaded.recipe, list(map(_alone, one.cross)), (0,), asked.hold))
                continue
            factor = _alone(one)
            for path in factor.paths(loaded.recipe):
                if path in seen:
                    line = document.mark(("factors", seen[path])).line
                    raise StudyError(f"{path} is named twice, first on line {line}: list all its levels there.")
                seen[path] = number
            (alone,) = resolved(loaded.recipe, [factor])
            studies_of(loaded.recipe, [alone], (0,), asked.hold)
            found.append(alone)
        except EailabError as error:
            wrong.append(Problem(place, str(error)))
    if wrong:
        raise document.error(wrong)
    return found


# --- problems of the file itself -------------------------------------------------------------------------------------


def _checked(document: YamlDocument) -> StudyFile:
    try:
        return StudyFile.model_validate(document.value)
    except ValidationError as error:
        problems = {one.path: one for one in (_explain(detail, document) for detail in error.errors(include_url=False))}
        raise document.error(problems.values()) from error


def _explain(detail: ErrorDetails, document: YamlDocument) -> Problem:
    """Say one of pydantic's errors in plain words."""
    owner: type[Settings] = StudyFile
    path: list[str | int] = []
    for step in detail["loc"]:
        if isinstance(step, str) and step not in owner.model_fields and detail["type"] != "extra_forbidden":
            break  # the name of a union's member
        path.append(step)
        owner = BELOW.get(step, owner)
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    if path and path[-1] in ("factors", "cross"):  # the list itself is wrong, not what is in it
        owner = StudyFile if path[-1] == "factors" else DeclaredComparison
    given = value_at(document.value, tuple(path))
    match detail["type"]:
        case "extra_forbidden":
            keys = owner.model_fields
            hint = nearest(key, keys) or f"; the keys here are {', '.join(keys)}"
            return Problem(tuple(path), f"unknown key{hint}", at_key=True)
        case "missing":
            return Problem(tuple(path), f"missing: give {key} {expected(owner.model_fields[key])}", at_key=True)
        case "value_error":
            return Problem(tuple(path), str(detail["ctx"]["error"]))
        case "model_type":
            return Problem(
                tuple(path), f"expected a mapping such as {{factor: lr, levels: [1e-3, 1e-4]}}, found {given}"
            )
        case _:
            return Problem(tuple(path), f"expected {expected(owner.model_fields[key])}, found {found(given)}")
