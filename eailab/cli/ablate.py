"""`eailab ablate`: compare the levels of one factor, or of several, all else held."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eailab.cli import completion
from eailab.cli.deciding import FailOn, fail_if, parse_fail_on
from eailab.cli.misplaced import refuse_beside_program, refuse_beside_study, refuse_misplaced, refuse_odd_sd, refuse_two
from eailab.cli.options import (
    CHECKPOINT_EVERY,
    RUNS_DIR,
    AsJson,
    CheckpointEvery,
    DataDir,
    Device,
    DryRun,
    Jobs,
    MetricName,
    On,
    Overrides,
    Quiet,
    RunsDir,
    Verbose,
    load_changed,
    one_metric,
    overrides_of,
    run_context,
)
from eailab.cli.output import LOG, say_note
from eailab.cli.program import NO_PROGRAM, ProgramOptions, takes_program, try_instead
from eailab.errors import UsageError

if TYPE_CHECKING:
    from eailab.recipe.base import Recipe
    from eailab.recipe.load import Override
    from eailab.studies.design import Study
    from eailab.studies.factor import FactorLevels

DEFAULT_RECIPES = ("resnet18-cifar10", "mnist-mlp")
"""The first whose engine has the factor is taken."""
DEFAULT_BLOCKS = "5"


@takes_program()
def ablate(
    factor: Annotated[
        str | None,
        typer.Argument(
            metavar="FACTOR",
            autocompletion=completion.factors,
            help="A recipe's field: batch-size, lr, sched, optimizer, stem, model.init … "
            "With --joint several, such as optimizer+lr.",
            show_default=False,
        ),
    ] = None,
    levels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LEVEL",
            autocompletion=completion.levels,
            help="Its values, two or more; of a bundle, values joined by +: adam+0.001 sgd+0.1.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="RECIPE",
            autocompletion=completion.recipes,
            help="What all arms share: a recipe's name or path [default: resnet18-cifar10 or mnist-mlp]",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="FILE",
            autocompletion=completion.study_files,
            help="Recipe, blocks and factors in a file: its path, or one that ships: lab-task1, lab-task2, "
            "lab-task2-small or lab-task2-medium; or the name of a study in the runs folder, to continue it.",
        ),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--and", metavar="FACTOR=LEVELS", help="A further factor, such as stem=7x7,3x3; repeatable."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The network that all arms share: resnet18, net.py:Net, timm:NAME or torchvision:NAME."
        ),
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
    labels: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="What tables and figures call the levels of FACTOR, one each in their order."),
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option(
            metavar="M", help="Differences below this do not matter: percentage points, or hundredths of a loss."
        ),
    ] = None,
    metric: MetricName = None,
    detect: Annotated[
        float | None,
        typer.Option(
            metavar="D", help="Choose the blocks that detect a difference of D with 80% power, in the margin's unit."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Choose the blocks that fit a time: 90s, 30m, 2h; a bare number is minutes."),
    ] = None,
    sd: Annotated[
        float | None,
        typer.Option(metavar="SD", help="SD of a trial within its block to plan with [default: the store's trials']"),
    ] = None,
    tune: Annotated[
        list[str] | None,
        typer.Option(
            "--tune",
            metavar="SETTING=VALUES",
            help="Choose a setting for each arm, on blocks of its own, before the arms are compared: "
            "lr=1e-4..1e-1, lr=0.01,0.1 or, for one arm, sgd:lr=1e-3..1; repeatable.",
        ),
    ] = None,
    tune_blocks: Annotated[
        int | None, typer.Option(metavar="N", help="With --tune: the blocks it trains in [default: 3]")
    ] = None,
    tune_all: Annotated[
        bool, typer.Option("--tune-all", help="With --tune: train every value in every tuning block.")
    ] = False,
    tune_unequal: Annotated[
        bool, typer.Option("--tune-unequal", help="With --tune: let arms differ in what is tuned, and say so.")
    ] = False,
    carry: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --tune: train the best N values of each arm in the blocks of the comparison, 1 or 2, and "
            "compare the best of them [default: 1]",
        ),
    ] = None,
    tune_again: Annotated[
        bool,
        typer.Option(
            "--tune-again",
            help="With --tune: tune again for each block of the comparison, so that the intervals are of tuning too.",
        ),
    ] = False,
    dry_run: DryRun = False,
    until_decided: Annotated[
        bool, typer.Option("--until-decided", help="Add blocks for open arms only, at looks fixed in advance.")
    ] = False,
    max_trials: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --until-decided: the most trials to use.")
    ] = None,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Write the plan with its fingerprint, with -m; train nothing.")
    ] = False,
    message: Annotated[
        str | None, typer.Option("--message", "-m", metavar="TEXT", help="With --freeze: what you expect to see.")
    ] = None,
    fail_on: FailOn = None,
    jobs: Jobs = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first trial that fails.")] = False,
    device: Device = "auto",
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    checkpoint_every: CheckpointEvery = CHECKPOINT_EVERY,
    on: On = "local",
    _verbose: Verbose = False,
    _quiet: Quiet = False,
    json: AsJson = False,
    program: ProgramOptions = NO_PROGRAM,
) -> None:
    """Compare the LEVELS of one FACTOR, all else held as in the recipe, in several blocks of seeds.

    Example: eailab ablate batch-size 16 32 64 --recipe digits-mlp --seeds 5

    Several factors: eailab ablate lr 1e-3 1e-4 --and stem=7x7,3x3

    A bundle: eailab ablate --joint optimizer+lr adam+0.001 sgd+0.1

    Each arm tuned first: eailab ablate optimizer adam sgd --tune lr=1e-4..1 --recipe digits-mlp

    A program of your own: eailab ablate lr 1e-3 1e-4 --run 'python train.py --lr {lr} --seed {seed}' --metric val_acc
    """
    from eailab.cli.planning import expectation, say_beforehand, show, solve, with_blocks, write_frozen_plan
    from eailab.cli.running import Console
    from eailab.cli.tuning import asked_for, planned_tuning
    from eailab.studies.run import run_studies, run_until_decided
    from eailab.studies.tuned_studies import look_by_look, refuse_untuned, tuned_first

    # What is compared: a program, the studies of a file, or factors of a recipe.
    judged = {} if program else {"study.metric": one_metric(metric)}
    changes = overrides_of({"study.margin": margin, "model": model, **judged}, override)
    if program:
        refuse_beside_program(recipe=recipe, study=study, hold=hold, model=model)
        factors = _called(program.factors(factor, levels or [], also or [], baseline, joint=joint), labels)
        base = program.recipe(metric, factors, changes)
        name, studies = _designed(base, factors, seeds or DEFAULT_BLOCKS, "epochs", cross=cross)
    elif study is not None:
        refuse_beside_study(
            factor=factor,
            recipe=recipe,
            baseline=baseline,
            labels=labels,
            also=also,
            cross=cross,
            joint=joint,
            hold=hold,
        )
        name, studies = _declared(study, changes, seeds, runs)
    else:
        factors = _called(_factors(factor, levels or [], also or [], baseline, joint=joint), labels)
        name, studies = _asked(factors, recipe, changes, seeds or DEFAULT_BLOCKS, hold or "epochs", cross=cross)
    failing, gpus = parse_fail_on(fail_on), program.gpus_for(jobs, on)
    where = run_context(
        runs, data_dir, device, checkpoint_every, on, program.retries, keep_code=program.keep_code, gpus=gpus
    )

    # In how many blocks: as many as were asked for, those of the looks, or what detects a difference or fits a time.
    refuse_two(seeds=seeds, detect=detect, budget=budget, until_decided=until_decided or None)
    refuse_odd_sd(sd)
    how = {"everything": tune_all, "unequal": tune_unequal, "again": tune_again}
    request = asked_for(studies, tune or [], tune_blocks, carry, **how, budget=budget, until_decided=until_decided)
    kept = None
    if until_decided:
        looked, kept = look_by_look(studies, max_trials, where)
        studies = (looked,)
    elif max_trials is not None:
        raise UsageError("--max-trials needs --until-decided.")
    if (goal := budget if detect is None else detect) is not None:
        studies = with_blocks(studies, solve(studies, where, jobs, goal, sd))
    refuse_untuned(() if study is None else studies, where)

    # What a person should know before anything is trained.
    say_beforehand(studies, changes)
    try_instead(program, studies[0], where.runs_dir)

    # Show the plan, freeze it, or train.
    console = Console(where, jobs, fail_fast, audits=not program.no_audit, name=name, as_json=json)
    if dry_run:
        tuning = planned_tuning(studies, request, console, alone=until_decided)
        show(console.plan(studies), where, jobs, sd, as_json=json, tuning=tuning)
        return
    expected = expectation(studies, message, freeze=freeze)
    studies = tuned_first(studies, request, console, _tell, kept=kept, alone=until_decided, freeze=freeze)
    if expected is not None:
        write_frozen_plan(studies, console, expected)
    elif until_decided:
        fail_if(run_until_decided(studies[0], console, console.judge, console.publish, console.say_look), failing)
    else:
        fail_if(run_studies(studies, console, console.publish), failing)


def _tell(winners: "Study") -> None:
    """Name the winners of a tuning."""
    LOG.info("tuned: %s", ", ".join(arm.label for arm in winners.arms))


def _factors(
    factor: str | None, levels: list[str], also: list[str], baseline: str | None, *, joint: bool
) -> "list[FactorLevels]":
    """Return the factors that the command line names."""
    from eailab.recipe.load import parse_given
    from eailab.studies.factor import factor_from_option, factor_from_text

    if factor is None:
        raise UsageError("name a FACTOR and its LEVELS, such as `eailab ablate batch-size 16 32 64`, or --study FILE.")
    refuse_misplaced(factor, levels)
    texts = levels[0].split(",") if len(levels) == 1 and "[" not in levels[0] else levels
    first = factor_from_text(
        factor,
        [parse_given(text, f"the level {text}") for text in texts],
        None if baseline is None else parse_given(baseline, f"--baseline {baseline}"),
        joint=joint,
    )
    return [first, *(factor_from_option(text, joint=joint) for text in also)]


def _called(factors: "list[FactorLevels]", labels: str | None) -> "list[FactorLevels]":
    """Return factors, the levels of the first called as `--labels` says."""
    from eailab.studies.factor import labelled

    return factors if labels is None else [labelled(factors[0], labels), *factors[1:]]


def _asked(
    factors: "list[FactorLevels]",
    recipe: str | None,
    changes: "list[Override]",
    seeds: str,
    hold: Literal["epochs", "updates"],
    *,
    cross: bool,
) -> "tuple[str, tuple[Study, ...]]":
    """Return the studies of the factors, and what they are called together."""
    from eailab.recipe.factors import engines_with
    from eailab.recipe.load import load

    if recipe is None:
        engines = set.intersection(*(engines_with(word) for one in factors for word in one.words))
        recipe = next((name for name in DEFAULT_RECIPES if load(name).recipe.engine in engines), DEFAULT_RECIPES[0])
    return _designed(load_changed(recipe, changes).recipe, factors, seeds, hold, cross=cross)


def _designed(
    base: "Recipe", factors: "list[FactorLevels]", seeds: str, hold: Literal["epochs", "updates"], *, cross: bool
) -> "tuple[str, tuple[Study, ...]]":
    """Return the studies of some factors of a recipe, and what they are called together."""
    from eailab.studies.design import all_combinations, one_at_a_time
    from eailab.studies.plan import parse_blocks

    blocks = parse_blocks(seeds)
    if cross:
        return base.name, (all_combinations(base, factors, blocks, hold),)
    return f"{base.name}-{'-and-'.join(one.text for one in factors)}", one_at_a_time(base, factors, blocks, hold)


def _declared(study: str, changes: "list[Override]", seeds: str | None, runs: Path) -> "tuple[str, tuple[Study, ...]]":
    """Return the studies of a file, or one that the store has, and its name."""
    from dataclasses import replace

    from eailab.runs.store import Store
    from eailab.studies.plan import parse_blocks
    from eailab.studies.study_file import declared, stored

    blocks = None if seeds is None else parse_blocks(seeds)
    if (there := stored(Store(runs), study)) is not None:
        if changes:
            raise UsageError(f"{study} is a study of {runs}: {changes[0]} would make another. Leave that out.")
        return there.name, (there if blocks is None else replace(there, blocks=blocks),)
    found = declared(study, changes, blocks)
    for note in found.loaded.notes:
        say_note(note)
    return found.name, found.studies
