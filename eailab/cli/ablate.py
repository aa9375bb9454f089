"""`eailab ablate`: compare the levels of one factor, or of several, all else held."""

import shlex
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eailab.cli.options import RUNS_DIR, AsJson, DataDir, Device, Overrides, RunsDir

if TYPE_CHECKING:
    from eailab.recipe.load import Override
    from eailab.studies.design import Study
    from eailab.studies.factor import Factor

DEFAULT_RECIPES = {"torch-resnet": "resnet18-cifar10", "numpy-mlp": "mnist-mlp"}
"""By engine; the first is taken when both engines have the factor."""
DEFAULT_BLOCKS = "5"


def ablate(
    factor: Annotated[
        str | None,
        typer.Argument(
            metavar="FACTOR",
            help="A recipe's field: batch-size, lr, sched, optimizer, stem, model.init … "
            "With --joint several, such as optimizer+lr.",
            show_default=False,
        ),
    ] = None,
    levels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LEVELS...",
            help="Its values, two or more; of a bundle, values joined by +: adam+0.001 sgd+0.1.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="RECIPE",
            help="What all arms share: a recipe's name or path [default: resnet18-cifar10 or mnist-mlp]",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study", metavar="FILE", help="A file that declares recipe, blocks and factors; or lab-task1, lab-task2."
        ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--and", metavar="FACTOR=LEVELS", help="A further factor, such as stem=7x7,3x3; repeatable."),
    ] = None,
    cross: Annotated[
        bool, typer.Option("--cross", help="Train all combinations of the factors: main effects and interactions.")
    ] = False,
    joint: Annotated[
        bool, typer.Option("--joint", help="Declare that FACTOR is a bundle of settings that change together.")
    ] = False,
    hold: Annotated[
        Literal["epochs", "updates"] | None,
        typer.Option(help="What stays when a level changes the updates of an epoch [default: epochs]"),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Number of blocks, or a list of them: 5 or 0,3,7 [default: 5]", show_default=False
        ),
    ] = None,
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
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first trial that fails.")] = False,
    device: Device = "auto",
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Compare the LEVELS of one FACTOR, all else held as in the recipe, over blocks of equal seeds.

    Example: eailab ablate batch-size 16 32 64 --recipe digits-mlp --seeds 5

    Several factors: eailab ablate lr 1e-3 1e-4 --and stem=7x7,3x3

    A bundle: eailab ablate --joint optimizer+lr adam+0.001 sgd+0.1
    """
    from eailab.cli.carry_out import carry_out, overrides_of
    from eailab.cli.options import surroundings

    changes = overrides_of({"study.margin": margin, "study.metric": metric}, override)
    if study is not None:
        _refuse_beside_study(
            factor=factor, recipe=recipe, baseline=baseline, also=also, cross=cross, joint=joint, hold=hold
        )
        name, studies = _declared(study, changes, seeds)
    else:
        factors = _factors(factor, levels or [], also or [], baseline, joint=joint)
        name, studies = _asked(factors, recipe, changes, seeds or DEFAULT_BLOCKS, hold or "epochs", cross=cross)
    for sentence in dict.fromkeys(sentence for one in studies for arm in one.arms for sentence in arm.brought):
        typer.echo(f"note: {sentence}", err=True)
    carry_out(
        studies,
        surroundings(runs, data_dir, device),
        jobs,
        name=name,
        quick=_quick(studies),
        fail_fast=fail_fast,
        as_json=json,
    )


def _factors(
    factor: str | None, levels: list[str], also: list[str], baseline: str | None, *, joint: bool
) -> "list[Factor]":
    """Return the factors that the command line names."""
    from eailab.errors import UsageError
    from eailab.recipe.load import parse_value
    from eailab.studies.factor import factor_from_option, factor_from_text

    if factor is None:
        raise UsageError("name a FACTOR and its LEVELS, such as `eailab ablate batch-size 16 32 64`, or --study FILE.")
    texts = levels[0].split(",") if len(levels) == 1 and "[" not in levels[0] else levels
    first = factor_from_text(
        factor,
        [parse_value(text) for text in texts],
        None if baseline is None else parse_value(baseline),
        joint=joint,
    )
    return [first, *(factor_from_option(text, joint=joint) for text in also)]


def _asked(
    factors: "list[Factor]",
    recipe: str | None,
    changes: "list[Override]",
    seeds: str,
    hold: Literal["epochs", "updates"],
    *,
    cross: bool,
) -> "tuple[str, tuple[Study, ...]]":
    """Return the studies of the factors, and what they are called together."""
    from eailab.cli.carry_out import load_changed
    from eailab.recipe.factors import engines_with
    from eailab.studies.conduct import parse_blocks
    from eailab.studies.design import all_combinations, one_at_a_time

    if recipe is None:
        engines = set.intersection(*(engines_with(word) for one in factors for word in one.words))
        recipe = next((name for engine, name in DEFAULT_RECIPES.items() if engine in engines), "resnet18-cifar10")
    base = load_changed(recipe, changes).recipe
    blocks = parse_blocks(seeds)
    if cross:
        return base.name, (all_combinations(base, factors, blocks, hold),)
    return f"{base.name}-{'-and-'.join(one.text for one in factors)}", one_at_a_time(base, factors, blocks, hold)


def _declared(study: str, changes: "list[Override]", seeds: str | None) -> "tuple[str, tuple[Study, ...]]":
    """Return the studies of a file, and its name."""
    from eailab.studies.conduct import parse_blocks
    from eailab.studies.declared import declared

    found = declared(study, changes, None if seeds is None else parse_blocks(seeds))
    for note in found.loaded.notes:
        typer.echo(f"note: {note}", err=True)
    return found.name, found.studies


def _refuse_beside_study(**given: object) -> None:
    """Refuse what a study file says itself."""
    from eailab.errors import UsageError

    names = {"factor": "FACTOR", "also": "--and"}
    if beside := [names.get(name, f"--{name}") for name, value in given.items() if value]:
        raise UsageError(
            f"{', '.join(beside)} beside --study: the file says it; change it there, or leave --study out."
        )


def _quick(studies: "tuple[Study, ...]") -> str | None:
    """Return a command that asks the like of small data; None where there is none, or the data are small already."""
    from eailab.studies.factor import settings_of, word

    study = studies[0]
    recipe = study.arms[0].recipe
    if "digits" in recipe.data.name or len(studies) > 1 or len(settings_of(study.factor or "")) > 1:
        return None
    small = {"torch-resnet": "resnet18-digits", "numpy-mlp": "digits-mlp"}[recipe.engine]
    return shlex.join(["eailab", "ablate", word(study.factor), *(arm.label for arm in study.arms), "--recipe", small])
