"""The one way from a command to the terminal: text is made plain, and commands are named as this one was called."""

import logging
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import typer

from eailab.plain import plain_lines

LOG = logging.getLogger("eailab")
"""What is said while a command works: a line an epoch as `debug`, other progress as `info`, what goes wrong above."""

COMMANDS = (
    "ablate",
    "data",
    "diff",
    "explain",
    "export",
    "noise",
    "predict",
    "recipes",
    "report",
    "runs",
    "split",
    "studies",
    "train-mlp",
    "train-resnet",
    "verify",
)
NAMED = re.compile(rf"(?<![\w./-])(?<!-m )(?<!run )eailab (?=-h\b|(?:{'|'.join(COMMANDS)})\b)")
"""The program before a command, as messages and help name it."""


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print text to standard output, or advice, notes and errors to standard error."""
    said = plain_lines(str(text))
    typer.echo(as_called(said) if err else said, err=err, nl=nl)


def as_called(text: str) -> str:
    """Return text in which each command begins as the command at work was called."""
    called = program()
    return NAMED.sub(lambda _: f"{called} ", text) if called != "eailab" else text


def program() -> str:
    """Return how this program was called: `eailab`, `python -m eailab`, `uv run eailab`, or by its path."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return shlex.join([sys.orig_argv[0], "-m", "eailab"])
    if script.name == str(script):
        return script.name
    on_path = shutil.which(script.name) == str(script)
    return _launcher() or (script.name if on_path else shlex.quote(str(script)))


def _launcher() -> str:
    """Return the words of `uv run` that started this process, up to the program's name; nothing without them."""
    if "UV_RUN_RECURSION_DEPTH" not in os.environ:
        return ""
    try:
        words = Path(f"/proc/{os.getppid()}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:  # another system than Linux
        return "uv run eailab"
    if Path(words[0]).name != "uv" or "eailab" not in words:
        return ""
    return shlex.join(words[: words.index("eailab") + 1])
