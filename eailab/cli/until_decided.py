"""`--until-decided`: add blocks for the arms that are open, at looks fixed in advance."""

from dataclasses import replace
from typing import TYPE_CHECKING

from eailab.cli.output import LOG, echo
from eailab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eailab.findings.looks import Looks
    from eailab.runs.context import RunContext
    from eailab.studies.conduct import Plan
    from eailab.studies.design import Study


def with_looks(studies: "Sequence[Study]", max_trials: int | None) -> "tuple[Study, ...]":
    """Return the study with its looks, and the blocks of the last.

    Args:
        studies: One; alpha is split within a study, and effects of a factorial need whole blocks.
        max_trials: The most trials that the study may use.

    Raises:
        UsageError: More than one study, a factorial, or no limit.
        StudyError: A limit below two blocks.
    """
    from eailab.stats.group_sequential import looks_within

    if len(studies) > 1 or studies[0].axes:
        raise UsageError("--until-decided is for one factor at a time: leave out --and, --cross or --study.")
    if max_trials is None:
        raise UsageError("--until-decided needs an end: add --max-trials N, such as --max-trials 40.")
    looks = looks_within(max_trials, len(studies[0].arms))
    return (replace(studies[0], looks=looks, blocks=tuple(range(looks[-1]))),)


def carry_out_until_decided(
    study: "Study", context: "RunContext", jobs: int | None, *, fail_fast: bool, as_json: bool
) -> None:
    """Train look by look what open arms need, until all are decided or the last look is made; publish and print.

    Args:
        study: With looks.
        context: Folders and device.
        jobs: Trials side by side; None to choose.
        fail_fast: Stop at the first trial that fails.
        as_json: Print the findings as JSON instead of the table.

    Raises:
        StoppedError: A signal came; the message names the command that goes on.
        TrialFailedError: A trial ended without a result, so that the next look could not be made.
    """
    from eailab.cli.carry_out import make_plans, publish, raise_failures, train_left

    for name in _compared_otherwise(study, context):
        echo(
            f"note: {name} compares the same arms after other numbers of blocks. Each of the two keeps its 5%, the "
            "better of the two does not: let one decide, and choose it by its plan.",
            err=True,
        )
    for number, blocks in enumerate(study.looks, start=1):
        (planned,) = make_plans([replace(study, blocks=tuple(range(blocks)))], context)
        while (looks := _looks(planned, context)).needed:
            asked = _only(planned, looks)
            LOG.info("look %d of %d: %d blocks, %d to train", number, len(study.looks), blocks, len(asked.todo))
            with train_left([asked], context, jobs, fail_fast=fail_fast) as failed:
                if failed:
                    publish([planned], context, "", as_json)
            raise_failures(failed, stopped=fail_fast)
        if looks.over:
            break
    publish([planned], context, "", as_json)


def _compared_otherwise(study: "Study", context: "RunContext") -> list[str]:
    """Return the studies of the store that differ from this one in their looks alone, or have none."""
    from eailab.errors import StoreError
    from eailab.studies.design import read_record

    names = []
    for folder in context.store.study_folders():
        try:
            other = read_record(folder).study
        except StoreError:
            continue  # told where it is asked for
        if other.looks != study.looks and replace(other, looks=study.looks).fingerprint == study.fingerprint:
            names.append(folder.name)
    return names


def _looks(planned: "Plan", context: "RunContext") -> "Looks":
    """Return how far the store's trials have brought a study."""
    from eailab.findings.study import study_findings

    looks = study_findings(context.store, planned.record).looks
    assert looks is not None  # noqa: S101 - the study has looks
    return looks


def _only(planned: "Plan", looks: "Looks") -> "Plan":
    """Return a plan with no more to do than the next look needs."""
    needed = {planned.record.trials[key] for key in looks.needed}
    return replace(planned, todo=tuple(trial for trial in planned.todo if trial.fingerprint in needed))
