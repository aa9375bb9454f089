"""`eailab sanity` and `eailab model show`: a network of one's own, checked and listed before it is trained."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eailab.cli.commands import Commands
from eailab.cli.options import AsJson
from eailab.cli.output import echo, echo_json
from eailab.errors import CheckFailedError, UsageError

if TYPE_CHECKING:
    from eailab.engines.torch_resnet.own_network import OwnNetwork

Code = Annotated[
    str, typer.Argument(metavar="FILE.py:NAME", help="A module of torch: net.py:Net or 'net.py:Net(depth=20)'.")
]
Image = Annotated[str, typer.Option("--image", metavar="C,H,W", help="Channels, rows and columns of an image.")]
Classes = Annotated[int, typer.Option(min=2, max=100_000, metavar="K", help="Number of classes.")]
CIFAR = "3,32,32"

model = Commands(help="Look at a network of your own.\n\nExample: eailab model show net.py:Net")


def sanity(code: Code, image: Image = CIFAR, classes: Classes = 10, json: AsJson = False) -> None:
    """Check a network on random images: loss at the start, modes, leaks between images, ten images by heart.

    It runs the code of FILE.py, with your rights. It ends with 1 if a check fails.

    Example: eailab sanity net.py:Net --image 1,28,28
    """
    shape, make = _network(code, image, classes)
    from eailab.engines.torch_resnet.sanity import SanityReport
    from eailab.engines.torch_resnet.sanity import sanity as checked

    checks = checked(make, shape, classes)
    if json:
        echo_json(asdict(SanityReport(code, checks)))
    else:
        for one in checks:
            echo(f"{one.name}: {one.state}: {one.said}", hang=4)
    if failed := [one.name for one in checks if one.state == "failed"]:
        raise CheckFailedError(f"{code}: {', '.join(failed)} failed.")


@model.command()
def show(code: Code, image: Image = CIFAR, classes: Classes = 10, json: AsJson = False) -> None:
    """List a network's layers with output shapes, parameters and multiply-adds for one image.

    It runs the code of FILE.py, with your rights.

    Example: eailab model show 'net.py:Net(depth=20)' --image 1,28,28
    """
    shape, make = _network(code, image, classes)
    from eailab.engines.torch_resnet.layers import summary

    found = summary(make(), code, shape, classes)
    if json:
        echo_json(asdict(found))
        return
    rows = [("layer", "kind", "output", "parameters", "multiply-adds")]
    rows += [
        (one.name, one.kind, "-" if one.output is None else ",".join(map(str, one.output[1:])), f"{one.parameters:,}",
         f"{one.multiply_adds:,}")
        for one in found.layers
    ]  # fmt: skip
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    for row in rows:
        left = "  ".join(f"{text:<{width}}" for text, width in zip(row[:3], widths[:3], strict=True))
        right = "  ".join(f"{text:>{width}}" for text, width in zip(row[3:], widths[3:], strict=True))
        echo(f"{left}  {right}")
    frozen = found.parameters - found.trained_parameters
    echo(
        f"{found.parameters:,} parameters{f', {frozen:,} of them frozen' if frozen else ''}; {found.multiply_adds:,} "
        "multiply-adds an image, in convolutions, matrix products and attention",
        hang=2,
    )


def printed() -> tuple[type, type]:
    """Return what `--json` of `model show` and of `sanity` prints."""
    from eailab.engines.torch_resnet.layers import Summary
    from eailab.engines.torch_resnet.sanity import SanityReport

    return Summary, SanityReport


def _network(code: str, image: str, classes: int) -> "tuple[tuple[int, int, int], Callable[[], OwnNetwork]]":
    """Return the shape of an image, and a function that makes the network anew."""
    from pydantic import ValidationError

    from eailab.own_code.identity import digest_of
    from eailab.recipe.parts import Module, module_of

    parts = [int(part) if part.strip().isascii() and part.strip().isdigit() else 0 for part in image.split(",")]
    if len(parts) != 3 or min(parts) < 1 or parts[0] * parts[1] * parts[2] > 10_000_000:
        raise UsageError(f"--image {image}: give channels, rows and columns, as in --image {CIFAR}.")
    channels, height, width = parts
    given = module_of(code)
    try:
        settings = Module.model_validate({**given, "code": digest_of(Path(given["file"]))})
    except ValidationError as error:
        raise UsageError(f"{code}: the arguments may be numbers, texts, true or false, and lists of them.") from error
    from eailab.engines.torch_resnet.own_network import OwnNetwork

    shape = (height, width, channels)
    return shape, lambda: OwnNetwork(settings, classes, shape, block=0)
