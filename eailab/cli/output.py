"""Print text, lists and JSON: made plain, laid out for the terminal, commands named as this one was called."""

import logging
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import typer
from rich.cells import cell_len

from eailab.plain import in_one_line, layout, plain_lines

LOG = logging.getLogger("eailab")
"""Logs what a command does: each epoch as `debug`, other progress as `info`, problems above."""

COMMANDS = (
    "ablate",
    "audit",
    "data",
    "diff",
    "explain",
    "export",
    "gate",
    "gradcheck",
    "judge",
    "lab",
    "model",
    "noise",
    "predict",
    "recipes",
    "report",
    "runs",
    "sanity",
    "schema",
    "split",
    "studies",
    "train-mlp",
    "train-resnet",
    "verify",
)
NAMED = re.compile(rf"(?<![\w./-])(?<!-m )(?<!run )eailab (?=-h\b|(?:{'|'.join(COMMANDS)})\b)")
"""The program before a command, as messages and help name it."""


JSON_VERSION = 1
"""Of results that name none of their own: raised when a key is renamed, removed or changes its meaning."""
PRINTED: list[str] = []
"""The result that was printed as JSON; one command prints one."""
COMMAND = re.compile(r"`(eailab [^`…]+)`")
"""In an error's message: what to run."""
NARROWEST = 20
"""Columns; a number below is not taken for a terminal's width."""
USUAL_WIDTH = 80
"""Of a terminal that does not say."""
WORDS = re.compile(r"[^\s`]*`[^`]*`\S*|\S+")
"""Of a sentence; a command in it is one word."""


def echo(text: object = "", *, err: bool = False, nl: bool = True, hang: int | None = None) -> None:
    """Print text to standard output, or advice, notes and errors to standard error.

    On a terminal, sentences are wrapped at words; in files and pipes nothing is.

    Args:
        text: What to print.
        err: Whether it goes to standard error, where all is sentences.
        nl: Whether a line ends after it.
        hang: Of sentences on standard output: the blanks before their further lines. None for anything else, such as a
            path or JSON, which is printed as it is.
    """
    printed = plain_lines(str(text))
    printed = as_called(printed) if err else printed
    if (err or hang is not None) and (width := columns(sys.stderr if err else sys.stdout)) is not None:
        printed = wrapped(printed, width, 2 if hang is None else hang)
    typer.echo(printed, err=err, nl=nl)


def say_note(text: str) -> None:
    """Print what the user should know."""
    echo(f"note: {text}", err=True)


def echo_json(result: Mapping[str, Any], *, is_line: bool = False) -> None:
    """Print a result as JSON to standard output, with the version of its keys.

    Args:
        result: Plain values.
        is_line: Whether it is one line on a terminal too, as it is in a pipe or a file.
    """
    versioned = {"schema_version": JSON_VERSION, **result}
    text = layout(versioned) if sys.stdout.isatty() and not is_line else in_one_line(versioned)
    PRINTED[:] = [text]
    typer.echo(text)


def echo_error(text: object, exit_code: int) -> None:
    """Print an error to standard error, and as JSON to standard output where `--json` has printed nothing there.

    Args:
        text: What was found, a colon, and what would be right; on a line of its own, the command that would be right.
        exit_code: Of the program.
    """
    echo(f"error: {text}", err=True)
    if "--json" not in sys.argv or PRINTED:
        return
    message, _, command = str(text).rpartition("\n  eailab ")
    quoted = COMMAND.search(str(text))
    fix = f"eailab {command}" if message else None if quoted is None else quoted[1]
    what, _, expected = (message or str(text)).partition(": ")
    echo_json({"error": {"what": what, "expected": expected or None, "fix": fix, "exit_code": exit_code}})


# --- layout ----------------------------------------------------------------------------------------------------------


def columns(stream: TextIO) -> int | None:
    """Return the width of a terminal; None for a file or a pipe, where nothing is wrapped."""
    if not stream.isatty():
        return None
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        width = 0
    return narrowed(width or USUAL_WIDTH, os.environ)


def narrowed(width: int, environment: Mapping[str, str]) -> int:
    """Return a terminal's width, or less where `COLUMNS` asks for it; what is not a sensible width is ignored.

    >>> [narrowed(80, {"COLUMNS": columns}) for columns in ("60", "200", "0", "-5", "wide", "")]
    [60, 80, 80, 80, 80, 80]
    """
    asked = environment.get("COLUMNS", "")
    return min(width, int(asked)) if re.fullmatch("[0-9]{2,4}", asked) and int(asked) >= NARROWEST else width


def wrapped(text: str, width: int, hang: int) -> str:
    """Wrap each line at its words; an indented command stays on one line, so that it can be copied.

    >>> print(wrapped("note: six words of text to wrap", 20, 2))
    note: six words of
      text to wrap
    """
    return "\n".join(chain.from_iterable(_wrapped(line, width, hang) for line in text.split("\n")))


def _wrapped(line: str, width: int, hang: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    if cell_len(line) <= width:
        return [line]
    if indent and line.lstrip().startswith((program(), "eailab ")):
        return [line]
    lines, at = [indent], 0
    for word in WORDS.findall(line.strip()):
        if at and at + 1 + cell_len(word) > width - (0 if len(lines) > 1 else len(indent)):
            lines.append(" " * (len(indent) + hang))
            at = len(lines[-1])
        elif at and lines[-1].strip():
            lines[-1] += " "
            at += 1
        lines[-1] += word
        at += cell_len(word)
    return lines


# --- how the program is called ---------------------------------------------------------------------------------------


def as_called(text: str) -> str:
    """Return text in which each command begins as the command at work was called."""
    called = program()
    return NAMED.sub(lambda _: f"{called} ", text) if called != "eailab" else text


def program() -> str:
    """Return how this program was called: `eailab`, `python -m eailab`, `uv run eailab`, or by its path."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py":
        return _launcher() or shlex.join([sys.orig_argv[0], "-m", "eailab"])
    if script.name == str(script):
        return script.name
    on_path = shutil.which(script.name) == str(script)
    return _launcher() or (script.name if on_path else shlex.quote(str(script)))


def _launcher() -> str:
    """Return the words of `uv run` that started this process, up to the program's name; nothing without them."""
    if "UV_RUN_RECURSION_DEPTH" not in os.environ:
        return ""
    try:
        words, settings = (_of_parent(file) for file in ("cmdline", "environ"))
    except OSError:  # another system than Linux
        return "uv run eailab"
    words = words[: -len(sys.argv)]  # without the arguments, and the empty word after the last one
    if not words or Path(words[0]).name != "uv" or words[-1] != "eailab":
        return ""
    path = next((one.removeprefix("PATH=") for one in settings if one.startswith("PATH=")), "")
    on_path = shutil.which("uv", path=path)  # a launcher, such as pyenv's, calls uv by its whole path
    called = "uv" if on_path is not None and _are_one_file(on_path, words[0]) else words[0]
    return shlex.join([called, *words[1:]])


def _of_parent(file: str) -> list[str]:
    """Return the parts of a file that Linux keeps of the process that started this one."""
    return Path(f"/proc/{os.getppid()}/{file}").read_text(encoding="utf-8", errors="replace").split("\0")


def _are_one_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
