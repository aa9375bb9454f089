"""Train one recipe: once by `eailab train-mlp` or `eailab train-resnet`, in many blocks by `eailab noise`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeAlias

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
    MetricName,
    Overrides,
    Quiet,
    RunsDir,
    Seeds,
    Verbose,
    load_recipe,
    one_metric,
    overrides_of,
    run_context,
)
from eailab.cli.output import echo, echo_json, say_note
from eailab.cli.program import NO_PROGRAM, ProgramOptions, takes_program, try_instead
from eailab.errors import Correction, RecipeError

if TYPE_CHECKING:
    from eailab.recipe.base import Recipe as AnyRecipe
    from eailab.studies.design import Study
    from eailab.studies.storage import Plan

RECIPE_HELP = "A recipe's name or path; see `eailab recipes list`."
Recipe: TypeAlias = Annotated[
    str, typer.Option("--recipe", metavar="RECIPE", help=RECIPE_HELP, autocompletion=completion.recipes)
]
Lr: TypeAlias = Annotated[str | None, typer.Option(metavar="RATE", help="Learning rate, such as 1e-3.")]
OptimizerName: TypeAlias = Annotated[
    str | None, typer.Option("--optimizer", metavar="NAME", help="{numpy-mlp/optimizer}.")
]
Sched: TypeAlias = Annotated[str | None, typer.Option(metavar="NAME", help="{numpy-mlp/schedule}.")]
BatchSize: TypeAlias = Annotated[str | None, typer.Option(metavar="N", help="Images a step.")]
Epochs: TypeAlias = Annotated[str | None, typer.Option(metavar="N", help="Passes over the training split.")]
Seed: TypeAlias = Annotated[
    int, typer.Option(min=0, metavar="BLOCK", help="The block: seeds initialisation, order, augmentation.")
]


def train_mlp(
    recipe: Recipe = "mnist-mlp",
    lr: Lr = None,
    optimizer: OptimizerName = None,
    sched: Sched = None,
    activation: Annotated[
        str | None, typer.Option(metavar="NAME", help="{numpy-mlp/model.activation}; one for each layer: relu,sigmoid.")
    ] = None,
    hidden: Annotated[str | None, typer.Option(metavar="WIDTHS", help="Widths of the hidden layers: 128,256.")] = None,
    batch_size: BatchSize = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    checkpoint_every: CheckpointEvery = CHECKPOINT_EVERY,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
    json: AsJson = False,
) -> None:
    """Train an MLP with the numpy engine.

    Example: eailab train-mlp --recipe digits-mlp --lr 1e-3 --activation sigmoid
    """
    from eailab.cli.running import Console
    from eailab.studies.run import run_studies

    flags = {
        "optimizer": optimizer,
        "sched": sched,
        "lr": lr,
        "activation": _as_list(activation),
        "hidden": _as_list(hidden, always=True),
        "batch-size": batch_size,
        "epochs": epochs,
    }
    where = run_context(runs, data_dir, "cpu", checkpoint_every)
    console = Console(where, jobs=1, as_json=json)
    run_studies([_study("numpy-mlp", recipe, flags, override, seed)], console, console.publish)


def train_resnet(
    recipe: Recipe = "resnet18-cifar10",
    lr: Lr = None,
    optimizer: OptimizerName = None,
    sched: Sched = None,
    stem: Annotated[
        str | None, typer.Option(metavar="NAME", help="First convolution: {torch-resnet/model.stem}.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A residual network, net.py:Net, timm:NAME or torchvision:NAME.")
    ] = None,
    augment: Annotated[str | None, typer.Option(metavar="NAME", help="{torch-resnet/data.augment}.")] = None,
    label_smoothing: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Share of a label's probability, spread over all classes: 0.1.")
    ] = None,
    mixup: Annotated[
        str | None, typer.Option(metavar="ALPHA", help="Mix images in pairs, by Beta(ALPHA, ALPHA).")
    ] = None,
    ema: Annotated[
        str | None, typer.Option(metavar="DECAY", help="Evaluate a moving average of the weights: 0.999.")
    ] = None,
    precision: Annotated[str | None, typer.Option(metavar="NAME", help="{torch-resnet/precision}.")] = None,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Same bits each time, maybe slower.")] = False,
    batch_size: BatchSize = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    device: Device = "auto",
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    checkpoint_every: CheckpointEvery = CHECKPOINT_EVERY,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
    json: AsJson = False,
) -> None:
    """Train a ResNet with the torch engine, on CUDA where there is one.

    Example: eailab train-resnet --recipe resnet18-digits --stem 3x3 --sched cosine

    Several GPUs on one trial: torchrun --nproc-per-node 2 -m eailab train-resnet
    """
    from eailab.cli.running import Console
    from eailab.engines.torch_resnet.spec import joined
    from eailab.studies.run import run_studies

    flags = {
        "optimizer": optimizer,
        "sched": sched,
        "lr": lr,
        "model": model,
        "stem": stem,
        "augment": augment,
        "label-smoothing": label_smoothing,
        "mixup": mixup,
        "ema": ema,
        "precision": precision,
        "deterministic": "true" if deterministic else None,
        "batch-size": batch_size,
        "epochs": epochs,
    }
    with joined(device) as leading:
        if leading:
            where = run_context(runs, data_dir, device, checkpoint_every)
            console = Console(where, jobs=1, as_json=json)
            run_studies([_study("torch-resnet", recipe, flags, override, seed)], console, console.publish)


def _study(engine: str, recipe: str, flags: dict[str, str | None], overrides: list[str] | None, seed: int) -> "Study":
    """Return the study of one trial that a command asks for."""
    from eailab.engines.registry import engine_of
    from eailab.studies.design import single

    loaded = load_recipe(recipe, flags, overrides)
    if loaded.recipe.engine != engine:
        command = engine_of(loaded.recipe).command
        raise RecipeError(
            f"the recipe {recipe} is for the engine {loaded.recipe.engine}: use {command}.", Correction(command)
        )
    return single(loaded.recipe, seed)


def _as_list(text: str | None, always: bool = False) -> str | None:
    """Let a list be written without brackets: `128,256` is `[128, 256]`."""
    if text is None or text.startswith("["):
        return text
    return f"[{text}]" if always or "," in text else text


@takes_program("arm")
def noise(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help=RECIPE_HELP, autocompletion=completion.recipes)
    ] = "digits-mlp",
    seeds: Seeds = "10",
    metric: MetricName = None,
    jobs: Jobs = None,
    device: Device = "auto",
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
    json: AsJson = False,
    program: ProgramOptions = NO_PROGRAM,
) -> None:
    """Train one RECIPE in many blocks, and say how far apart two single runs of it lie by chance.

    The default recipe is the one that takes seconds and no download; name your own.

    Example: eailab noise digits-mlp --seeds 10

    A program of your own: eailab noise --run 'python train.py --seed {seed}' --metric val_loss
    """
    from eailab.cli.running import Console, writing
    from eailab.findings.decision import noise_decision
    from eailab.findings.noise import noise_findings
    from eailab.report.compose import noise_document
    from eailab.report.terminal import render
    from eailab.report.write import write_noise
    from eailab.studies.design import repeated
    from eailab.studies.plan import parse_blocks
    from eailab.studies.run import run_studies
    from eailab.studies.sharing import entered

    # What is repeated: a program, or a recipe.
    blocks = parse_blocks(seeds)
    if program:
        base: AnyRecipe = program.recipe(metric, (), overrides_of({}, override))
    else:
        base = load_recipe(recipe, {"study.metric": one_metric(metric)}, override).recipe
    gpus = program.gpus_for(jobs)
    where = run_context(runs, data_dir, device, retries=program.retries, keep_code=program.keep_code, gpus=gpus)
    try_instead(program, repeated(base, blocks), where.runs_dir)

    # Train it in each block, then write and print what its runs show.
    def publish(plans: "Sequence[Plan]") -> None:
        (planned,) = plans
        with entered(planned, where.store, say_note) as record, writing("writing the table and the figure") as watch:
            found = noise_findings(where.store, record)
            write_noise(found, planned.folder)
            watch.advance()
        document = noise_document(found)
        if json:
            echo_json({**document.data(), "decision": asdict(noise_decision(found))})
            return
        render(document)
        echo(f"noise:   {planned.folder / 'noise.md'}")

    console = Console(where, jobs, audits=not program.no_audit)
    run_studies([repeated(base, blocks)], console, publish)
