"""From a factor and its levels to the arms and trials of a controlled study, checked before anything is trained."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import yaml

from eailab.errors import StoreError, StudyError
from eailab.recipe.factors import resolve
from eailab.recipe.identity import canonical, digest
from eailab.recipe.schema import Metric, Recipe, recipe_adapter
from eailab.recipe.variation import differences, vary
from eailab.runs.atomic import write_text
from eailab.runs.store import SCHEMA_VERSION, Trial


@dataclass(frozen=True)
class Arm:
    """One level of the factor, and the recipe that it makes."""

    level: Any
    recipe: Recipe
    brought: tuple[str, ...] = ()
    """Settings that the level brings with it, such as the momentum of sgd; one sentence each."""

    @property
    def label(self) -> str:
        """The level as a person writes it."""
        return self.level if isinstance(self.level, str) else json.dumps(self.level)


@dataclass(frozen=True)
class Study:
    """Arms that differ in one factor, each trained in the same blocks; a single trial is a study of one arm."""

    name: str
    factor: str | None
    """Dotted path of the varied field; None for a single recipe."""
    arms: tuple[Arm, ...]
    baseline: int
    """Index of the arm that the others are compared with."""
    blocks: tuple[int, ...]
    metric: Metric
    margin: float

    @property
    def fingerprint(self) -> str:
        """Ten hexadecimal digits over all but the blocks and the name, so that adding blocks goes on with a study."""
        return digest(
            {
                "factor": self.factor,
                "arms": [canonical(arm.recipe) for arm in self.arms],
                "baseline": self.baseline,
                "metric": self.metric,
                "margin": self.margin,
                # A single trial is a study of its own for each block; see `single`.
                "block": self.blocks[0] if self.factor is None else None,
            }
        )[:10]

    @property
    def folder_name(self) -> str:
        """The name, made safe for any file system, and the fingerprint."""
        return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', self.name).strip('-')[:80] or 'study'}-{self.fingerprint}"

    def trials(self, data: Mapping[str, str]) -> dict[tuple[int, int], Trial]:
        """Return the trials by arm index and block, block by block, so that an interrupted study has whole blocks.

        Args:
            data: Fingerprint of each data set by its name in the recipe.
        """
        return {
            (index, block): Trial(arm.recipe, block, data[arm.recipe.data.name])
            for block in self.blocks
            for index, arm in enumerate(self.arms)
        }


def single(recipe: Recipe, block: int) -> Study:
    """Return the study of one trial."""
    return Study(
        name=recipe.name,
        factor=None,
        arms=(Arm(recipe.name, recipe),),
        baseline=0,
        blocks=(block,),
        metric=recipe.study.metric,
        margin=recipe.study.margin,
    )


def one_factor(
    recipe: Recipe, factor: str, levels: Sequence[Any], blocks: Sequence[int], baseline: Any | None = None
) -> Study:
    """Return the study that varies one field of a recipe.

    Args:
        recipe: What every arm has in common.
        factor: The field, by its short name or its dotted path.
        levels: Its values, at least two of them distinct.
        blocks: Numbers of the blocks.
        baseline: The level that the others are compared with; None takes the recipe's own value where it is among the
            levels, else the first level.

    Raises:
        StudyError: Fewer than two distinct levels, a level twice, a baseline that is no level, no blocks, or arms that
            differ in more than the factor.
        RecipeError: A factor that no recipe of this engine has, or a level that is no value of it.
    """
    if not blocks:
        raise StudyError("a study needs at least one block: give --seeds 1 or more (5 is the default).")
    path = resolve(factor, recipe)
    varied = [vary(recipe, path, level) for level in levels]
    arms = tuple(Arm(level, v.recipe, v.brought) for level, v in zip(levels, varied, strict=True))
    recipes = [canonical(arm.recipe) for arm in arms]
    for index, arm in enumerate(arms):
        if (first := recipes.index(recipes[index])) != index:
            raise StudyError(
                f"the levels {arms[first].label} and {arm.label} of {path} make the same recipe: name each level once."
            )
    if len(arms) < 2:
        raise StudyError(
            f"{path} has {len(arms)} level: a comparison needs two or more, "
            f"such as `eailab ablate {factor} {' '.join(arm.label for arm in arms)} OTHER`."
        )
    index = _baseline(recipe, path, arms, baseline)
    _check_control(path, arms, index)
    return Study(
        name=f"{recipe.name}-{path.removesuffix('.name').rpartition('.')[2].replace('_', '-')}",
        factor=path,
        arms=arms,
        baseline=index,
        blocks=tuple(blocks),
        metric=recipe.study.metric,
        margin=recipe.study.margin,
    )


def updates(recipe: Recipe, training_images: int) -> int:
    """Return the optimizer steps of a trial."""
    return recipe.epochs * ceil(training_images / recipe.batch_size)


def _baseline(recipe: Recipe, path: str, arms: Sequence[Arm], wanted: Any | None) -> int:
    target = canonical(recipe if wanted is None else vary(recipe, path, wanted).recipe)
    for index, arm in enumerate(arms):
        if canonical(arm.recipe) == target:
            return index
    if wanted is None:
        return 0
    raise StudyError(
        f"the baseline {wanted} is none of the levels of {path}: {', '.join(arm.label for arm in arms)}. "
        "Add it to the levels, or choose one of them."
    )


def _check_control(path: str, arms: Sequence[Arm], baseline: int) -> None:
    """Refuse arms that differ in more than the factor; a variant's own settings come with it."""
    part = path.removesuffix(".name")
    for arm in arms:
        other = {
            field: values
            for field, values in differences(arms[baseline].recipe, arm.recipe).items()
            if field != part and not field.startswith(f"{part}.")
        }
        if other:
            listed = "; ".join(f"{field}: {a} against {b}" for field, (a, b) in other.items())
            raise StudyError(f"the arm {arm.label} of {path} changes more than its factor ({listed}).")


# --- the record of a study -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StudyRecord:
    """A study as it lies in the store, with the names of its trials."""

    study: Study
    trials: dict[tuple[int, int], str]
    """Fingerprint of each trial by arm index and block."""
    updates: tuple[int, ...]
    """Optimizer steps of a trial of each arm."""
    training_images: int


def write_record(folder: Path, record: StudyRecord) -> None:
    """Write `study.yaml`; what it says depends on nothing but the plan.

    Raises:
        StoreError: The folder cannot be written.
    """
    study = record.study
    mapping = {
        "schema_version": SCHEMA_VERSION,
        "name": study.name,
        "fingerprint": study.fingerprint,
        "factor": study.factor,
        "baseline": study.baseline,
        "blocks": list(study.blocks),
        "metric": study.metric,
        "margin": study.margin,
        "training_images": record.training_images,
        "arms": [
            {
                "level": arm.level,
                "brought": list(arm.brought),
                "updates": record.updates[index],
                "trials": {str(block): record.trials[index, block] for block in study.blocks},
                "recipe": arm.recipe.model_dump(mode="json"),
            }
            for index, arm in enumerate(study.arms)
        ],
    }
    text = yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, width=120)
    file = folder / "study.yaml"
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        write_text(file, text)


def read_record(folder: Path) -> StudyRecord:
    """Read `study.yaml`.

    Raises:
        StoreError: The file is missing, damaged, or of a newer version.
    """
    file = folder / "study.yaml"
    try:
        mapping: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        if mapping["schema_version"] > SCHEMA_VERSION:
            raise StoreError(
                f"{file} has schema version {mapping['schema_version']}, this eailab knows {SCHEMA_VERSION}: "
                "install a newer eailab."
            )
        arms = mapping["arms"]
        study = Study(
            name=mapping["name"],
            factor=mapping["factor"],
            arms=tuple(
                Arm(arm["level"], recipe_adapter.validate_python(arm["recipe"]), tuple(arm["brought"])) for arm in arms
            ),
            baseline=mapping["baseline"],
            blocks=tuple(mapping["blocks"]),
            metric=mapping["metric"],
            margin=mapping["margin"],
        )
        trials = {(index, block): arm["trials"][str(block)] for index, arm in enumerate(arms) for block in study.blocks}
        return StudyRecord(study, trials, tuple(arm["updates"] for arm in arms), mapping["training_images"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise StoreError(f"{file} cannot be read as a study: {error}. Run the study's command again.") from error
