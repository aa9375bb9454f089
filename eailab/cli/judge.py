"""`eailab judge`: a verdict on results that exist already."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eailab.cli.deciding import FailOn, fail_if, parse_fail_on, study_decision
from eailab.cli.options import RUNS_DIR, AsJson, RunsDir
from eailab.cli.output import echo, echo_json, say_note
from eailab.errors import UsageError

if TYPE_CHECKING:
    from eailab.existing.assign import Options
    from eailab.findings.study import StudyFindings
    from eailab.report.judging import Read


def judge(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", help="Files and folders with results.", show_default=False)
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="What tells arms apart; repeatable with --joint.")
    ] = None,
    seed: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of the seeds.")] = None,
    metric: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that the verdict rests on.")] = None,
    baseline: Annotated[str | None, typer.Option(metavar="ARM", help="What the others are compared with.")] = None,
    joint: Annotated[bool, typer.Option("--joint", help="Several columns change together, as one arm.")] = False,
    goal: Annotated[Literal["max", "min"] | None, typer.Option(help="Which values are better.")] = None,
    unit: Annotated[Literal["share", "percent", "raw"], typer.Option(help="What the values are.")] = "raw",
    margin: Annotated[
        float, typer.Option(metavar="NUMBER", help="Differences within it do not matter; with it arms can be SAME.")
    ] = 0.0,
    target: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Compare with this number in place of a baseline.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Compare the one arm of PATH with the one arm of this file.")
    ] = None,
    beat_by: Annotated[
        float, typer.Option("--beat-by", metavar="NUMBER", help="Call an arm BETTER only if it is by more than this.")
    ] = 0.0,
    summary: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="A published arm, such as 'A 93.5±0.2 n=5'; give two or more."),
    ] = None,
    detect: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Say how many runs of each arm would show this difference.")
    ] = None,
    runs: RunsDir = RUNS_DIR,
    fail_on: FailOn = None,
    json: AsJson = False,
) -> None:
    """Judge results that exist already: differences, intervals and verdicts, by the rules of eailab's own studies.

    Example: eailab judge results.csv --by optimizer --seed seed --metric val_acc
    """
    from eailab.existing.assign import Options
    from eailab.findings.decision import arm_decisions
    from eailab.report.json_report import as_mapping
    from eailab.report.judging import Terms, of_summaries
    from eailab.report.judging import judge as judged
    from eailab.report.terminal import print_study
    from eailab.runs.store import Store

    # Refuse options that do not go together.
    failing = parse_fail_on(fail_on)
    texts = [*summary, *map(str, paths or [])] if summary else []
    if summary and len(texts) < 2 and target is None:
        raise UsageError("--summary needs two arms or more: --summary 'A 93.5±0.2 n=5' 'B 93.9±0.3 n=5'.")
    if target is not None and against is not None:
        raise UsageError("--target and --against are two baselines: give one of them.")
    if summary and against is not None:
        raise UsageError("--summary and --against: give the record's arm as a summary too.")
    if not paths and not texts:
        raise UsageError("there is nothing to judge: name files or folders with results, or give --summary.")
    # Read, judge, and print.
    terms = Terms(margin, target, beat_by)
    options = Options(tuple(by or ()), seed, metric, baseline, joint, goal, unit)
    read = of_summaries(texts, options) if summary else _read(paths or [], against, options)
    store = Store(runs)
    found = judged(read, store, terms, say_note)
    findings, folder = found.findings, found.path
    if json:
        echo_json({**as_mapping(findings), "decision": study_decision([findings], store)})
    else:
        print_study(findings)
        if detect is not None:
            echo(_detects(findings, detect), hang=2)
        echo(f"table:   {folder / 'table.md'}")
        echo(f"report:  {folder / 'report.html'}")
    fail_if((one.verdict for one in arm_decisions(findings)), failing)


def _read(paths: list[Path], against: Path | None, options: "Options") -> "Read":
    """Read results, and the record that they are held to."""
    from eailab.report import judging

    if against is None:
        return judging.of_files(paths, options)
    if len(paths) != 1:
        raise UsageError(f"--against compares one file or folder with {against}: found {len(paths)} of them.")
    new, record = judging.of_files(paths, options), judging.of_files([against], options)
    return judging.against(new, record, (paths[0], against))


def _detects(findings: "StudyFindings", difference: float) -> str:
    """Say how many runs of each arm would show a difference, with the spread that was found."""
    from eailab.stats.power import blocks_to_detect
    from eailab.stats.variance import upper_sd

    comparison = findings.comparison
    assert comparison is not None  # noqa: S101 - it has two arms
    if comparison.pooled_sd is None:
        return f"--detect {difference:g}: one run shows no spread, so there is nothing to plan by"
    planned = upper_sd(comparison.pooled_sd, comparison.pooled_df or math.inf)
    needed = blocks_to_detect(difference, planned, len(findings.arms))
    size = findings.measure.with_unit(f"{difference:g}")
    if needed is None:
        return f"--detect {size}: more than 1000 runs of each arm would be needed"
    more = needed - comparison.complete_blocks
    spread = f"with the SD found here, {comparison.pooled_sd:.3g}, at its upper 80% bound, {planned:.3g}"
    if more <= 0:
        return f"--detect {size}: {needed} runs of each arm are enough, and there are as many ({spread})"
    return f"--detect {size}: takes {needed} runs of each arm, {more} more than the fewest here ({spread})"
