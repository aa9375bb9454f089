"""Tune the arms of some studies before these are compared, and keep to what was tuned when a study grows."""

from collections.abc import Callable, Sequence

from eailab.errors import DamagedError, UsageError
from eailab.runs.store import Store
from eailab.studies.design import Study
from eailab.studies.run import Runner, train_first
from eailab.studies.tuning_file import read_tuning
from eailab.studies.tuning_run import Request, tuned


def tuned_first(
    studies: Sequence[Study],
    request: Request | None,
    runner: Runner,
    tell: Callable[[Study], None] = lambda _: None,
    *,
    alone: bool = False,
    freeze: bool = False,
) -> tuple[Study, ...]:
    """Tune the arms of some studies, and return the studies that compare the winners, and then these studies.

    Args:
        studies: With the arms as the recipe has them.
        request: What is tuned, and how; None for nothing, which returns the studies.
        runner: Where the trials run.
        tell: Called with each study of winners.
        alone: Leave out the studies of the arms as the recipe has them.
        freeze: Leave out those that have no trial left to train, which no plan can be written for.
    """
    if request is None:
        return tuple(studies)
    requests = request.of_each(studies)
    plans = runner.plan(studies)
    if not alone and not freeze:
        train_first(plans, runner)
    winners = []
    for own, planned in zip(requests, plans, strict=True):
        if own is not None:
            found = tuned(planned, own, runner)
            tell(found)
            winners.append(found)
    if alone:
        return tuple(winners)
    return (*winners, *(one for one, planned in zip(studies, plans, strict=True) if planned.todo or not freeze))


def refuse_untuned(study: Study, store: Store) -> None:
    """Refuse blocks of a study of the store for which its arms, tuned again for each block, have not been tuned.

    Raises:
        UsageError: There are such blocks.
    """
    try:
        tuning = read_tuning(store.root / "studies" / study.folder_name)
    except DamagedError:
        return  # its reports say so
    if tuning is not None and tuning.again and (further := sorted(set(study.blocks) - set(tuning.again))):
        raise UsageError(
            f"the arms of {study.name} are tuned again for each block, and not yet for block {further[0]}: run what "
            "tuned them again with --seeds (from Python seeds) that name it."
        )
