"""What `train-*` and `ablate` have in common: plan a study, train what is left, publish, print."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from eailab.cli.options import RUNS_DIR
from eailab.cli.output import LOG, echo, echo_json, say_note

if TYPE_CHECKING:
    from eailab.cli.progress import Watch
    from eailab.recipe.load import Loaded, Override
    from eailab.runs.context import RunContext
    from eailab.studies.design import Study
    from eailab.studies.record import Plan


def load_recipe(recipe: str, flags: dict[str, str | None], overrides: Sequence[str] | None) -> "Loaded":
    """Load a recipe with `-o` overrides and then the command's own flags, and say what they changed.

    Args:
        recipe: Name or path.
        flags: Text that each flag was given, by the factor's name or path; None for a flag that was not.
        overrides: Texts of `-o`.
    """
    return load_changed(recipe, overrides_of(flags, overrides))


def overrides_of(flags: dict[str, str | None], overrides: Sequence[str] | None) -> list["Override"]:
    """Read what the command line changes in a recipe; see `load_recipe`."""
    from eailab.recipe.load import Override, parse_given, parse_override

    changes = [parse_override(text) for text in overrides or ()]
    return changes + [
        Override(path, parse_given(text, f"{flag} {text}"), flag)
        for path, text in flags.items()
        if text is not None
        for flag in [f"--{path.rpartition('.')[2]}"]
    ]


def load_changed(recipe: str, changes: Sequence["Override"]) -> "Loaded":
    """Load a recipe with changes, and say what they brought and dropped."""
    from eailab.recipe.load import load

    loaded = load(recipe, changes)
    for note in loaded.notes:
        echo(f"note: {note}", err=True)
    return loaded


def carry_out(
    studies: Sequence["Study"],
    context: "RunContext",
    jobs: int | None,
    *,
    name: str = "",
    fail_fast: bool = False,
    as_json: bool = False,
) -> None:
    """Train what is left of some studies, publish their files, and print their tables and the report's path last.

    Args:
        studies: What to compare; one study of one arm for a single trial.
        context: Folders and device.
        jobs: Trials side by side; None to choose.
        name: What the common report of several studies is called.
        fail_fast: Stop at the first trial that fails.
        as_json: Print the findings as JSON instead of the tables.

    Raises:
        StoppedError: A signal came; the message names the command that goes on.
        TrialFailedError: One or more trials ended without a result; the others are in the tables.
    """
    from eailab.cli.console import Console
    from eailab.studies.run import run_studies

    with run_studies(studies, Console(context, jobs, fail_fast)) as run:
        publish(run.plans, context, name, as_json)


def make_plans(studies: Sequence["Study"], context: "RunContext") -> list["Plan"]:
    """Plan some studies, and say what the user should know of them."""
    from eailab.cli.console import Console

    return Console(context).plan(studies)


@contextmanager
def writing(text: str, total: int = 1) -> Iterator["Watch"]:
    """Show how far the writing of files has come; the caller says so with `advance`."""
    from eailab.cli.progress import Watch

    with Watch(()) as watch:
        watch.stage(text, total)
        yield watch


def publish(plans: Sequence["Plan"], context: "RunContext", name: str, as_json: bool) -> None:
    """Write the files of each study, and of several a report of all; print the answers, the report's path last."""
    from eailab.report.publish import publish_plans

    total = len(plans) if len(plans) == 1 else len(plans) + 1
    with writing("writing tables, figures and pages", total) as watch:
        reports, page = publish_plans(plans, context, say_note, name=name, advance=watch.advance)
    findings = [one.findings for one in reports]
    if as_json:
        from eailab.report.record import as_mapping, report_mapping

        echo_json(as_mapping(findings[0]) if len(plans) == 1 else report_mapping(findings, []))
        return
    from eailab.report.terminal import print_study

    for planned, found in zip(plans, findings, strict=True):
        print_study(found)
        echo(f"table:   {planned.folder / 'table.md'}")
        echo(f"figures: {planned.folder / 'figures'}")
        if len(plans) > 1:
            echo()
    trial = _single_trial(plans)
    if trial is not None:
        echo(f"trial:   {trial}")
    echo(f"report:  {page}")
    if trial is not None:
        _say_what_next(trial, context.runs_dir, is_finished=findings[0].arms[0].trials[0].state == "finished")


def _single_trial(plans: Sequence["Plan"]) -> str | None:
    """Return the name of the trial where there is just one: of its own study, so that no later trial shares it."""
    from eailab.studies.lookup import Use, head_of

    if [len(planned.record.trials) for planned in plans] != [1]:
        return None
    ((arm, block),) = plans[0].record.trials
    return Use(replace(head_of(plans[0].record), folder=plans[0].folder), arm, block).lasting


def _say_what_next(trial: str, runs_dir: Path, *, is_finished: bool) -> None:
    """Advise what to do with a trial, in commands to copy."""
    name, where = shlex.quote(trial), "" if runs_dir == RUNS_DIR else f" --runs {shlex.quote(str(runs_dir))}"
    commands = [f"runs show {name}"]
    if is_finished:
        commands += [f"predict {name} IMAGE.png", f"export {name} --to onnx"]
    LOG.info("next:")
    for command in commands:
        LOG.info("  eailab %s%s", command, where)
