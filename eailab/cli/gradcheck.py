"""`eailab gradcheck`: hand-written gradients against central differences."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eailab.cli.options import AsJson
from eailab.cli.output import echo, echo_json, say_note
from eailab.errors import CheckFailedError, UsageError
from eailab.plain import counted

if TYPE_CHECKING:
    from eailab.gradcheck.report import GradientCheck, GradientReport

Shape = tuple[str | None, tuple[int, ...]]
MOST_NUMBERS = 1_000_000
"""Of an input."""


def gradcheck(
    code: Annotated[
        str,
        typer.Argument(metavar="FILE.py:NAME", help="A class, 'FILE.py:NAME(VALUE, …)', or FILE.py:FORWARD,BACKWARD."),
    ],
    shapes: Annotated[
        list[str],
        typer.Option(
            "--input", metavar="SHAPE", help="Of an input, images first: 8,784. Repeatable, also as NAME=SHAPE."
        ),
    ],
    parameters: Annotated[
        str | None,
        typer.Option(metavar="W=dW,…", help="Attributes that are parameters, and their gradients [default: found]."),
    ] = None,
    values: Annotated[
        Literal["normal", "positive", "probabilities"] | None, typer.Option(help="What inputs are drawn as.")
    ] = None,
    labels: Annotated[
        Literal["classes", "one-hot", "values"] | None, typer.Option(help="What a loss compares its input with.")
    ] = None,
    entries: Annotated[
        int, typer.Option(min=1, metavar="N", help="Entries of each array that are compared one by one, at most.")
    ] = 2000,
    json: AsJson = False,
) -> None:
    """Compare a layer's own gradients with central differences, and say which formula is wrong.

    It runs the code of FILE.py, with your rights. It ends with 0 if every gradient is right, and with 1 if not.

    Example: eailab gradcheck layers.py:Linear --input 8,784
    """
    from eailab.gradcheck.build import CheckRequest
    from eailab.gradcheck.check import gradcheck as check
    from eailab.own_code.reference import parse_reference

    asked = CheckRequest(parse_reference(code), tuple(map(_shape, shapes)), _pairs(parameters), entries)
    found = check(asked, values, labels, say_note)
    if json:
        echo_json(asdict(found))
    else:
        _print(found)
    if not found.passed:
        wrong = [check.name for check in found.checks if check.state != "right"]
        raise CheckFailedError(
            f"{found.subject}: {'the gradient of ' if len(wrong) == 1 else 'gradients of '}{', '.join(wrong)} "
            f"{'is' if len(wrong) == 1 else 'are'} wrong."
            if wrong
            else f"{found.subject}: {found.faults[0]}."
        )


def _shape(text: str) -> Shape:
    """Read `8,784` or `x=8,784`."""
    name, equals, numbers = text.rpartition("=")
    parts = numbers.split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--input {text}: give a shape of whole numbers above 0, as in --input 8,784.")
    shape = tuple(map(int, parts))
    size = 1
    for one in shape:
        size *= one
    if size > MOST_NUMBERS:
        raise UsageError(f"--input {text} has {size:,} numbers: a check needs few, {MOST_NUMBERS:,} at most.")
    return name.strip() if equals else None, shape


def _pairs(text: str | None) -> dict[str, str] | None:
    """Read `W=dW,b=db`."""
    if text is None:
        return None
    pairs = [one.partition("=") for one in text.split(",")]
    if not all(name.strip() and gradient.strip() for name, _, gradient in pairs):
        raise UsageError(f"--parameters {text}: write NAME=GRADIENT, as in --parameters W=dW,b=db.")
    return {name.strip(): gradient.strip() for name, _, gradient in pairs}


def _print(found: "GradientReport") -> None:
    shapes = ", ".join(f"{name} {shape}" for name, shape in found.inputs.items())
    echo(f"{found.subject} on {shapes}: output {found.output}, {found.precision}", hang=2)
    parameters = [check for check in found.checks if check.kind == "parameter"]
    said = ", ".join(f"{check.name} {check.shape} ({check.gradient or 'none found'})" for check in parameters)
    echo(f"parameters, with where their gradients are: {said or 'none'}", hang=2)
    width = max([8, *(len(check.name) for check in found.checks)])
    echo(f"{'gradient':<{width}}  largest relative error  at")
    for check in found.checks:
        _print_check(check, width)
    for text in found.faults:
        echo(f"wrong: {text}", hang=2)
    for text in found.notes:
        echo(f"note: {text}", hang=2)
    if found.passed:
        echo(f"right: {counted(len(found.checks), 'gradient')} to within {found.tolerance:g}", hang=2)


def _print_check(check: "GradientCheck", width: int) -> None:
    error = "-" if check.error is None else f"{check.error:.1e}"
    place = "" if check.index is None else f"{check.name}[{', '.join(map(str, check.index))}]"
    echo(f"{check.name:<{width}}  {error:>22}  {place}  {check.state}".rstrip())
    if check.state == "missing":
        echo("  the output depends on it, and backward leaves no gradient of it: see --parameters", hang=4)
    elif check.state == "wrong":
        if check.index is not None:
            numbers = [("not finite" if one is None else f"{one:.6g}") for one in (check.backward, check.difference)]
            wrong = f"{check.wrong_entries:,} of {check.entries:,} entries are wrong"
            echo(f"  there: {numbers[0]} by backward, {numbers[1]} by differences; {wrong}", hang=4)
        for text in check.suspects or ["no formula that is tried gives it"]:
            echo(f"  probably: {text}" if check.suspects else f"  {text}", hang=4)
    elif check.kinks:
        echo(f"  the output bends at {counted(check.kinks, 'entry')}: either side's slope is right there", hang=4)
