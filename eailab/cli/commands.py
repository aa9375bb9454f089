"""What all commands have in common: how they read the command line, and how their help names the program."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

from eailab.cli.output import as_called, echo

NEGATIVE = re.compile(r"-\.?[0-9]")
"""How a number below 0 begins; no option does."""


class Command(TyperCommand):
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
        from eailab.paths import expanded

        for name, value in ctx.params.items():
            if isinstance(value, Path):
                ctx.params[name] = expanded(value)
            elif isinstance(value, list):
                ctx.params[name] = [expanded(one) if isinstance(one, Path) else one for one in value]
        return super().invoke(ctx)

    def get_help(self, ctx: Any) -> str:
        """Return the command's help."""
        return as_called(super().get_help(ctx))


class Group(TyperGroup):
    """The program, or a word with commands of its own; alone it shows its help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the group's name."""
        if not args and not ctx.resilient_parsing:
            echo(self.get_help(ctx), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def get_help(self, ctx: Any) -> str:
        """Return the group's help."""
        return as_called(super().get_help(ctx))


class Commands(typer.Typer):
    """A group of commands; help is plain text."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=Group, rich_markup_mode=None, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Return a decorator that adds a command."""
        return super().command(name, cls=Command, **settings)
