"""Tune the arms of studies with trials of the store, and keep what was chosen next to the study of the winners.

The trials of a tuning are ordinary ones, in blocks that no study is judged on; a tuning that was interrupted finds
them, and chooses the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from eailab.errors import StudyError, UsageError
from eailab.recipe.factors import level_of
from eailab.runs.store import Store
from eailab.runs.trial import Trial
from eailab.seeding import LARGEST_NUMBER_OF_TUNING_BLOCKS, TUNING_BLOCKS
from eailab.studies.design import Arm, Study, one_at_a_time
from eailab.studies.factor import BUNDLE, Bundle, Crossing, FactorLevels, factor_of, typed
from eailab.studies.plan import look_up
from eailab.studies.run import Runner, raise_failures, train_plans
from eailab.studies.storage import Plan, StudyRecord
from eailab.studies.tuning import (
    MOST_EXTENSIONS,
    Choice,
    Point,
    Scores,
    Space,
    Training,
    TuneOption,
    budget,
    can_have,
    equal_budgets,
    kept,
    spaces,
    tune,
    with_point,
)
from eailab.studies.tuning_file import Carried, TunedArm, Tuning, TuningTrial, write_tuning

MOST_CARRIED = 2
"""As many values of an arm go through all tuning blocks."""


@dataclass(frozen=True)
class Request:
    """A tuning as `--tune` and its options ask for it."""

    options: tuple[TuneOption, ...]
    blocks: int = 3
    everything: bool = False
    unequal: bool = False
    carry: int = 1
    """How many of an arm's best values are trained in the blocks of the comparison; the best there stands for it."""
    again: bool = False
    """Whether the arms are tuned again for each block of the comparison."""

    def __post_init__(self) -> None:
        """Refuse numbers out of range, and options that exclude each other."""
        if type(self.blocks) is not int or not 1 <= self.blocks <= 100:
            raise UsageError(
                f"--tune-blocks {self.blocks} (from Python tune_blocks): give a number of blocks from 1 to 100."
            )
        if type(self.carry) is not int or not 1 <= self.carry <= MOST_CARRIED:
            raise UsageError(
                f"--carry {self.carry} (from Python carry): give 1 or {MOST_CARRIED}, since the best {MOST_CARRIED} "
                "values of an arm are trained in all tuning blocks."
            )
        if self.carry > 1 and self.again:
            raise UsageError(
                "--carry takes the best values of one tuning, and --tune-again (from Python tune_again) tunes for each "
                "block: leave one out."
            )

    def first_blocks(self, study: Study) -> dict[int | None, int]:
        """Return the first block of each tuning of a study, by the block of the comparison that it is for, if any.

        Raises:
            UsageError: The arms are tuned again for a block whose number is too large to have tuning blocks.
        """
        if not self.again:
            return {None: TUNING_BLOCKS}
        most = LARGEST_NUMBER_OF_TUNING_BLOCKS // self.blocks - 1
        if (largest := max(study.blocks)) > most:
            raise UsageError(
                f"--tune-again (from Python tune_again): block {largest} has no {self.blocks} tuning blocks of its "
                f"own: name blocks up to {most} with --seeds (seeds), or give fewer --tune-blocks (tune_blocks)."
            )
        return {block: TUNING_BLOCKS + self.blocks * block for block in study.blocks}

    def of_each(self, studies: Sequence[Study]) -> list["Request | None"]:
        """Return what is asked for of each of some studies: the common options, and those of its own arms.

        Raises:
            UsageError: An option is for an arm that none of them has; or what cannot be tuned, see `searched`, or
                compared afterwards.
        """
        known = list(dict.fromkeys(arm.label for study in studies for arm in study.arms))
        if unknown := [one for one in self.options if one.arm is not None and one.arm not in known]:
            raise UsageError(
                f"--tune {unknown[0].text}: {unknown[0].arm} is not an arm; the arms are {', '.join(known)}."
            )
        found: list[Request | None] = []
        for study in studies:
            labels = [arm.label for arm in study.arms]
            options = tuple(one for one in self.options if one.arm is None or one.arm in labels)
            own = replace(self, options=options) if options else None
            found.append(own)
            if own is not None:
                searched = own.searched(study)
                own.first_blocks(study)
                firsts = {arm: space.points[:1] for arm, space in searched.items() if space.paths}
                _winners(study, searched, firsts)  # what cannot be compared is refused before anything is trained
        return found

    def searched(self, study: Study) -> dict[str, Space]:
        """Return what is tried for each arm of a study, by its label.

        Raises:
            UsageError: See `tuning.spaces`; a factorial; or budgets that differ without `unequal`.
        """
        if study.factor is None or isinstance(study.factor, Crossing):
            raise UsageError("--tune is for one factor at a time: leave out --cross, or tune by hand with --joint.")
        found = spaces(self.options, {arm.label: arm.recipe for arm in study.arms}, study.factor.settings)
        if study.hold == "updates" and any("batch_size" in space.paths for space in found.values()):
            raise UsageError(
                "--hold updates (from Python hold) sets the epochs by the batch size, so it cannot be tuned: leave one "
                "out."
            )
        if self.unequal or equal_budgets(found):
            return found
        said = "; ".join(f"{arm} {len(space.points) if space.paths else 'no'} values" for arm, space in found.items())
        raise UsageError(
            f"the arms are not tuned alike ({said}), and the one that is tuned more looks better than it is: give each "
            "the same settings and as many values, or add --tune-unequal (from Python tune_unequal=True), which the "
            "report then says first."
        )


def trainings_of(request: Request, space: Space, study: Study) -> int:
    """Return the number of trainings that an arm's tuning takes, without values that are added at an end."""
    once = budget(space, request.blocks, everything=request.everything) if space.paths else 0
    return once * len(request.first_blocks(study))


def trials_after(request: Request, study: Study) -> tuple[int, int]:
    """Return in how many trials the winners of a study are compared, at least and at most."""
    fewest = most = 0
    for space in request.searched(study).values():
        fewest += min(request.carry, len(space.points)) if space.paths else 1
        tunings, values = len(request.first_blocks(study)), len(space.points) + MOST_EXTENSIONS * space.has_ends
        most += min(max(request.carry, tunings), values) if space.paths else 1
    return fewest * len(study.blocks), most * len(study.blocks)


def longest(request: Request, planned: Plan, store: Store) -> list[Plan]:
    """Return plans of as many trainings as the tuning of a study takes, to tell what it costs; see `trainings_of`."""
    study, plans = planned.record.study, []
    for arm, space in request.searched(study).items():
        if space.paths:
            wanted = [
                Training(point, first + number)
                for first in request.first_blocks(study).values()
                for number in range(request.blocks)
                for point in space.points[
                    : kept(len(space.points), number, request.blocks, everything=request.everything)
                ]
            ]
            plans.append(_plan(planned, arm, space, wanted, store))
    return plans


@dataclass(frozen=True)
class _Search:
    """One tuning of all arms."""

    choices: Mapping[str, Choice]
    trained: Mapping[str, Sequence[TuningTrial]]


def tuned(planned: Plan, request: Request, runner: Runner) -> Study:
    """Tune a study's arms as the recipe has them, and return the study of the winners; the tuning is kept next to it.

    Raises:
        UsageError: What `request.searched` refuses.
        TrialFailedError: A training ended without a result; the same command goes on.
    """
    study, every = planned.record.study, request.searched(planned.record.study)
    searches = {
        block: _search(planned, request, every, first, runner) for block, first in request.first_blocks(study).items()
    }
    points = {arm: _points(request, arm, searches.values()) for arm, space in every.items() if space.paths}
    winners = _winners(study, every, points)
    if request.carry > 1 or request.again:
        winners = replace(winners, name=f"{winners.name}-{'again' if request.again else f'carry-{request.carry}'}")
    labels = iter([arm.label for arm in winners.arms])
    record = Tuning(
        study.metric,
        tuple(first + number for first in request.first_blocks(study).values() for number in range(request.blocks)),
        request.everything,
        not equal_budgets(every),
        tuple(
            _tuned_arm(arm.label, [next(labels) for _ in points.get(arm.label, ((),))], every[arm.label], searches)
            for arm in study.arms
        ),
        request.carry,
        tuple(block for block in searches if block is not None),
    )
    (place,) = runner.plan([winners])
    write_tuning(place.folder, record, runner.note)
    return winners


def _search(planned: Plan, request: Request, every: Mapping[str, Space], first: int, runner: Runner) -> _Search:
    """Tune all arms of a study once, from a tuning block on."""
    study, store = planned.record.study, runner.context.store
    searched = {arm: space for arm, space in every.items() if space.paths}
    recipes = {arm.label: arm.recipe for arm in study.arms}
    done: dict[str, list[TuningTrial]] = {arm: [] for arm in searched}

    def train(wanted: Mapping[str, Sequence[Training]]) -> dict[str, Scores]:
        plans = {arm: _plan(planned, arm, searched[arm], trainings, store) for arm, trainings in wanted.items()}
        if any(one.todo for one in plans.values()):
            asked = list(plans.values())
            raise_failures(train_plans(asked, runner), asked, runner)
        scores: dict[str, Scores] = {}
        for arm, one in plans.items():
            found = dict(zip(wanted[arm], (_score(study, store, trial) for trial in one.trials), strict=True))
            done[arm] += [
                TuningTrial(typed(at.point), at.block, trial.fingerprint, found[at])
                for at, trial in zip(wanted[arm], one.trials, strict=True)
            ]
            sign = 1.0 if study.measure.higher_is_better else -1.0
            scores[arm] = {at: -inf if value is None else sign * value for at, value in found.items()}
        return scores

    choices = tune(
        searched,
        request.blocks,
        train,
        first=first,
        everything=request.everything,
        valid=lambda arm, point: can_have(recipes[arm], searched[arm], point),
    )
    return _Search(choices, done)


def _points(request: Request, arm: str, searches: Iterable[_Search]) -> tuple[Point, ...]:
    """Return the points of an arm that are trained in the blocks of the comparison."""
    found = [search.choices[arm] for search in searches]
    runners_up = [one.runner_up for one in found if one.runner_up is not None and request.carry > 1]
    return tuple(dict.fromkeys([*(one.winner for one in found), *runners_up]))


def _plan(planned: Plan, arm: str, space: Space, wanted: Sequence[Training], store: Store) -> Plan:
    """Return the plan of some trainings of an arm, which is not recorded as a study."""
    study = planned.record.study
    index = [one.label for one in study.arms].index(arm)
    data = planned.trials[index].data  # the trials are listed block by block
    points = list(dict.fromkeys(at.point for at in wanted))
    recipes = [with_point(study.arms[index].recipe, space, point) for point in points]
    trials = {
        (points.index(at.point), at.block): Trial(recipes[points.index(at.point)], at.block, data) for at in wanted
    }
    found = look_up(store, trials)
    arms = tuple(
        Arm(typed(point), recipe, name=f"{typed(point)} of {arm}")
        for point, recipe in zip(points, recipes, strict=True)
    )
    of_arm = replace(
        study,
        name=f"{study.name}-tuning",
        factor=factor_of(space.paths),
        arms=arms,
        baseline=0,
        blocks=tuple(sorted({at.block for at in wanted})),
    )
    names = {key: trial.fingerprint for key, trial in trials.items()}
    record = StudyRecord(of_arm, names, (None,) * len(arms), planned.record.training_images)
    todo = tuple(found.todo.values())
    return Plan(record, planned.folder, tuple(trials.values()), todo, (), found.results, is_recorded=False)


def _score(study: Study, store: Store, trial: Trial) -> float | None:
    """Return what a trial came to; None where it diverged."""
    result = store.folder(trial.fingerprint).result()
    return None if result is None or result.status != "finished" else study.measure.value(result.values)


def _winners(study: Study, searched: Mapping[str, Space], chosen: Mapping[str, Sequence[Point]]) -> Study:
    """Return the study of the arms with their winners, a declared bundle of the factor and the tuned settings."""
    assert study.factor is not None  # noqa: S101 - `Request.searched` has refused it
    own = study.factor.settings
    paths = tuple(dict.fromkeys(path for space in searched.values() for path in space.paths))
    levels: list[tuple[Any, ...]] = []
    recipes, names, baseline = [], [], 0
    for index, arm in enumerate(study.arms):
        space = searched[arm.label]
        baseline = len(levels) if index == study.baseline else baseline
        values = (study.factor.values_of(arm.level) if isinstance(study.factor, Bundle) else {own[0]: arm.level}) or {}
        for point in chosen.get(arm.label, ((),)):
            recipe = with_point(arm.recipe, space, point) if space.paths else arm.recipe
            tuned_values = tuple(level_of(recipe, path) for path in paths)
            if lacking := [path for path, value in zip(paths, tuned_values, strict=True) if value is None]:
                raise UsageError(
                    f"--tune: the arm {arm.label} lacks {lacking[0]}, and the winners are compared in the settings "
                    "that all arms have: tune those."
                )
            levels.append((*(values.get(path, level_of(recipe, path)) for path in own), *tuned_values))
            recipes.append(recipe)
            names.append(f"{arm.label}{BUNDLE}{typed(tuned_values)}")
    base = study.arms[study.baseline].recipe
    labels = tuple(names) if any(arm.name for arm in study.arms) else ()
    factor = FactorLevels((*own, *paths), tuple(levels), levels[baseline], labels)
    (found,) = one_at_a_time(base, [factor], study.blocks, study.hold)
    if study.hold == "epochs" and [arm.recipe.model_dump() for arm in found.arms] != [
        {**recipe.model_dump(), "name": arm.recipe.name} for recipe, arm in zip(recipes, found.arms, strict=True)
    ]:
        raise StudyError(
            f"--tune: {study.name} with {', '.join(paths)} tuned cannot be written as levels of both: compare such "
            "arms by hand with --joint."
        )
    words = "-".join(path.rpartition(".")[2] for path in paths)
    return replace(found, looks=study.looks, name=f"{study.name}-tuned-{words}")


def _tuned_arm(before: str, labels: Sequence[str], space: Space, searches: Mapping[int | None, _Search]) -> TunedArm:
    """Return how an arm was tuned, once or for each block of the comparison.

    Args:
        before: What it is called.
        labels: Of the study's arms that have its winners, in the order of `_points`.
        space: What was tried.
        searches: By the block of the comparison that they are for; None for all of them.
    """
    if not space.paths:
        return TunedArm(labels[0], before, (), (), (), "", None, None, False)
    # Gather what was tried and chosen in all searches.
    choices = {block: search.choices[before] for block, search in searches.items()}
    trained = tuple(one for search in searches.values() for one in search.trained[before])
    values = tuple(dict.fromkeys(one.value for one in trained))
    at_edge = any(choice.at_edge for choice in choices.values())
    wins = Counter(typed(choice.winner) for choice in choices.values())
    (winner, _), *_ = wins.most_common(1)
    runner_up = gap = None
    if None in choices:
        runner_up = None if (point := choices[None].runner_up) is None else typed(point)
        gap = choices[None].gap
    # Name the blocks in which each carried value had won.
    own = [*wins, *([runner_up] if runner_up is not None and len(labels) > len(wins) else [])]
    carried = tuple(
        Carried(
            label,
            value,
            tuple(block for block, one in choices.items() if block is not None and typed(one.winner) == value),
        )
        for label, value in zip(labels, own, strict=True)
    )
    is_merged = None not in choices or len(labels) > 1
    return TunedArm(
        labels[0],
        before,
        space.paths,
        values,
        trained,
        winner,
        runner_up,
        gap,
        at_edge,
        carried if is_merged else (),
    )
