"""Construct a person's own network from the file that a recipe names."""

import inspect
from contextlib import AbstractContextManager
from pathlib import Path

from torch import nn

from eailab import files
from eailab.engines.program.trial_files import new_file, own_folder
from eailab.engines.torch_resnet import CODE_FOLDER
from eailab.errors import UsageError
from eailab.own_code.identity import digest_of, files_of
from eailab.own_code.load import OwnModule, construct
from eailab.own_code.reference import place_of
from eailab.plain import plain
from eailab.recipe.networks import Module

OFFERED = ("num_classes", "in_channels", "image_size")
"""Arguments that a network gets where it takes them."""


class OwnCode:
    """A file of Python with the class of a network.

    Raises:
        UsageError: The file is not what the recipe was made with, or fails while it is run.
    """

    def __init__(self, settings: Module) -> None:
        self._settings, file = settings, Path(settings.file)
        if (code := digest_of(file)) != settings.code:
            raise UsageError(
                f"{plain(settings.file)}, or a module next to it, is not the code of this trial (it is {code}, and was "
                f"{settings.code}): put it back as it was, or train with it as it is now, as a trial of its own."
            )
        self._own, name = OwnModule(file), settings.class_name
        self.place = f"{place_of(file, name)}: {name}"
        """What messages call the place that it comes from."""
        self.forward = f"{place_of(file, name, 'forward')}: {name}.forward"
        """What messages call its forward pass."""
        self.hint = ""
        """What is said behind a refusal, in brackets, of what may mend it; empty for nothing."""

    def channels(self, of_images: int) -> int:
        """Return the channels that the network takes of images that have so many."""
        return of_images

    def construct(self, classes: int, image: tuple[int, int, int]) -> nn.Module:
        """Call the class with what its constructor takes, for images of this many rows, columns and channels.

        Raises:
            UsageError: It cannot be constructed.
        """
        settings, thing = self._settings, self._own.find(self._settings.class_name)
        if not (isinstance(thing, type) and issubclass(thing, nn.Module)):
            raise UsageError(f"{self.place} is not a class of networks: it has to be an nn.Module of torch.")
        height, width, channels = image
        size = height if height == width else (height, width)
        values = dict(zip(OFFERED, (classes, channels, size), strict=True))
        known = _arguments(thing)
        offered = {name: value for name, value in values.items() if name in known and name not in settings.args}
        made: nn.Module = construct(self._own, thing, settings.reference, (), settings.args, offered)
        # A method that the constructor chose is the copy's own in a copy, such as that of averaged weights.
        if thing.forward is nn.Module.forward and not inspect.ismethod(vars(made).get("forward")):
            raise UsageError(f"{self.place} has no method forward(x), which returns the logits of images.")
        return made

    def running(self, doing: str) -> AbstractContextManager[None]:
        """Run its code in a context: what it raises becomes one `UsageError`; `doing` says what is done."""
        return self._own.running(doing)


def _arguments(thing: type[nn.Module]) -> set[str]:
    """Return the names of what a class is constructed with, those included that it hands on as `**named`."""
    names: set[str] = set()
    for kind in thing.__mro__:
        if "__init__" in vars(kind):
            parameters = inspect.signature(vars(kind)["__init__"]).parameters
            names |= parameters.keys()
            if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
                break
    return names


def keep_code(settings: Module, folder: Path) -> None:
    """Copy the code of a network into a trial's folder, as a record that nothing reads."""
    target = own_folder(folder / CODE_FOLDER)
    for name, file in files_of(Path(settings.file)).items():
        copy = target / (name or file.name)
        own_folder(copy.parent)
        with new_file(copy) as opened:
            opened.write(files.read(file, files.CODE))
