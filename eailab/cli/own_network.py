"""`eailab sanity` and `eailab model show`: a network, checked and listed before it is trained."""

from collections.abc import Callable, Sequence
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
    from eailab.engines.torch_resnet.own_network import OwnNetwork

Code = Annotated[
    str, typer.Argument(metavar="FILE.py:NAME", help="A module of torch: net.py:Net or 'net.py:Net(depth=20)'.")
]
Image = Annotated[str, typer.Option("--image", metavar="C,H,W", help="Channels, rows and columns of an image.")]
Classes = Annotated[int, typer.Option(min=2, max=100_000, metavar="K", help="Number of classes.")]
CIFAR = "3,32,32"

model = Commands(help="Look at a network.\n\nExample: eailab model show mnist-mlp")


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
def show(
    network: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|FILE.py:NAME",
            help="A recipe, or a module of torch: net.py:Net or 'net.py:Net(depth=20)'.",
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
    if ".py:" not in network:
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
    from eailab.engines.registry import images_of

    recipe = load_recipe(name, {}, override).recipe
    settings = recipe.images
    if settings is None:
        raise UsageError(
            f"{name} has no network that is known here, since its engine {recipe.engine} trains by itself."
        )
    shape, classes = shape_of(settings.data.name, data_dir)
    layers = images_of(settings).layers(settings, shape, classes)
    if layers is None:
        raise UsageError(f"{name} has a network of your own: name its file, as in `eailab model show net.py:Net`.")
    if json:
        echo_json(
            {"recipe": recipe.name, "image": shape, "classes": classes, "layers": [asdict(one) for one in layers]}
        )
        return
    _print(
        [(one.name, one.kind, ",".join(map(str, one.output)), one.parameters, one.multiply_adds) for one in layers],
        f"{sum(one.parameters for one in layers):,} trained parameters; {sum(one.multiply_adds for one in layers):,} "
        "multiply-adds an image, in convolutions and matrix products",
    )


def _show_code(code: str, image: str, classes: int, json: bool) -> None:
    """List the layers of a person's own network, which is run on an image."""
    shape, make = _network(code, image, classes)
    from eailab.engines.torch_resnet.layers import summary

    found = summary(make(), code, shape, classes)
    if json:
        echo_json(asdict(found))
        return
    frozen = found.parameters - found.trained_parameters
    outputs = ["-" if one.output is None else ",".join(map(str, one.output[1:])) for one in found.layers]
    _print(
        [
            (one.name, one.kind, output, one.parameters, one.multiply_adds)
            for one, output in zip(found.layers, outputs, strict=True)
        ],
        f"{found.parameters:,} parameters{f', {frozen:,} of them frozen' if frozen else ''}; {found.multiply_adds:,} "
        "multiply-adds an image, in convolutions, matrix products and attention",
    )


def _print(layers: Sequence[tuple[str, str, str, int, int]], total: str) -> None:
    """Print layers in columns, and their sum."""
    rows = [("layer", "kind", "output", "parameters", "multiply-adds")]
    rows += [(name, kind, output, f"{own:,}", f"{adds:,}") for name, kind, output, own, adds in layers]
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    for row in rows:
        left = "  ".join(f"{text:<{width}}" for text, width in zip(row[:3], widths[:3], strict=True))
        right = "  ".join(f"{text:>{width}}" for text, width in zip(row[3:], widths[3:], strict=True))
        echo(f"{left}  {right}")
    echo(total, hang=2)


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
