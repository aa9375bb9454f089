"""Make arms and trials of controlled studies from factors and levels, checked before anything is trained."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, product
from math import ceil
from typing import Any, Literal

from eailab.engines.registry import metric_of
from eailab.errors import Correction, StudyError
from eailab.files import folder_name
from eailab.metrics import Metric
from eailab.recipe.base import ImageRecipe, Recipe
from eailab.recipe.canonical import canonical, digest, write
from eailab.recipe.factors import choices_of, level_of
from eailab.recipe.override import differences, vary_together
from eailab.runs.trial import OWN_DATA, Trial
from eailab.seeding import LARGEST_BLOCK, LARGEST_NUMBER_OF_TUNING_BLOCKS, TUNING_BLOCKS, is_for_tuning
from eailab.studies.factor import (
    CROSS,
    Bundle,
    Crossing,
    Factor,
    FactorLevels,
    Setting,
    factor_of,
    label,
    listed,
    typed,
)

Hold = Literal["epochs", "updates"]
"""What arms have in common when a level changes the updates of an epoch."""


@dataclass(frozen=True)
class Arm:
    """One level of the factor, and the recipe that it makes."""

    level: Any
    """A value; of a bundle or a factorial the label, such as `adam+0.001` or `adam × steplr`."""
    recipe: Recipe
    brought: tuple[str, ...] = ()
    """Settings that the level brings with it, such as the momentum of sgd; one sentence each."""
    name: str = ""
    """What a person calls the level: in a study file, or by `--labels`."""

    @property
    def label(self) -> str:
        """Return what tables and figures call it: the name that a person gives, else the level in words."""
        return self.name or label((self.level,))


@dataclass(frozen=True)
class FactorialAxis:
    """One factor of a factorial."""

    factor: Setting | Bundle
    levels: tuple[str, ...]
    """Labels, in the order in which the arms run."""
    baseline: int
    """Index of the baseline's level."""


@dataclass(frozen=True)
class Study:
    """Arms that differ in one factor, each trained in the same blocks; a single trial is a study of one arm."""

    name: str
    factor: Factor | None
    """None for a single recipe."""
    arms: tuple[Arm, ...]
    baseline: int
    """Index of the arm that the others are compared with."""
    blocks: tuple[int, ...]
    metric: str
    margin: float
    hold: Hold = "epochs"
    axes: tuple[FactorialAxis, ...] = ()
    """Of a factorial, whose arms are all combinations, the last axis running fastest; else empty."""
    looks: tuple[int, ...] = ()
    """Numbers of blocks after which arms may be decided and then need no more; empty for one look at the end."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Fingerprints of a person's own data sets, by the paths that the recipes have. Empty before they are read, and in
    studies of earlier versions of eailab, which the paths named."""

    def __post_init__(self) -> None:
        """Refuse a block or a metric that is not one, whoever names it: a flag, a file, a path's step, a store."""
        _ = self.measure
        if wrong := [block for block in self.blocks if not 0 <= block <= LARGEST_BLOCK]:
            raise StudyError(f"{wrong[0]} is not a block: give whole numbers from 0 to {LARGEST_BLOCK}.")

    @property
    def fingerprint(self) -> str:
        """Return ten hexadecimal digits over all but blocks and name, so that adding blocks continues a study."""
        return digest(
            {
                "factor": None if self.factor is None else str(self.factor),
                "arms": [canonical(arm.recipe, by_content(self.data)) for arm in self.arms],
                "baseline": self.baseline,
                "metric": self.metric,
                "margin": self.margin,
                "hold": self.hold,
                "looks": self.looks,
                # A single trial is a study of its own for each block; see `single`.
                "block": self.blocks[0] if self.factor is None else None,
            }
        )[:10]

    @property
    def measure(self) -> Metric:
        """Return what its arms are judged by, as the engine declares it."""
        return metric_of(self.arms[0].recipe, self.metric)

    @property
    def folder_name(self) -> str:
        """Return the name, made safe for any file system, and the fingerprint."""
        return folder_name(self.name, self.fingerprint)

    def trials(self, data: Sequence[str]) -> dict[tuple[int, int], Trial]:
        """Return the trials by arm index and block, block by block, so that an interrupted study has whole blocks.

        `data` is what the trials of each arm depend on; see `Trial.data`.
        """
        return {
            (index, block): Trial(arm.recipe, block, data[index])
            for block in self.blocks
            for index, arm in enumerate(self.arms)
        }


def by_content(data: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for the paths of a person's own data where a study is named, as `canonical` takes it."""
    return {path: f"{OWN_DATA}:{fingerprint}" for path, fingerprint in data.items()}


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


def repeated(recipe: Recipe, blocks: Sequence[int]) -> Study:
    """Return the study of one recipe in several blocks, which shows how much its trials differ by chance.

    Raises:
        StudyError: There are fewer than two blocks.
    """
    refuse_tuning_blocks(blocks)
    if len(blocks) < 2:
        raise StudyError("one trial has no spread: give two blocks or more, such as 10 seeds.")
    return replace(single(recipe, blocks[0]), name=f"{recipe.name}-noise", blocks=tuple(blocks))


def one_at_a_time(
    recipe: Recipe, factors: Sequence[FactorLevels], blocks: Sequence[int], hold: Hold = "epochs"
) -> tuple[Study, ...]:
    """Return a study for each factor, all with one baseline, whose trials they share; see `studies_of`.

    Args:
        recipe: What every arm has in common.
        factors: One or more, no setting in two of them.
        blocks: Numbers of the blocks.
        hold: See `Study.hold`; the epochs are only set when the data are known, by `hold_updates.hold_updates`.

    Raises:
        StudyError: Fewer than two distinct levels, a level or factor twice, a baseline that is not a level, no blocks,
            or arms that differ in more than the factor.
        RecipeError: A factor that no recipe of this engine has, or a level that is not a value of it.
    """
    return studies_of(recipe, resolved(recipe, factors), blocks, hold)


def studies_of(
    recipe: Recipe, factors: Sequence["ResolvedFactor"], blocks: Sequence[int], hold: Hold
) -> tuple[Study, ...]:
    """Return a study for each of some factors; see `one_at_a_time`.

    A factor's baseline is the recipe's own value where it is among the levels, else the first level; while one factor
    varies, the others stand at theirs.
    """
    studies = []
    for one in factors:
        others = dict(chain.from_iterable(other.at_baseline.items() for other in factors if other is not one))
        base = vary_together(recipe, others).recipe if others else recipe
        arms = one.arms if base == recipe else one.arms_from(base)
        studies.append(_study(recipe, one.factor, arms, one.baseline, blocks, hold))
    return tuple(studies)


def all_combinations(
    recipe: Recipe, factors: Sequence[FactorLevels], blocks: Sequence[int], hold: Hold = "epochs"
) -> Study:
    """Return the full factorial of two or more factors; see `one_at_a_time` for the baseline and what is refused."""
    if len(factors) < 2:
        raise StudyError("--cross combines factors, and there is one: name another, such as --and stem=7x7,3x3.")
    every = resolved(recipe, factors)
    arms = []
    for combination in product(*(range(len(one.arms)) for one in every)):
        chosen = list(zip(every, combination, strict=True))
        varied = vary_together(recipe, dict(chain.from_iterable(one.values[at].items() for one, at in chosen)))
        arms.append(Arm(CROSS.join(one.labels[at] for one, at in chosen), varied.recipe, varied.brought))
    baseline = 0
    for one in every:
        baseline = baseline * len(one.arms) + one.baseline
    axes = tuple(FactorialAxis(one.factor, one.labels, one.baseline) for one in every)
    return _study(recipe, Crossing(tuple(one.factor for one in every)), tuple(arms), baseline, blocks, hold, axes)


def updates(recipe: Recipe, training_images: int | None) -> int | None:
    """Return the optimizer steps of a trial; None of one that does not train on images."""
    if recipe.images is None or training_images is None:
        return None
    return recipe.epochs * steps_an_epoch(recipe.images, training_images)


def steps_an_epoch(recipe: ImageRecipe, training_images: int) -> int:
    """Return the optimizer steps of an epoch, the last of which may have fewer images."""
    return ceil(training_images / recipe.batch_size)


@dataclass(frozen=True)
class ResolvedFactor:
    """A factor and its levels, resolved against a recipe."""

    factor: Setting | Bundle
    values: tuple[dict[str, Any], ...]
    """The settings of each level, by dotted path."""
    arms: tuple[Arm, ...]
    """Of the levels, where the recipe's other settings are its own."""
    baseline: int

    @property
    def at_baseline(self) -> dict[str, Any]:
        """Return the settings of the baseline's level."""
        return self.values[self.baseline]

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the levels in words, or as a study file names them."""
        return tuple(arm.label for arm in self.arms)

    def arms_from(self, base: Recipe) -> tuple[Arm, ...]:
        """Return the arms of the levels put into another recipe."""
        pairs = zip(self.arms, self.values, strict=True)
        return tuple(_arm(base, arm.level, values, arm.name) for arm, values in pairs)


def _arm(recipe: Recipe, level: Any, values: Mapping[str, Any], name: str) -> Arm:
    varied = vary_together(recipe, values)
    return Arm(level, varied.recipe, varied.brought, name)


def resolved(recipe: Recipe, factors: Sequence[FactorLevels]) -> list[ResolvedFactor]:
    """Resolve factors against a recipe, and refuse those that make no comparison; see `one_at_a_time`."""
    seen: dict[str, str] = {}
    every = []
    for factor in factors:
        paths = factor.paths(recipe)
        for path in paths:
            if path in seen:
                raise StudyError(f"{path} is varied twice, by {seen[path]} and by {factor.text}: name it once.")
            seen[path] = factor.text
        every.append(_resolved(recipe, factor, paths))
    return every


def _one_more_level(recipe: Recipe, factor: FactorLevels, paths: tuple[str, ...]) -> Correction | None:
    """Return a level to compare a single one with: the recipe's own, else another name, or half the number."""
    own = tuple(level_of(recipe, path) for path in paths)
    (level,) = factor.levels
    if own != level:
        return Correction(level=(factor.text, typed(own)))
    if len(paths) > 1:
        return None
    others = [one for one in choices_of(factor.text, recipe.engine) if one != typed(level)]
    value = level[0]
    if not others and isinstance(value, int | float) and not isinstance(value, bool) and value > 1e-30:
        others = [write(value // 2 or 2) if isinstance(value, int) else write(value / 2.0)]
    return Correction(level=(factor.text, others[0])) if others else None


def _resolved(recipe: Recipe, factor: FactorLevels, paths: tuple[str, ...]) -> ResolvedFactor:
    path = factor_of(paths)
    values = tuple(dict(zip(paths, level, strict=True)) for level in factor.levels)
    levels = tuple(label(level) if len(level) > 1 else level[0] for level in factor.levels)
    names = factor.names or ("",) * len(levels)
    arms = tuple(_arm(recipe, *one) for one in zip(levels, values, names, strict=True))
    labels = factor.labels
    recipes = [canonical(arm.recipe) for arm in arms]
    for index, one in enumerate(recipes):
        if (first := recipes.index(one)) != index:
            raise StudyError(
                f"the levels {labels[first]} and {labels[index]} of {path} make the same recipe: name each level once."
            )
        if (first := labels.index(labels[index])) != index:
            raise StudyError(
                f"the levels {typed(factor.levels[first])} and {typed(factor.levels[index])} of {path} are both called "
                f"{labels[index]}: add --labels one,other; in a study file, labels: [one, other]."
            )
    if len(values) < 2:
        raise StudyError(
            f"{path} has {len(values)} level{'s' * (not values)}: a comparison needs two or more.",
            _one_more_level(recipe, factor, paths) if values else None,
        )
    wanted = None if factor.baseline is None else dict(zip(paths, factor.baseline, strict=True))
    target = canonical(recipe if wanted is None else vary_together(recipe, wanted).recipe)
    if wanted is not None and target not in recipes:
        raise StudyError(
            f"the baseline {label(factor.baseline or ())} is none of the levels of {path}: {listed(labels)}. "
            "Add it to the levels, or choose one of them."
        )
    return ResolvedFactor(path, values, arms, recipes.index(target) if target in recipes else 0)


def _study(
    recipe: Recipe,
    factor: Factor,
    arms: tuple[Arm, ...],
    baseline: int,
    blocks: Sequence[int],
    hold: Hold,
    axes: tuple[FactorialAxis, ...] = (),
) -> Study:
    if not blocks:
        raise StudyError("a study needs at least one block: give --seeds 1 or more (5 is the default).")
    refuse_tuning_blocks(blocks)
    if hold == "updates" and recipe.images is None:
        raise StudyError(f"--hold updates needs batches of images, which {recipe.engine} does not have: leave it out.")
    if hold == "updates" and "epochs" in factor.settings:
        raise StudyError("--hold updates sets the epochs, so they cannot vary: leave it out, or choose another factor.")
    _check_control(factor, arms, baseline)
    return Study(
        name=f"{recipe.name}-{factor.word.replace('_', '-')}",
        factor=factor,
        arms=arms,
        baseline=baseline,
        blocks=tuple(blocks),
        metric=recipe.study.metric,
        margin=recipe.study.margin,
        hold=hold,
        axes=axes,
    )


def refuse_tuning_blocks(blocks: Iterable[int]) -> None:
    """Refuse blocks that tunings train in, so that no verdict rests on them.

    Raises:
        StudyError: There are such blocks.
    """
    if wrong := [block for block in blocks if is_for_tuning(block)]:
        last = TUNING_BLOCKS + LARGEST_NUMBER_OF_TUNING_BLOCKS - 1
        raise StudyError(
            f"block {wrong[0]} is for --tune, as all from {TUNING_BLOCKS} to {last} are, so that no verdict rests on "
            "them: name others."
        )


def _check_control(factor: Factor, arms: Sequence[Arm], baseline: int) -> None:
    """Refuse arms that differ in more than the factor; a variant's own settings come with it."""
    parts = [path.removesuffix(".name") for path in factor.settings]
    for arm in arms:
        other = {
            field: values
            for field, values in differences(arms[baseline].recipe, arm.recipe).items()
            if not any(field == part or field.startswith(f"{part}.") for part in parts)
        }
        if other:
            listed = "; ".join(f"{field}: {a} against {b}" for field, (a, b) in other.items())
            raise StudyError(f"the arm {arm.label} of {factor} changes more than its factor ({listed}).")
