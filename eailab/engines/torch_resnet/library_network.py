"""Construct a network of one of torch's libraries, by its name, with weights that are drawn."""

import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from eailab.errors import EailabError, UsageError, shortage_of
from eailab.extras import install_command
from eailab.plain import nearest, plain
from eailab.recipe.networks import LibraryNetwork, Timm, Torchvision, version_here


@dataclass(frozen=True)
class Library:
    """Hold what a library has."""

    folder: Path
    """Of its code."""
    names: Sequence[str]
    """Of its networks."""
    make: Callable[..., nn.Module]
    """Return a network, given its name, the numbers of classes and channels, and its own arguments."""
    channels: int | None
    """Which its networks take; None where that is an argument."""
    listed: str
    """What lists the names."""
    hint: str
    """Arguments of some networks that make them fit."""


def _timm() -> Library:
    import timm

    def make(name: str, classes: int, channels: int, /, **args: Any) -> nn.Module:
        made: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels, **args)
        return made

    return Library(
        folder=Path(timm.__file__).parent,
        names=timm.list_models(),
        listed="timm.list_models()",
        make=make,
        channels=None,
        hint=" (img_size=32 fits some to small images)",
    )


def _torchvision() -> Library:
    import torchvision
    from torchvision import models

    def make(name: str, classes: int, _: int, /, **args: Any) -> nn.Module:
        made: nn.Module = models.get_model_builder(name)(weights=None, num_classes=classes, **args)
        return made

    return Library(
        folder=Path(torchvision.__file__).parent,
        names=models.list_models(module=models),
        listed="torchvision.models.list_models()",
        make=make,
        channels=3,
        hint=" (image_size=32 fits some to small images, aux_logits=False makes some return logits alone)",
    )


LIBRARIES: dict[type[LibraryNetwork], Callable[[], Library]] = {Timm: _timm, Torchvision: _torchvision}


class LibraryCode:
    """A library's constructor of a network; what it has, `own_network.OwnCode` has too.

    Raises:
        UsageError: The library is not here, is another version than the recipe's, or has no such network.
    """

    def __init__(self, settings: LibraryNetwork) -> None:
        name, here = settings.library, version_here(settings.library)
        self._settings = settings
        self.place = f"{name}:{settings.id}"
        self.forward = f"{name}'s {settings.id}"
        if here is None:
            raise UsageError(f"{self.place}: {name} is not installed: {install_command(name)}")
        if here != settings.version:
            raise UsageError(
                f"{self.place} is of {name} {settings.version}, and {here} is installed: install that version, or "
                "train with the one that is here, as a trial of its own (without model.version)."
            )
        try:
            self._library = LIBRARIES[type(settings)]()
        except ImportError as error:
            raise UsageError(f"{name} {here} cannot be imported: {plain(str(error))}.") from error
        if settings.id not in (names := self._library.names):
            some = f": it has {len(names)}, which {self._library.listed} lists."
            raise UsageError(f"{name} {here} has no network {settings.id}{nearest(settings.id, names) or some}")
        self.hint = self._library.hint

    def channels(self, of_images: int) -> int:
        """Return the channels of the images, or three of grey ones where it takes no others.

        Raises:
            UsageError: It takes no such images.
        """
        wanted = self._library.channels
        if wanted is not None and of_images not in (1, wanted):
            raise UsageError(
                f"the images have {of_images} channels: {self.forward} takes grey (1) or colour ({wanted}) images."
            )
        return of_images if wanted is None else wanted

    def construct(self, classes: int, image: tuple[int, int, int]) -> nn.Module:
        """Call its constructor; see `OwnCode.construct`."""
        with self.running("constructing it"):
            return self._library.make(self._settings.id, classes, image[2], **self._settings.args)

    @contextmanager
    def running(self, doing: str) -> Iterator[None]:
        """Run its code; see `OwnCode.running`. What was raised elsewhere is not the library's, and stays as it is."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except EailabError:
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            if shortage_of(error) is not None or not any(self._is_of_library(one.filename) for one in frames):
                raise
            raise UsageError(
                f"{self.forward}: {doing} raised {type(error).__name__}: {plain(str(error))[:400].rstrip('.')}. "
                f"Take another network, or arguments (model.args) with which it can be built{self.hint}."
            ) from error

    def _is_of_library(self, file: str) -> bool:
        return Path(file).is_relative_to(self._library.folder)
