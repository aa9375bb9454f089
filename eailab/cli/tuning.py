"""Tune the arms of `ablate` before they are compared: `--tune` and its options."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eailab.cli.output import LOG
from eailab.errors import UsageError

if TYPE_CHECKING:
    from eailab.cli.running import Console
    from eailab.findings.dry_run import PlannedTuning
    from eailab.runs.store import Store
    from eailab.studies.design import Study
    from eailab.studies.tuning_run import Request


def asked_for(
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
    """Return what is to be tuned; None where nothing is.

    Raises:
        UsageError: Options of a tuning without one, or what does not go with it.
    """
    given = {
        "--tune-blocks": blocks is not None,
        "--carry": carry is not None,
        "--tune-all": everything,
        "--tune-unequal": unequal,
        "--tune-again": again,
    }
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

    return Request(
        tuple(map(asked, tune)),
        3 if blocks is None else blocks,
        everything,
        unequal,
        1 if carry is None else carry,
        again,
    )


def refuse_untuned(study: "Study", store: "Store") -> None:
    """Refuse blocks of a study of the store for which its arms, tuned again for each block, have not been tuned.

    Raises:
        UsageError: There are such blocks.
    """
    from eailab.errors import DamagedError
    from eailab.studies.tuning_file import read_tuning

    try:
        tuning = read_tuning(store.root / "studies" / study.folder_name)
    except DamagedError:
        return  # its reports say so
    if tuning is not None and tuning.again and (further := sorted(set(study.blocks) - set(tuning.again))):
        raise UsageError(
            f"the arms of {study.name} are tuned again for each block, and not yet for block {further[0]}: run its "
            "ablate command with --tune, --tune-again and --seeds."
        )


def planned_tuning(
    studies: "tuple[Study, ...]", request: "Request | None", console: "Console", *, alone: bool
) -> "PlannedTuning | None":
    """Return what tuning takes before some studies are compared; None where nothing is tuned. See `tuned_first`."""
    if request is None:
        return None
    from eailab.findings.dry_run import PlannedSearch, PlannedTuning
    from eailab.studies.forecast import forecast
    from eailab.studies.tuning import MOST_EXTENSIONS, in_words
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
                values = tuple(map(in_words, space.points))
                searches.append(PlannedSearch(arm, space.paths, values, number, number + further))
    cost = forecast(tunings, console.context, console.jobs)
    return PlannedTuning(
        tuple(searches), request.blocks, cost, fewest, most, is_alone=alone, carry=request.carry, is_again=request.again
    )


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
