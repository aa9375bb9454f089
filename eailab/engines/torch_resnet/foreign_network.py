"""Build a network whose code does not come with eailab, try it, and run that code: nothing else of eailab does.

Shapes: `N` images, `C` channels, `H` rows, `W` columns, `K` classes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import lru_cache
from typing import Any, Literal
from zlib import crc32

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from eailab.engines.torch_resnet.distributed import is_of_others
from eailab.engines.torch_resnet.library_network import LibraryCode
from eailab.engines.torch_resnet.own_network import OwnCode
from eailab.errors import TrialFailedError, UsageError, shortage_of
from eailab.own_code.load import seeded
from eailab.plain import plain
from eailab.recipe.networks import Foreign, Module
from eailab.seeding import stream

PROBED = 2
"""Images of the forward pass that every network is tried with."""


class ForeignNetwork:
    """A network whose code does not come with eailab, for images of rows, columns and channels as augmented.

    Raises:
        UsageError: The code is not what the recipe was made with, or makes no network for these images.
    """

    def __init__(self, settings: Foreign, classes: int, image: tuple[int, int, int], block: int) -> None:
        self._block = block
        with seeded(self._seed("init")):
            self.code: OwnCode | LibraryCode
            self.code = OwnCode(settings) if isinstance(settings, Module) else LibraryCode(settings)
            self.image = seen = (*image[:2], self.code.channels(image[2]))
            """Rows, columns and channels of the images that it gets."""
            made = self.code.construct(classes, seen)
            self._check_parameters(made)
            with self.code.running(f"its forward pass of images {list(_shape(seen))}"):
                self._try(made, classes, seen)
        self.module = made

    def _check_parameters(self, made: nn.Module) -> None:
        parameters = list(made.parameters())
        if not parameters:
            raise UsageError(f"{self.code.place} has no parameters: there is nothing to train.")
        if wrong := next((str(one.device) for one in parameters if one.device.type != "cpu"), None):
            raise UsageError(f"{self.code.place} puts weights on {wrong}: leave them where torch makes them.")

    def _try(self, made: nn.Module, classes: int, seen: tuple[int, int, int]) -> None:
        """Run a forward pass in either mode, and leave the network as it was."""
        images = torch.randn(_shape(seen))
        before = images.clone()
        made.eval()
        with torch.no_grad():
            self._check(made(images), classes, images)  # which also makes the parameters of lazy layers
            state = {name: values.clone() for name, values in made.state_dict().items()}
            self._check(made.train()(images), classes, images)
            made.load_state_dict(state)
        if not torch.equal(before, images):
            raise UsageError(
                f"{self.code.forward} changes its input in place: work on a new tensor, or on a copy (images.clone())."
            )
        if wrong := next(
            (name for name, one in made.named_parameters() if one.dtype != torch.get_default_dtype()), None
        ):
            raise UsageError(
                f"{self.code.place}: its parameter {plain(wrong)} is not float32: leave its type to the recipe."
            )

    def _check(self, logits: Any, classes: int, images: Tensor) -> None:
        """Refuse what is not the logits `[N, K]` of some images, with the shape or the type that came."""
        called = f"{self.code.forward} of images {list(images.shape)}"
        wanted = f"logits of shape [{len(images)}, {classes}]{self.code.hint}"
        if not isinstance(logits, Tensor):
            came = "None" if logits is None else f"a {type(logits).__name__}"
            raise UsageError(f"{called} returned {came}: return {wanted}.")
        if logits.shape != (len(images), classes):
            raise UsageError(f"{called} returned the shape {list(logits.shape)}: return {wanted}.")
        if not logits.is_floating_point():
            raise UsageError(f"{called} returned {logits.dtype}: return {wanted}, floats, before any argmax.")

    def try_without_images(self, processes: int) -> None:
        """Refuse a network that cannot run in a process that has no image of a batch.

        Raises:
            UsageError: Its forward pass fails without images.
        """
        height, width, channels = self.image
        try:
            with self.code.running("its forward pass without images"), torch.no_grad():
                self.module.eval()(torch.zeros(0, channels, height, width))
        except (UsageError, RuntimeError) as error:
            raise UsageError(
                f"a batch has fewer images than there are processes ({processes}), and {self.code.forward} fails "
                f"without any: {str(error).removesuffix('.')}. Take another batch_size, so that the last batch of an "
                "epoch is larger, or fewer processes."
            ) from error
        self.module.train()

    def try_copy(self) -> None:
        """Refuse a network whose copy, such as that of averaged weights, computes with the weights of the original.

        Raises:
            UsageError: A function that its constructor made holds on to the network itself, or there is no copy.
        """
        with seeded(self._seed("init")), self.code.running("the forward pass of a copy"):
            try:
                copied = deepcopy(self.module)
            except (RuntimeError, TypeError) as error:
                raise UsageError(
                    f"{self.code.place} cannot be copied, and ema evaluates a copy: {plain(str(error)).split('. ')[0]}"
                    ". Keep no tensor that is computed from weights, and no generator or file, as an attribute, or "
                    "leave ema out."
                ) from error
            logits = copied.eval()(torch.randn(_shape(self.image)))
        trained = [one for one in self.module.parameters() if one.requires_grad]
        if logits.requires_grad and any(
            one is not None for one in torch.autograd.grad(logits.sum(), trained, allow_unused=True)
        ):
            raise UsageError(
                f"{self.code.forward} of a copy computes with weights of the original, and ema evaluates a copy: a "
                "function that the constructor makes, such as a lambda, uses self there. Make it a method, or leave "
                "ema out."
            )

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
            self.code.running(f"step {step} of epoch {epoch}"),
        ):
            yield

    @contextmanager
    def evaluating(self, split: str) -> Iterator[None]:
        """Run the code of an evaluation, whose chance, if it has any, is the same each time; see `step`."""
        seed = self._seed("forward", 0, crc32(split.encode()))
        with self._explained(), seeded(seed), self.code.running(f"evaluating the {split} split"):
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            raise TrialFailedError(str(error)) from error
        except RuntimeError as error:  # of autograd, whose traceback has none of the code's lines
            if shortage_of(error) is not None or is_of_others(error):
                raise
            raise TrialFailedError(f"{plain(self.code.place)}: {plain(str(error))[:400]}") from error


def _shape(seen: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Return the shape `[N, C, H, W]` of the images that a network is tried with."""
    height, width, channels = seen
    return PROBED, channels, height, width


SETTINGS: TypeAdapter[Foreign] = TypeAdapter(Foreign)


@lru_cache(maxsize=64)
def counted(text: str, classes: int, image: tuple[int, int, int]) -> int:
    """Return the number of trained parameters of a network, whose settings are JSON; this runs its code.

    Raises:
        UsageError: It is not a network for these images.
    """
    network = ForeignNetwork(SETTINGS.validate_json(text), classes, image, block=0)
    return trained_parameters(network.module)


def trained_parameters(module: nn.Module) -> int:
    """Return the number of parameters that are not frozen."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
