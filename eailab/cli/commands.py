"""Read command lines, show help, and explain mistakes."""

import re
import sys
from collections.abc import Callable
from copy import copy
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

from eailab.cli.completion import names_in
from eailab.cli.output import USUAL_WIDTH, as_called, columns, echo, program
from eailab.files import expanded

NEGATIVE = re.compile(r"-\.?[0-9]")
"""How a number below 0 begins; no option does."""


NAMES_OF = re.compile(r"\{([a-z-]+)/([A-Za-z_.]+)\}")
INNER_HYPHEN = re.compile(r"(?<=\S)-(?=\S)")
UNBROKEN = "\u2011"
"""Stands for the hyphens of names while help is wrapped."""


class _WithHelp:
    """Help that is as wide as the terminal, and whose commands begin as this program was called."""

    help: str | None
    params: list[Any]

    def get_help(self, ctx: Any) -> str:
        """Return the help.

        `{engine/setting}` in it is replaced by the names that the setting may have, `{report/TABLE}` by a table's.
        """
        ctx.find_root().info_name = program()
        if (width := columns(sys.stdout)) is not None:
            ctx.terminal_width = min(width, USUAL_WIDTH) - 2
        shown: Any = copy(self)
        shown.help, shown.params = _ready(self.help), [_shown(param) for param in self.params]
        formatter = ctx.make_formatter()
        formatter.write_dl = partial(formatter.write_dl, col_max=min(30, formatter.width * 2 // 5))
        shown.format_help(ctx, formatter)
        return str(formatter.getvalue()).rstrip("\n").replace(UNBROKEN, "-")

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002 - Typer's signature
        """Return the whole first sentence for the list of commands, which wraps it."""
        sentence = (self.help or "").partition("\n\n")[0]
        return _ready(" ".join(sentence.split())) or ""


def _shown(param: Any) -> Any:
    """Return an option or an argument as help shows it."""
    shown = copy(param)
    shown.help = _ready(param.help)
    if param.param_type_name == "argument":
        shown.display_type_rich = _nothing
    return shown


def _nothing(*, ctx: Any) -> None:
    """Show no type of an argument: its name explains more than <str>."""


def _ready(text: str | None) -> str | None:
    """Return text that can be wrapped."""
    if text is None:
        return None
    return INNER_HYPHEN.sub(UNBROKEN, as_called(NAMES_OF.sub(lambda found: _names_of(found[1], found[2]), text)))


class Command(_WithHelp, TyperCommand):
    """A command whose paths may begin with `~`, and whose arguments may be numbers below 0."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the command's name."""
        try:
            return super().parse_args(ctx, list(args))
        except typer.TyperException as error:
            if not NEGATIVE.match(getattr(error, "option_name", "")):
                raise
            refusal: Any = type(error)
            ctx.ignore_unknown_options = True
            rest = super().parse_args(ctx, list(args))
            for values in ctx.params.values():
                for word in values if isinstance(values, list) else ():
                    if str(word).startswith("-") and not NEGATIVE.match(str(word)):
                        raise refusal(word, ctx=ctx) from None
            return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        for name, value in ctx.params.items():
            if isinstance(value, Path):
                ctx.params[name] = expanded(value)
            elif isinstance(value, list):
                ctx.params[name] = [expanded(one) if isinstance(one, Path) else one for one in value]
        return super().invoke(ctx)


class Group(_WithHelp, TyperGroup):
    """The program, or a word with commands of its own; alone it shows its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the group's name."""
        if not args and not ctx.resilient_parsing:
            echo(self.get_help(ctx), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)


def _names_of(engine: str, path: str) -> str:
    """List the names of a setting's values, from the recipe's class, or those in a table of reports.

    This imports neither yaml nor numpy.
    """
    from eailab.recipe.schema import settings, variants

    def literals(annotation: Any) -> list[str]:
        parts = [annotation] if isinstance(annotation, str) else map(literals, get_args(annotation))
        return list(chain.from_iterable([one] if isinstance(one, str) else one for one in parts))

    if engine == "report":
        names = names_in(path)
    elif path in variants(engine):
        names = list(variants(engine)[path])
    else:
        setting = settings(engine)[path]
        names = list(dict.fromkeys(literals(setting.owners[0].model_fields[setting.leaf].annotation)))
    return f"{', '.join(names[:-1])} or {names[-1]}"


class Commands(typer.Typer):
    """A group of commands; help is plain text."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=Group, rich_markup_mode=None, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Return a decorator that adds a command."""
        return super().command(name, cls=Command, **settings)


# --- mistakes --------------------------------------------------------------------------------------------------------


UNKNOWN_COMMAND = re.compile(r"No such command '(.*?)'\.", re.DOTALL)
EXTRA = re.compile(r"Got unexpected extra argument\(s\) \((.*)\)", re.DOTALL)
MEANT = {
    "train": "train-mlp or train-resnet",
    "mlp": "train-mlp",
    "resnet": "train-resnet",
    "compare": "ablate for settings, diff for two trials",
    "sweep": "ablate",
    "study": "ablate --study FILE",
    "help": "-h",
    "version": "--version",
    "list": "runs list, recipes list or data list",
    "show": "runs show or recipes show",
    "check": "verify, recipes check or data check",
    "rm": "runs rm",
    "copy": "recipes copy",
}
"""What other programs call commands, and ours."""
MEANT_OPTIONS = dict.fromkeys(("block", "blocks", "repeats", "replicates", "n-seeds"), ("seeds", "seed"))
"""Options by the names that people give them, and what they are called here: the first that the command has counts."""
MOST_NAMED = 2
"""Other commands, of those that have an option which this one lacks."""
MUCH_ALIKE = 0.8
"""Share of letters: a word with fewer in common with options and settings is looked for in other commands first."""
WANTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
}
"""By pydantic's kinds of error."""


def explained(error: typer.TyperException) -> str:
    """Return what a refused command line should be, and which help to read."""
    context: Any = getattr(error, "ctx", None)
    message = error.format_message()
    if hasattr(error, "possibilities") and context is not None:
        answer = _unknown_option(str(getattr(error, "option_name", "")), context)
    elif hasattr(error, "option_name"):
        answer = _without_value(message)
    elif (unknown := UNKNOWN_COMMAND.match(message)) and context is not None:
        answer = _unknown_command(unknown[1], context)
    elif (extra := EXTRA.match(message)) and context is not None:
        answer = _extra(extra[1], context)
    elif hasattr(error, "param_type"):
        answer = _missing(error, context)
    elif getattr(error, "param", None) is not None:
        answer = _refused_value(error)
    else:
        answer = message
    command = " ".join(["eailab", *sys.argv[1:2]]) if context is None else context.command_path
    return f"{answer}{'' if answer.endswith(('?', '.')) else '.'} `{command} -h` shows how."


def _unknown_option(name: str, context: Any) -> str:
    """Say what an option that does not exist may have been meant to be."""
    from eailab.recipe.describe import closest
    from eailab.recipe.factors import known_words

    typed, value = _as_typed(name)
    beginning = f"there is no option {typed}"
    options = {one.lstrip("-"): one for param in context.command.params for one in param.opts if one.startswith("--")}
    settings = known_words() if "override" in options else set()
    if typed.lstrip("-") in {param.name for param in context.command.params if param.param_type_name == "argument"}:
        return f"{beginning}: write {value or 'its value'} alone"
    meant = next((one for one in MEANT_OPTIONS.get(typed.lstrip("-"), ()) if one in options), None)
    near = meant or closest(typed.lstrip("-"), {*settings, *options}, MUCH_ALIKE)
    if near is not None and near not in options:
        return f"{beginning}; to change the recipe's {near}, write -o {near}={value or 'VALUE'}"
    below = getattr(context.command, "commands", {})
    if near is None and (having := [one for one, command in below.items() if _has(command, typed)]):
        return f"{typed} belongs after a command, as in `{context.command_path} {having[0]} … {typed} …`"
    if near is None and typed in ("-q", "--quiet"):
        return f"{beginning} here: it hides the progress of commands that train, such as `eailab ablate`; leave it out"
    if near is None and (having := _having(typed)):
        others = " and ".join(f"`eailab {one} {typed}`" for one in having[:MOST_NAMED])
        return f"{beginning} here; there is {others}"
    near = near or closest(typed.lstrip("-"), options)
    return beginning if near is None else f"{beginning}; did you mean {options[near]}?"


def _has(command: Any, option: str) -> bool:
    return any(option in param.opts for param in command.params)


def _having(option: str) -> list[str]:
    """Return all commands that have an option, those of fewer words first."""
    from eailab.cli.advice import command_tree

    found, left = [], [("", command_tree())]
    while left:
        name, command = left.pop(0)
        below = getattr(command, "commands", {})
        left += [(f"{name} {word}".strip(), one) for word, one in below.items()]
        found += [name] if not below and _has(command, option) else []
    return found


def _as_typed(name: str) -> tuple[str, str | None]:
    """Return an option as it was typed, and its value, if it has one.

    The parser takes `-epochs` for `-e`.
    """
    words = sys.argv[1:]
    fitting = [one for one in words if one.split("=")[0] == name or (len(name) == 2 and one.startswith(name))]
    if not fitting:
        return name, None
    option, equals, value = fitting[0].partition("=")
    if equals:
        return option, value
    after = words[words.index(fitting[0]) + 1 :]
    return option, after[0] if after and not after[0].startswith("--") else None


def _without_value(message: str) -> str:
    """Say that an option lacks its value, or has one too many."""
    name = message.split("'")[1] if message.count("'") > 1 else message
    if "requires" in message:
        return f"{name} needs a value after it"
    return f"{name} is a switch, and takes no value: write it alone"


def _unknown_command(name: str, context: Any) -> str:
    """Say which command may have been meant."""
    from eailab.recipe.describe import closest

    known = context.command.commands
    meant = None if context.parent is not None else MEANT.get(name.lower())
    meant = meant or closest(name, known)
    beginning = f"there is no command {name!r}"
    return f"{beginning}; did you mean {meant}?" if meant else f"{beginning}: there are {', '.join(known)}"


def _extra(words: str, context: Any) -> str:
    """Say what to do with words that no argument takes."""
    options = {one for param in context.command.params for one in param.opts}
    if "--recipe" in options:
        from eailab.recipe.catalogue import shipped

        first = words.split(maxsplit=1)[0] if words.split() else ""
        if first in shipped() or first.endswith((".yaml", ".yml")):
            return f"{first} is a recipe: write --recipe {first}"
        if first.startswith("="):
            return f"{first} has a space before it: write KEY=VALUE without spaces, as in -o lr=0.1"
        if "=" in first and "--override" in options:
            return f"{first} is an argument too many: to change a setting, write -o {first}"
    typed = sys.argv[1:]
    at = typed.index(words.split(maxsplit=1)[0]) if words.split(maxsplit=1)[0] in typed else 0
    if at >= 2 and typed[at - 2] in {"-o", "--override"}:
        return f"too many words: {words}; write -o {typed[at - 1]}={typed[at]}, without spaces"
    if at >= 2 and typed[at - 2].startswith("--"):
        option, values = typed[at - 2], ",".join([typed[at - 1], *words.split()])
        return f"too many words: {words}; to give {option} several values, join them by commas: {option} {values}"
    return f"too many words: {words}"


def _missing(error: Any, context: Any) -> str:
    """Say what has to be given, with the example of the command's help."""
    param = error.param
    name = param.opts[-1] if param.opts[-1].startswith("-") else param.metavar
    example = re.search(r"Example: (.*)", (context.command.help or "") if context is not None else "")
    return f"{name} is missing" + (f": write for example `{example[1].strip()}`" if example else "")


def _refused_value(error: Any) -> str:
    """Say which value an option or argument takes."""
    from pydantic import ValidationError

    from eailab.recipe.describe import nearest

    param = error.param
    name = next((one for one in param.opts if one.startswith("--")), param.metavar or param.name)
    if not isinstance(error.__cause__, ValidationError):
        return str(error.message) if error.message.startswith(name) else f"{name}: {error.message}"
    detail = error.__cause__.errors(include_url=False)[0]
    choices = [str(one) for one in param.type_descriptor.choices or ()]
    if choices:
        return f"{name} {detail['input']}: give one of {', '.join(choices)}{nearest(detail['input'], choices)}"
    if detail["type"] in WANTED:
        return f"{name} {detail['input']}: give {WANTED[detail['type']].format(**detail.get('ctx', {}))}"
    return f"{name}: {detail.get('ctx', {}).get('error', detail['msg'])}"
