"""Describe a network in numbers, as `eailab model show` and a dry run print it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from eailab.engines.spec import LayerSize

SCHEMA = {"use_attribute_docstrings": True, "extra": "forbid"}
"""Of pydantic, for `eailab schema`."""

MOST_LAYERS = 2000
"""A trial records the layers of a network whose code is not eailab's up to this number: results stay small files."""


@dataclass(frozen=True)
class LayerSummary:
    """A layer of a recipe's network; of others a module without modules in it, or what a larger one has itself."""

    __pydantic_config__: ClassVar = SCHEMA

    name: str
    """Dotted, as its weights are named; of the whole network its class."""
    kind: str
    """What it is in words; of networks whose code is not eailab's, its class."""
    output: list[int] | None
    """Shape for one image; null where it did not run, or returned no tensor."""
    parameters: int
    """Of its own."""
    multiply_adds: int
    """For one image."""


@dataclass(frozen=True)
class NetworkSummary:
    """A network in numbers."""

    __pydantic_config__: ClassVar = SCHEMA

    network: str
    """As it was named."""
    image: list[int]
    """Rows, columns and channels."""
    classes: int
    """Number of classes."""
    parameters: int
    """Of all layers."""
    trained_parameters: int
    """Those that are not frozen."""
    multiply_adds: int
    """Of one image, in convolutions, matrix products and attention; no others are counted."""
    layers: list[LayerSummary]
    """In the order of the code."""
    schema_version: Literal[1] = 1
    """Raised when a field is renamed, removed or changes its meaning."""


def of_settings(title: str, image: tuple[int, int, int], classes: int, layers: Sequence[LayerSize]) -> NetworkSummary:
    """Return what is known of a network from a recipe's settings."""
    return NetworkSummary(
        network=title,
        image=list(image),
        classes=classes,
        parameters=sum(one.parameters for one in layers),
        trained_parameters=sum(one.parameters for one in layers),
        multiply_adds=sum(one.multiply_adds for one in layers),
        layers=[
            LayerSummary(one.name, str(one.kind), list(one.output), one.parameters, one.multiply_adds) for one in layers
        ],
    )
