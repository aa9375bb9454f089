"""Tune the arms of `ablate` before they are compared: `--tune` and its options."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eailab.cli.output import LOG
from eailab.errors import UsageError

if TYPE_CHECKING:
    from eailab.cli.running import Console
    from eailab.findings.dry_run import PlannedTuning
    from eailab.studies.design import Study
    from eailab.studies.tuning_run import Request


def asked_for(
    tune: Sequence[str], blocks: int | None, *, everything: bool, unequal: bool, budget: str | None
) -> "Request | None":
    """Return what is to be tuned; None where nothing is.

    Raises:
        UsageError: Options of a tuning without one, or `--budget` beside one.
    """
    given = {"--tune-blocks": blocks is not None, "--tune-all": everything, "--tune-unequal": unequal}
    if not tune:
        if alone := [name for name, is_given in given.items() if is_given]:
            raise UsageError(f"{alone[0]} needs --tune, such as --tune lr=1e-4..1e-1.")
        return None
    if budget is not None:
        raise UsageError("--budget does not count the trainings of --tune: give --seeds, and see the cost with -n.")
    from eailab.studies.tuning import asked
    from eailab.studies.tuning_run import Request

    return Request(tuple(map(asked, tune)), 3 if blocks is None else blocks, everything, unequal)


def planned_tuning(
    studies: "tuple[Study, ...]", request: "Request | None", console: "Console", *, alone: bool
) -> "PlannedTuning | None":
    """Return what tuning takes before some studies are compared; None where nothing is tuned. See `tuned_first`."""
    if request is None:
        return None
    from eailab.findings.dry_run import PlannedSearch, PlannedTuning
    from eailab.studies.forecast import forecast
    from eailab.studies.tuning import MOST_EXTENSIONS, in_words
    from eailab.studies.tuning_run import longest, trainings_of

    searches, tunings, trials_after = [], [], 0
    for own, planned in zip(request.of_each(studies), console.plan(studies), strict=True):
        if own is None:
            continue
        study = planned.record.study
        tunings += longest(own, planned, console.context.store)
        trials_after += len(study.arms) * len(study.blocks)
        for arm, space in own.searched(study).items():
            if space.paths:
                number = trainings_of(own, space)
                further = MOST_EXTENSIONS * own.blocks if space.has_ends else 0
                values = tuple(map(in_words, space.points))
                searches.append(PlannedSearch(arm, space.paths, values, number, number + further))
    cost = forecast(tunings, console.context, console.jobs)
    return PlannedTuning(tuple(searches), request.blocks, cost, trials_after, is_alone=alone)


def tuned_first(
    studies: "tuple[Study, ...]", request: "Request | None", console: "Console", *, alone: bool, freeze: bool
) -> "tuple[Study, ...]":
    """Tune the arms of some studies, and return the studies that compare the winners, and then these studies.

    Args:
        studies: With the arms as the recipe has them.
        request: What is tuned, and how; None for nothing, which returns the studies.
        console: Where the trials run.
        alone: Leave out the studies of the arms as the recipe has them.
        freeze: Leave out those that have no trial left to train, which no plan can be written for.
    """
    if request is None:
        return studies
    from eailab.studies.run import train_first
    from eailab.studies.tuning_run import tuned

    requests = request.of_each(studies)
    plans = console.plan(studies)
    if not alone and not freeze:
        train_first(plans, console)
    winners = []
    for own, planned in zip(requests, plans, strict=True):
        if own is not None:
            found = tuned(planned, own, console)
            LOG.info("tuned: %s", ", ".join(arm.label for arm in found.arms))
            winners.append(found)
    if alone:
        return tuple(winners)
    return (*winners, *(one for one, planned in zip(studies, plans, strict=True) if planned.todo or not freeze))
