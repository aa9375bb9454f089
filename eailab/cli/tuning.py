"""Tune the arms of `ablate` before they are compared: `--tune` and its options."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eailab.cli.output import LOG, echo
from eailab.errors import UsageError
from eailab.plain import counted

if TYPE_CHECKING:
    from eailab.cli.running import Console
    from eailab.studies.design import Study
    from eailab.studies.storage import Plan
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


def _show(plans: Sequence["Plan"], request: "Request", console: "Console") -> None:
    """Print what tuning takes before the studies of some plans are trained."""
    from eailab.findings.dry_run import cost_lines
    from eailab.studies.forecast import forecast
    from eailab.studies.tuning_run import longest, trainings_of

    tunings = [one for planned in plans for one in longest(request, planned, console.context.store)]
    if console.as_json:
        LOG.info("tuning: %s come first, which the JSON does not count", _trainings(tunings))
        return
    for planned in plans:
        for arm, space in request.searched(planned.record.study).items():
            if space.paths:
                number = trainings_of(request, space)
                echo(
                    f"tuning {arm}: {', '.join(space.paths)} from {len(space.points)} values in "
                    f"{counted(request.blocks, 'block')} of its own, {counted(number, 'training')}; "
                    f"at most {number + 2 * request.blocks} where the best is at an end",
                    hang=2,
                )
    for line in cost_lines(forecast(tunings, console.context, console.jobs)):
        echo(f"tuning {line}", hang=2)
    echo("then the winners are compared in as many trials as the following study has, which is trained too:", hang=2)
    echo()


def _trainings(tunings: Sequence["Plan"]) -> str:
    return counted(sum(len(one.todo) for one in tunings), "training")


def tuned_first(
    studies: "tuple[Study, ...]", request: "Request | None", console: "Console", *, alone: bool, dry_run: bool
) -> "tuple[Study, ...]":
    """Tune the arms of some studies, and return the studies that compare the winners.

    Args:
        studies: With the arms as the recipe has them.
        request: What is tuned, and how; None for nothing, which returns the studies.
        console: Where the trials run.
        alone: Leave out the studies of the arms as the recipe has them, which otherwise come after.
        dry_run: Print what it would cost, and return the studies.
    """
    if request is None:
        return studies
    from eailab.studies.tuning_run import tuned

    for study in studies:
        request.searched(study)  # what cannot be tuned is refused before anything is trained
    plans = console.plan(studies)
    if dry_run:
        _show(plans, request, console)
        return studies
    winners = []
    for planned in plans:
        found = tuned(planned, request, console)
        LOG.info("tuned: %s", ", ".join(arm.label for arm in found.arms))
        winners.append(found)
    return (*winners, *([] if alone else studies))
