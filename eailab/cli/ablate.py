"""`eailab ablate`: compare the levels of one factor, all else held."""

from typing import Annotated

import typer

from eailab.cli.options import RUNS_DIR, AsJson, DataDir, Device, Overrides, RunsDir

DEFAULT_RECIPES = {"torch-resnet": "resnet18-cifar10", "numpy-mlp": "mnist-mlp"}
"""By engine; the first is taken when both engines have the factor."""


def ablate(
    factor: Annotated[
        str,
        typer.Argument(metavar="FACTOR", help="A recipe's field: batch-size, lr, sched, optimizer, stem, model.init …"),
    ],
    levels: Annotated[list[str], typer.Argument(metavar="LEVELS...", help="Its values, two or more.")],
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="RECIPE",
            help="What all arms share: a recipe's name or path [default: resnet18-cifar10 or mnist-mlp]",
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="N", help="Number of blocks, or a list of them: 5 or 0,3,7.")] = "5",
    baseline: Annotated[
        str | None,
        typer.Option(metavar="LEVEL", help="The level that the others are compared with [default: the recipe's own]"),
    ] = None,
    margin: Annotated[
        str | None, typer.Option(metavar="M", help="Differences below this do not matter, in percentage points.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(metavar="METRIC", help="validation-accuracy, validation-loss, loss-gap or test-accuracy."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Trials side by side [default: as many as fit]")
    ] = None,
    device: Device = "auto",
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Compare the LEVELS of one FACTOR, all else held as in the recipe, over blocks of equal seeds.

    Example: eailab ablate batch-size 16 32 64 --recipe digits-mlp --seeds 5
    """
    from eailab.cli.carry_out import carry_out, load_recipe
    from eailab.cli.options import surroundings
    from eailab.recipe.factors import engines_with
    from eailab.recipe.load import parse_value
    from eailab.studies.conduct import parse_blocks
    from eailab.studies.design import one_factor

    if recipe is None:
        engines = engines_with(factor)
        recipe = next((name for engine, name in DEFAULT_RECIPES.items() if engine in engines), "resnet18-cifar10")
    loaded = load_recipe(recipe, {"study.margin": margin, "study.metric": metric}, override)
    texts = levels[0].split(",") if len(levels) == 1 and "[" not in levels[0] else levels
    study = one_factor(
        loaded.recipe,
        factor,
        [parse_value(text) for text in texts],
        parse_blocks(seeds),
        None if baseline is None else parse_value(baseline),
    )
    for arm in study.arms:
        for sentence in arm.brought:
            typer.echo(f"note: {sentence}", err=True)
    quick = None if "digits" in loaded.recipe.data.name else _quick(factor, texts)
    carry_out(study, surroundings(runs, data_dir, device), jobs, quick, json)


def _quick(factor: str, levels: list[str]) -> str:
    return f"eailab ablate {factor} {' '.join(levels)} --recipe resnet18-digits"
