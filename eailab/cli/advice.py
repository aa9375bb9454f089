"""Write the commands that messages advise: the one that was typed, with what has to change, ready to paste."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import typer

from eailab.errors import EailabError, MissingDataError

if TYPE_CHECKING:
    from eailab.errors import Correction
    from eailab.recipe.base import Recipe

KEPT = ("--runs", "--data-dir")
"""Options of the typed command that every advised command needs too, where it has them."""
QUOTED = re.compile(r"`eailab ([^`…]+)`")


_PROGRAM: list[typer.Typer] = []
"""What has all commands; `app.py` registers it here, since it imports every module that advises one."""


def register(program: typer.Typer) -> None:
    """Let advised commands have the options of this program's commands."""
    _PROGRAM[:] = [program]
    command_tree.cache_clear()


@dataclass(frozen=True)
class Typed:
    """A command line, taken apart."""

    command: tuple[str, ...]
    """Such as `runs list`."""
    arguments: tuple[str, ...]
    options: tuple[tuple[str, str | None], ...]
    """Each by its longest name, with its value; a switch has none."""

    @classmethod
    def read(cls, words: Sequence[str]) -> Self | None:
        """Take words apart; None where they do not begin with a command."""
        at, rest = _command(words)
        if not at:
            return None
        known = _options(at)
        arguments: list[str] = []
        options: list[tuple[str, str | None]] = []
        left = iter(rest)
        for word in left:
            name, is_joined, value = word.partition("=")
            if word == "--":
                arguments += left
            elif name in known:
                longest, takes_value = known[name]
                options.append((longest, (value if is_joined else next(left, "")) if takes_value else None))
            elif (short := word[:2]) in known and known[short][1] and not word.startswith("--"):
                options.append((known[short][0], word[2:]))
            else:
                arguments.append(word)
        return cls(tuple(at), tuple(arguments), tuple(options))

    def without(self, *names: str) -> Self:
        """Leave options out."""
        return replace(self, options=tuple(one for one in self.options if one[0] not in names))

    def having(self, name: str, value: str | None) -> Self:
        """Give an option a value, in place of any that it has."""
        return replace(self.without(name), options=(*self.without(name).options, (name, value)))

    def turned_into(self, command: str) -> Self:
        """Return the line for another command, with the options that it has too."""
        turned = replace(self, command=tuple(command.split()))
        return replace(turned, options=tuple(one for one in self.options if one[0] in turned.known()))

    def known(self) -> set[str]:
        """Return the options that the command has, each by its longest name."""
        return {longest for longest, _ in _options(self.command).values()}

    def __str__(self) -> str:
        options = [word for option in self.options for word in option if word is not None]
        return shlex.join(["eailab", *self.command, *self.arguments, *options])


def typed() -> Typed | None:
    """Return the command that was typed."""
    return Typed.read(sys.argv[1:])


def _command(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the words that name a command, and those after it; no words where no command has the name."""
    found: Any = command_tree(*words[:1])
    for number, word in enumerate(words):
        below = getattr(found, "commands", None)
        if below is None:
            return words[:number], words[number:]
        if (found := below.get(word)) is None:
            return (), words
    return words, ()


def _options(command: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Return the options of a command by each of their names: the longest one, and whether it takes a value."""
    found: Any = command_tree(*command[:1])
    for word in command:
        found = found.commands[word]
    options = [one for one in found.params if one.param_type_name == "option"]
    return {name: (max(one.opts, key=len), not one.is_flag) for one in options for name in one.opts}


@cache
def command_tree(word: str = "") -> Any:
    """Return the program with all its commands and their options, built once.

    Where a word names a command, or what has commands of its own, the others are left out, which saves their time.
    """
    alone = copy(_PROGRAM[0])
    alone.registered_commands = [one for one in alone.registered_commands if _is_called(one.name, one.callback, word)]
    alone.registered_groups = [one for one in alone.registered_groups if one.name == word]
    has_one = alone.registered_commands or alone.registered_groups
    return typer.main.get_command(alone if has_one else _PROGRAM[0])


def _is_called(name: str | None, function: Callable[..., Any] | None, word: str) -> bool:
    """Return whether a word names a command: by its own name, or else by that of its function."""
    return word == (name or typer.main.get_command_name(getattr(function, "__name__", "")))


# --- advice ----------------------------------------------------------------------------------------------------------


def advised(error: EailabError) -> str:
    """Return an error's message, with the command that was typed as it would be right, where that is known."""
    message = with_kept_options(str(error))
    correct = None if error.correction is None else corrected(error.correction)
    return message if correct is None else f"{message}\n  {correct}"


def corrected(correction: "Correction") -> Typed | None:
    """Return the command that was typed with a correction; None where it does not fit the command."""
    line = typed()
    if line is None:
        return None
    if correction.command is not None:
        line = line.turned_into(correction.command)
    if correction.arguments is not None:
        line = replace(line, arguments=correction.arguments)
    line = line.without(*correction.without)
    if correction.level is not None:
        line = _with_level(line, *correction.level)
    for name, value in correction.options.items():
        if name not in line.known():
            return None
        line = line.having(name, value)
    return line


def _with_level(line: Typed, factor: str, level: str) -> Typed:
    """Return a line that names one more level of a factor, after those that it has."""
    for index, (name, value) in enumerate(line.options):
        if name == "--and" and value is not None and value.split("=")[0] == factor:
            options = [*line.options]
            options[index] = name, f"{value},{level}"
            return replace(line, options=tuple(options))
    return replace(line, arguments=(*line.arguments, level))


def with_kept_options(text: str) -> str:
    """Return text whose commands look into the same folders as the command that was typed."""
    line = typed()
    if line is None:
        return text
    kept = [(name, value) for name, value in line.options if name in KEPT]

    def with_them(found: re.Match[str]) -> str:
        other = Typed.read(shlex.split(found[1]))
        if other is None:
            return found[0]
        known, given = _options(other.command), {name for name, _ in other.options}
        more = [word for name, value in kept if name in known and name not in given for word in (name, value or "")]
        return f"`{' '.join(['eailab', found[1], *([shlex.join(more)] if more else [])])}`"

    return QUOTED.sub(with_them, text) if kept else text


def with_command(message: str) -> str:
    """Return the message of a command that was stopped, with the command that continues."""
    gap = "\n" if "\n" in message else " "
    return f"{message}{gap}The same command continues:\n  {shlex.join(['eailab', *sys.argv[1:]])}"


# --- images that come with eailab ------------------------------------------------------------------------------------


def on_small_data(recipe: "Recipe") -> str | None:
    """Return the typed command with a small recipe of the same engine; None where the command cannot take one."""
    line, small = typed(), recipe.small_example  # of the same engine, so that the command's own settings still fit
    if line is None or small is None or "digits" in (recipe.data_name or "") or line.command == ("explain",):
        return None
    if any(name == "--study" for name, _ in line.options):
        return None
    kept = [one for one in line.options if one[0] != "--override" or not str(one[1]).startswith("data.")]
    line = replace(line, options=tuple(kept))
    if line.command == ("noise",):
        return str(replace(line, arguments=(small,)))
    return str(line.having("--recipe", small))


@contextmanager
def offering_small_data(recipe: "Recipe") -> Iterator[None]:
    """Add to an error about missing data which command needs no download."""
    try:
        yield
    except MissingDataError as error:
        command = on_small_data(recipe)
        if command is None:
            raise
        raise MissingDataError(f"{error} Without any download:\n  {command}") from error
