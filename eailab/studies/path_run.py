"""Measure a path ablation step by step, and read back from its records what was measured."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

from eailab.errors import DamagedError, RecipeError, StudyError
from eailab.recipe.canonical import canonical
from eailab.runs.context import Failed
from eailab.studies.design import Study
from eailab.studies.heads import ENDS, STEPS_FOLDER
from eailab.studies.path_ablation import Move, PathAblation, moves_as_stored, single_changes
from eailab.studies.run import Published, Runner, raise_failures, raise_timed_out, train_plans
from eailab.studies.sharing import beyond, holding
from eailab.studies.storage import Plan, StudyRecord, read_record


@dataclass(frozen=True)
class PathRecord:
    """A path ablation as it lies in the store: the studies of its two ends, and of each step that was reached."""

    folder: Path
    path: PathAblation
    ends: StudyRecord
    steps: tuple[StudyRecord, ...]
    taken: tuple[Move, ...]
    """The move that each step took; the last step of an unfinished path may have none yet."""

    @property
    def records(self) -> tuple[StudyRecord, ...]:
        """Return the records of the ends and of the steps."""
        return self.ends, *self.steps

    @property
    def is_finished(self) -> bool:
        """Return whether the second recipe was reached."""
        return len(self.taken) == len(self.path.moves)

    def restricted(self, blocks: Collection[int]) -> "PathRecord":
        """Return the path with some of its blocks alone."""
        path = replace(self.path, blocks=tuple(block for block in self.path.blocks if block in blocks))
        steps = tuple(step.restricted(blocks) for step in self.steps)
        return replace(self, path=path, ends=self.ends.restricted(blocks), steps=steps)

    @property
    def indices(self) -> tuple[int, ...]:
        """Return which candidate of its step each move was."""
        reached = [self.path.candidates(self.taken[:at]) for at in range(len(self.taken))]
        return tuple(candidates.index(move) for candidates, move in zip(reached, self.taken, strict=True))


def read_path_ablation(folder: Path) -> PathRecord:
    """Read a path ablation from the records of its studies; see `path_ablation_of`."""
    return path_ablation_of(folder, read_steps(folder))


def read_steps(folder: Path) -> dict[str, StudyRecord]:
    """Read the records of a path ablation: of its ends, and by number of its steps.

    Raises:
        DamagedError: A record is damaged.
        StoreError: The record of the ends is missing, or one cannot be read.
    """
    files = (folder / STEPS_FOLDER).glob("*/study.yaml")
    return {name: read_record(folder / STEPS_FOLDER / name) for name in sorted({ENDS, *(f.parent.name for f in files)})}


def path_ablation_of(folder: Path, records: Mapping[str, StudyRecord]) -> PathRecord:
    """Return the path ablation of some records.

    Steps that do not follow from those before them are left out: a path that was measured again with more blocks, and
    interrupted, may have them from before.

    Raises:
        DamagedError: The records are not of a path.
    """
    ends, numbers = records[ENDS], sorted(int(name) for name in records if name.isdecimal())
    steps = [records[str(number)] for number in numbers]
    try:
        found = _path_of(ends, steps)
    except (StudyError, RecipeError, ValueError, IndexError) as error:
        raise DamagedError(f"{folder} cannot be read as a path ablation: {error}. Run its command again.") from error
    reached: list[Move] = []
    valid: list[StudyRecord] = []
    for number, step in zip(numbers, steps, strict=True):
        if number != len(valid) + 1 or not is_step(step.study, found, reached):
            break
        valid.append(step)
        tried = found.candidates(reached)
        left = {arm.level for arm in steps[number].study.arms[1:]} if number < len(steps) else set()
        gone = [move for move in tried if move.label not in left]
        if len(tried) > 1 and (not left or len(gone) != 1):
            break
        reached.append(gone[0])
    return PathRecord(folder, found, ends, tuple(valid), tuple(reached))


def is_step(study: Study, path: PathAblation, taken: Sequence[Move]) -> bool:
    """Return whether a study is the step of a path after some moves, in some blocks."""
    return len(taken) < len(path.moves) and _told(study) == _told(path.step(taken))


def is_of_ends(study: Study, path: PathAblation) -> bool:
    """Return whether a study compares the ends of a path, in some blocks."""
    return _told(study) == _told(path.ends())


def _told(study: Study) -> tuple[object, ...]:
    """Return what a path's study says that does not depend on its blocks and data."""
    arms = [(arm.level, arm.name, arm.brought, canonical(arm.recipe)) for arm in study.arms]
    return study.name, study.factor, arms, study.baseline, study.metric, study.margin, study.hold, study.looks


def _path_of(ends: StudyRecord, steps: Sequence[StudyRecord]) -> PathAblation:
    """Return the path ablation that some steps belong to; its moves are named by the labels of the steps' arms."""
    first, second = ends.study.arms
    alone = single_changes(first.recipe, second.recipe)
    tried = [[str(arm.level) for arm in step.study.arms[1:]] for step in steps]
    by_gain = bool(tried) and len(tried[0]) > 1
    labels = tried[0] if by_gain else [labels[0] for labels in tried]
    stored = moves_as_stored(first.recipe, second.recipe)
    named = [_move_called(label, stored) for label in labels]
    rest = [move for move in alone if not any(move.settings.keys() <= other.settings.keys() for other in named)]
    return PathAblation(
        start=first.recipe,
        end=second.recipe,
        names=(str(first.level), str(second.level)),
        moves=(*named, *rest),
        order="gain" if by_gain else "listed",
        blocks=ends.study.blocks,
        metric=ends.study.metric,
        margin=ends.study.margin,
        data=ends.study.data,
    )


def _move_called(label: str, alone: Sequence[Move]) -> Move:
    """Return the move of a label, which may join several changes."""
    whole = f", {label},"
    parts = sorted((move for move in alone if f", {move.label}," in whole), key=lambda move: whole.index(move.label))
    move = reduce(Move.__add__, parts) if parts else None
    if move is None or move.label != label:
        raise StudyError(f"{label} is not a difference of its two recipes")
    return move


# --- running a path --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StepBegun:
    """A step that a path ablation trains next."""

    number: int
    """Of the step; 0 for the two ends."""
    candidates: tuple[Move, ...]
    """The moves that are tried; none for the ends."""


@dataclass(frozen=True)
class StepTaken:
    """The move that a step has taken."""

    number: int
    move: Move


PathEvent = StepBegun | StepTaken


def run_path(
    path: PathAblation,
    runner: Runner,
    choose: Callable[[StudyRecord], int],
    publish: Callable[[PathRecord], Published],
    on_step: Callable[[PathEvent], None] = lambda _: None,
) -> Published:
    """Train the two ends and then, step by step, what may come next, and publish what that shows.

    Args:
        path: What to measure. Blocks that another command has trained meanwhile are measured too.
        runner: Where it runs, and who follows it.
        choose: Returns which candidate a step takes, by the step's record.
        publish: Called with the path and all its steps, while its folder is held.
        on_step: Called before a step is trained, and when it has taken a move.

    Returns:
        What `publish` has returned.

    Raises:
        StoppedError: `should_stop` of the context said so.
        UsageError: What was asked for is at fault in all trials that failed.
        TrialFailedError: One or more trials failed for another reason, or timed out; raised after publishing.
    """
    failed: list[Failed] = []
    folder = path.folder(runner.context.runs_dir / "studies")
    path = with_other_blocks(path, runner)
    while True:
        # The two ends, whose gap no choice on the way has touched.
        on_step(StepBegun(0, ()))
        planned = _plan(path.ends(), folder / STEPS_FOLDER / ENDS, runner)
        failed += train_plans([planned], runner)
        plans = [planned]
        ends, steps, taken = planned.record, list[StudyRecord](), list[Move]()

        # The steps: what may come next is measured on top of the recipe reached so far, and one move is taken.
        while len(taken) < len(path.moves):
            candidates, number = path.candidates(taken), len(taken) + 1
            on_step(StepBegun(number, candidates))
            planned = _plan(path.step(taken), folder / STEPS_FOLDER / str(number), runner)
            failed += train_plans([planned], runner)
            plans.append(planned)
            steps.append(planned.record)
            taken.append(candidates[choose(steps[-1])])
            on_step(StepTaken(number, taken[-1]))

        # Publish, unless another command has measured other blocks meanwhile: then those are measured too.
        with holding(folder, runner.note, runner.context.should_stop):
            wider = with_other_blocks(path, runner)
            if wider is path:
                published = publish(PathRecord(folder, path, ends, tuple(steps), tuple(taken)))
        raise_failures(failed, plans, runner)
        if wider is path:
            raise_timed_out(plans, runner)
            return published
        path = wider


def _plan(study: Study, folder: Path, runner: Runner) -> Plan:
    """Plan a study of a path ablation, which lies in a folder of the path's own."""
    (planned,) = runner.plan([study])
    return replace(planned, folder=folder)


def with_other_blocks(path: PathAblation, runner: Runner) -> PathAblation:
    """Return a path with the blocks that its folder has already, which is noted; the same path where there are none.

    Raises:
        StoreError: The record of its ends is damaged.
    """
    store = runner.context.store
    ends = path.folder(store.root / "studies") / STEPS_FOLDER / ENDS
    others = beyond(store, ends, read_record(ends), path.blocks).kept if (ends / "study.yaml").exists() else ()
    if not others:
        return path
    runner.note(
        f"this path ablation has other blocks too ({', '.join(map(str, sorted(others)))}): they stay, "
        "since leaving out blocks that were trained would choose among results."
    )
    return replace(path, blocks=tuple(sorted({*path.blocks, *others})))
