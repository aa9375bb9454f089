"""Tune the arms of `ablate` before they are compared: `--tune` and its options."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eailab.errors import UsageError

if TYPE_CHECKING:
    from eailab.cli.running import Console
    from eailab.findings.dry_run import PlannedTuning
    from eailab.studies.design import Study
    from eailab.studies.tuning_run import Request


def asked_for(
    studies: "Sequence[Study]",
    tune: Sequence[str],
    blocks: int | None,
    carry: int | None,
    *,
    everything: bool,
    unequal: bool,
    again: bool,
    budget: str | None,
    until_decided: bool,
) -> "Request | None":
    """Return what is to be tuned of some studies; None where nothing is.

    Raises:
        UsageError: Options of a tuning without one, what does not go with it, or what these studies cannot have tuned.
    """
    given = {
        "--tune-blocks": blocks is not None,
        "--carry": carry is not None,
        "--tune-all": everything,
        "--tune-unequal": unequal,
        "--tune-again": again,
    }
    # Refuse options that do not go together.
    if not tune:
        if alone := [name for name, is_given in given.items() if is_given]:
            raise UsageError(f"{alone[0]} needs --tune, such as --tune lr=1e-4..1e-1.")
        return None
    if budget is not None:
        raise UsageError("--budget does not count the trainings of --tune: give --seeds, and see the cost with -n.")
    if until_decided and (again or (carry or 1) > 1):
        name = "--tune-again" if again else "--carry"
        raise UsageError(
            f"{name} compares each arm by several of its values, and --until-decided adds blocks for one: leave one "
            "out, and give --seeds."
        )
    from eailab.studies.tuning import asked
    from eailab.studies.tuning_run import Request

    # Ask for the tuning of all studies.
    request = Request(
        tuple(map(asked, tune)),
        3 if blocks is None else blocks,
        everything,
        unequal,
        1 if carry is None else carry,
        again,
    )
    request.of_each(studies)
    return request


def planned_tuning(
    studies: "tuple[Study, ...]", request: "Request | None", console: "Console", *, alone: bool
) -> "PlannedTuning | None":
    """Return what tuning takes before some studies are compared; None where nothing is tuned."""
    if request is None:
        return None
    from eailab.findings.dry_run import PlannedSearch, PlannedTuning
    from eailab.studies.factor import typed
    from eailab.studies.forecast import forecast
    from eailab.studies.tuning import MOST_EXTENSIONS
    from eailab.studies.tuning_run import longest, trainings_of, trials_after

    searches, tunings, fewest, most = [], [], 0, 0
    for own, planned in zip(request.of_each(studies), console.plan(studies), strict=True):
        if own is None:
            continue
        study = planned.record.study
        tunings += longest(own, planned, console.context.store)
        after = trials_after(own, study)
        fewest, most = fewest + after[0], most + after[1]
        for arm, space in own.searched(study).items():
            if space.paths:
                number = trainings_of(own, space, study)
                further = MOST_EXTENSIONS * own.blocks * len(own.first_blocks(study)) if space.has_ends else 0
                values = tuple(map(typed, space.points))
                searches.append(PlannedSearch(arm, space.paths, values, number, number + further))
    cost = forecast(tunings, console.context, console.jobs)
    return PlannedTuning(
        tuple(searches), request.blocks, cost, fewest, most, is_alone=alone, carry=request.carry, is_again=request.again
    )
