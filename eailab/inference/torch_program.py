"""A network as a program of torch, from whole pixel values to logits: `torch.export`'s archive, without our code."""

import io
import json
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from eailab.data.dataset import Pixels
from eailab.engines.registry import engine_of
from eailab.inference.format import Runner
from eailab.inference.trained import Trained

FACTS = "eailab.json"
"""The archive's further file that holds the facts."""


def make(trained: Trained, facts: Mapping[str, str]) -> bytes:
    """Return the content of a `.pt2` archive, with the facts as a further file in it."""
    network = engine_of(trained.recipe).network().module(trained.recipe, trained.weights, trained.expected)
    images = torch.zeros(2, *trained.expected.image, dtype=torch.uint8)
    any_number = {0: torch.export.Dim("N", min=1)}
    program = torch.export.export(network, (images,), dynamic_shapes=(any_number,), strict=False)
    archive = io.BytesIO()
    torch.export.save(program, archive, extra_files={FACTS: json.dumps(dict(facts))})
    return archive.getvalue()


def opened(data: bytes, trained: Trained) -> Runner:  # noqa: ARG001 - one signature for all formats
    """Return the archive as torch runs it on the CPU."""
    network = torch.export.load(io.BytesIO(data)).module()

    def logits(pixels: Pixels) -> NDArray[np.float32]:
        with torch.inference_mode():
            scores: NDArray[np.float32] = network(torch.tensor(pixels)).numpy()
        return scores

    return Runner(f"torch {torch.__version__}", logits)
