"""Find what the record of a tuning cannot say of the trials that it names, and of the arms that it chose."""

from collections.abc import Iterator, Sequence
from math import inf

from eailab.errors import StoreError
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import NO_IDENTITY
from eailab.recipe.factors import level_of
from eailab.recipe.override import differences
from eailab.runs.damage import name_is_right
from eailab.runs.store import Store
from eailab.seeding import is_for_tuning
from eailab.studies.design import Study
from eailab.studies.factor import typed
from eailab.studies.storage import StudyRecord
from eailab.studies.tuning_file import TunedArm, Tuning, TuningTrial


def tuning_contradictions(store: Store, record: StudyRecord, tuning: Tuning | None) -> Iterator[str]:
    """Yield what the tuning of a study's arms cannot say of its trials and winners, a sentence each.

    Nothing is said of trials that are not in the store any more, nor where it is not known how arms were tuned.
    """
    if tuning is None:
        return
    study = record.study
    labels = [label for arm in tuning.arms for label in arm.labels]
    if (tuning.metric, labels) != (study.metric, [arm.label for arm in study.arms]):
        yield "its tuning is of other arms, or by another metric"
        return
    arms = iter(study.arms)
    for tuned in tuning.arms:
        own = [next(arms) for _ in tuned.labels]
        yield from _not_chosen(study, tuning, tuned, [arm.recipe for arm in own])
        for one in tuned.trainings:
            if (wrong := _wrong(store, study, own[0].recipe, tuned, one)) is not None:
                yield f"{one.trial}, {one.value} of {tuned.before} in tuning block {one.block}, {wrong}"


def _not_chosen(study: Study, tuning: Tuning, tuned: TunedArm, recipes: Sequence[Recipe]) -> Iterator[str]:
    """Yield which values of an arm do not follow from its trainings, by the recipes of the study's arms of it."""
    values = [one.value for one in tuned.carried] or [tuned.winner]
    if tuned.settings:
        for recipe, value in zip(recipes, values, strict=True):
            if _value(recipe, tuned) != value:
                yield f"{value} is not what the tuning of {tuned.before} chose"
    higher = study.measure.higher_is_better
    if not tuning.again or not tuned.settings:
        ranked = _ranked(tuned.trainings, higher_is_better=higher) if tuned.settings else [{""}]
        rest = list(values)
        for equal in ranked:
            here = [value for value in rest[: len(equal)] if value in equal]
            rest = rest[len(here) :]
            if not here:
                break
        if rest or tuned.winner != values[0]:
            yield f"{(rest or [tuned.winner])[0]} is not what the tuning of {tuned.before} chose"
        return
    size = len(tuning.blocks) // len(tuning.again)
    for number, block in enumerate(tuning.again):
        own = set(tuning.blocks[size * number : size * (number + 1)])
        ranked = _ranked([one for one in tuned.trainings if one.block in own], higher_is_better=higher)
        chosen = {one.value for one in tuned.carried if block in one.blocks}
        if len(chosen) != 1 or not ranked or not chosen <= ranked[0]:
            named = ", ".join(sorted(chosen)) or "none"
            yield f"{named} is not what the tuning of {tuned.before} for block {block} chose"


def _value(recipe: Recipe, tuned: TunedArm) -> str:
    return typed(tuple(level_of(recipe, path) for path in tuned.settings))


def _ranked(trainings: Sequence[TuningTrial], *, higher_is_better: bool) -> list[set[str]]:
    """Return the values that were trained in most blocks by their means, best first; equal ones are one set."""
    scores: dict[str, list[float | None]] = {}
    for one in trainings:
        scores.setdefault(one.value, []).append(one.score)
    most = max(map(len, scores.values()), default=0)
    by_mean: dict[float, set[str]] = {}
    for value, found in scores.items():
        if len(found) == most:
            known = [one for one in found if one is not None]
            mean = sum(known) / most if len(known) == most else (-inf if higher_is_better else inf)
            by_mean.setdefault(mean, set()).add(value)
    return [by_mean[mean] for mean in sorted(by_mean, reverse=higher_is_better)]


def _wrong(store: Store, study: Study, winner: Recipe, tuned: TunedArm, one: TuningTrial) -> str | None:
    """Return what does not fit of a training; None where all does, or its trial cannot be read, which is said of it."""
    try:
        folder = store.folder(one.trial)
        record, result = folder.record(), folder.result(thorough=False)
        if record is None or result is None:
            return None
        recipe = folder.recipe()
    except StoreError:
        return None
    if not is_for_tuning(one.block) or not name_is_right(
        recipe, one.block, record["data"], record["engine_version"], one.trial
    ):
        return "is another trial"
    parts = tuple(f"{path.removesuffix('.name')}." for path in tuned.settings if path.endswith(".name"))
    others = [
        path
        for path in differences(winner, recipe)
        if path.partition(".")[0] not in NO_IDENTITY and path not in tuned.settings and not path.startswith(parts)
    ]
    if others or _value(recipe, tuned) != one.value:
        return "is of another recipe"
    score = None if result.status != "finished" else study.measure.value(result.values)
    return None if score == one.score else f"has the score {score} in the store, not {one.score}"
