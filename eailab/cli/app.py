"""Start the program: list its commands, and turn errors into messages and exit codes."""

import errno
import logging
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from eailab import __version__
from eailab.cli.ablate import ablate
from eailab.cli.advice import advised, command_tree, register, with_command
from eailab.cli.audit import audit
from eailab.cli.commands import Commands, explained
from eailab.cli.data import data, split
from eailab.cli.explain import explain
from eailab.cli.gate import gate
from eailab.cli.gradcheck import gradcheck
from eailab.cli.judge import judge
from eailab.cli.lab import lab
from eailab.cli.networks import export, predict
from eailab.cli.output import LOG, PRINTED, echo, echo_error
from eailab.cli.own_network import model, sanity
from eailab.cli.recipes import recipes
from eailab.cli.report import report, verify
from eailab.cli.runs import diff, runs, studies
from eailab.cli.schema import schema
from eailab.cli.stopping import raising
from eailab.cli.train import noise, train_mlp, train_resnet
from eailab.errors import EailabError, StoppedError, UsageError

app = Commands(name="eailab", pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]})

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Error numbers of a system that cannot take more output."""

SMALLEST = {"COLUMNS": 20, "LINES": 5}
"""Sizes of a terminal below which a variable is ignored, in letters."""


def _version(wanted: bool) -> None:
    if wanted:
        echo(f"eailab {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    _: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Controlled deep-learning experiments: one factor at a time, blocked, repeated, answered with a verdict.

    Example: eailab ablate batch-size 16 32 64 --recipe digits-mlp
    """


app.command()(split)
app.command()(train_mlp)
app.command()(train_resnet)
app.command()(ablate)
app.command()(explain)
app.command()(judge)
app.command()(noise)
app.command()(audit)
app.command()(gate)
app.command()(gradcheck)
app.command()(sanity)
app.command()(report)
app.command()(verify)
app.command()(diff)
app.command()(predict)
app.command()(export)
app.command()(schema)
app.add_typer(data, name="data")
app.add_typer(lab, name="lab")
app.add_typer(model, name="model")
app.add_typer(recipes, name="recipes")
app.add_typer(runs, name="runs")
app.add_typer(studies, name="studies")
register(app)


def main() -> None:
    """Run the program; an `EailabError` becomes one message on standard error and its exit code."""
    _open_closed_streams()
    LOG.addHandler(_HANDLER)
    LOG.setLevel(logging.INFO)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ± shows a question mark, not a traceback
    _forget_odd_sizes()
    PRINTED.clear()
    try:
        with raising():
            code = command_tree(*sys.argv[1:2])(prog_name="eailab", standalone_mode=False)
    except typer.TyperException as error:
        echo_error(explained(error), error.exit_code)
        sys.exit(error.exit_code)
    except typer.Abort:
        echo("stopped", err=True)
        sys.exit(1)
    except StoppedError as error:
        echo(with_command(str(error)), err=True)
        sys.exit(error.exit_code)
    except EailabError as error:
        echo_error(advised(error), error.exit_code)
        sys.exit(error.exit_code)
    except OSError as error:
        code = UsageError.exit_code if error.errno == errno.ENAMETOOLONG else EailabError.exit_code
        echo_error(_trouble_with_output(error) or _shortage(error), code)
        sys.exit(code)
    except (MemoryError, ImportError, RuntimeError) as error:
        echo_error(_shortage(error), EailabError.exit_code)
        sys.exit(EailabError.exit_code)
    sys.exit(code or 0)


def _open_closed_streams() -> None:
    """Read nothing and write nowhere where a stream was closed by who starts the program, as by `>&-` in a shell."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - it stays open as long as the program runs


def _shortage(error: Exception) -> EailabError:
    """Return the error that names what ran out; a bug keeps its traceback."""
    from eailab.errors import shortage_of

    shortage = shortage_of(error)
    if shortage is None:
        raise error
    return shortage


def _trouble_with_output(error: OSError) -> str | None:
    """Explain an error of the place that the output goes to; None for any other error."""
    if error.errno == errno.ENAMETOOLONG:
        return f"{error.filename!s:.60}… is too long a name for this disk: give a shorter one."
    if error.errno not in NO_ROOM or error.filename is not None:
        return None
    _give_up_output()
    return (
        f"the output could not be written: {os.strerror(error.errno)}. What is in the runs folder is kept: send the "
        "output elsewhere, and run the same command again."
    )


class _OnStandardError(logging.Handler):
    """Prints what the library logs while it works, such as that a download has begun."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message alone."""
        echo(record.getMessage(), err=True)


_HANDLER = _OnStandardError()


def _forget_odd_sizes() -> None:
    """Ignore sizes of the terminal in which nothing could be read, such as `COLUMNS=0`."""
    for name, least in SMALLEST.items():
        if not (size := os.environ.get(name, str(least))).isdecimal() or int(size) < least:
            del os.environ[name]


def _give_up_output() -> None:
    """Discard what standard output still contains, so that Python does not fail on it again when it ends."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
