"""`eailab noise`: how far single runs of one recipe differ by chance."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from eailab.cli import completion
from eailab.cli.options import RUNS_DIR, AsJson, DataDir, Device, Jobs, MetricName, Overrides, Quiet, RunsDir, Verbose
from eailab.cli.output import echo, echo_json, say_note

if TYPE_CHECKING:
    from eailab.studies.record import Plan


def noise(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe's name or path; see `eailab recipes list`.",
            autocompletion=completion.recipes,
        ),
    ] = "digits-mlp",
    seeds: Annotated[str, typer.Option(metavar="N", help="Number of blocks, or a list of them: 10 or 0,3,7.")] = "10",
    metric: MetricName = None,
    jobs: Jobs = None,
    device: Device = "auto",
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
    json: AsJson = False,
) -> None:
    """Train one RECIPE in many blocks, and say how far apart two single runs of it lie by chance.

    The default recipe is the one that takes seconds and no download; name your own.

    Example: eailab noise digits-mlp --seeds 10
    """
    from eailab.cli.options import load_recipe, run_context
    from eailab.cli.running import Console, writing
    from eailab.findings.noise import noise_findings
    from eailab.report.compose import noise_document
    from eailab.report.publish import publish_noise
    from eailab.report.terminal import render
    from eailab.studies.design import repeated
    from eailab.studies.plan import parse_blocks
    from eailab.studies.run import run_studies
    from eailab.studies.sharing import entered

    blocks = parse_blocks(seeds)
    loaded = load_recipe(recipe, {"study.metric": metric}, override)
    where = run_context(runs, data_dir, device)

    def publish(plans: "Sequence[Plan]") -> None:
        (planned,) = plans
        with entered(planned, where.store, say_note) as record, writing("writing the table and the figure") as watch:
            found = noise_findings(where.store, record)
            publish_noise(found, planned.folder)
            watch.advance()
        document = noise_document(found)
        if json:
            echo_json(document.data())
            return
        render(document)
        echo(f"noise:   {planned.folder / 'noise.md'}")

    run_studies([repeated(loaded.recipe, blocks)], Console(where, jobs), publish)
