"""`eailab studies`: the studies of a store, one of them, and how to get rid of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from eailab.cli.commands import Commands
from eailab.cli.options import RUNS_DIR, AsJson, RunsDir, StudyName, confirmed
from eailab.cli.output import echo, echo_json, echo_rows
from eailab.cli.runs import print_trials
from eailab.plain import counted

if TYPE_CHECKING:
    from eailab.runs.store import Store
    from eailab.studies.lookup import Head, PathHead

studies = Commands(
    help="List, show and remove studies.\n\nExample: eailab studies list",
)


@studies.command("list")
def list_(runs: RunsDir = RUNS_DIR, as_json: AsJson = False) -> None:
    """List the studies of a store: what each varies, on which model and data, and how many trials have finished.

    Example: eailab studies list
    """
    from eailab.report.study_list import HEADINGS, listed_studies
    from eailab.studies.lookup import existing

    found = listed_studies(existing(runs))
    if as_json:
        echo_json({"runs": str(runs), "studies": [one.mapping() for one in found]})
        return
    if found:
        echo_rows(HEADINGS, [one.cells for one in found], numbers=("blocks", "finished"), shorten=("folder",))
    for one in found:
        if one.problem is not None:
            echo(f"{one.folder}: {one.problem}", hang=2)
    echo(f"{counted(len(found), 'study')} in {runs}")


@studies.command()
def show(study: StudyName, runs: RunsDir = RUNS_DIR, as_json: AsJson = False) -> None:
    """Show one study: its answer so far, what it rests on, and its trials by name.

    Example: eailab studies show digits-mlp-batch-size
    """
    from eailab.findings.study import study_findings
    from eailab.report.record import as_mapping
    from eailab.report.terminal import print_study
    from eailab.studies.lookup import PathHead, existing, heads, one_study
    from eailab.studies.record import read_record

    store = existing(runs)
    head = one_study(heads(runs), study, runs)
    if isinstance(head, PathHead):
        _show_path(head, store, as_json=as_json)
        return
    findings = study_findings(store, read_record(head.folder))
    if as_json:
        echo_json(as_mapping(findings))
        return
    print_study(findings)
    echo()
    _say_trials(head, store)


def _show_path(path: "PathHead", store: "Store", *, as_json: bool) -> None:
    """Print what a path ablation has found, as `eailab explain` does."""
    from eailab.findings.path import waterfall_of
    from eailab.report.compose import walk_document
    from eailab.report.record import waterfall_mapping
    from eailab.report.terminal import render
    from eailab.studies.path_run import read_route

    record = read_route(path.folder)
    found = waterfall_of(store, record)
    if as_json:
        echo_json(waterfall_mapping(found))
        return
    render(walk_document(found))
    if not record.is_finished:
        steps = f"{len(record.taken)} of {counted(len(record.route.moves), 'step')}"
        echo(f"unfinished: {steps} so far; its `eailab explain` command goes on")
    echo()
    _say_trials(path, store)


def _say_trials(study: "Head | PathHead", store: "Store") -> None:
    from eailab.report.listing import Wanted, listed

    print_trials(listed(store, Wanted(study=study.called)))
    echo(f"folder:  {study.folder}")


@studies.command()
def rm(
    study: StudyName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs: RunsDir = RUNS_DIR,
) -> None:
    """Remove a study and the trials that no other study has, for good; asks first.

    Example: eailab studies rm digits-mlp-batch-size
    """
    from eailab.studies.lookup import existing, heads, one_study
    from eailab.studies.record import own_trials, remove_study

    store = existing(runs)
    head = one_study(heads(runs), study, runs)
    trials = own_trials(store, head, heads(runs))
    kept = len(set(head.trials.values()) & set(store.trial_names())) - len(trials)
    number = counted(len(trials), "trial")
    shared = f"; {kept} that other studies have too stay" if kept else ""
    if not confirmed(f"Remove {head.called} and {number} for good{shared}?", "this study", yes=yes):
        return
    remove_study(store, head, trials)
    echo(f"removed {head.called} and {number} from {runs}{shared}")
