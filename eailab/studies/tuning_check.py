"""Find what the record of a tuning cannot say of the trials that it names, and of the arms that it chose."""

from collections.abc import Iterator

from eailab.errors import StoreError
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import NO_IDENTITY
from eailab.recipe.factors import level_of
from eailab.recipe.override import differences
from eailab.runs.damage import name_is_right
from eailab.runs.store import Store
from eailab.seeding import is_for_tuning
from eailab.studies.design import Study
from eailab.studies.storage import StudyRecord
from eailab.studies.tuning import in_words
from eailab.studies.tuning_file import Trained, TunedArm, Tuning


def tuning_contradictions(store: Store, record: StudyRecord, tuning: Tuning | None) -> Iterator[str]:
    """Yield what the tuning of a study's arms cannot say of its trials and winners, a sentence each.

    Args:
        store: Where the trials lie; of those that are not there any more nothing is said.
        record: Of the study that compares the winners.
        tuning: None where they were not tuned, or it is not known how.
    """
    if tuning is None:
        return
    study = record.study
    if (tuning.metric, [arm.label for arm in tuning.arms]) != (study.metric, [arm.label for arm in study.arms]):
        yield "its tuning is of other arms, or by another metric"
        return
    for arm, tuned in zip(study.arms, tuning.arms, strict=True):
        best = _best(tuned, higher_is_better=study.measure.higher_is_better) if tuned.settings else {""}
        if tuned.winner not in best or (tuned.settings and _value(arm.recipe, tuned) != tuned.winner):
            yield f"{tuned.winner} is not what the tuning of {tuned.before} chose"
        for one in tuned.trainings:
            if (wrong := _wrong(store, study, arm.recipe, tuned, one)) is not None:
                yield f"{one.trial}, {one.value} of {tuned.before} in tuning block {one.block}, {wrong}"


def _value(recipe: Recipe, tuned: TunedArm) -> str:
    return in_words(tuple(level_of(recipe, path) for path in tuned.settings))


def _best(tuned: TunedArm, *, higher_is_better: bool) -> set[str]:
    """Return the values whose mean is the best of those that were trained in most blocks; equal ones are all best."""
    scores: dict[str, list[float | None]] = {}
    for one in tuned.trainings:
        scores.setdefault(one.value, []).append(one.score)
    most = max(map(len, scores.values()), default=0)
    last = {value: [one for one in found if one is not None] for value, found in scores.items() if len(found) == most}
    means = {value: sum(found) / most for value, found in last.items() if len(found) == most}
    best = (max if higher_is_better else min)(means.values(), default=None)
    return {value for value in last if means.get(value) == best}


def _wrong(store: Store, study: Study, winner: Recipe, tuned: TunedArm, one: Trained) -> str | None:
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
