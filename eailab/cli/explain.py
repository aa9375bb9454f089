"""`eailab explain`: which settings make one recipe better than another."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from eailab.cli import completion
from eailab.cli.options import (
    RUNS_DIR,
    AsJson,
    DataDir,
    Device,
    DryRun,
    Jobs,
    MetricName,
    Overrides,
    Quiet,
    RunsDir,
    Seeds,
    Verbose,
    load_recipe,
    one_metric,
    run_context,
)
from eailab.cli.output import LOG, echo, echo_json, say_note
from eailab.plain import counted

if TYPE_CHECKING:
    from eailab.runs.context import RunContext
    from eailab.studies.path_ablation import Move, PathAblation
    from eailab.studies.path_run import PathEvent, PathRecord
    from eailab.studies.storage import StudyRecord


def explain(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="The recipe to start from: a name or a path.", autocompletion=completion.recipes
        ),
    ],
    second: Annotated[
        str, typer.Argument(metavar="B", help="The recipe to arrive at.", autocompletion=completion.recipes)
    ],
    seeds: Seeds = "5",
    order: Annotated[
        Literal["gain", "listed"],
        typer.Option(
            help="gain: at each step the setting that gains most, which measures them all; "
            "listed: in the order of a recipe, one arm a step."
        ),
    ] = "gain",
    joint: Annotated[
        list[str] | None,
        typer.Option(metavar="A+B", help="Settings that move as one, such as optimizer+lr; repeatable."),
    ] = None,
    metric: MetricName = None,
    dry_run: DryRun = False,
    jobs: Jobs = None,
    device: Device = "auto",
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
    json: AsJson = False,
) -> None:
    """Go from recipe A to recipe B setting by setting, and print what each step gains.

    Intervals are per step, each with its own 5%.

    `-o` sets a field in both recipes; A's own `study` gives the metric.

    Example: eailab explain digits-mlp mine.yaml --order listed --dry-run
    """
    from eailab.cli.running import Console, writing
    from eailab.findings.path import best_move, path_findings
    from eailab.findings.study import study_findings
    from eailab.report.compose import path_document
    from eailab.report.terminal import render
    from eailab.report.write import write_path
    from eailab.studies.forecast import weak_design
    from eailab.studies.path_ablation import fits, on_the_same_images, path_between
    from eailab.studies.path_run import run_path, with_other_blocks
    from eailab.studies.plan import parse_blocks

    # The path: its two ends on the same images, and the moves between them.
    where = run_context(runs, data_dir, device)
    blocks = parse_blocks(seeds)
    start, end = (load_recipe(text, {"study.metric": one_metric(metric)}, override).recipe for text in (first, second))
    end, data = on_the_same_images(start, end, data_dir)
    names = _names(first, second)
    asked = path_between(start, end, names, blocks, order, partial(fits, data_dir=data_dir), joint or (), data)
    if warning := weak_design(asked.step([])):
        say_note(warning)

    # Show the plan, or train step by step.
    runner = Console(where, jobs)
    if dry_run:
        _print_plan(with_other_blocks(asked, runner), where, as_json=json)
        return
    for line in _plan_lines(asked):
        LOG.info(line)

    def choose(record: "StudyRecord") -> int:
        return best_move(study_findings(where.store, record))

    def publish(record: "PathRecord") -> None:
        found = path_findings(where.store, record)
        with writing("writing the table and the figure") as watch:
            write_path(found, record.folder)
            watch.advance()
        document = path_document(found)
        if json:
            echo_json(document.data())
            return
        render(document)
        echo(f"waterfall: {record.folder / 'waterfall.md'}")
        echo(f"figure:    {record.folder / 'figures' / 'waterfall.png'}")

    run_path(asked, runner, choose, publish, partial(_say_step, asked))


def _say_step(path: "PathAblation", event: "PathEvent") -> None:
    """Print what a path trains next, or which move a step has taken."""
    from eailab.studies.path_run import StepTaken

    if isinstance(event, StepTaken):
        LOG.info("step %d of %d took %s", event.number, len(path.moves), event.move.label)
    elif event.candidates:
        LOG.info("step %d of %d: %s", event.number, len(path.moves), _tried(event.candidates))
    else:
        LOG.info("both ends: %s and %s", *path.names)


def _tried(moves: "Sequence[Move]") -> str:
    """Name what a step tries."""
    if len(moves) == 1:
        return moves[0].label
    return f"which of {len(moves)} settings gains most: {'; '.join(move.label for move in moves)}"


def _plan_lines(asked: "PathAblation") -> list[str]:
    """Return the moves, and how many trials they may take."""
    blocks = len(asked.blocks)
    lines = [f"{asked.names[0]} -> {asked.names[1]}: {counted(len(asked.moves), 'step')}"]
    lines += [f"  {move.label}" for move in asked.moves]
    bound = "at most " if asked.order == "gain" and len(asked.moves) > 2 else ""
    lines.append(
        f"{bound}{asked.most_arms} recipes in {counted(blocks, 'block')}: {bound}{asked.most_arms * blocks} "
        "trials, less those that are finished already"
    )
    return lines


def _print_plan(asked: "PathAblation", where: "RunContext", *, as_json: bool) -> None:
    """Print the plan, with what of its beginning is finished already."""
    from eailab.studies.plan import left_to_train, plan

    plans = [plan(study, where) for study in (asked.ends(), asked.step([]))]
    known = len({trial.fingerprint for planned in plans for trial in planned.trials})
    left = len(left_to_train(plans))
    if as_json:
        mapping: dict[str, Any] = {
            "names": list(asked.names),
            "order": asked.order,
            "blocks": list(asked.blocks),
            "moves": [[str(change) for change in move.changes] for move in asked.moves],
            "most_arms": asked.most_arms,
            "most_trials": asked.most_arms * len(asked.blocks),
            "first_step": {"trials": known, "to_train": left},
        }
        echo_json(mapping)
        return
    for line in _plan_lines(asked):
        echo(line, hang=2)
    echo(f"both ends and the first step: {known} trials, {known - left} finished already, {left} to train", hang=2)


def _names(first: str, second: str) -> tuple[str, str]:
    """Return what to call two recipes: their names, or the texts they were given by where the names are equal."""
    names = Path(first).stem, Path(second).stem
    return names if names[0] != names[1] else (first, second)
