"""Tune the arms of some studies before these are compared, and keep to what was tuned when a study grows."""

from collections.abc import Callable, Sequence

from eailab.errors import UsageError
from eailab.runs.context import RunContext
from eailab.studies.design import Study
from eailab.studies.plan import folder_of
from eailab.studies.run import Runner, train_first, with_looks
from eailab.studies.tuning_file import Tuning, read_tuning, sound_tuning, write_tuning
from eailab.studies.tuning_run import Request, tuned


def tuned_first(
    studies: Sequence[Study],
    request: Request | None,
    runner: Runner,
    tell: Callable[[Study], None] = lambda _: None,
    *,
    kept: Tuning | None = None,
    alone: bool = False,
    freeze: bool = False,
) -> tuple[Study, ...]:
    """Tune the arms of some studies, and return the studies that compare the winners, and then these studies.

    Args:
        studies: With the arms as the recipe has them.
        request: What is tuned, and how; None for nothing, which returns the studies.
        runner: Where the trials run.
        tell: Called with each study of winners.
        kept: How the arms of the one study were tuned before, which is written next to it; see `look_by_look`.
        alone: Leave out the studies of the arms as the recipe has them.
        freeze: Leave out those that have no trial left to train, which no plan can be written for.
    """
    if request is None:
        if kept is not None:
            (planned,) = runner.plan(studies)
            write_tuning(planned.folder, kept, runner.note)
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


def look_by_look(studies: Sequence[Study], max_trials: int | None, context: RunContext) -> tuple[Study, Tuning | None]:
    """Return the one study with its looks, and how its arms were tuned where it is a tuned study of the store.

    Raises:
        UsageError: See `with_looks`; or each arm is compared by several values of a tuning.
        StudyError: A limit below two blocks.
        DamagedError: Its tuning cannot be read.
    """
    study = with_looks(studies, max_trials)
    tuning = read_tuning(folder_of(studies[0], context))
    if tuning is not None and tuning.is_merged:
        raise UsageError(
            f"the arms of {studies[0].name} are each compared by several of their values, and --until-decided "
            "(until_decided from Python) adds blocks for one: give --seeds (more from Python)."
        )
    return study, tuning


def refuse_untuned(studies: Sequence[Study], context: RunContext) -> None:
    """Refuse blocks of studies of the store for which their arms, tuned again for each block, have not been tuned.

    Raises:
        UsageError: There are such blocks.
    """
    for study in studies:
        tuning = sound_tuning(folder_of(study, context))
        if tuning is not None and tuning.again and (further := sorted(set(study.blocks) - set(tuning.again))):
            raise UsageError(
                f"the arms of {study.name} are tuned again for each block, and not yet for block {further[0]}: run "
                "what tuned them again with --seeds (from Python seeds) that name it."
            )
