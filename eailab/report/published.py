"""Published figures beside ours, and whether the two may be compared: same split, epochs, batch size and so on?"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from eailab.findings.numbers import written
from eailab.recipe.canonical import flatten
from eailab.recipe.schema import Recipe

NOT_STATED = "not stated"
"""Of a setting that a source does not tell."""


@dataclass(frozen=True)
class Figure:
    """A published test accuracy."""

    source: str
    """Citation."""
    task: int
    """Of the lab report: 1 or 2."""
    arm: Mapping[str, Any]
    """Settings, by dotted path, of the arms that it belongs to."""
    test_accuracy: float
    """In percent."""
    runs: int
    """Over which it is a mean."""
    protocol: Mapping[str, Any]
    """Settings that must agree for a comparison; `not stated` where the source is silent."""


@dataclass(frozen=True)
class Context:
    """A well-known figure of another network, which is named and not compared."""

    source: str
    what: str
    test_accuracy: float


@dataclass(frozen=True)
class Beside:
    """A published figure beside one of our arms."""

    figure: Figure
    differing: tuple[str, ...]
    """Settings of the protocol that differ, a clause each."""
    not_stated: tuple[str, ...]
    """Settings that the source is silent on."""

    @property
    def check(self) -> str:
        """The protocol check in words."""
        silent = f"not stated: {', '.join(self.not_stated)}" if self.not_stated else ""
        if self.differing:
            return "; ".join([f"not comparable: {', '.join(self.differing)}", *([silent] if silent else [])])
        return f"comparable as far as stated ({silent})" if silent else "comparable"


def beside(recipe: Recipe) -> list[Beside]:
    """Return the published figures that belong to an arm of this recipe, with the protocol check of each."""
    ours = flatten(recipe)
    return [_checked(figure, ours) for figure in figures() if _belongs(figure, ours)]


@cache
def figures() -> tuple[Figure, ...]:
    """Return what `published.yaml` lists."""
    content = _content()
    return tuple(
        Figure(
            source=content["sources"][entry["source"]],
            task=entry["task"],
            arm=entry["arm"],
            test_accuracy=entry["test_accuracy"],
            runs=entry.get("runs", 1),
            protocol=entry["protocol"],
        )
        for entry in content["figures"]
    )


def context() -> tuple[Context, ...]:
    """Return the well-known figures that are only named."""
    content = _content()
    return tuple(
        Context(content["sources"][entry["source"]], entry["what"], entry["test_accuracy"])
        for entry in content["context"]
    )


@cache
def _content() -> dict[str, Any]:
    text = files("eailab.report").joinpath("published.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def _belongs(figure: Figure, ours: Mapping[str, Any]) -> bool:
    """Return whether an arm has what the figure is about; the rest of its settings is the protocol's affair."""
    return all(path in ours and ours[path] == value for path, value in figure.arm.items())


def _checked(figure: Figure, ours: Mapping[str, Any]) -> Beside:
    differing, silent = [], []
    for path, theirs in figure.protocol.items():
        if path in figure.arm:
            continue
        name = path.removesuffix(".name").rpartition(".")[2]
        if theirs == NOT_STATED:
            silent.append(name)
        elif ours.get(path) != theirs:
            differing.append(f"{name} {written(ours.get(path))} here, {written(theirs)} there")
    if (limit := ours.get("data.limit")) is not None:
        differing.append(f"{limit} training images here")
    return Beside(figure, tuple(differing), tuple(silent))
