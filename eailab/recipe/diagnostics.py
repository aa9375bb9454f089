"""What is wrong with a recipe, where, and how that is shown."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from eailab.plain import lookalike

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where a value lies: the keys and list positions that lead to it from the top."""

LINE_BREAK = re.compile("\r\n|\r|\n")
COMMENT = re.compile(r"(?:^|\s)#.*")
SHOWN_WIDTH = 100  # characters of a source line that are shown around the caret
SHOWN_PROBLEMS = 50
SHOWN_PATH = 120  # characters of a path


@dataclass(frozen=True, order=True)
class Mark:
    """A place in a text; both numbers count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what was found, what would be right, and what to do."""

    path: KeyPath
    message: str
    at_key: bool = False
    """Whether the key is wrong (unknown, written twice), not its value."""


@dataclass(frozen=True)
class Located:
    """A problem with its place: a mark in the text, or the option of the command line that brought it."""

    problem: Problem
    mark: Mark | None = None
    option: str | None = None


def dotted(path: KeyPath) -> str:
    """Return a path as people write it.

    >>> dotted(("model", "hidden", 1))
    'model.hidden[1]'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def caret(text: str, mark: Mark) -> str:
    """Return the line of a mark, cut to a readable width, and a caret under its column."""
    lines = LINE_BREAK.split(text)
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    start = max(0, mark.column - 1 - SHOWN_WIDTH // 2) if len(line) > SHOWN_WIDTH else 0
    shown = line[start : start + SHOWN_WIDTH]
    pad = "".join("\t" if letter == "\t" else " " for letter in shown[: mark.column - 1 - start])
    return f"    {shown}\n    {pad}^"


def report(found: Sequence[Located], source: str, text: str) -> str:
    """Return the message of a `RecipeError` that lists every problem, in the order of the text.

    Args:
        found: At least one problem; those of the command line come last.
        source: What the text is called, such as its path; nothing for a value of the command line.
        text: The text that the marks point into.
    """
    unique = list({(one.mark, one.option, one.problem): one for one in found}.values())
    unique.sort(key=lambda one: (one.mark is None, one.mark or Mark(0, 0)))
    entries = [_entry(one, source, text) for one in unique[:SHOWN_PROBLEMS]]
    if len(unique) == 1:
        return entries[0]
    if len(unique) > SHOWN_PROBLEMS:
        entries.append(f"and {len(unique) - SHOWN_PROBLEMS} more")
    return "\n".join([f"{len(unique)} problems:", *entries])


def _entry(one: Located, source: str, text: str) -> str:
    path = dotted(one.problem.path)[:SHOWN_PATH]
    what = f"{path}: {one.problem.message}" if path else one.problem.message
    if one.mark is None:
        return (f"{one.option}: {what}" if one.option else what) + _lookalike(one.option or "", what)
    by = f" (because of {one.option})" if one.option else ""
    place = f"{source}:{one.mark.line}:{one.mark.column}: " if source else ""
    lines = dict(enumerate(LINE_BREAK.split(text), start=1))
    strange = _lookalike(lines.get(one.mark.line, ""), what)
    if not strange and (before := _lookalike(lines.get(one.mark.line - 1, ""), what)):
        strange = f"{before}, on line {one.mark.line - 1}"
    return f"{place}{what}{by}{strange}\n{caret(text, one.mark)}"


def _lookalike(line: str, said: str) -> str:
    """Name the first character of a line that is not what it looks like, since a problem may come from it."""
    name = lookalike(COMMENT.sub("", line))
    return f"; {name}" if name and name not in said else ""
