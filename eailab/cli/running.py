"""Run studies from the command line: show progress, let signals stop the training, write files, print answers."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eailab.cli.advice import offering_small_data
from eailab.cli.deciding import study_decision
from eailab.cli.options import RUNS_DIR
from eailab.cli.output import LOG, echo, echo_json, say_note
from eailab.cli.progress import Watch
from eailab.cli.stopping import asking, what_is_kept
from eailab.errors import StoppedError
from eailab.report import write
from eailab.runs.context import RunContext
from eailab.runs.machine import advice_on_threads
from eailab.studies.audit import Check
from eailab.studies.audit_run import repeat
from eailab.studies.design import Study
from eailab.studies.plan import left_to_train
from eailab.studies.run import LooksMade, Runner
from eailab.studies.storage import Plan, StudyRecord

if TYPE_CHECKING:
    from eailab.findings.study import StudyFindings


@dataclass(frozen=True)
class Console(Runner):
    """Runs studies from the command line: notes and progress are printed, signals stop the training."""

    name: str = ""
    """What the common report of several studies is called."""
    as_json: bool = False
    """Print the findings as JSON in place of the tables."""

    def note(self, text: str) -> None:
        """Print a note."""
        say_note(text)

    def plan(self, studies: Sequence[Study]) -> list[Plan]:
        """Plan some studies; where data are missing, offer a command that needs no download."""
        with offering_small_data(studies[0].arms[0].recipe):
            return super().plan(studies)

    @contextmanager
    def followed(self, plans: Sequence[Plan]) -> Iterator[RunContext]:
        """Show what happens in the trials, and let signals stop them."""
        if not any(planned.record.study.looks for planned in plans):
            self._say_plan(plans)
        watch = Watch(plans)

        def kept() -> str:
            return what_is_kept(watch.trials, self.context)

        with asking(watch.stopping, lambda: watch.stopped_at_once(kept())) as stop_code:
            try:
                with watch:
                    yield self.context.followed(watch, lambda: stop_code() != 0)
            except StoppedError as error:
                raise StoppedError(kept(), stop_code() or error.exit_code) from error
            if stop_code():
                raise StoppedError(kept(), stop_code())

    def _say_plan(self, plans: Sequence[Plan]) -> None:
        """Print how many trials there are, how many are left to train, and where those would waste cores."""
        total = len({trial.fingerprint for planned in plans for trial in planned.trials})
        todo = left_to_train(plans)
        if total > 1:
            LOG.info("%d trials: %d finished already, %d to train", total, total - len(todo), len(todo))
        elif not todo:
            LOG.info("this trial is finished already; nothing to train")
        if advice := advice_on_threads(todo, self.context, self.jobs):
            self.note(advice)

    def publish(self, plans: Sequence[Plan]) -> list[str]:
        """Write the files of each study, and of several a report of all; print the answers, the report's path last.

        Returns:
            The verdict of each arm that is compared.
        """
        from eailab.findings.decision import arm_decisions

        findings, page = self.write(plans)
        if self.as_json:
            from eailab.report.json_report import as_mapping, report_mapping

            numbers = as_mapping(findings[0]) if len(plans) == 1 else report_mapping(findings, [])
            echo_json({**numbers, "decision": study_decision(findings, self.context.store)})
        else:
            self.print(plans, findings, page)
        return [str(one.verdict) for found in findings for one in arm_decisions(found)]

    def write(self, plans: Sequence[Plan]) -> "tuple[list[StudyFindings], Path]":
        """Write the files of each study, and of several a report of all; return the findings, and the page's path."""
        total = len(plans) if len(plans) == 1 else len(plans) + 1
        with writing("writing tables, figures and pages", total) as watch:
            reports, page = write.write_plans(plans, self.context, say_note, name=self.name, advance=watch.advance)
        return [one.findings for one in reports], page

    def print(self, plans: Sequence[Plan], findings: "Sequence[StudyFindings]", page: Path) -> None:
        """Print the answers of some studies, the report's path last."""
        from eailab.report.terminal import print_studies

        print_studies(findings)
        if len(plans) == 1:
            echo(f"table:   {plans[0].folder / 'table.md'}")
            echo(f"figures: {plans[0].folder / 'figures'}")
        for planned in plans if len(plans) > 1 else ():
            echo(f"study:   {planned.folder}")
        trial = _single_trial(plans)
        if trial is not None:
            echo(f"trial:   {trial}")
        echo(f"report:  {page}")
        if trial is not None:
            is_finished = findings[0].arms[0].trials[0].state == "finished"
            images = plans[0].trials[0].recipe.images
            form = "torch-export" if images is not None and images.has_foreign_network else "onnx"
            _say_what_next(trial, self.context.runs_dir, is_finished=is_finished, form=form)

    def judge(self, record: StudyRecord) -> LooksMade:
        """Return what the trials of a study with looks have decided."""
        from eailab.findings.study import study_findings

        looks = study_findings(self.context.store, record).looks
        assert looks is not None  # noqa: S101 - the study has looks
        return looks

    def is_decided(self, planned: Plan) -> bool:
        """Return whether a study with looks needs no further trial."""
        return bool(planned.record.study.looks) and self.judge(planned.record).over

    def report(self, check: Check) -> None:
        """Print what a check of an audit found."""
        super().report(check)
        if check.state == "passed":
            LOG.info("audit: %s", check.text)

    def say_look(self, number: int, looks: int, blocks: int, to_train: int) -> None:
        """Print which look is trained for."""
        LOG.info("look %d of %d: %d blocks, %d to train", number, looks, blocks, to_train)


class AuditAlone(Console):
    """Runs what an audit needs, which is then printed as the command's result."""

    def check_first(self, plans: Sequence[Plan], context: RunContext, *, are_new: bool) -> None:  # noqa: ARG002 - inherited
        """Run the baseline's first trial again."""
        for planned in plans:
            repeat(planned, context)

    def _say_plan(self, plans: Sequence[Plan]) -> None:
        """Print how many runs are left."""
        LOG.info("the audit: %d runs, and one again", sum(len(planned.todo) for planned in plans))


@contextmanager
def writing(text: str, total: int = 1) -> Iterator[Watch]:
    """Show how far the writing of files has come; the caller reports it with `advance`."""
    with Watch(()) as watch:
        watch.stage(text, total)
        yield watch


def _single_trial(plans: Sequence[Plan]) -> str | None:
    """Return the name of the trial where there is just one: of its own study, so that no later trial shares it."""
    from eailab.studies.heads import Use, head_of

    if [len(planned.record.trials) for planned in plans] != [1]:
        return None
    ((arm, block),) = plans[0].record.trials
    return Use(replace(head_of(plans[0].record), folder=plans[0].folder), arm, block).lasting


def _say_what_next(trial: str, runs_dir: Path, *, is_finished: bool, form: str) -> None:
    """Print the next commands for a trial, to copy; `form` is what its network can be exported to."""
    name, where = shlex.quote(trial), "" if runs_dir == RUNS_DIR else f" --runs {shlex.quote(str(runs_dir))}"
    commands = [f"runs show {name}"]
    if is_finished:
        commands += [f"predict {name} IMAGE.png", f"export {name} --to {form}"]
    LOG.info("next:")
    for command in commands:
        LOG.info("  eailab %s%s", command, where)
