"""Define networks whose code does not come with eailab: a person's own, in a file, and those of torch's libraries."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, TypeAdapter, create_model, field_validator, model_validator

from eailab.errors import EailabError, UsageError
from eailab.extras import install_command
from eailab.own_code.identity import digest_of
from eailab.own_code.reference import parse_call, parse_reference
from eailab.recipe.parts import PRINTABLE, ResNet, Settings

IDENTIFIER = r"^[^\W\d]\w*$"
Plain = bool | int | float | str | None
"""A value of a person's own settings."""
Arguments = dict[Annotated[str, Field(pattern=IDENTIFIER, max_length=100)], Plain | list[Plain]]
"""What a network that is not eailab's is constructed with, by name."""
ARGS = "model.args."
"""Where these stand in a recipe."""

_CLASS = Field(
    pattern=IDENTIFIER, max_length=200, min_length=1, description="Name of the class in the file, an nn.Module."
)
# `class` is a keyword of Python, and the word that people expect.
_Named = create_model("_Named", __base__=Settings, **{"class": (Annotated[str, _CLASS], ...)})  # type: ignore[call-overload]


class Module(_Named):
    """A network of a person's own: a module of torch in a file of Python, which runs when it is trained."""

    name: Literal["module"] = "module"
    file: Annotated[str, Field(min_length=1, max_length=4096, pattern=PRINTABLE)]
    """Its path; a relative one begins where the command runs."""
    args: Arguments = Field(default={})
    """What it is constructed with, besides num_classes, in_channels and image_size where it takes these; each is a
    factor."""
    code: Annotated[str, Field(pattern=r"^[0-9a-f]{20}$", default="")]
    """Digest of the file and of the modules next to it that it imports; found when the recipe is read, if it is not
    given."""

    @model_validator(mode="before")
    @classmethod
    def _is_identified(cls, value: Any) -> Any:
        """Take the digest of the code as it is now, where none is given."""
        if not isinstance(value, Mapping) or value.get("code") or not isinstance(value.get("file"), str):
            return value
        try:
            return {**value, "code": digest_of(Path(value["file"]))}
        except EailabError as error:
            raise ValueError(str(error)) from error

    @property
    def class_name(self) -> str:
        """Return the name of the class."""
        return str(getattr(self, "class"))

    @property
    def reference(self) -> str:
        """Return what a person calls it, such as net.py:Net."""
        return f"{self.file}:{self.class_name}"


FROM_ELSEWHERE = frozenset({"pretrained", "weights", "weights_backbone", "checkpoint_path", "pretrained_cfg"})
"""Arguments that load weights, or say which."""
OF_THE_DATA = frozenset({"num_classes", "in_chans", "in_channels"})
"""Arguments that the data set decides."""


class LibraryNetwork(Settings):
    """A network that a library of torch constructs by its name; its weights are drawn, never downloaded."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z]\w*$", max_length=200)]
    """Its name in the library, such as resnet18."""
    args: Arguments = Field(default={})
    """What it is constructed with, besides the numbers of classes and channels; each is a factor."""
    version: Annotated[str, Field(pattern=r"^[\w.]*$", max_length=50)] = ""
    """Of the library; found when the recipe is read, if it is not given."""

    @property
    def library(self) -> str:
        """Return the library's name."""
        return str(type(self).model_fields["name"].default)

    @property
    def reference(self) -> str:
        """Return what a person calls it, such as timm:resnet18."""
        return f"{self.library}:{self.id}"

    @field_validator("id", mode="before")
    @classmethod
    def _names_no_weights(cls, value: Any) -> Any:
        if isinstance(value, str) and (":" in value or "." in value):
            short = value.rpartition(":")[2].rpartition("/")[2].partition(".")[0]
            raise ValueError(
                f"{value!r} names weights that were trained elsewhere, and networks start with weights that are drawn: "
                f"write {short}"
            )
        return value

    @field_validator("args")
    @classmethod
    def _start_with_drawn_weights(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if loads := sorted(FROM_ELSEWHERE & value.keys()):
            raise ValueError(
                f"{loads[0]}: weights that were trained elsewhere are not loaded, since each block draws its own: "
                "leave it out, or load them in the code of a network of your own (net.py:Net)"
            )
        if given := sorted(OF_THE_DATA & value.keys()):
            raise ValueError(f"{given[0]} is that of the data set: leave it out")
        if "model_name" in value:
            raise ValueError("model_name is what stands in front of the arguments (model.id): leave it out")
        return value

    @model_validator(mode="before")
    @classmethod
    def _is_identified(cls, value: Any) -> Any:
        """Take the version of the library that is here, where none is given."""
        if not isinstance(value, Mapping) or value.get("version"):
            return value
        name = cls.model_fields["name"].default
        found = version_here(name)
        if found is None:
            raise ValueError(f"{name} is not installed: {install_command(name)}")
        return {**value, "version": found}


class Timm(LibraryNetwork):
    """A network of timm (PyTorch Image Models); grey images have one channel."""

    name: Literal["timm"] = "timm"


class Torchvision(LibraryNetwork):
    """A classifier of torchvision; it gets grey images as three equal channels."""

    name: Literal["torchvision"] = "torchvision"


EXAMPLE = "timm:resnet18(drop_rate=0.1)"
LIBRARIES: tuple[type[LibraryNetwork], ...] = (Timm, Torchvision)
Foreign: TypeAlias = Module | Timm | Torchvision
"""Networks whose code does not come with eailab: their sizes are not known from their settings."""


_FOREIGN: TypeAdapter[Foreign] = TypeAdapter(Annotated[Foreign, Field(discriminator="name")])


def version_here(library: str) -> str | None:
    """Return the public version of an installed library, without what tells its builds apart; None of others."""
    try:
        return version(library).partition("+")[0]
    except PackageNotFoundError:
        return None


def names_network(text: str) -> bool:
    """Return whether a text names a network by its file, as `net.py:Net`, or by its library, as `timm:resnet18`."""
    return ".py" in text or _library_of(text) is not None


def _library_of(text: str) -> str | None:
    library, colon, _ = text.partition(":")
    known = [kind.model_fields["name"].default for kind in LIBRARIES]
    return library if colon and library in known else None


def network_of(text: str) -> dict[str, Any]:
    """Return the settings of a network that is named as `net.py:Net(depth=20)` or `timm:resnet18(drop_rate=0.1)`.

    Raises:
        UsageError: It is not of that form.
    """
    library = _library_of(text)
    if library is not None:
        return {"name": library, **_of_library(text)}
    reference = parse_reference(text)
    if len(reference.names) > 1 or reference.positional:
        raise UsageError(f"{text}: name one class, and its arguments by their names, as in net.py:Net(depth=20).")
    return {"name": "module", "file": str(reference.file), "class": reference.names[0], "args": dict(reference.named)}


def typed(network: Foreign) -> str:
    """Return a network as `network_of` takes it, with its arguments."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in network.args.items())
    return f"{network.reference}({arguments})" if arguments else network.reference


def network_from(text: str) -> Foreign:
    """Return a network that is named as `network_of` takes it, checked.

    Raises:
        UsageError: It is not of that form, or there is no such file.
        ValidationError: Its arguments are not plain, or its library is not installed.
    """
    given = network_of(text)
    if given["name"] == "module":
        given["code"] = digest_of(Path(given["file"]))
    return _FOREIGN.validate_python(given)


def _of_library(text: str) -> dict[str, Any]:
    library, _, call = text.partition(":")
    name, bracket, arguments = call.partition("(")
    if not name.strip():
        raise UsageError(f"{text} names no network: write its name after the colon, as in {library}:resnet18.")
    if not bracket:
        return {"id": name}
    try:
        _, positional, named = parse_call(f"network({arguments}")
    except ValueError as error:
        raise UsageError(
            f"{text} is not a name, nor a call with plain values, each given once: write it as {EXAMPLE}."
        ) from error
    if positional:
        raise UsageError(f"{text}: name the arguments, as in {EXAMPLE}.")
    return {"id": name, "args": named}


def _resnet_by_default(value: Any) -> Any:
    """Let a network without a name be the first of the residual ones."""
    return {"name": "resnet18", **value} if isinstance(value, Mapping) and "name" not in value else value


AnyNetwork: TypeAlias = Annotated[
    Annotated[ResNet | Module | Timm | Torchvision, Field(discriminator="name")],
    BeforeValidator(_resnet_by_default, json_schema_input_type=ResNet | Module | Timm | Torchvision),
]
"""What the torch engine trains."""
