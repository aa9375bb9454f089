"""Check a person's own network before it is trained for long, on random images."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from eailab.engines.summary import SCHEMA
from eailab.engines.torch_resnet.foreign_network import ForeignNetwork
from eailab.own_code.load import seeded

IMAGES = 10
STEPS = 200
RATES = (1e-3, 1e-2, 1e-4)
"""Of Adam, tried in turn until one overfits."""
OVERFITTED = 0.1
"""Loss in nats below which ten images are learnt by heart."""
START = 1.0
"""Nats that the loss may be from ln(classes) at the start."""
NEAR = 1e-4
"""Relative to the largest output: rounding in 32 bits."""
BY_MODE = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase, nn.AlphaDropout, nn.RReLU)
"""Layers that compute otherwise in training."""


@dataclass(frozen=True)
class SanityCheck:
    """One check, and what it showed."""

    __pydantic_config__: ClassVar = SCHEMA

    name: str
    """What is checked."""
    state: Literal["passed", "failed"]
    """Whether it holds."""
    said: str
    """What was seen, in a sentence."""


@dataclass(frozen=True)
class SanityReport:
    """All checks of a network."""

    __pydantic_config__: ClassVar = SCHEMA

    network: str
    """As it was named."""
    checks: list[SanityCheck]
    """In the order in which they were made."""
    schema_version: Literal[1] = 1
    """Raised when a field is renamed, removed or changes its meaning."""


def sanity(make: Callable[[], ForeignNetwork], classes: int) -> list[SanityCheck]:
    """Make all checks; each starts with a network as its code initialises it."""
    first = make()
    height, width, channels = first.image
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(2 * IMAGES, channels, height, width, generator=draw)
    labels = torch.randint(classes, (2 * IMAGES,), generator=draw)
    checks = [_start(first, images, classes), _modes(make(), images), _alone(make(), images)]
    return [*checks, *_by_heart(make, images, labels)]


def _outputs(network: ForeignNetwork, images: Tensor, *, training: bool = False) -> Tensor:
    """Return the logits; chance is the same each time, and running statistics are put back."""
    module = network.module
    state = {name: one.clone() for name, one in module.state_dict().items()}
    with seeded(0), network.code.running("its forward pass"), torch.no_grad():
        outputs: Tensor = module.train(training)(images)
    module.load_state_dict(state)
    return outputs


def _start(network: ForeignNetwork, images: Tensor, classes: int) -> SanityCheck:
    logits = _outputs(network, images, training=True).log_softmax(1)
    loss, expected = -float(logits.mean()), log(classes)
    said = f"{loss:.2f} nats at the start, and ln({classes}) is {expected:.2f}"
    if abs(loss - expected) <= START:
        return SanityCheck("loss at the start", "passed", said)
    return SanityCheck("loss at the start", "failed", f"{said}: scale the last layer's initial weights down")


def _modes(network: ForeignNetwork, images: Tensor) -> SanityCheck:
    name = "evaluation and training"
    evaluated = _outputs(network, images)
    module = network.module.eval()
    with seeded(1), network.code.running("its forward pass"), torch.no_grad():
        again = module(images)
    if _differ(evaluated, again):
        return SanityCheck(
            name, "failed", "in evaluation it gives other outputs each time: its chance is not off there"
        )
    layers = sorted({type(one).__name__ for one in module.modules() if _by_mode(one)})
    trained = _outputs(network, images, training=True)
    if not _differ(evaluated, trained):
        return SanityCheck(name, "passed", "they give the same outputs")
    if layers:
        return SanityCheck(name, "passed", f"they differ, as they may with {', '.join(layers)}")
    return SanityCheck(name, "failed", "they differ, and no layer (dropout, batch normalisation) says why")


def _by_mode(layer: nn.Module) -> bool:
    """Return whether a layer computes otherwise in training, by its class or, of a library's, by its name."""
    return isinstance(layer, BY_MODE) or type(layer).__name__.startswith(("Drop", "Stochastic"))


def _alone(network: ForeignNetwork, images: Tensor) -> SanityCheck:
    """Hold the output of each image against that of a batch in another order, and of the image alone."""
    name, outputs = "images by themselves", _outputs(network, images)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    if _differ(outputs[order], _outputs(network, images[order])):
        return SanityCheck(name, "failed", "an image's output depends on its place in the batch: a leak between images")
    if _differ(outputs[:1], _outputs(network, images[:1])):
        return SanityCheck(
            name, "failed", "an image's output depends on the others of its batch: a leak between images"
        )
    return SanityCheck(name, "passed", "in evaluation each image's output is its own")


def _by_heart(make: Callable[[], ForeignNetwork], images: Tensor, labels: Tensor) -> list[SanityCheck]:
    """Learn ten images with random labels by heart, which must not help with ten others."""
    names = ("ten images by heart", "shuffled labels")
    reached = []
    for rate in RATES:
        network = make()
        loss = _fitted(network, images[:IMAGES], labels[:IMAGES], rate)
        reached.append(loss)
        if loss < OVERFITTED:
            others = functional.cross_entropy(_outputs(network, images[IMAGES:]), labels[IMAGES:]).item()
            said = f"loss {loss:.2g} nats on images that were trained on, {others:.2g} on others with random labels"
            known = SanityCheck(names[0], "passed", f"loss {loss:.2g} nats within {STEPS} steps at lr {rate:g}")
            return [known, SanityCheck(names[1], "passed" if others > OVERFITTED else "failed", said)]
    tried = ", ".join(f"{loss:.2g} at lr {rate:g}" for loss, rate in zip(reached, RATES, strict=True))
    failed = f"loss after {STEPS} steps: {tried}; the network, or its gradients, cannot learn them"
    return [SanityCheck(names[0], "failed", failed)]


def _fitted(network: ForeignNetwork, images: Tensor, labels: Tensor, rate: float) -> float:
    """Return the training loss after some steps, or as soon as it is low."""
    parameters = [one for one in network.module.parameters() if one.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=rate)
    module, loss = network.module.train(), torch.inf
    for step in range(1, STEPS + 1):
        with network.step(1, step):
            value = functional.cross_entropy(module(images), labels)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]  # torch ships no types of it
            optimizer.step()
        loss = value.item()
        if not loss >= OVERFITTED / 2:  # NaN too
            break
    return loss


def _differ(some: Tensor, others: Tensor) -> bool:
    size = max(float(some.abs().max()), 1e-6)
    return not float((some - others).abs().max()) <= NEAR * size
