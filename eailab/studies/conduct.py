"""From a study to its trials' results: plan, hand what is left to an executor, and say what came of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from eailab.data.split import training_size
from eailab.data.table import load
from eailab.errors import DataError, StudyError
from eailab.recipe.schema import MlpRecipe
from eailab.runs.events import Event, Failed
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.store import Trial
from eailab.runs.training import is_finished
from eailab.studies.design import Study, StudyRecord, read_record, updates, write_record


@dataclass(frozen=True)
class Plan:
    """A study with its trials, checked against the data and the store; nothing is trained yet."""

    record: StudyRecord
    folder: Path
    trials: tuple[Trial, ...]
    """All of them, block by block."""
    todo: tuple[Trial, ...]
    """Those without a result."""
    notes: tuple[str, ...]
    """What the user should know before it starts."""

    @property
    def labels(self) -> dict[str, str]:
        """What to call each trial, by its fingerprint."""
        study = self.record.study
        leaf = "" if study.factor is None else study.factor.removesuffix(".name").rpartition(".")[2]
        return {
            fingerprint: f"{leaf} {study.arms[arm].label}, block {block}".strip()
            if study.factor
            else f"{study.name}, block {block}"
            for (arm, block), fingerprint in self.record.trials.items()
        }


def plan(study: Study, surroundings: Surroundings) -> Plan:
    """Load the data, name the trials, and ask the store which are finished; writes nothing but damaged results aside.

    Blocks that the store's record of the same study has are kept: a study's table never loses blocks.

    Raises:
        DataError: The data are missing, or an arm does not fit them.
    """
    datasets = {name: load(name, surroundings.data_dir) for name in {arm.recipe.data.name for arm in study.arms}}
    sizes = []
    for arm in study.arms:
        size = training_size(len(datasets[arm.recipe.data.name].train), arm.recipe.data)
        if arm.recipe.batch_size > size:
            raise DataError(
                f"batch_size {arm.recipe.batch_size} is more than the {size} training images of "
                f"{arm.recipe.data.name}: choose {size} or fewer."
            )
        sizes.append(size)
    store = surroundings.store
    folder = surroundings.runs_dir / "studies" / study.folder_name
    notes: list[str] = []
    if (folder / "study.yaml").exists():
        earlier = read_record(folder).study.blocks
        kept = sorted(set(earlier) | set(study.blocks))
        if extra := sorted(set(earlier) - set(study.blocks)):
            notes.append(
                f"this study already has the blocks {', '.join(map(str, extra))}: they stay in the table, "
                "since leaving out finished blocks would choose among results."
            )
        study = replace(study, blocks=tuple(kept))
    trials = study.trials({name: dataset.fingerprint for name, dataset in datasets.items()})
    record = StudyRecord(
        study=study,
        trials={key: trial.fingerprint for key, trial in trials.items()},
        updates=tuple(updates(arm.recipe, size) for arm, size in zip(study.arms, sizes, strict=True)),
        training_images=sizes[study.baseline],
    )
    todo = tuple(trial for trial in trials.values() if not is_finished(store.folder(trial.fingerprint)))
    return Plan(record, folder, tuple(trials.values()), todo, tuple(notes))


def conduct(
    planned: Plan,
    surroundings: Surroundings,
    jobs: int | None,
    on_event: Callable[[Event], None],
    should_stop: Callable[[], bool],
) -> list[Failed]:
    """Train what is left of a plan, and return the trials that failed.

    Args:
        planned: What to train.
        surroundings: Where.
        jobs: Trials side by side; None for as many as the cores carry, or one on a GPU.
        on_event: Told what happens in the trials.
        should_stop: Asked again and again; when true, the study stops where it is.

    Raises:
        StoppedError: `should_stop` said so.
        StoreError: The store cannot be written.
    """
    failed: list[Failed] = []

    def watch(event: Event) -> None:
        if isinstance(event, Failed):
            failed.append(event)
        on_event(event)

    write_record(planned.folder, planned.record)
    if planned.todo:
        executor = LocalExecutor(jobs or side_by_side(planned, surroundings))
        executor.run(planned.todo, surroundings, watch, should_stop)
    return failed


def side_by_side(planned: Plan, surroundings: Surroundings) -> int:
    """Return how many trials this machine carries at once: its cores over a trial's threads, or one on a GPU."""
    recipes = [trial.recipe for trial in planned.todo]
    if len(recipes) < 2:
        return 1
    if not all(isinstance(recipe, MlpRecipe) for recipe in recipes) and surroundings.device != "cpu":
        from eailab.engines.torch_resnet.devices import cuda_is_here

        if cuda_is_here():
            return 1
    return max(1, cores() // max(recipe.threads for recipe in recipes))


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parse_blocks(text: str) -> tuple[int, ...]:
    """Read `--seeds`: a count (`5` is blocks 0 to 4) or a list of blocks (`0,3,7`).

    Raises:
        StudyError: It is neither, the count is below 1, or a block is named twice.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and "," not in text and 1 <= numbers[0] <= 10_000:
        return tuple(range(numbers[0]))
    if len(numbers) > 1 and min(numbers) >= 0 and len(set(numbers)) == len(numbers):
        return tuple(sorted(numbers))
    raise StudyError(f"--seeds {text}: give the number of blocks, such as 5, or distinct blocks, such as 0,3,7.")
