"""`eailab sanity` and `eailab model show`: a network, checked and listed before it is trained."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eailab.cli import completion
from eailab.cli.commands import Commands
from eailab.cli.options import AsJson, DataDir, Overrides, load_recipe
from eailab.cli.output import echo, echo_json
from eailab.errors import CheckFailedError, UsageError

if TYPE_CHECKING:
    from eailab.engines.summary import NetworkSummary
    from eailab.engines.torch_resnet.foreign_network import ForeignNetwork

Code = Annotated[
    str,
    typer.Argument(
        metavar="FILE.py:NAME", help="A module of torch: net.py:Net, 'net.py:Net(depth=20)' or timm:resnet18."
    ),
]
Image = Annotated[str, typer.Option("--image", metavar="C,H,W", help="Channels, rows and columns of an image.")]
Classes = Annotated[int, typer.Option(min=2, max=100_000, metavar="K", help="Number of classes.")]
CIFAR = "3,32,32"
BUILT = "convolutions, matrix products and attention"
"""Where the multiply-adds of a network are counted that is run."""
SANITY_REPORT = "eailab.engines.torch_resnet.sanity:SanityReport"
"""The class of what `sanity --json` prints."""

model = Commands(help="Look at a network.\n\nExample: eailab model show mnist-mlp")


def sanity(code: Code, image: Image = CIFAR, classes: Classes = 10, json: AsJson = False) -> None:
    """Check a network on random images: loss at the start, modes, leaks between images, ten images by heart.

    It runs the code of FILE.py, with your rights. It ends with 1 if a check fails.

    Example: eailab sanity net.py:Net --image 1,28,28
    """
    make = _network(code, image, classes)
    from eailab.engines.torch_resnet.sanity import SanityReport
    from eailab.engines.torch_resnet.sanity import sanity as checked
    from eailab.own_code.load import printing_together

    with printing_together():
        checks = checked(make, classes)
    if json:
        echo_json(asdict(SanityReport(code, checks)))
    else:
        for one in checks:
            echo(f"{one.name}: {one.state}: {one.said}", hang=4)
    if failed := [one.name for one in checks if one.state == "failed"]:
        raise CheckFailedError(f"{code}: {', '.join(failed)} failed.")


@model.command()
def show(
    network: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|FILE.py:NAME",
            help="A recipe, or a module of torch: net.py:Net, 'net.py:Net(depth=20)' or timm:resnet18.",
            autocompletion=completion.recipes,
        ),
    ],
    override: Overrides = None,
    image: Annotated[
        str | None,
        typer.Option("--image", metavar="C,H,W", help=f"Of FILE.py:NAME: channels, rows, columns [{CIFAR}]."),
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=2, max=100_000, metavar="K", help="Of FILE.py:NAME: number of classes [10].")
    ] = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List a network's layers with output shapes, parameters and multiply-adds for one image.

    It runs the code of FILE.py, with your rights.

    Example: eailab model show mnist-mlp
    """
    from eailab.recipe.networks import names_network

    if not names_network(network):
        if image is not None or classes is not None:
            raise UsageError("--image and --classes are of FILE.py:NAME: a recipe's are those of its data set.")
        _show_recipe(network, override, data_dir, json)
    elif override:
        raise UsageError("-o changes a recipe: write the arguments of your network as in 'net.py:Net(depth=20)'.")
    else:
        _show_code(network, image or CIFAR, classes or 10, json)


def _show_recipe(name: str, override: list[str] | None, data_dir: Path | None, json: bool) -> None:
    """List the layers that a recipe's network has; no code of a person's own is run."""
    from eailab.data.registry import shape_of
    from eailab.findings.networks import summary_of

    recipe = load_recipe(name, {}, override).recipe
    settings = recipe.images
    if settings is None:
        raise UsageError(
            f"{name} has no network that is known here, since its engine {recipe.engine} trains by itself."
        )
    if settings.has_own_network:
        raise UsageError(f"{name} has a network of your own: name its file, as in `eailab model show net.py:Net`.")
    found = summary_of(settings, *shape_of(settings.data.name, data_dir))
    _print(found, json, BUILT if settings.has_foreign_network else "convolutions and matrix products")


def _show_code(code: str, image: str, classes: int, json: bool) -> None:
    """List the layers of a network that is named by its code, which is run on an image."""
    make = _network(code, image, classes)
    from eailab.engines.torch_resnet.layers import summary

    _print(summary(make(), code, classes), json, BUILT)


def _print(found: "NetworkSummary", json: bool, where: str) -> None:
    """Print layers in columns, and their sum; `where` says in what multiply-adds were counted."""
    if json:
        echo_json(asdict(found))
        return
    print_layers(found)
    frozen = found.parameters - found.trained_parameters
    echo(
        f"{found.parameters:,} parameters{f', {frozen:,} of them frozen' if frozen else ''}; {found.multiply_adds:,} "
        f"multiply-adds an image, in {where}",
        hang=2,
    )


def print_layers(found: "NetworkSummary") -> None:
    """Print layers in columns."""
    rows = [("layer", "kind", "output", "parameters", "multiply-adds")]
    for one in found.layers:
        output = "-" if one.output is None else ",".join(map(str, one.output))
        rows.append((one.name, one.kind, output, f"{one.parameters:,}", f"{one.multiply_adds:,}"))
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    for row in rows:
        left = "  ".join(f"{text:<{width}}" for text, width in zip(row[:3], widths[:3], strict=True))
        right = "  ".join(f"{text:>{width}}" for text, width in zip(row[3:], widths[3:], strict=True))
        echo(f"{left}  {right}")


def _network(code: str, image: str, classes: int) -> "Callable[[], ForeignNetwork]":
    """Return a function that makes the network of a code again at each call."""
    from pydantic import ValidationError

    from eailab.recipe.networks import EXAMPLE, network_from

    parts = [int(part) if part.strip().isascii() and part.strip().isdigit() else 0 for part in image.split(",")]
    if len(parts) != 3 or min(parts) < 1 or parts[0] * parts[1] * parts[2] > 10_000_000:
        raise UsageError(f"--image {image}: give channels, rows and columns, as in --image {CIFAR}.")
    channels, height, width = parts
    try:
        settings = network_from(code)
    except ValidationError as error:
        said = [str(one["ctx"]["error"]) for one in error.errors() if one["type"] == "value_error"]
        if any("id" in one["loc"] for one in error.errors()):
            said = said or [f"write the name of a network behind the colon, as in {EXAMPLE}"]
        why = "; ".join(said) or "the arguments may be numbers, texts, true or false, and lists of them"
        raise UsageError(f"{code}: {why}.") from error
    from eailab.engines.torch_resnet.foreign_network import ForeignNetwork

    return lambda: ForeignNetwork(settings, classes, (height, width, channels), block=0)
