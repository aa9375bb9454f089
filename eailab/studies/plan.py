"""Plan studies: name their trials, check them against the data, and ask the store which are finished."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from eailab.data.dataset import Dataset, largest_class
from eailab.data.registry import load, own_data
from eailab.data.split import training_size
from eailab.engines.equivalence import train_the_same
from eailab.engines.registry import engine_of, images_of
from eailab.errors import DamagedError, StoreError, StudyError
from eailab.plain import blocks_in_words, counted
from eailab.recipe.base import Recipe
from eailab.recipe.override import differences, vary
from eailab.runs.context import RunContext
from eailab.runs.records import Result
from eailab.runs.store import Store
from eailab.runs.trial import Trial
from eailab.seeding import LARGEST_BLOCK
from eailab.stats.group_sequential import judgement_levels
from eailab.stats.verdict import SINGLE_LOOK
from eailab.studies.design import Arm, Study, refuse_tuning_blocks, steps_an_epoch, updates
from eailab.studies.judgements import kept_judgements
from eailab.studies.own_code import notes_on_code
from eailab.studies.preregistration import planned_otherwise
from eailab.studies.sharing import Beyond, beyond
from eailab.studies.storage import Plan, StudyRecord, find_folder, read_record
from eailab.studies.tuning_file import sound_tuning
from eailab.translation import Text, joined, listed_and, tr, trn

MOST_BLOCKS = 10_000
"""The largest number of blocks that a count may ask for."""


def plan(study: Study, context: RunContext) -> Plan:
    """Load the data, name the trials, and ask the store which are finished; nothing is written.

    Blocks that the store's record of the same study has are kept, unless they were planned and never trained, and no
    running command and no frozen plan names them.

    Raises:
        DataError: The data are missing, or an arm does not fit them.
        RecipeError: An arm is not a valid network.
        StudyError: Two arms are the same trials.
    """
    # What its data make of the study.
    study, datasets, sizes = _with_data(study, context)
    made = tuple(updates(arm.recipe, size) for arm, size in zip(study.arms, sizes, strict=True))
    data = [_depends_on(arm.recipe, datasets, context) for arm in study.arms]

    # Where it lies, and the blocks that its record has and keeps.
    store, place = context.store, find_folder(context.store, study, data)
    folder, other_plans = place.folder, planned_otherwise(store, study)
    notes = [*held(study, made), *notes_on_equal_arms(study, datasets), *place.notes, *other_plans]
    notes += {gap: None for arm in study.arms for gap in engine_of(arm.recipe).gaps(arm.recipe, context.runs_dir)}
    notes += notes_on_code(store, study)
    before = _earlier_record(folder, notes) if (folder / "study.yaml").exists() else None
    if before is not None:
        others = beyond(store, folder, before, study.blocks)
        before = _without(before, others.idle)
        study = replace(study, blocks=tuple(sorted((*study.blocks, *others.kept))))
        notes += [] if study.looks else _notes_on(others)
    if before is not None and context.keep_code:
        data = _data_of(before, store, data)

    # Its trials, those without a result, and what its record had otherwise.
    trials = study.trials(data)
    record = StudyRecord(
        study=replace(place.study, blocks=study.blocks),
        trials={key: trial.fingerprint for key, trial in trials.items()},
        updates=made,
        training_images=sizes[study.baseline],
        largest_class=largest_class(datasets.values()) if before is None else before.largest_class,
    )
    if before is not None and any(record.trials.get(key) != name for key, name in before.trials.items()):
        what = _what_changed(study, before, store)
        notes.append(
            f"{what or 'the engine has changed'} since this study was last run: its table is made again, and the "
            f"trials that it had stay in {store.root / 'trials'}."
            + (" To continue them all the same, add --keep-code." if what else "")
        )
    found = look_up(store, trials)
    if damaged := found.damaged:
        rest = "" if len(damaged) == 1 else f" ({len(damaged)} in all: `eailab runs verify` names them)"
        notes.append(f"{damaged[0]} A trial with such a file is trained again{rest}.")
    if found.again:
        notes.append(f"{counted(found.again, 'trial')} timed out before and will be run again with more time.")
    judged = () if before is None else kept_judgements(before, record.trials, store, folder)
    if judged and not set(study.blocks) <= set(judged[-1]):
        with_blocks = " and ".join(str(len(blocks)) for blocks in judged)
        tuning = sound_tuning(folder)
        first, *_, level = judgement_levels(len(judged) + 1, SINGLE_LOOK if tuning is None else tuning.level)
        may_have_looks = tuning is None or not tuning.is_merged
        notes.append(
            f"this study was judged with {with_blocks} blocks already. Judgement {len(judged) + 1} is held at "
            f"{100.0 * level:.3g}%, since all that come after the first share {20.0 * first:.3g}%; an arm keeps the "
            "first verdict it gets."
            + (" --until-decided looks at levels that are fixed in advance." if may_have_looks else "")
        )

    # An arm that cannot be trained is refused before the others are.
    for number in sorted({number for number, _ in found.todo}):
        if (images := study.arms[number].recipe.images) is not None:
            shape = (sizes[number] or 0, *datasets[images.data.name].train.pixels.shape[1:])
            images_of(images).check_fit(images, shape)
            images_of(images).try_network(images, shape[1:], len(datasets[images.data.name].classes))
    todo = tuple(found.todo.values())
    return Plan(record, folder, tuple(trials.values()), todo, tuple(notes), found=found.results)


def folder_of(study: Study, context: RunContext) -> Path:
    """Return the folder that `plan` gives a study, without asking for its trials.

    Raises:
        DataError: The data are missing, or an arm does not fit them.
    """
    study, datasets, _ = _with_data(study, context)
    return find_folder(context.store, study, [_depends_on(arm.recipe, datasets, context) for arm in study.arms]).folder


def _with_data(study: Study, context: RunContext) -> tuple[Study, dict[str, Dataset], list[int | None]]:
    """Return a study as its data make it, these data by name, and how many images each arm trains on."""
    names = {arm.recipe.data_name for arm in study.arms}
    datasets = {name: load(name, context.data_dir) for name in names if name is not None}
    sizes = [_training_images(arm.recipe, datasets) for arm in study.arms]
    return replace(hold_updates(study, sizes), data=own_data(datasets)), datasets, sizes


def _training_images(recipe: Recipe, datasets: Mapping[str, Dataset]) -> int | None:
    images = recipe.images
    return None if images is None else training_size(len(datasets[images.data.name].train), images.data)


def _depends_on(recipe: Recipe, datasets: Mapping[str, Dataset], context: RunContext) -> str:
    """Return what the trials of a recipe depend on besides it; see `Trial.data`."""
    name = recipe.data_name
    if name is not None:
        return datasets[name].fingerprint
    return engine_of(recipe).inputs(recipe, context.data_dir, context.runs_dir)


def _what_changed(study: Study, before: StudyRecord, store: Store) -> str:
    """Say in what the trials of a study depend on other things than those that it had."""
    recipe = study.arms[study.baseline].recipe
    for name in before.trials.values():
        with suppress(StoreError):
            _, inputs = store.folder(name).identity()
            return engine_of(recipe).what_changed(recipe, store.root, inputs)
    return ""


def _data_of(before: StudyRecord, store: Store, data: Sequence[str]) -> list[str]:
    """Return what the trials that a study has depend on, by arm; what is given for arms without a trial."""
    kept = list(data)
    for (index, _), name in before.trials.items():
        with suppress(StoreError):
            kept[index] = store.folder(name).identity()[1]
    return kept


@dataclass(frozen=True)
class LookedUp:
    """The results that a store has of some trials, each read once."""

    todo: dict[tuple[int, int], Trial]
    """Those without a result that holds, and those that timed out and now have more time."""
    results: dict[str, Result]
    """Of the others, by fingerprint."""
    damaged: tuple[str, ...]
    """What is damaged of those that had a result."""
    again: int
    """How many timed out and now have more time."""


def look_up(store: Store, trials: Mapping[tuple[int, int], Trial]) -> LookedUp:
    """Return what a store has of some trials."""
    todo, results, damaged, again = dict[tuple[int, int], Trial](), dict[str, Result](), list[str](), 0
    for key, trial in trials.items():
        try:
            result = store.folder(trial.fingerprint).result()
        except DamagedError as error:
            result = None
            damaged.append(str(error))
        if result is not None and not result.has_more_time(trial.recipe.limit_seconds):
            results[trial.fingerprint] = result
        else:
            todo[key] = trial
            again += result is not None
    return LookedUp(todo, results, tuple(damaged), again)


def _without(record: StudyRecord, blocks: Collection[int]) -> StudyRecord:
    kept = tuple(block for block in record.study.blocks if block not in blocks)
    trials = {key: name for key, name in record.trials.items() if key[1] in kept}
    return replace(record, study=replace(record.study, blocks=kept), trials=trials)


def _notes_on(others: Beyond) -> list[str]:
    """Say which blocks that were not asked for stay or leave, and why."""
    said = (
        (others.begun, "were trained, wholly or in part: they stay, since leaving them out would choose among results"),
        (others.frozen, "are named by a frozen plan: they stay"),
        (others.running, "are planned by another command that is running: they stay"),
        (others.idle, "were planned and never trained: they leave this study"),
    )
    return [f"blocks that were not asked for ({blocks_in_words(blocks)}) {why}." for blocks, why in said if blocks]


def _earlier_record(folder: Path, notes: list[str]) -> StudyRecord | None:
    """Return the store's record of a study; note what will be done about a damaged one."""
    try:
        return read_record(folder)
    except DamagedError as error:
        notes.append(f"{error} It is set aside when the study is trained: name the blocks it had with --seeds, if any.")
        return None


def left_to_train(plans: Sequence[Plan]) -> tuple[Trial, ...]:
    """Return the trials without a result, block by block; one that several studies share comes once."""
    trials = {trial.fingerprint: trial for planned in plans for trial in planned.todo}
    return tuple(sorted(trials.values(), key=lambda trial: trial.block))


def labels(plans: Sequence[Plan]) -> dict[str, str]:
    """Return what to call each trial, by its fingerprint; what several studies share is their baseline."""
    named = {fingerprint: said for planned in plans for fingerprint, said in planned.labels.items()}
    uses = Counter(trial.fingerprint for planned in plans for trial in planned.trials)
    shared = {
        trial.fingerprint: f"baseline, block {trial.block}"
        for planned in plans
        for trial in planned.trials
        if uses[trial.fingerprint] > 1
    }
    return named | shared


def parse_blocks(text: str) -> tuple[int, ...]:
    """Read `--seeds`: a count (`5` is blocks 0 to 4) or a list of blocks (`0,3,7`).

    Raises:
        StudyError: It is neither, the count is below 1 or above 10,000, or a block is named twice.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and 1 <= numbers[0] <= MOST_BLOCKS:
        return tuple(range(numbers[0]))
    if len(numbers) > 1:
        refuse_tuning_blocks(numbers)
        if are_blocks(numbers):
            return tuple(sorted(numbers))
    raise StudyError(f"--seeds {text}: give the number of blocks, such as 5, or distinct blocks, such as 0,3,7.")


def are_blocks(numbers: Sequence[object]) -> bool:
    """Return whether these are blocks, one or more, each named once."""
    whole = [number for number in numbers if type(number) is int and 0 <= number <= LARGEST_BLOCK]
    return 0 < len(numbers) == len(set(whole))


# --- arms that train the same ----------------------------------------------------------------------------------------


def notes_on_equal_arms(study: Study, datasets: Mapping[str, Dataset]) -> list[str]:
    """Name each arm that trains the same as an earlier one, a sentence each.

    The data sets are by their names in the recipes.

    Raises:
        StudyError: Two arms differ in nothing but the path to the same data, so that their trials would be one.
    """
    notes = []
    for index, arm in enumerate(study.arms):
        images = arm.recipe.images
        for earlier in study.arms[:index]:
            before = earlier.recipe.images
            if images is None or before is None:
                continue
            data = datasets[images.data.name]
            if datasets[before.data.name].fingerprint != data.fingerprint:
                continue
            paths = set(differences(earlier.recipe, arm.recipe))
            if paths == {"data.name"}:
                raise StudyError(
                    f"the levels {earlier.label} and {arm.label} of {_factor_word(study)} are the same data: "
                    "name each level once."
                )
            if "data.name" not in paths and train_the_same(before, images, len(data.train)):
                notes.append(_note(study, earlier, arm, paths))
                break
    return notes


def _factor_word(study: Study) -> str:
    return study.factor.word if study.factor else ""


def _note(study: Study, earlier: Arm, arm: Arm, paths: set[str]) -> str:
    epochs = counted(arm.recipe.epochs, "epoch")
    why = (
        f"over {epochs} their learning rates are equal at every step"
        if any(path.startswith("schedule.") for path in paths)
        else "their settings come to the same"
    )
    return (
        f"{earlier.label} and {arm.label} of {_factor_word(study)} are one training here, since {why}: "
        "no difference between them can be found. Leave one out, or choose levels that act."
    )


# --- updates that are held --------------------------------------------------------------------------------------------


IN_EPOCHS = ("warmup_epochs", "step_size", "milestones")
"""Settings of schedules that are counted in epochs, and so stay where they are when the epochs change."""


def hold_updates(study: Study, training_images: Sequence[int | None]) -> Study:
    """Return the study with each arm's epochs set so that its updates equal the baseline's, to the nearest epoch.

    A study whose `hold` is not "updates" is returned as it is; an arm without training images has None of them.
    """
    target = updates(study.arms[study.baseline].recipe, training_images[study.baseline])
    if study.hold != "updates" or target is None:
        return study
    arms = [
        replace(arm, recipe=_with_updates(arm.recipe, target, images))
        for arm, images in zip(study.arms, training_images, strict=True)
    ]
    return replace(study, arms=tuple(arms))


def held(study: Study, made: Sequence[int | None]) -> list[Text]:
    """Say what `hold_updates` did to each arm of a study, by the updates of a trial, a sentence each."""
    baseline, target = study.arms[study.baseline].recipe, made[study.baseline]
    sentences: list[Text] = []
    for arm, number in zip(study.arms, made, strict=True):
        images = arm.recipe.images
        if study.hold != "updates" or arm.recipe.epochs == baseline.epochs:
            continue
        if images is None or number is None or target is None:
            continue
        left = number / target - 1.0
        values = {"arm": arm.label, "before": baseline.epochs, "left": left}
        said = (
            trn(
                "{arm}: {n} epoch in place of {before} holds the updates to {left:+.1%}",
                "{arm}: {n} epochs in place of {before} hold the updates to {left:+.1%}",
                arm.recipe.epochs,
                **values,
            )
            if left
            else trn(
                "{arm}: {n} epoch in place of {before} holds the updates",
                "{arm}: {n} epochs in place of {before} hold the updates",
                arm.recipe.epochs,
                **values,
            )
        )
        in_epochs = [
            f"{name} {value}" for name, value in images.schedule.model_dump().items() if name in IN_EPOCHS and value
        ]
        if in_epochs:
            said = joined([said, tr("the schedule's {settings} stay in epochs", settings=listed_and(in_epochs))])
        sentences.append(said)
    return sentences


def _with_updates(recipe: Recipe, target: int, training_images: int | None) -> Recipe:
    if recipe.images is None or training_images is None:
        return recipe
    epochs = max(1, round(target / steps_an_epoch(recipe.images, training_images)))
    return recipe if epochs == recipe.epochs else vary(recipe, "epochs", epochs).recipe
