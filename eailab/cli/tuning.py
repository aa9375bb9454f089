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
    studies: "tuple[Study, ...]", request: "Request | None", console: "Console"
) -> "PlannedTuning | None":
    """Return what tuning takes before some studies are compared; None where nothing is tuned."""
    if request is None:
        return None
    from eailab.findings.dry_run import PlannedSearch, PlannedTuning
    from eailab.studies.forecast import forecast
    from eailab.studies.tuning import MOST_EXTENSIONS, in_words
    from eailab.studies.tuning_run import longest, trainings_of

    searches, tunings = [], []
    for planned in console.plan(studies):
        tunings += longest(request, planned, console.context.store)
        for arm, space in request.searched(planned.record.study).items():
            if space.paths:
                number = trainings_of(request, space)
                further = MOST_EXTENSIONS * request.blocks if space.has_ends else 0
                values = tuple(map(in_words, space.points))
                searches.append(PlannedSearch(arm, space.paths, values, number, number + further))
    cost = forecast(tunings, console.context, console.jobs)
    trials_after = sum(len(study.arms) * len(study.blocks) for study in studies)
    return PlannedTuning(tuple(searches), request.blocks, cost, trials_after)


def tuned_first(
    studies: "tuple[Study, ...]", request: "Request | None", console: "Console", *, alone: bool
) -> "tuple[Study, ...]":
    """Tune the arms of some studies, and return the studies that compare the winners.

    Args:
        studies: With the arms as the recipe has them.
        request: What is tuned, and how; None for nothing, which returns the studies.
        console: Where the trials run.
        alone: Leave out the studies of the arms as the recipe has them, which otherwise come after.
    """
    if request is None:
        return studies
    from eailab.studies.tuning_run import tuned

    for study in studies:
        request.searched(study)  # what cannot be tuned is refused before anything is trained
    plans = console.plan(studies)
    winners = []
    for planned in plans:
        found = tuned(planned, request, console)
        LOG.info("tuned: %s", ", ".join(arm.label for arm in found.arms))
        winners.append(found)
    return (*winners, *([] if alone else studies))
