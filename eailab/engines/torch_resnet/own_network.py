"""Build a person's own network from the file that a recipe names, and run its code: nothing else of eailab does.

Shapes: `N` images, `C` channels, `H` rows, `W` columns, `K` classes.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import torch
from torch import Tensor, nn

from eailab import files
from eailab.engines.program.trial_files import new_file, own_folder
from eailab.engines.torch_resnet import CODE_FOLDER
from eailab.errors import TrialFailedError, UsageError, shortage_of
from eailab.own_code.identity import digest_of, files_of
from eailab.own_code.load import OwnModule, construct, seeded
from eailab.plain import plain
from eailab.recipe.parts import Module
from eailab.seeding import stream

OFFERED = ("num_classes", "in_channels", "image_size")
"""Arguments that a network gets where it takes them."""
PROBED = 2
"""Images of the forward pass that every network is tried with."""


class OwnNetwork:
    """A network of a person's own, and how to run its code.

    Args:
        settings: File, class and arguments.
        classes: Number of classes `K`.
        image: Rows, columns and channels of the images that it sees.
        block: The seed bundle's number.

    Raises:
        UsageError: The file is not what the recipe was made with, or its class is not a network for these images.
    """

    def __init__(self, settings: Module, classes: int, image: tuple[int, int, int], block: int) -> None:
        self._settings, self._block = settings, block
        file = Path(settings.file)
        if (code := digest_of(file)) != settings.code:
            raise UsageError(
                f"{plain(settings.file)}, or a module beside it, is not the code of this trial (it is {code}, and was "
                f"{settings.code}): put it back as it was, or train with it as it is now, as a trial of its own."
            )
        with seeded(self._seed("init")):
            self.own = OwnModule(file)
            made = self._construct(classes, image)
            with self.own.running("its forward pass"):
                self._try(made, classes, image)
        self.module: nn.Module = made

    def _construct(self, classes: int, image: tuple[int, int, int]) -> nn.Module:
        settings, thing = self._settings, self.own.find(self._settings.class_name)
        where = f"{plain(settings.file)}:{settings.class_name}"
        if not (isinstance(thing, type) and issubclass(thing, nn.Module)):
            raise UsageError(f"{where} is not a class of networks: it has to be an nn.Module of torch.")
        height, width, channels = image
        size = height if height == width else (height, width)
        values = dict(zip(OFFERED, (classes, channels, size), strict=True))
        known = _arguments(thing)
        offered = {name: value for name, value in values.items() if name in known and name not in settings.args}
        made = construct(self.own, thing, (), {**offered, **settings.args})
        parameters = list(made.parameters())
        if not parameters:
            raise UsageError(f"{where} has no parameters: there is nothing to train.")
        if wrong := next((str(one.device) for one in parameters if one.device.type != "cpu"), None):
            raise UsageError(f"{where} puts weights on {wrong}: leave them where torch makes them.")
        return made  # type: ignore[no-any-return]  # a module, as checked above

    def _try(self, made: nn.Module, classes: int, image: tuple[int, int, int]) -> None:
        """Run a forward pass in either mode, and leave the network as it was."""
        height, width, channels = image
        images = torch.randn(PROBED, channels, height, width)
        before = images.clone()
        made.eval()
        with torch.no_grad():
            self._check(made(images), classes, images)  # which also makes the parameters of lazy layers
            state = {name: values.clone() for name, values in made.state_dict().items()}
            self._check(made.train()(images), classes, images)
            made.load_state_dict(state)
        if not torch.equal(before, images):
            raise UsageError(
                f"{self._settings.class_name}.forward changes its input in place: work on a new tensor, or on a copy "
                "(images.clone())."
            )
        if wrong := next(
            (name for name, one in made.named_parameters() if one.dtype != torch.get_default_dtype()), None
        ):
            raise UsageError(f"the parameter {plain(wrong)} is not float32: leave its type to the recipe's precision.")

    def _check(self, logits: Any, classes: int, images: Tensor) -> None:
        """Refuse what is not the logits `[N, K]` of some images, with the shape or the type that came."""
        called = f"{self._settings.class_name}.forward of images {list(images.shape)}"
        wanted = f"logits of shape [{len(images)}, {classes}]"
        if not isinstance(logits, Tensor):
            raise UsageError(f"{called} returned a {type(logits).__name__}: return {wanted}.")
        if logits.shape != (len(images), classes):
            raise UsageError(f"{called} returned the shape {list(logits.shape)}: return {wanted}.")
        if not logits.is_floating_point():
            raise UsageError(f"{called} returned {logits.dtype}: return {wanted}, floats, before any argmax.")

    def _seed(self, purpose: Literal["init", "forward"], *steps: int) -> int:
        return int(stream(self._block, purpose, *steps).integers(2**63))

    @contextmanager
    def step(self, epoch: int, step: int, rank: int = 0) -> Iterator[None]:
        """Run a training step's code, whose chance depends on block, epoch and step alone.

        Raises:
            TrialFailedError: It raised an error.
        """
        with (
            self._explained(),
            seeded(self._seed("forward", epoch, step, rank)),
            self.own.running(f"step {step} of epoch {epoch}"),
        ):
            yield

    @contextmanager
    def evaluating(self, split: str) -> Iterator[None]:
        """Run the code of an evaluation, whose chance, if it has any, is the same each time; see `step`."""
        seed = self._seed("forward", 0, crc32(split.encode()))
        with self._explained(), seeded(seed), self.own.running(f"evaluating the {split} split"):
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            raise TrialFailedError(str(error)) from error
        except RuntimeError as error:  # of autograd, whose traceback has none of the code's lines
            if shortage_of(error) is not None:
                raise
            raise TrialFailedError(f"{plain(self._settings.file)}: {plain(str(error))[:400]}") from error


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


@lru_cache(maxsize=64)
def counted(text: str, classes: int, image: tuple[int, int, int]) -> int:
    """Return the number of trained parameters of a network, which runs its code.

    Args:
        text: Its settings as JSON.
        classes: Number of classes.
        image: Rows, columns and channels of its images.

    Raises:
        UsageError: It is not a network for these images.
    """
    network = OwnNetwork(Module.model_validate_json(text), classes, image, block=0)
    return trained_parameters(network.module)


def trained_parameters(module: nn.Module) -> int:
    """Return the number of parameters that are not frozen."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
