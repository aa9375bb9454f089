"""Define the options that several commands share, so that they read and behave alike everywhere."""

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from eailab.cli import completion
from eailab.cli.output import LOG, echo, say_note
from eailab.errors import UsageError
from eailab.metrics import NAMES

if TYPE_CHECKING:
    from eailab.recipe.load import Loaded, Override
    from eailab.runs.context import RunContext

RunsDir: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--runs",
        envvar="EAILAB_RUNS",
        metavar="FOLDER",
        help="Folder of trials and studies.",
        show_default=True,
        file_okay=False,
    ),
]
DataDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="EAILAB_DATA",
        metavar="FOLDER",
        help="Folder of downloaded data sets [default: see `eailab data list`].",
        show_default=False,
    ),
]
TrialName: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="TRIAL",
        help="[STUDY/]ARM/BLOCK, the beginning of its fingerprint, or its folder's path.",
        autocompletion=completion.trials,
    ),
]
StudyName: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A study's name, its folder's, or the beginning of one.",
        autocompletion=completion.studies,
    ),
]
MetricName: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="METRIC",
        help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}; of a program, what it reports.",
        autocompletion=completion.one_of(NAMES),
    ),
]
ProgramMetric: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="METRIC", help="What the program reports, such as val_loss; repeatable."),
]
Seeds: TypeAlias = Annotated[
    str, typer.Option("--seeds", metavar="N", help="Number of blocks, or a list of them: 5 or 0,3,7.")
]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Print what would be trained, and how long it takes; train nothing.")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("-o", "--override", metavar="KEY=VALUE", help="Set any field of the recipe; repeatable."),
]
Device: TypeAlias = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where the torch engine runs; auto is CUDA where there is one.")
]
CheckpointEvery: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="N|TIME", help="How often a trial's state is written: a number of epochs (5), or a time (90s, 10m, 1h)."
    ),
]
On: TypeAlias = Annotated[
    str, typer.Option("--on", metavar="WHERE", help="Machines that train: local, ray, ray://HOST:PORT or slurm.")
]


def _set_level(level: int) -> Callable[[bool], None]:
    """Return a callback that sets how much progress is printed, when its option is given."""

    def chosen(given: bool) -> None:
        if given and LOG.level != logging.INFO:
            raise typer.BadParameter("--verbose and --quiet exclude each other: give one of them.")
        if given:
            LOG.setLevel(level)

    return chosen


Verbose: TypeAlias = Annotated[
    bool,
    typer.Option("--verbose", "-v", callback=_set_level(logging.DEBUG), help="Print a line an epoch while it trains."),
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        callback=_set_level(logging.WARNING),
        help="Print no progress; results, notes and errors are still printed.",
    ),
]


def one_metric(metrics: Sequence[str] | None) -> str | None:
    """Return the metric that studies of a recipe are to rest on; programs of one's own may have several.

    Raises:
        UsageError: Several were given.
    """
    if metrics and len(metrics) > 1:
        raise UsageError(f"--metric is given {len(metrics)} times, and a study rests on one: name one.")
    return metrics[0] if metrics else None


def parse_jobs(text: str) -> int | None:
    """Read `--jobs`: a number of trials, or `auto`, which is None and leaves the choice to the program."""
    if text == "auto":
        return None
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise typer.BadParameter(f"{text!r} is not a number of trials: give auto, or 1 or more.")


Jobs: TypeAlias = Annotated[
    int | None,
    typer.Option("--jobs", parser=parse_jobs, metavar="N", help="Trials side by side, or auto: as many as fit."),
]

RUNS_DIR = Path("runs")
CHECKPOINT_EVERY = "10s"


def run_context(
    runs: Path,
    data_dir: Path | None,
    device: Literal["auto", "cpu", "cuda"],
    checkpoint_every: str = CHECKPOINT_EVERY,
    on: str = "local",
    retries: int = 0,
    *,
    keep_code: bool = False,
    gpus: tuple[str, ...] = (),
) -> "RunContext":
    """Gather what a command says about folders, device, checkpoints and machines."""
    from eailab.runs.checkpoint import parse_cadence
    from eailab.runs.context import RunContext

    return RunContext(runs, data_dir, device, parse_cadence(checkpoint_every), on, retries, keep_code, gpus)


def load_recipe(recipe: str, flags: dict[str, str | None], overrides: Sequence[str] | None) -> "Loaded":
    """Load a recipe with `-o` overrides and then the command's own flags, and say what they changed.

    Flags are texts by the factor's name or path; None for a flag that was not given.
    """
    return load_changed(recipe, overrides_of(flags, overrides))


def overrides_of(flags: dict[str, str | None], overrides: Sequence[str] | None) -> list["Override"]:
    """Read what the command line changes in a recipe; see `load_recipe`."""
    from eailab.recipe.load import Override, parse_given, parse_override

    changes = [parse_override(text) for text in overrides or ()]
    return changes + [
        Override(path, parse_given(text, f"{flag} {text}"), flag)
        for path, text in flags.items()
        if text is not None
        for flag in [f"--{path.rpartition('.')[2]}"]
    ]


def load_changed(recipe: str, changes: Sequence["Override"]) -> "Loaded":
    """Load a recipe with changes, and say what they brought and dropped."""
    from eailab.recipe.load import load

    loaded = load(recipe, changes)
    for note in loaded.notes:
        say_note(note)
    return loaded


def confirmed(question: str, what: str, *, yes: bool) -> bool:
    """Ask before something is removed, unless `--yes` was given, and return the answer.

    Raises:
        UsageError: This is not an interactive terminal.
    """
    if yes:
        return True
    if not is_terminal():
        raise UsageError(f"this is not an interactive terminal: add --yes to remove {what}.")
    if typer.confirm(question, err=True):
        return True
    echo("nothing was removed", err=True)
    return False


def is_terminal() -> bool:
    """Return whether a person can answer at the input."""
    return sys.stdin.isatty()
