"""`eailab runs`, `eailab studies` and `eailab diff`: list, show, compare, check and remove what a store has."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eailab.cli import completion
from eailab.cli.commands import Commands
from eailab.cli.options import RUNS_DIR, AsJson, RunsDir, StudyName, TrialName, Yes, confirmed
from eailab.cli.output import echo, echo_json, say_note
from eailab.errors import CheckFailedError, EailabError
from eailab.plain import counted, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eailab.metrics import Metric
    from eailab.report.listing import Listed
    from eailab.runs.store import Store
    from eailab.runs.trial_folder import TrialFolder
    from eailab.studies.heads import Head, PathHead


runs = Commands(help="List, show, verify and remove trials.\n\nExample: eailab runs list")


@runs.command("list")
def list_(
    study: Annotated[
        str | None, typer.Option(metavar="STUDY", help="Of this study only.", autocompletion=completion.studies)
    ] = None,
    arm: Annotated[str | None, typer.Option(metavar="ARM", help="Of this arm only.")] = None,
    block: Annotated[int | None, typer.Option(metavar="N", help="Of this block only.")] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE",
            help="Only finished, diverged, timed-out, training, stopped or damaged ones.",
            autocompletion=completion.one_of(completion.STATES),
        ),
    ] = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="Of this recipe's name only.")] = None,
    runs: RunsDir = RUNS_DIR,
    as_json: AsJson = False,
) -> None:
    """List the trials of a store: study, arm and block, its state, its score, and when it finished.

    The score is that of the study's metric. "+1" after a study: one more has the same trial.

    Example: eailab runs list --study digits-mlp-batch-size --state finished
    """
    from eailab.report.listing import TrialFilter, listed
    from eailab.studies.lookup import existing

    store = existing(runs)
    found = listed(store, TrialFilter(study, arm, block, state, recipe))
    if as_json:
        echo_json({"runs": str(runs), "trials": [one.mapping() for one in found]})
        return
    if found:
        print_trials(found)
    counts = Counter(one.summary.state for one in found)
    states = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    total = len(store.trial_names())
    shown = "" if len(found) == total else f"{len(found)} of "
    echo(f"{shown}{counted(total, 'trial')} in {runs}" + (f": {states}" if states else ""), hang=2)


@runs.command()
def show(
    trial: TrialName,
    runs: RunsDir = RUNS_DIR,
    curves: Annotated[bool, typer.Option("--curves", help="Draw its learning curves into its folder.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one trial: its studies, what differs from their baselines, its scores, what it ran on, files and recipe.

    Example: eailab runs show 16/0
    """
    from eailab.findings.costs import with_timed
    from eailab.report.figure_files import write_trial_curves
    from eailab.report.listing import described, listed, recipe_lines
    from eailab.runs.store import Store
    from eailab.studies.lookup import find_trial

    # Find the trial.
    folder = find_trial(Store(runs), trial)
    store = Store(folder.path.resolve().parents[1])
    (about,) = listed(store, among=[folder.path.resolve().name])
    record = folder.record() if about.summary.result is not None else None
    if curves and not write_trial_curves(folder, about.title):
        say_note("no curves were drawn: the trial has not ended, reports no epochs, or its epochs cannot be read.")
    files = {file.name: file.lstat().st_size for file in sorted(folder.path.iterdir()) if not file.is_dir()}
    if as_json:
        echo_json({**about.mapping(), "result": record, "files": files})
        return
    # Print it, and what came of it, a line each.
    lines = [("folder", str(folder.path)), *described(about)]
    if record is not None:
        metrics = {metric.key: metric for metric in folder.metrics() or ()}
        lines += [
            (name.replace("_", " "), _score(value, metrics.get(name)))
            for name, value in record["metrics"].items()
            if value is not None
        ]
        seconds, timed = folder.seconds(record["epochs"])
        lines.append(("seconds", with_timed(f"{seconds:.1f}", timed, record["epochs"])))
        known = {"parameters": record["parameters"], **record["provenance"]}
        lines += [(name, _flat(value)) for name, value in known.items() if value not in (None, {})]
    lines += [("file", f"{size:>12,} bytes  {name}") for name, size in files.items()]
    lines += [("" if number else "recipe in full", line) for number, line in enumerate(recipe_lines(folder))]
    for name, value in lines:
        echo(f"{name:<20}{plain(str(value))}", hang=20)


@runs.command()
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Move what is damaged to RUNS/quarantine; it is then trained again.")
    ] = False,
    runs: RunsDir = RUNS_DIR,
    as_json: AsJson = False,
) -> None:
    """Check every checksum of a store, and report what does not match; nothing is deleted.

    Example: eailab runs verify --repair
    """
    from eailab.runs.store import problems, quarantine
    from eailab.studies.admin import problems as study_problems
    from eailab.studies.lookup import existing
    from eailab.studies.preregistration import plan_problems

    store = existing(runs)
    found = [*problems(store), *study_problems(store), *plan_problems(store)]
    # Move what is damaged aside, if that is asked for.
    moved, left = {}, []
    for problem in found:
        try:
            if repair and problem.path not in moved:
                moved[problem.path] = quarantine(store, problem.path)
        except EailabError as error:
            left.append(str(error))
    # Print what was found.
    if as_json:
        mappings = [
            {"path": str(one.path), "reason": one.reason, "moved_to": _text(moved.get(one.path))} for one in found
        ]
        echo_json({"runs": str(runs), "trials": len(store.trial_names()), "problems": mappings})
    else:
        for one in found:
            echo(plain(one.reason) + (f" Moved to {moved[one.path]}." if one.path in moved else ""), hang=2)
        outcome = counted(len(found), "problem") if found else "no problems"
        echo(f"{counted(len(store.trial_names()), 'trial')} in {runs}: {outcome}")
    # End with an error if anything is left.
    if left:
        raise CheckFailedError("\n".join(map(plain, left)))
    if any(problem.path not in moved for problem in found):
        raise CheckFailedError(
            f"{counted(len(found), 'problem')} in {runs}: `eailab runs verify --repair` moves what does not match "
            "aside, and the study's own command trains it again."
        )


@runs.command()
def rm(
    trials: Annotated[
        list[str],
        typer.Argument(
            metavar="TRIAL", help="[STUDY/]ARM/BLOCK, or beginnings of fingerprints.", autocompletion=completion.trials
        ),
    ],
    yes: Yes = False,
    runs: RunsDir = RUNS_DIR,
) -> None:
    """Remove trials for good; asks first. A study that has them trains them again.

    Example: eailab runs rm 16/0 32/0
    """
    from eailab.report.listing import listed
    from eailab.runs.store import remove
    from eailab.studies.lookup import existing, find_trial

    store = existing(runs)
    folders: dict[str, TrialFolder] = {}
    for text in trials:
        folder = find_trial(store, text)
        folders[folder.path.name] = folder
    print_trials(listed(store, among=folders), err=True)
    number = counted(len(folders), "trial")
    if not confirmed(f"Remove {number} for good?", "these trials" if len(folders) > 1 else "this trial", yes=yes):
        return
    for folder in folders.values():
        remove(store, folder)
    echo(f"removed {number} from {runs}")


def print_trials(trials: "Sequence[Listed]", *, err: bool = False) -> None:
    """Print trials as a list; long names are shortened, since `eailab runs show` has them in full."""
    from eailab.report.listing import TRIAL_HEADINGS
    from eailab.report.lists import print_list

    rows = [one.cells for one in trials]
    print_list(TRIAL_HEADINGS, rows, numbers=("block", "score", "finished"), names=("study", "arm"), err=err)


def _score(value: float, metric: "Metric | None") -> str:
    """Write a recorded value: in the unit shown, or to six digits where it has none."""
    return metric.text(metric.scale * value) if metric is not None and metric.unit else f"{value:.6g}"


def _flat(value: object) -> str:
    return ", ".join(f"{name} {one}" for name, one in value.items()) if isinstance(value, dict) else str(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def diff(
    first: TrialName,
    second: TrialName,
    runs: RunsDir = RUNS_DIR,
    everything: Annotated[bool, typer.Option("--all", help="Show what is equal too.")] = False,
    json: AsJson = False,
) -> None:
    """Compare two trials side by side: recipe, environment, data and results.

    Example: eailab diff 16/0 32/0
    """
    from eailab.findings.diff import diff as compare
    from eailab.report.terminal import print_table
    from eailab.runs.store import Store
    from eailab.studies.lookup import find_trial

    store = Store(runs)
    found = compare(find_trial(store, first), find_trial(store, second))
    if json:
        from dataclasses import asdict

        from eailab.report.json_report import as_plain

        echo_json(as_plain(asdict(found)))
        return
    equal = sum(not line.differs for line in found.lines)
    print_table("Two trials", found.table(everything=everything), [f"{equal} of {len(found.lines)} things are equal"])


# --- studies ---------------------------------------------------------------------------------------------------------


studies = Commands(help="List, show and remove studies.\n\nExample: eailab studies list")


@studies.command("list")
def list_studies(runs: RunsDir = RUNS_DIR, as_json: AsJson = False) -> None:
    """List the studies of a store: what each varies, on which model and data, and how many trials have finished.

    Example: eailab studies list
    """
    from eailab.report.listing import STUDY_HEADINGS, listed_studies
    from eailab.report.lists import print_list
    from eailab.studies.lookup import existing

    found = listed_studies(existing(runs))
    if as_json:
        echo_json({"runs": str(runs), "studies": [one.mapping() for one in found]})
        return
    if found:
        rows = [one.cells for one in found]
        print_list(STUDY_HEADINGS, rows, numbers=("blocks", "finished"), names=("study", "folder"))
    for one in found:
        if one.problem is not None:
            echo(f"{one.folder}: {one.problem}", hang=2)
    echo(f"{counted(len(found), 'study')} in {runs}")


@studies.command("show")
def show_study(study: StudyName, runs: RunsDir = RUNS_DIR, as_json: AsJson = False) -> None:
    """Show one study: its answer so far, what it rests on, and its trials by name.

    Example: eailab studies show digits-mlp-batch-size
    """
    from eailab.findings.study import study_findings
    from eailab.report.json_report import as_mapping
    from eailab.report.terminal import print_study
    from eailab.studies.heads import PathHead, heads
    from eailab.studies.judgements import note_on_later_blocks
    from eailab.studies.lookup import existing, one_study
    from eailab.studies.storage import read_record

    store = existing(runs)
    head = one_study(heads(runs), study, runs)
    if isinstance(head, PathHead):
        _show_path(head, store, as_json=as_json)
        return
    record = read_record(head.folder)
    findings = study_findings(store, record, widen=True)
    for note in note_on_later_blocks(record, store):
        say_note(note)
    if as_json:
        echo_json(as_mapping(findings))
        return
    print_study(findings)
    echo()
    _say_trials(head, store)


def _show_path(path: "PathHead", store: "Store", *, as_json: bool) -> None:
    """Print what a path ablation has found, as `eailab explain` does."""
    from eailab.findings.path import path_findings
    from eailab.report.compose import path_document
    from eailab.report.terminal import render
    from eailab.studies.path_run import read_path_ablation

    record = read_path_ablation(path.folder)
    document = path_document(path_findings(store, record))
    if as_json:
        echo_json(document.data())
        return
    render(document)
    if not record.is_finished:
        steps = f"{len(record.taken)} of {counted(len(record.path.moves), 'step')}"
        echo(f"unfinished: {steps} so far; the same `eailab explain` command continues it")
    echo()
    _say_trials(path, store)


def _say_trials(study: "Head | PathHead", store: "Store") -> None:
    from eailab.report.listing import TrialFilter, listed

    print_trials(listed(store, TrialFilter(study=study.called)))
    echo(f"folder:  {study.folder}")


@studies.command("rm")
def rm_study(study: StudyName, yes: Yes = False, runs: RunsDir = RUNS_DIR) -> None:
    """Remove a study and the trials that no other study has, for good; asks first.

    Example: eailab studies rm digits-mlp-batch-size
    """
    from eailab.studies.admin import own_trials, remove_study
    from eailab.studies.heads import heads
    from eailab.studies.lookup import existing, one_study

    store = existing(runs)
    head = one_study(heads(runs), study, runs)
    trials = own_trials(store, head, heads(runs))
    kept = len(head.fingerprints & set(store.trial_names())) - len(trials)
    number = counted(len(trials), "trial")
    shared = f"; {kept} that other studies have too stay" if kept else ""
    if not confirmed(f"Remove {head.called} and {number} for good{shared}?", "this study", yes=yes):
        return
    remove_study(store, head, trials)
    echo(f"removed {head.called} and {number} from {runs}{shared}")
