"""`eailab report`: tell what studies have found."""

from pathlib import Path
from typing import Annotated

import typer

from eailab.cli import completion
from eailab.cli.options import RUNS_DIR, AsJson, DataDir, RunsDir
from eailab.cli.output import echo, echo_json

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
            autocompletion=completion.one_of(completion.FORMATS),
            metavar="NAME",
            help="markdown, html, latex, csv or json; repeatable [default: markdown, html]",
        ),
    ] = None,
    exports: Annotated[
        list[str] | None,
        typer.Option(
            "--export",
            autocompletion=completion.one_of(completion.TOOLS),
            metavar="TOOL",
            help="Hand the studies on to tensorboard, mlflow, wandb-offline or csv in place of a report; repeatable, "
            "and with --format beside one.",
        ),
    ] = None,
    lang: Annotated[
        str,
        typer.Option(
            metavar="CODE",
            help="Language of the report: en or zh-TW.",
            autocompletion=completion.languages,
        ),
    ] = "en",
    lab: Annotated[
        bool, typer.Option("--lab", help="Write lab-report.md: the lab's two tasks, with published figures beside.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Write the tables and figures of studies as report.md and report.html; works while they run.

    Example: eailab report digits-mlp-batch-size --out report/
    """
    from eailab.errors import UsageError
    from eailab.plain import plain
    from eailab.report.exports.table import EXPORTS, chosen_exports
    from eailab.report.publish import chosen_formats, find_studies, publish_report
    from eailab.runs.store import Store

    if lab and formats:
        raise UsageError("--lab writes lab-report.md and no other format: leave --format out.")
    tools = chosen_exports(exports or [])
    wanted = chosen_formats(formats or []) if formats or lab or not tools else ()
    if lang != "en" and not wanted:
        raise UsageError("exports are in English only: leave --lang out, or add --format.")
    written = publish_report(
        find_studies(Store(runs), studies or []), out, data_dir, formats=wanted, lang=lang, lab=lab, exports=tools
    )
    for message in written.unreadable:
        echo(f"left out: {plain(message)}", err=True)
    for note in written.notes:
        echo(f"note: {note}", err=True)
    if json:
        from eailab.report.record import report_mapping

        echo_json(report_mapping(written.studies, written.unreadable))
        return
    from eailab.report.terminal import print_study

    for findings in written.studies:
        print_study(findings)
        echo(f"study:    {findings.folder_name}\n")
    for name, file in written.files.items():
        echo(f"{name + ':':9} {file}")
    for name, folder in written.exports.items():
        command = EXPORTS[name].opened_by
        echo(f"{name}: {folder}" + (f"  ({command.format(folder)})" if command else ""))
