"""Verify the studies of a store, whose records must follow from their recipes and trials, and remove studies."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import get_args
from uuid import uuid4

from eailab.data.registry import SOURCES
from eailab.data.split import training_size
from eailab.errors import DamagedError, RecipeError, StoreError, UsageError
from eailab.files import PLAN, STUDY, read
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import canonical, write
from eailab.recipe.networks import Foreign, Module, names_network, network_of
from eailab.recipe.override import names_variant, vary_together
from eailab.recipe.validate import value_at
from eailab.runs import atomic
from eailab.runs.damage import name_is_right
from eailab.runs.lock import in_training_error, is_held
from eailab.runs.store import Store, StoreProblem, delete, remove
from eailab.runs.trial import Trial
from eailab.seeding import is_for_tuning
from eailab.studies.design import Arm, Study, updates
from eailab.studies.factor import CROSS, Crossing, Setting
from eailab.studies.heads import ENDS, STEPS, TUNING, Head, PathHead, uses
from eailab.studies.imported_files import problems as source_problems
from eailab.studies.path_ablation import Order
from eailab.studies.path_run import is_of_ends, is_step, path_ablation_of, read_steps
from eailab.studies.plan import hold_updates
from eailab.studies.storage import StudyRecord, read_record
from eailab.studies.tuning_check import tuning_contradictions
from eailab.studies.tuning_file import read_tuning

Values = Mapping[str, object]

_TRIAL = re.compile(rb"\b[0-9a-f]{20}\b")
_WAS = re.compile(r" \(was [^()]*\)")


def contradictions(store: Store, record: StudyRecord, images: Mapping[str, int]) -> Iterator[str]:
    """Yield what a study's record cannot say of its recipes and trials, a sentence each.

    Args:
        store: Where the trials lie.
        record: Of the study.
        images: Number of official training images of data sets that are at hand, by name; those of published ones are
            known without.
    """
    study = record.study
    if record.imported is not None:
        yield from source_problems(store.root / "studies" / study.folder_name, record.imported, study)
    values = [study.factor.values_of(arm.level) if study.factor else {} for arm in study.arms]
    yield from _labels(study, values)
    if not _axes_are_right(study):
        yield "its axes are not those of its arms"
    if not _brought_is_right(study, values):
        yield "the settings that its levels bring are not those of its recipes"
    for arm in study.arms:
        if (arm.recipe.study.metric, arm.recipe.study.margin) != (study.metric, study.margin):
            yield f"metric or margin are not those of the recipe of {arm.label}"
    yield from _updates(record, _sizes(images))
    yield from _names(store, record)


def problems(store: Store) -> Iterator[StoreProblem]:
    """Yield records of studies that are damaged, or say what does not follow from their recipes and from the store.

    Raises:
        StoreError: The system forbids reading the folder.
    """
    loose = unnamed(store)
    for folder in store.study_folders():
        try:
            record = read_record(folder)
        except DamagedError as error:
            yield StoreProblem(folder, str(error))
            continue
        if record.study.folder_name != folder.name and not record.study.data:
            yield StoreProblem(
                folder, f"{folder} contains another study than its name says, {record.study.folder_name}."
            )
        yield from (StoreProblem(folder, f"{folder}: {found}.") for found in contradictions(store, record, {}))
        try:
            tuning = read_tuning(folder)
            wrong = tuning_contradictions(store, record, tuning)
            yield from (StoreProblem(folder / TUNING, f"{folder / TUNING}: {found}.") for found in wrong)
        except DamagedError as error:
            yield StoreProblem(folder / TUNING, str(error))
        if left_out := blocks_left_out(record, loose):
            yield StoreProblem(folder, f"{folder} {left_out}.")
    for folder in sorted({file.parents[2] for file in store.root.glob(STEPS)}):
        yield from (StoreProblem(folder, f"{folder}: {found}.") for found in path_contradictions(store, folder, loose))


def path_contradictions(store: Store, folder: Path, loose: "Unnamed") -> Iterator[str]:
    """Yield what the records of a path ablation cannot say of its two recipes and its trials, a sentence each."""
    try:
        records = read_steps(folder)
        found = path_ablation_of(folder, records)
    except StoreError as error:
        yield str(error).removesuffix(".")
        return
    path = found.path
    if not is_of_ends(found.ends.study, path):
        yield f"the study {ENDS} does not compare its two recipes"
    if found.is_finished or path.order == "gain":
        named = {
            replace(path, order=order, data=data).folder_name for order in get_args(Order) for data in (path.data, {})
        }
        if folder.name not in named:
            yield f"it contains another path than its name says, {path.folder_name}"
    for name, record in records.items():
        left = {str(arm.level) for arm in record.study.arms[1:]}
        taken = [move for move in path.moves if move.label not in left]
        if path.order == "listed":
            taken = list(path.moves[: int(name) - 1]) if name.isdecimal() else []
        if name != ENDS and (name != str(len(taken) + 1) or not is_step(record.study, path, taken)):
            yield f"{name} is not a step between its two recipes"
        updates_and_names = (*_updates(record, _sizes({})), *_names(store, record))
        yield from (f"{wrong} (in {name})" for wrong in updates_and_names)
        if left_out := blocks_left_out(record, loose):
            yield f"{name} {left_out}"


def _sizes(images: Mapping[str, int]) -> dict[str, int]:
    """Return the numbers of training images that are known: of published data sets, and of those at hand."""
    return {name: source.train for name, source in SOURCES.items()} | dict(images)


@dataclass(frozen=True)
class Unnamed:
    """Trials of a store that no study names."""

    present: frozenset[str]
    """Names of all trials."""
    where: Mapping[str, tuple[int, str]]
    """Block and data of each that no study names."""


def unnamed(store: Store) -> Unnamed:
    """Return the trials that no study and no step of a path ablation names."""
    present = frozenset(store.trial_names())
    named = set[str]()
    for kind, files in ((STUDY, "study.yaml"), (PLAN, TUNING)):
        for file in (store.root / "studies").rglob(files):
            with suppress(StoreError, FileNotFoundError):
                named |= {name.decode() for name in _TRIAL.findall(read(file, kind))}
    return Unnamed(present, {name: at for name in present - named if (at := _identity(store, name)) is not None})


def blocks_left_out(record: StudyRecord, loose: Unnamed) -> str:
    """Say which blocks a study leaves out whose trials are in the store, and no other study's; empty for none.

    Leaving out blocks that were trained would choose among results. A block counts where two arms have a trial of it;
    of a study with one arm in several blocks, where that arm has.
    """
    study = record.study
    if len(study.arms) == 1 and len(study.blocks) == 1:
        return ""
    found = set[int]()
    for name, (block, data) in loose.where.items():
        of_arms = {Trial(arm.recipe, block, data).fingerprint for arm in study.arms}
        if is_for_tuning(block):
            continue
        if block not in study.blocks and name in of_arms and len(of_arms & loose.present) >= min(2, len(study.arms)):
            found.add(block)
    return f"leaves out blocks that were trained: {', '.join(map(str, sorted(found)))}" if found else ""


def _identity(store: Store, name: str) -> tuple[int, str] | None:
    """Return the block and the data of a trial; None where its files do not say them."""
    try:
        return store.folder(name).identity()
    except StoreError:
        return None


# --- labels ----------------------------------------------------------------------------------------------------------


def _labels(study: Study, values: Sequence[Values | None]) -> Iterator[str]:
    """Yield arms whose level, put into their recipe, changes it."""
    if study.factor is None and (len(study.arms) != 1 or study.arms[0].level != study.arms[0].recipe.name):
        yield "a study without a factor has the one arm that its recipe names"
    for arm, level in zip(study.arms, values, strict=True):
        if not level:
            continue
        try:
            varied = vary_together(arm.recipe, _of_recorded_code(level, arm.recipe)).recipe
            is_its_own = canonical(varied) == canonical(arm.recipe)
        except (UsageError, KeyError, TypeError):
            is_its_own = not isinstance(study.factor, Setting)  # a name of its author's
        if not is_its_own:
            yield f"the arm {arm.label} has another level in its recipe"


def _of_recorded_code(level: Values, recipe: Recipe) -> Values:
    """Return a level with what identifies the code of its arm's network, so that neither file nor library is asked.

    They may have changed since, or be gone: the record is right all the same.
    """
    model = None if recipe.images is None else recipe.images.model
    if not isinstance(model, Foreign):
        return level
    identity = {"code": model.code} if isinstance(model, Module) else {"version": model.version}
    found, named = dict(level), level.get("model.name")
    if isinstance(named, str) and names_network(named):
        named = network_of(named)
    if isinstance(named, Mapping):
        found["model.name"] = {**named, **identity}
    if "model.file" in found:
        found["model.code"] = identity.get("code")
    return found


def _axes_are_right(study: Study) -> bool:
    """Return whether the axes of a factorial make its arms, in their order; another study has none."""
    if not isinstance(study.factor, Crossing):
        return not study.axes
    baseline = 0
    for axis in study.axes:
        baseline = baseline * len(axis.levels) + axis.baseline
    made = [CROSS.join(levels) for levels in product(*(axis.levels for axis in study.axes))]
    factors = tuple(axis.factor for axis in study.axes)
    return (factors, made, baseline) == (study.factor.factors, [arm.level for arm in study.arms], study.baseline)


def _brought_is_right(study: Study, values: Sequence[Values | None]) -> bool:
    """Return whether what the levels bring follows from the recipes.

    It was said of the recipe that the levels were put into, which is an arm as a rule; where it is none, what a level
    brings must be in its recipe, and what it drops cannot be known.
    """
    if all(level is not None for level in values):
        for base in (study.arms[study.baseline], *study.arms):
            if all(
                _brings(base.recipe, _of_recorded_code(level or {}, arm.recipe)) == arm.brought
                for arm, level in zip(study.arms, values, strict=True)
            ):
                return True
    return all(_could_bring(arm, list(level or {})) for arm, level in zip(study.arms, values, strict=True))


def _brings(base: Recipe, level: Values) -> tuple[str, ...] | None:
    try:
        return vary_together(base, level).brought if level else ()
    except (RecipeError, KeyError, TypeError):
        return None


def _could_bring(arm: Arm, paths: list[str]) -> bool:
    """Return whether each sentence names a part of the recipe as it is, with settings as they are."""
    parts = {path.removesuffix(".name") for path in paths if names_variant(arm.recipe.engine, path)}
    if len(arm.brought) > len(parts) or (len(paths) == 1 and len(arm.brought) != len(parts)):
        return False
    for said in arm.brought:
        for part in parts:
            own = value_at(arm.recipe.model_dump(), tuple(part.split(".")))
            begin = f"{part.rpartition('.')[2]} {own['name']} "
            brought = _WAS.sub("", said.removeprefix(begin).removeprefix("brings ")).partition("drops ")[0]
            for key, value in own.items():
                brought = brought.replace(f"{key} {write(value)}", "", 1)
            if said.startswith(begin) and not brought.replace("nothing else", "").replace(" and ", "").strip(", "):
                break
        else:
            return False
    return True


# --- numbers ---------------------------------------------------------------------------------------------------------


def _updates(record: StudyRecord, images: Mapping[str, int]) -> Iterator[str]:
    """Yield numbers of training images and updates that do not follow from the recipes and the data's size."""
    study = record.study
    sizes: list[int | None] = []
    for arm in study.arms:
        settings = arm.recipe.images.data if arm.recipe.images else None
        if settings is None:
            sizes.append(None)
        elif settings.name in images:
            sizes.append(training_size(images[settings.name], settings))
        elif settings.limit is not None:
            sizes.append(settings.limit)
        else:  # of data that are not here the record's own number is all there is
            sizes.append(record.training_images)
    if sizes[study.baseline] != record.training_images:
        yield f"it says {record.training_images} training images, and there are {sizes[study.baseline]}"
        return
    for arm, said, size in zip(study.arms, record.updates, sizes, strict=True):
        if (derived := updates(arm.recipe, size)) != said:
            yield f"it says {said} updates of {arm.label}, and its recipe makes {derived}"
    held = hold_updates(study, sizes)
    if [arm.recipe.epochs for arm in held.arms] != [arm.recipe.epochs for arm in study.arms]:
        yield "its epochs do not hold the updates"


def _names(store: Store, record: StudyRecord) -> Iterator[str]:
    """Yield trials that are not named after their arm and block, by the data of those that have ended."""
    data: dict[str | None, tuple[str, object]] = {}
    for (index, _), name in record.trials.items():
        dataset = record.study.arms[index].recipe.data_name or str(index)
        if dataset in data:
            continue
        with suppress(StoreError):
            result = store.folder(name).record()
            if result is not None:
                data[dataset] = result["data"], result["engine_version"]
    for (index, block), name in record.trials.items():
        arm = record.study.arms[index]
        if (of := data.get(arm.recipe.data_name or str(index))) and not name_is_right(arm.recipe, block, *of, name):
            yield f"{name} is not the trial of {arm.label} in block {block}"


# --- removing a study -------------------------------------------------------------------------------------------------


def own_trials(store: Store, study: Head | PathHead, found: Sequence[Head]) -> list[str]:
    """Return the trials in the store that this study, or path ablation, has alone among all studies and all steps.

    Raises:
        StoreError: A study cannot be read, so that it is not known which trials it has.
    """
    others = [head for head in found if not head.folder.is_relative_to(study.folder)]
    if unread := [head for head in others if not head.trials and not head.is_imported]:
        raise StoreError(
            f"{unread[0].folder / 'study.yaml'} cannot be read, and may name trials of {study.called}: run its "
            "command again, or move it aside with `eailab runs verify --repair`."
        )
    present, shared = set(store.trial_names()), set(uses(others))
    return sorted(name for name in study.fingerprints & present if name not in shared)


def remove_study(store: Store, study: Head | PathHead, trials: Sequence[str]) -> None:
    """Delete a study's folder, and then those of its trials that `own_trials` returns, for good.

    Raises:
        StoreError: A process is training one of the trials, or something cannot be removed.
    """
    for name in trials:
        if is_held(folder := store.folder(name).path):
            raise in_training_error(folder, name)
    atomic.refuse_links(study.folder.parent, study.folder)
    aside = store.root / f".removed-{study.folder.name}-{uuid4().hex[:8]}"
    atomic.rename(study.folder, aside)
    for name in trials:
        remove(store, store.folder(name))
    delete(aside)
