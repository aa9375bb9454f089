"""`--until-decided`: add blocks for the arms that are open, at looks fixed in advance."""

from typing import TYPE_CHECKING

from eailab.cli.output import LOG

if TYPE_CHECKING:
    from eailab.runs.context import RunContext
    from eailab.studies.design import Study
    from eailab.studies.looks import LooksMade
    from eailab.studies.record import StudyRecord


def carry_out_until_decided(
    study: "Study", context: "RunContext", jobs: int | None, *, fail_fast: bool, as_json: bool
) -> None:
    """Run a study look by look, publish it and print its answer.

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
    from eailab.cli.carry_out import publish
    from eailab.cli.console import Console
    from eailab.findings.study import study_findings
    from eailab.studies.looks import run_until_decided
    from eailab.studies.run import raise_failures

    def looks_made(record: "StudyRecord") -> "LooksMade":
        looks = study_findings(context.store, record).looks
        assert looks is not None  # noqa: S101 - the study has looks
        return looks

    def say_look(number: int, blocks: int, to_train: int) -> None:
        LOG.info("look %d of %d: %d blocks, %d to train", number, len(study.looks), blocks, to_train)

    run = run_until_decided(study, Console(context, jobs, fail_fast, says_plan=False), looks_made, say_look)
    publish(run.plans, context, "", as_json)
    raise_failures(run.failed, stopped=fail_fast)
