"""`eailab lab`: folders for a course's students, reports filled from the store, and marks by a rubric."""

from pathlib import Path
from typing import Annotated

import typer

from eailab.cli import completion
from eailab.cli.commands import Commands
from eailab.cli.options import RUNS_DIR, AsJson, DataDir, Device
from eailab.cli.output import echo, echo_json, say_note
from eailab.errors import UsageError

NAMES = ("task1", "task2", "fair")
"""Of the labs; named here, since their module is slow to import, and compared with it by a test."""

lab = Commands(help="Give out, fill and mark the labs of a course.\n\nExample: eailab lab new task1")

LabName = Annotated[
    str, typer.Argument(metavar="LAB", help="task1, task2 or fair.", autocompletion=completion.one_of(NAMES))
]
LabRecipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="RECIPE",
        autocompletion=completion.recipes,
        help="What all arms of the lab share: mnist-mlp for task1 and fair, resnet18-cifar10-small or resnet18-cifar10 "
        "for task2, or one of yours; the lab and its rubric have the same [default: the embedded digits]",
    ),
]
Folder = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The student's folder, with report.md and study.yaml.", file_okay=False)
]
LabRuns = Annotated[
    Path | None,
    typer.Option(
        "--runs", metavar="FOLDER", help="Folder of trials and studies [default: runs in FOLDER]", file_okay=False
    ),
]


@lab.command()
def new(
    name: LabName,
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="A new folder [default: LAB here]", show_default=False)
    ] = None,
    recipe: LabRecipe = None,
    lang: Annotated[
        str,
        typer.Option(metavar="CODE", help="Language of the report: en or zh-TW.", autocompletion=completion.languages),
    ] = "en",
) -> None:
    """Write a student's folder: recipe, study file, and a report with questions and places to be filled.

    task1 is an MLP from scratch, task2 a ResNet, fair Adam against SGD before and after tuning.

    Example: eailab lab new task1
    """
    from eailab.labs.new import write_lab

    target = folder or Path(name)
    for file in write_lab(name, target, recipe, lang):
        echo(file)
    echo(f"next: cd {target}, and follow report.md", hang=2)


@lab.command()
def fill(
    folder: Folder = Path(),
    runs: LabRuns = None,
    data_dir: DataDir = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace what somebody wrote inside a place, too: it is lost.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Fill the marked places of report.md from the store; what stands outside them is not touched.

    Example: eailab lab fill task1
    """
    from eailab.labs.fill import fill as fill_report
    from eailab.labs.folder import LabFolder
    from eailab.runs.store import Store

    filled = fill_report(LabFolder(folder, Store(runs or folder / RUNS_DIR), data_dir), replace=replace)
    for note in filled.notes:
        say_note(note)
    if json:
        echo_json({
            "report": str(filled.report),
            "places": filled.places,
            "missing": {command: list(asked) for command, asked in filled.missing.items()},
            "figures": [str(file) for file in filled.figures],
        })  # fmt: skip
        return
    waiting = sum(map(len, filled.missing.values()))
    echo(f"{filled.report}: {filled.places - waiting} of {filled.places} places are filled", hang=2)
    for command, asked in filled.missing.items():
        echo(f"missing: {command}", hang=2)
        echo(f"  for: {', '.join(asked)}", hang=4)


@lab.command()
def rubric(
    name: LabName,
    destination: Annotated[
        Path | None, typer.Argument(help="A new file [default: LAB-rubric.yaml here]", metavar="DEST")
    ] = None,
    recipe: LabRecipe = None,
) -> None:
    """Copy the rubric of a lab to a file of your own, to be changed; nothing is overwritten.

    Example: eailab lab rubric task1 lab1.yaml --recipe mnist-mlp
    """
    from eailab.labs.new import copy_rubric

    echo(copy_rubric(name, destination or Path(f"{name}-rubric.yaml"), recipe))


@lab.command()
def grade(
    submission: Annotated[
        Path, typer.Argument(metavar="SUBMISSION", help="A student's folder, with its runs.", file_okay=False)
    ],
    by: Annotated[
        str, typer.Option("--rubric", metavar="FILE", help="What it is held to: a path, or task1, task2 or fair.")
    ],
    plan: Annotated[
        str | None, typer.Option(metavar="NAME", help="The plan that was handed in beforehand [default: the rubric's]")
    ] = None,
    run_code: Annotated[
        bool, typer.Option("--run-code", help="Run submitted code: in a process with limits, which is not a sandbox.")
    ] = False,
    no_train: Annotated[
        bool, typer.Option("--no-train", help="Train nothing: neither a trial again nor a hidden block.")
    ] = False,
    draw: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Draws the trials and the hidden block, to repeat a grading.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the marks as Markdown [default: standard output]")
    ] = None,
    results: Annotated[Path | None, typer.Option(metavar="FILE", help="Write Gradescope's results.json, too.")] = None,
    runs: LabRuns = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    json: AsJson = False,
) -> None:
    """Mark a submission by a rubric: report, store, plan, blocks, trials again, claims and gradients.

    It ends with 0 whatever the marks are. None of the submission's code runs without --run-code.

    Example: eailab lab grade alice/ --rubric task1
    """
    from secrets import randbelow

    from eailab.labs.folder import LabFolder
    from eailab.labs.grade import Grading
    from eailab.labs.marks import as_markdown, for_gradescope
    from eailab.labs.rubric import read_rubric
    from eailab.plain import layout
    from eailab.runs.atomic import write_changed
    from eailab.runs.store import Store

    if not submission.is_dir():
        raise UsageError(f"there is no folder {submission}: name a student's folder.")
    asked = read_rubric(by)
    folder = LabFolder(submission, Store(runs or submission / RUNS_DIR), data_dir)
    drawn = randbelow(1_000_000) if draw is None else draw
    grading = Grading(folder, asked, asked.plan_of(submission, plan), device, drawn, run_code, not no_train)
    marks = grading.marks()
    if results is not None:
        write_changed(results, layout(for_gradescope(marks)).encode())
    if markdown is not None:
        write_changed(markdown, as_markdown(marks).encode())
    if json:
        echo_json(marks.mapping())
    elif markdown is None:
        echo(as_markdown(marks).rstrip("\n"))
    else:
        echo(f"{marks.points:g} of {marks.of:g} points: {markdown}", hang=2)
