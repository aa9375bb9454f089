"""What `train-*` and `ablate` have in common: plan a study, train what is left, publish, print."""

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from eailab.errors import StoppedError, TrialFailedError, UsageError
from eailab.runs.events import Failed

if TYPE_CHECKING:
    from eailab.recipe.load import Loaded
    from eailab.runs.executors.base import Surroundings
    from eailab.studies.conduct import Plan
    from eailab.studies.design import Study


def load_recipe(recipe: str, flags: dict[str, str | None], overrides: Sequence[str] | None) -> "Loaded":
    """Load a recipe with `-o` overrides and then the command's own flags, and say what they changed.

    Args:
        recipe: Name or path.
        flags: Text that each flag was given, by factor name; None for a flag that was not.
        overrides: Texts of `-o`.
    """
    from eailab.recipe.load import Override, load, parse_override, parse_value

    changes: list[Override] = [parse_override(text) for text in overrides or ()]
    changes += [Override(name, parse_value(text), f"--{name}") for name, text in flags.items() if text is not None]
    loaded = load(recipe, changes)
    for note in loaded.notes:
        typer.echo(f"note: {note}", err=True)
    return loaded


def carry_out(study: "Study", surroundings: "Surroundings", jobs: int | None, quick: str | None, as_json: bool) -> None:
    """Train what is left of a study, publish its files, and print its table and the report's path last.

    Args:
        study: What to compare; one arm for a single trial.
        surroundings: Folders and device.
        jobs: Trials side by side; None to choose.
        quick: A quicker command to name beside a long expected time; None where none is needed.
        as_json: Print the findings as JSON instead of the table.

    Raises:
        StoppedError: A signal came; the message names the command that goes on.
        TrialFailedError: One or more trials ended without a result; the others are in the table.
    """
    from eailab.cli.progress import stoppable, watcher
    from eailab.report.publish import publish_study, publish_trial
    from eailab.studies.conduct import conduct, plan

    planned = plan(study, surroundings)
    for note in planned.notes:
        typer.echo(f"note: {note}", err=True)
    _say_plan(planned)
    with stoppable() as stop_code:
        try:
            with watcher(planned, quick) as watch:
                failed = conduct(planned, surroundings, jobs, watch, lambda: stop_code() != 0)
        except StoppedError as error:
            raise StoppedError(
                f"stopped: finished trials and checkpoints are kept in {surroundings.runs_dir}. "
                f"The same command goes on:\n  {shlex.join(['eailab', *sys.argv[1:]])}",
                stop_code() or 130,
            ) from error
    store = surroundings.store
    for fingerprint in planned.record.trials.values():
        publish_trial(store.folder(fingerprint), planned.labels[fingerprint])
    findings = publish_study(store, planned.folder)
    if as_json:
        typer.echo((planned.folder / "table.json").read_text(encoding="utf-8"), nl=False)
    else:
        from eailab.report.terminal import print_study

        print_study(findings)
        typer.echo(f"table:   {planned.folder / 'table.md'}")
        typer.echo(f"figures: {planned.folder / 'figures'}")
        typer.echo(f"report:  {planned.folder / 'report.html'}")
    _raise_failures(failed)


def _say_plan(planned: "Plan") -> None:
    total, left = len(planned.trials), len(planned.todo)
    if total > 1:
        typer.echo(f"{total} trials: {total - left} finished already, {left} to train", err=True)
    elif not left:
        typer.echo("this trial is finished already; nothing to train", err=True)


def _raise_failures(failed: Sequence[Failed]) -> None:
    if not failed:
        return
    if all(failure.exit_code == UsageError.exit_code for failure in failed):
        raise UsageError(failed[0].reason)
    raise TrialFailedError(
        f"{len(failed)} trial{'s' * (len(failed) > 1)} ended without a result (the reasons stand above). "
        "The others are kept; the same command tries the failed ones again."
    )
