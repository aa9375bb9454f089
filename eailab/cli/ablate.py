"""`eailab ablate`: compare the levels of one factor, or of several, all else held."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eailab.cli import completion
from eailab.cli.options import (
    CHECKPOINT_EVERY,
    RUNS_DIR,
    AsJson,
    CheckpointEvery,
    DataDir,
    Device,
    Jobs,
    On,
    Overrides,
    Quiet,
    RunsDir,
    Verbose,
)
from eailab.cli.output import echo, say_note

if TYPE_CHECKING:
    from eailab.recipe.load import Override
    from eailab.runs.context import RunContext
    from eailab.studies.design import Study
    from eailab.studies.factor import FactorLevels

DEFAULT_RECIPES = ("resnet18-cifar10", "mnist-mlp")
"""The first whose engine has the factor is taken."""
DEFAULT_BLOCKS = "5"


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
            metavar="LEVELS...",
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
            help="Recipe, blocks and factors in a file: its path, or lab-task1, lab-task2 or lab-task2-small; "
            "or the name of a study in the runs folder, to go on with it.",
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
        str | None,
        typer.Option(
            metavar="M", help="Differences below this do not matter: percentage points, or hundredths of a loss."
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="METRIC",
            help="validation-accuracy, validation-loss, loss-gap or test-accuracy.",
            autocompletion=completion.one_of(completion.METRICS),
        ),
    ] = None,
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Print trials, time, memory and power; train nothing.")
    ] = False,
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
) -> None:
    """Compare the LEVELS of one FACTOR, all else held as in the recipe, in several blocks of seeds.

    Example: eailab ablate batch-size 16 32 64 --recipe digits-mlp --seeds 5

    Several factors: eailab ablate lr 1e-3 1e-4 --and stem=7x7,3x3

    A bundle: eailab ablate --joint optimizer+lr adam+0.001 sgd+0.1
    """
    from eailab.cli.carry_out import carry_out, make_plans, overrides_of
    from eailab.cli.options import run_context
    from eailab.cli.until_decided import carry_out_until_decided
    from eailab.errors import UsageError

    changes = overrides_of({"study.margin": margin, "study.metric": metric}, override)
    if study is not None:
        _refuse_beside_study(
            factor=factor, recipe=recipe, baseline=baseline, also=also, cross=cross, joint=joint, hold=hold
        )
        name, studies = _declared(study, changes, seeds, runs)
    else:
        factors = _factors(factor, levels or [], also or [], baseline, joint=joint)
        name, studies = _asked(factors, recipe, changes, seeds or DEFAULT_BLOCKS, hold or "epochs", cross=cross)
    for sentence in dict.fromkeys(sentence for one in studies for arm in one.arms for sentence in arm.brought):
        echo(f"note: {sentence}", err=True)
    where = run_context(runs, data_dir, device, checkpoint_every, on)
    _refuse_two(seeds=seeds, detect=detect, budget=budget, until_decided=until_decided or None)
    if sd is not None and not 0.0 < sd < float("inf"):
        raise UsageError(f"--sd {sd:g}: give a standard deviation above 0, in the margin's unit.")
    if until_decided:
        from eailab.studies.looks import with_looks

        studies = (with_looks(studies, max_trials),)
    elif max_trials is not None:
        raise UsageError("--max-trials needs --until-decided.")
    if detect is not None or budget is not None:
        studies = _with_blocks(studies, _solve(studies, where, jobs, detect, budget, sd))
    if dry_run:
        from eailab.cli.dry_run import show

        show(make_plans(studies, where), where, jobs, sd, as_json=json)
        return
    if freeze or message is not None:
        _freeze(studies, where, message, wanted=freeze)
        return
    if until_decided:
        carry_out_until_decided(studies[0], where, jobs, fail_fast=fail_fast, as_json=json)
        return
    carry_out(
        studies,
        where,
        jobs,
        name=name,
        fail_fast=fail_fast,
        as_json=json,
    )


def _factors(
    factor: str | None, levels: list[str], also: list[str], baseline: str | None, *, joint: bool
) -> "list[FactorLevels]":
    """Return the factors that the command line names."""
    from eailab.errors import UsageError
    from eailab.recipe.load import parse_given
    from eailab.studies.factor import factor_from_option, factor_from_text

    if factor is None:
        raise UsageError("name a FACTOR and its LEVELS, such as `eailab ablate batch-size 16 32 64`, or --study FILE.")
    _refuse_no_factor(factor, levels)
    texts = levels[0].split(",") if len(levels) == 1 and "[" not in levels[0] else levels
    first = factor_from_text(
        factor,
        [parse_given(text, f"the level {text}") for text in texts],
        None if baseline is None else parse_given(baseline, f"--baseline {baseline}"),
        joint=joint,
    )
    return [first, *(factor_from_option(text, joint=joint) for text in also)]


def _refuse_no_factor(word: str, levels: list[str]) -> None:
    """Refuse a recipe, or a factor joined to its levels, in place of a factor."""
    from eailab.errors import Correction, UsageError
    from eailab.recipe.catalogue import shipped

    name, equals, joined = word.partition("=")
    if equals:
        levels = [*joined.split(","), *levels]
        raise UsageError(
            f"{word}: write the levels apart from the factor, separated by spaces:",
            Correction(arguments=(name, *levels)),
        )
    if word in shipped() or word.endswith((".yaml", ".yml")):
        raise UsageError(
            f"{word} is a recipe: write --recipe {word}, and the factor and its levels before it"
            + (":" if levels else f", as in `eailab ablate batch-size 16 32 64 --recipe {word}`."),
            Correction(arguments=tuple(levels), options={"--recipe": word}) if levels else None,
        )


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
    from eailab.cli.carry_out import load_changed
    from eailab.recipe.factors import engines_with
    from eailab.recipe.load import load
    from eailab.studies.design import all_combinations, one_at_a_time
    from eailab.studies.plan import parse_blocks

    if recipe is None:
        engines = set.intersection(*(engines_with(word) for one in factors for word in one.words))
        recipe = next((name for name in DEFAULT_RECIPES if load(name).recipe.engine in engines), DEFAULT_RECIPES[0])
    base = load_changed(recipe, changes).recipe
    blocks = parse_blocks(seeds)
    if cross:
        return base.name, (all_combinations(base, factors, blocks, hold),)
    return f"{base.name}-{'-and-'.join(one.text for one in factors)}", one_at_a_time(base, factors, blocks, hold)


def _declared(study: str, changes: "list[Override]", seeds: str | None, runs: Path) -> "tuple[str, tuple[Study, ...]]":
    """Return the studies of a file, or one that the store has, and its name."""
    from dataclasses import replace

    from eailab.errors import UsageError
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
        echo(f"note: {note}", err=True)
    return found.name, found.studies


def _refuse_beside_study(**given: object) -> None:
    """Refuse options for what a study file says itself."""
    from eailab.errors import UsageError

    names = {"factor": "FACTOR", "also": "--and"}
    if refused := [names.get(name, f"--{name}") for name, value in given.items() if value]:
        raise UsageError(
            f"{', '.join(refused)} cannot be given with --study: change the study's file, or leave --study out."
        )


def _refuse_two(**given: object) -> None:
    """Refuse more than one word on the number of blocks."""
    from eailab.errors import UsageError

    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise UsageError(f"{' and '.join(names)} both set the number of blocks: give only one of them.")


def _solve(
    studies: "tuple[Study, ...]",
    where: "RunContext",
    jobs: int | None,
    detect: float | None,
    budget: str | None,
    sd: float | None,
) -> int:
    """Return the number of blocks that a difference needs or a time allows, and say it."""
    from eailab.cli.advice import offering_small_data
    from eailab.cli.dry_run import noise_of
    from eailab.errors import StudyError
    from eailab.studies.forecast import blocks_for
    from eailab.studies.plan import plan
    from eailab.studies.power_analysis import blocks_that_detect
    from eailab.units import duration

    with offering_small_data(studies[0].arms[0].recipe):
        plans = [plan(study, where) for study in _with_blocks(studies, 1)]
    if budget is not None:
        blocks, seconds = blocks_for(plans, where, jobs, parse_time(budget))
        echo(f"note: --budget {budget}: {blocks} blocks, in about {duration(seconds)}", err=True)
        return blocks
    assert detect is not None  # noqa: S101 - asked by the caller
    needed = 0
    for planned in plans:
        study = planned.record.study
        noise = noise_of(planned, where, sd)
        if noise is None:
            raise StudyError(
                f"--detect {detect:g} needs the SD of a trial, and no finished trials of {study.name} show it: "
                "measure it with `eailab noise`, or assume one with --sd."
            )
        blocks = blocks_that_detect(detect * study.measure.margin_scale, noise.sd, len(study.arms))
        echo(
            f"note: --detect {detect:g}: {study.name} needs {blocks} blocks (SD {noise.sd:.3g}, {noise.source})",
            err=True,
        )
        needed = max(needed, blocks)
    return needed


def _freeze(studies: "tuple[Study, ...]", where: "RunContext", message: str | None, *, wanted: bool) -> None:
    """Write the plan and say where it is."""
    from eailab.cli.carry_out import make_plans
    from eailab.errors import Correction, UsageError
    from eailab.plain import counted
    from eailab.studies.preregistration import freeze, known_already, unplanned
    from eailab.studies.sharing import blocks_in_words

    if message is None:
        raise UsageError(
            "--freeze needs -m with what you expect to see, in your words, such as:",
            Correction(options={"--message": _expectation(studies[0])}),
        )
    if not wanted:
        raise UsageError(
            "-m is the hypothesis of a plan: leave it out, or write the plan with --freeze.",
            Correction(options={"--freeze": None}),
        )
    plans = make_plans(studies, where)
    if older := unplanned(where.store, plans):
        say_note(
            f"this is the first frozen plan of {where.runs_dir}: reports call {counted(len(older), 'other study')} "
            f"there post hoc from now on, since no plan names them: {', '.join(older)}."
        )
    frozen, file = freeze(plans, message, where.store)
    echo(f"plan {frozen.fingerprint}: {frozen.hypothesis}", hang=2)
    for planned in plans:
        study = planned.record.study
        known = "; ".join(
            f"{label} in {'block' if len(blocks) == 1 else 'blocks'} {blocks_in_words(blocks)}"
            for label, blocks in known_already(planned).items()
        )
        said = f"; known already: {known}" if known else ""
        echo(f"  {study.folder_name}: blocks {blocks_in_words(study.blocks)}{said}", hang=2)
    echo("nothing was trained; the same command without --freeze and -m trains it", hang=2)
    echo(f"plan:    {file}")


def _expectation(study: "Study") -> str:
    """Return an example of what one may expect of a study."""
    first = next(arm for arm in study.arms if arm is not study.arms[study.baseline])
    return f"{first.label} is better than {study.arms[study.baseline].label} by {study.margin:g} or more"


def _with_blocks(studies: "tuple[Study, ...]", number: int) -> "tuple[Study, ...]":
    from dataclasses import replace

    return tuple(replace(study, blocks=tuple(range(number))) for study in studies)


def parse_time(text: str) -> float:
    """Return the seconds of a time such as `90s`, `30m`, `1.5h`; a bare number is in minutes.

    Raises:
        UsageError: It is not a time above 0.
    """
    from eailab.errors import UsageError
    from eailab.units import parse_seconds

    seconds = parse_seconds(text) or parse_seconds(f"{text}m")
    if seconds is None:
        raise UsageError(f"--budget {text}: give a time, such as 90s, 30m or 2h.")
    return seconds
