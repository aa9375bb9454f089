"""Define the options for a training program of one's own: `--run`, and how its metrics are read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from eailab.cli.output import echo
from eailab.errors import UsageError
from eailab.plain import counted
from eailab.units import duration

if TYPE_CHECKING:
    from eailab.recipe.load import Override
    from eailab.recipe.own import ProgramRecipe
    from eailab.recipe.template import Value
    from eailab.studies.design import Study
    from eailab.studies.factor import FactorLevels

UNSET: tuple[object, ...] = (None, False, 0, [])
"""Values of options that are not given."""
HOW = ("retries", "keep_code", "gpus", "try_", "no_audit")
"""Options that say how a study runs, also one whose program stands in a recipe's file."""
NOT_IN_RECIPE = ("run", "arm", *HOW)
"""Options that are not fields of the recipe."""


@dataclass(frozen=True)
class ProgramOptions:
    """The options of a training program; false where neither `--run` nor `--arm` is given."""

    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="COMMAND",
            help="Run a program of your own, such as 'python train.py --lr {lr} --seed {seed}'; needs --metric.",
        ),
    ] = None
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", metavar="NAME=COMMAND", help="In place of FACTOR and --run: a command for each arm."),
    ] = None
    goal: Annotated[
        Literal["max", "min"] | None,
        typer.Option(help="Which values of the program's metric are better [default: by its name, such as loss]"),
    ] = None
    unit: Annotated[
        Literal["share", "percent", "raw"] | None,
        typer.Option(help="Of the program's metric: a share from 0 to 1, percent, or its own [default: raw]"),
    ] = None
    metrics_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="JSON, JSON lines or CSV that the program leaves: '{out}/metrics.json'."),
    ] = None
    metric_regex: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Pattern of a line of output with the metric in its group.")
    ] = None
    at: Annotated[
        str | None, typer.Option(metavar="STEP", help="Which reported value counts: last, best, or a step.")
    ] = None
    code: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="PATH", help="Code that the program depends on [default: sources here]"),
    ] = None
    data: Annotated[
        list[str] | None, typer.Option("--data", metavar="PATH", help="Data that it depends on, by their content.")
    ] = None
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="End the program after this time: 90s, 30m, 2h.")
    ] = None
    shell: Annotated[bool, typer.Option("--shell", help="Let sh run the command, with its pipes and variables.")] = (
        False
    )
    seed_env: Annotated[
        bool, typer.Option("--seed-env", help="The program takes its seed from EAILAB_SEED, by your word.")
    ] = False
    unseeded: Annotated[
        bool, typer.Option("--unseeded", help="The program has no seed: its runs are independent repeats.")
    ] = False

    retries: Annotated[
        int, typer.Option(min=0, max=100, metavar="N", help="How many times a program that failed is started again.")
    ] = 0
    keep_code: Annotated[
        bool, typer.Option("--keep-code", help="Continue a study's trials although the program has changed since.")
    ] = False
    gpus: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="GPUs for its trials, one each: 0,1; --jobs is then their number."),
    ] = None
    no_audit: Annotated[
        bool, typer.Option("--no-audit", help="Do not check first whether seed and factor reach the program.")
    ] = False
    try_: Annotated[
        bool, typer.Option("--try", help="Run the baseline once, and show what is read from it; keep only its time.")
    ] = False

    @property
    def commands(self) -> dict[str, str]:
        """Return the commands by the arms' names; `--run` has no name.

        Raises:
            UsageError: An arm without a name, or a name twice.
        """
        if self.run is not None:
            return {"": self.run}
        commands: dict[str, str] = {}
        for text in self.arm or ():
            name, equals, command = text.partition("=")
            if not equals or not name.strip() or not command.strip():
                raise UsageError(f"--arm {text}: write a name, =, and a command, as in --arm base='python train.py'.")
            if name.strip() in commands:
                raise UsageError(f"--arm {name.strip()} is given twice: give each arm a name of its own.")
            commands[name.strip()] = command.strip()
        return commands

    def __bool__(self) -> bool:
        """Return whether a program is to be run.

        Raises:
            UsageError: It is not, and an option is given that only a program has.
        """
        if self.run is None and not self.arm:
            self.refuse(one.name for one in fields(self) if one.name not in NOT_IN_RECIPE)
            return False
        if self.run is not None and self.arm:
            raise UsageError("--run and --arm both give commands: write one --arm NAME=COMMAND for each arm, or --run.")
        return True

    def refuse(self, names: Iterable[str]) -> None:
        """Refuse options where there is no program.

        Raises:
            UsageError: One of them is given.
        """
        if given := self.given(names):
            raise UsageError(f"{given[0]} needs a program of yours: give its command with --run.")

    def given(self, names: Iterable[str]) -> list[str]:
        """Return which of some options are given, as they are typed."""
        return [f"--{name.rstrip('_').replace('_', '-')}" for name in names if getattr(self, name) not in UNSET]

    def gpus_for(self, jobs: int | None, on: str = "local") -> tuple[str, ...]:
        """Return the GPUs that trials are given, one each; none without `--gpus`.

        Raises:
            UsageError: One is given twice or empty, there are too few, or another machine trains.
        """
        if self.gpus is None:
            return ()
        names = tuple(name.strip() for name in self.gpus.split(","))
        if len({*names}) < len(names) or not all(names):
            raise UsageError(f"--gpus {self.gpus}: give each GPU once, by its number or UUID, as in --gpus 0,1.")
        if on != "local":
            raise UsageError(f"--gpus is for this machine, and --on {on} trains elsewhere: leave one of them out.")
        if jobs is not None and jobs > len(names):
            raise UsageError(
                f"--jobs {jobs} is more than the {counted(len(names), 'GPU')} of --gpus {self.gpus}, and each trial "
                "gets one of its own: leave --jobs out."
            )
        return names

    def recipe(
        self, metrics: Sequence[str] | None, varied: "Sequence[FactorLevels]", changes: "Sequence[Override]"
    ) -> "ProgramRecipe":
        """Return the recipe that all arms share.

        The factors' baselines, or first levels, are the recipe's own.
        """
        from eailab.recipe.of_command import recipe_of_command

        if not metrics:
            raise UsageError("--metric is missing: name what the program reports, as in --metric val_acc.")
        written = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in NOT_IN_RECIPE}
        given = {name: value for name, value in written.items() if value not in UNSET}
        own: dict[str, Value] = {}
        for one in () if self.arm else varied:
            own |= dict(zip(one.words, one.baseline or one.levels[0], strict=True))
        command, *_ = self.commands.values()
        metric = list(metrics) if len(metrics) > 1 else metrics[0]
        return recipe_of_command(command, {"metric": metric, **given}, own, changes)

    def factors(
        self, factor: str | None, levels: Sequence[str], also: Sequence[str], baseline: str | None, *, joint: bool
    ) -> "list[FactorLevels]":
        """Return the factors: the commands of `--arm`, or settings, whose levels are handed over as they are typed.

        Raises:
            UsageError: There is none, or both.
        """
        from eailab.recipe.of_command import read_level
        from eailab.studies.factor import FactorLevels, factor_from_option, factor_from_text

        if self.arm:
            if factor is not None:
                raise UsageError(
                    f"--arm gives a command for each arm, and {factor} would be varied too: leave one out."
                )
            commands = self.commands
            if baseline is not None and baseline not in commands:
                raise UsageError(f"--baseline {baseline} is none of the arms: {', '.join(commands)}.")
            chosen = None if baseline is None else (commands[baseline],)
            return [FactorLevels(("run",), tuple((one,) for one in commands.values()), chosen, tuple(commands))]
        if factor is None:
            raise UsageError("name a FACTOR and its LEVELS, as in `eailab ablate lr 1e-3 1e-4 --run …`, or use --arm.")
        texts = levels[0].split(",") if len(levels) == 1 else levels
        first = factor_from_text(
            factor,
            [read_level(text) for text in texts],
            None if baseline is None else read_level(baseline),
            joint=joint,
        )
        return [first, *(factor_from_option(text, joint=joint) for text in also)]


def try_instead(program: ProgramOptions, study: "Study", runs_dir: Path) -> None:
    """Run the first block of a study's baseline once with `--try`, print what was read, and end the command.

    Raises:
        UsageError: An option is given that only a program has, and the study has none.
    """
    from eailab.engines.registry import engine_of

    try_once = engine_of(study.arms[study.baseline].recipe).try_once
    if try_once is None:
        program.refuse(HOW)
        return
    if not program.try_:
        return
    from eailab.engines.program.reading import IN_WORDS

    tried = try_once(study.arms[study.baseline].recipe, study.blocks[0], runs_dir)
    recipe, reading = tried.recipe, tried.reading
    echo(f"command: {tried.command}", hang=9)
    echo(f"read:    {IN_WORDS[reading.way]}", hang=9)
    for name, points in reading.curves.items():
        steps = f", the {recipe.at} of {counted(len(points), 'value')}" if len(points) > 1 else ""
        echo(f"{name}: {reading.values[name]:g}{steps}", hang=9)
    others = [name for name in reading.seen if name not in recipe.metrics]
    echo(f"not asked for: {', '.join(others) or 'nothing'}", hang=9)
    echo(f"took:    {tried.seconds:.2g} s" if tried.seconds < 10.0 else f"took:    {duration(tried.seconds)}", hang=9)
    echo("only its time was kept, for -n and --budget; the same command without --try runs the study", hang=9)
    raise typer.Exit


NO_PROGRAM = ProgramOptions()


def takes_program(*without: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the options of `ProgramOptions`, as one argument, `program`.

    Args:
        without: Fields of it whose options the command has no use for.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(signature(command).parameters.values())
        more = [one for one in signature(ProgramOptions).parameters.values() if one.name not in without]

        @wraps(command)
        def with_program(**given: Any) -> None:
            chosen = ProgramOptions(**{one.name: given.pop(one.name) for one in more})
            command(**given, program=chosen)

        at = next(index for index, one in enumerate(own) if one.name == "program")
        parameters = [*own[:at], *more, *own[at + 1 :]]
        parameters = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in parameters]
        with_program.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        with_program.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": None}
        return with_program

    return decorate
