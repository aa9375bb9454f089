"""`eailab report` and `eailab verify`: write reports of studies, and check a report against the store."""

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eailab.cli import completion
from eailab.cli.options import RUNS_DIR, AsJson, DataDir, Device, Quiet, RunsDir, Verbose
from eailab.cli.output import LOG, echo, echo_json, say_note
from eailab.errors import CheckFailedError, UsageError
from eailab.plain import counted, plain

if TYPE_CHECKING:
    from eailab.report.verify import Verification
    from eailab.report.write import Written
    from eailab.runs.retrain import RetrainedTrial
    from eailab.runs.store import Store
    from eailab.runs.trial import Trial


OUT_DIR = Path("report")


def report(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STUDY",
            help="Names or folders of studies [default: all]",
            show_default=False,
            autocompletion=completion.studies,
        ),
    ] = None,
    runs: RunsDir = RUNS_DIR,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the report is written.")] = OUT_DIR,
    data_dir: DataDir = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            autocompletion=completion.formats,
            metavar="NAME",
            help="{report/FORMATS}; repeatable [default: markdown, html]",
        ),
    ] = None,
    exports: Annotated[
        list[str] | None,
        typer.Option(
            "--export",
            autocompletion=completion.exports,
            metavar="TOOL",
            help="Export the studies to {report/EXPORTS} in place of a report; repeatable, with --format, in addition "
            "to one.",
        ),
    ] = None,
    fragments: Annotated[
        bool,
        typer.Option(
            "--fragments",
            help="Write tables, figures and paragraphs for \\input in a LaTeX paper into fragments/, in place of a "
            "report; with --format, in addition to one.",
        ),
    ] = False,
    lang: Annotated[
        str,
        typer.Option(metavar="CODE", help="Language of the report: en or zh-TW.", autocompletion=completion.languages),
    ] = "en",
    lab: Annotated[
        bool,
        typer.Option(
            "--lab", help="Write lab-report.md: the lab's tasks that the studies are of, next to the published figures."
        ),
    ] = False,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="LEVEL=NAME",
            help="What tables and figures call a level: 16=small, or lr:0.001=usual where several factors have it; "
            "repeatable.",
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Write the tables and figures of studies as report.md and report.html; works while they run.

    Example: eailab report digits-mlp-batch-size --out report/
    """
    from eailab.report.formats import EXPORTS, chosen_exports, chosen_formats
    from eailab.report.write import find_studies, write_report
    from eailab.runs.store import Store

    if lab and (formats or fragments):
        raise UsageError("--lab writes lab-report.md and no other format: leave --format and --fragments out.")
    # Choose what is written.
    tools = chosen_exports(exports or [])
    wanted = chosen_formats(formats or []) if formats or lab or not (tools or fragments) else ()
    if lang != "en" and not (wanted or fragments):
        raise UsageError("exports are in English only: leave --lang out, or add --format or --fragments.")
    written = write_report(
        find_studies(Store(runs), studies or []),
        out,
        data_dir,
        formats=wanted,
        lang=lang,
        lab=lab,
        exports=tools,
        fragments=fragments,
        labels=labels or [],
    )
    # Say what was left out, and where the files are.
    for message in written.unreadable:
        echo(f"left out: {plain(message)}", err=True)
    for note in written.notes:
        say_note(note)
    if json:
        from eailab.report.json_report import report_mapping

        echo_json(report_mapping(written.studies, written.unreadable, [one.findings for one in written.paths]))
        return
    if wanted:
        _print_answers(written)
    for name, file in written.files.items():
        echo(f"{name + ':':9} {file}")
    for name, folder in written.exports.items():
        command = EXPORTS[name].opened_by if name in EXPORTS else None
        echo(f"{name}: {folder}" + (f"  ({command.format(folder)})" if command else ""))


def _print_answers(written: "Written") -> None:
    """Print the tables of a report, the names of its studies last."""
    from eailab.report.compose import path_document
    from eailab.report.terminal import print_studies, render

    print_studies(written.studies)
    for path in written.paths:
        render(path_document(path.findings))
    for name in (*(findings.folder_name for findings in written.studies), *(path.folder for path in written.paths)):
        echo(f"study:    {name}")
    echo()


MOST_LINES = 20
"""Of one kind that are printed."""


def verify(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A file that `eailab report` or a study wrote.")],
    runs: RunsDir = RUNS_DIR,
    retrain: Annotated[
        str | None,
        typer.Option(
            autocompletion=completion.trials,
            metavar="ARM/BLOCK",
            help="Train this trial again and compare the bits; STUDY/ARM/BLOCK where two fit.",
        ),
    ] = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    _verbose: Verbose = False,
    _quiet: Quiet = False,
    json: AsJson = False,
) -> None:
    """Recompute every number of a report from the store, and check every trial against its checksums.

    Example: eailab verify report/report.html --retrain 64/0
    """
    from eailab.report.verify import verify as check
    from eailab.runs.store import Store

    # Check the report, and train a trial again if that is asked for.
    store = Store(runs)
    found = check(report, store, data_dir)
    again = None
    if not json:
        _print(found)
    if retrain is not None:
        again = _retrain(store, found.trial(store, retrain), retrain, data_dir, device)
        if not json:
            _print_again(again, retrain)
    if json:
        from eailab.findings.decision import Decision

        holds = found.holds and (again is None or not again.differences)
        echo_json({
            **found.mapping(),
            "retrained": None if again is None else asdict(again),
            "decision": asdict(Decision(verdict="HOLDS" if holds else "DIFFERS")),
        })  # fmt: skip
    # End with an error if anything does not hold.
    if not found.holds:
        lacks, is_or_are = ", ".join(found.missing_data), "is" if len(found.missing_data) == 1 else "are"
        why = (
            f", which may be because {lacks} {is_or_are} not here: name the folder with --data-dir, or"
            if lacks
            else ":"
        )
        raise CheckFailedError(
            f"{report} does not say what {runs} says{why} make it again with {_made_by(found, report, store)}."
        )
    if again is not None and again.differences:
        raise CheckFailedError(f"{retrain}, trained again, did not give the same bits.")


def _made_by(found: "Verification", file: Path, store: "Store") -> str:
    """Return what makes a report's file again."""
    from eailab.report.formats import FORMATS
    from eailab.report.write import find_studies

    made = found.manifest
    if made.kind == "study":
        return "the study's own command"
    folders = [source.folder for source in (*made.sources, *made.paths)]
    is_all = set(folders) == {folder.name for folder in find_studies(store, [])}
    options = ["--out", str(file.parent)] if file.parent != OUT_DIR else []
    options += ["--lang", made.lang] if made.lang != "en" else []
    options += [word for label in dict.fromkeys(_labels(found)) for word in ("--label", label)]
    if made.kind == "lab":
        options.append("--lab")
    else:
        options += ["--format", next(name for name, form in FORMATS.items() if form.suffix == file.suffix.lower())]
    return f"`{shlex.join(['eailab', 'report', *([] if is_all else folders), *options])}`"


def _labels(found: "Verification") -> Iterator[str]:
    """Yield what a report calls levels otherwise, as `--label` takes it."""
    from eailab.studies.labels import Named, asked_for

    studies = {record.study.folder_name: record for record in found.records}
    for source in found.manifest.sources:
        record = studies[source.folder]
        named = Named(source.folder, record, found.tunings.get(record.study.fingerprint))
        yield from asked_for(named, source.names)


def _print(found: "Verification") -> None:
    outcome = found.outcome
    for lines, title in (
        (outcome.problems, "differs"),
        (found.problems, "store"),
        (found.gaps, "gap"),
        (outcome.foreign, "not checked"),
        (found.notes, "note"),
    ):
        for line in lines[:MOST_LINES]:
            echo(f"{title}: {line}", hang=2)
        if len(lines) > MOST_LINES:
            echo(f"{title}: {len(lines) - MOST_LINES} more")
    whose, verb = "its" if found.trials == 1 else "their", "does" if found.failing == 1 else "do"
    echo(f"{counted(found.trials, 'trial')} checked against {whose} checksums, {found.failing:,} {verb} not match")
    differ = len(outcome.problems)
    also = f", and {counted(differ, 'part')} of the report differ{'s' * (differ == 1)}" if differ else ""
    echo(f"{outcome.matching}/{outcome.numbers} numbers match{also}", hang=2)


def _retrain(store: "Store", trial: "Trial", name: str, data_dir: Path | None, device: Device) -> "RetrainedTrial":
    """Train a trial again, and compare the two."""
    from eailab.cli.progress import Watch
    from eailab.runs.context import RunContext
    from eailab.runs.retrain import retrain

    LOG.info("training %s again (%s)", name, counted(trial.recipe.epochs, "epoch"))
    with Watch.of_one(trial, name) as watch:
        return retrain(trial, RunContext(store.root, data_dir, device, on_event=watch))


def _print_again(again: "RetrainedTrial", name: str) -> None:
    """Print how a trial compares with its repetition."""
    for line in again.differences[:MOST_LINES]:
        echo(f"differs: {line}", hang=2)
    then, now = again.environments
    if again.differences and then != now:
        echo(f"note: then {then}; now {now}: other software or hardware may give other bits", hang=2)
    same = again.compared - len(again.differences)
    echo(f"{name} trained again: {same}/{again.compared} values and files are the same to the bit", hang=2)
