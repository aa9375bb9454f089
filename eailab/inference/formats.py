"""Write a network in the formats of other software, and run the files that were written.

Each format imports its own libraries only when it is used. A new one is a class here and an entry in `FORMATS`.
"""

import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab import __version__
from eailab.data.dataset import Pixels
from eailab.engines.base import Expected
from eailab.engines.registry import images_of
from eailab.engines.spec import Graph
from eailab.errors import UsageError
from eailab.extras import install_command
from eailab.inference.predict import TrainedNetwork


@dataclass(frozen=True)
class ExportRunner:
    """An exported file, loaded by the software that it is for."""

    by: str
    """That software, in words."""
    logits: Callable[[Pixels], NDArray[np.floating[Any]]]
    """From images `[N, H, W, C]` to the scores of each class, `[N, K]`."""


class ExportFormat(ABC):
    """One kind of file that a network can be exported to."""

    suffix: str
    """How its files' names end."""

    @abstractmethod
    def write(self, trained: TrainedNetwork, facts: Mapping[str, str]) -> bytes:
        """Return the content of a file of the network, with the facts as its metadata."""

    @abstractmethod
    def load(self, data: bytes, trained: TrainedNetwork) -> ExportRunner:
        """Load the content of a file of the network, for images on the CPU."""

    def contents(self, trained: TrainedNetwork) -> str:
        """Describe what a file of the network holds: by default all that evaluation does, from pixels to logits."""
        shape = ", ".join(map(str, trained.expected.image))
        return f"from images, uint8 [N, {shape}], to logits, float32 [N, {len(trained.expected.classes)}]"


class Safetensors(ExportFormat):
    """Weights for other programs: arrays by the names that torch gives them."""

    suffix = ".safetensors"

    def write(self, trained: TrainedNetwork, facts: Mapping[str, str]) -> bytes:
        """Return the file with its metadata sorted: the library's own order changes between processes."""
        from safetensors.numpy import save

        weights = {name: np.asarray(array, order="C") for name, array in sorted(trained.weights.items())}
        data = save(weights, metadata={"format": "pt", **facts})
        header = json.loads(_header(data))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)  # the arrays start at a multiple of eight bytes
        return len(text).to_bytes(8, "little") + text + data[8 + len(_header(data)) :]

    def load(self, data: bytes, trained: TrainedNetwork) -> ExportRunner:
        """Load the arrays, and what the metadata say that they expect, into the trial's network."""
        from safetensors import __version__ as version
        from safetensors.numpy import load

        facts = json.loads(_header(data))["__metadata__"]
        again = replace(trained, weights=load(data), expected=Expected.read(facts))
        return ExportRunner(f"the trial's network with the file's weights (safetensors {version})", again.logits)

    def contents(self, trained: TrainedNetwork) -> str:
        """Describe what a file holds."""
        return f"{len(trained.weights)} arrays; the metadata give image, mean, std, classes and recipe"


def _header(data: bytes) -> bytes:
    """Return the JSON before the arrays of a safetensors file; its length stands in the first eight bytes."""
    return data[8 : 8 + int.from_bytes(data[:8], "little")]


class Onnx(ExportFormat):
    """A graph from whole pixel values to logits, for runtimes of ONNX."""

    suffix = ".onnx"
    OPSET = 15
    """Version of ONNX's operators: an old one that has all of ours, so that old runtimes read the file too."""
    IR_VERSION = 8
    """Version of ONNX's files, the one that came with these operators."""
    LARGEST = 2**31 - 2**20
    """Bytes of weights: the file is one protocol-buffer message, which ends at 2 GiB."""
    ERRORS = 3
    """Least severe of onnxruntime's messages that are shown."""

    def write(self, trained: TrainedNetwork, facts: Mapping[str, str]) -> bytes:
        """Return the content of a checked ONNX file.

        Raises:
            UsageError: ONNX is not installed, or its files cannot hold so large a network.
        """
        onnx, _ = self._libraries()
        if (size := sum(array.nbytes for array in trained.weights.values())) > self.LARGEST:
            raise UsageError(
                f"the weights have {size / 2**30:.1f} GiB, an ONNX file has at most 2: choose another format."
            )
        expected = trained.expected
        graph = Graph(onnx)
        images = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", *expected.image])
        logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", len(expected.classes)])
        images_of(trained.recipe).network().add_to_onnx(graph, trained.recipe, trained.weights, expected)
        model = onnx.helper.make_model(
            onnx.helper.make_graph(graph.nodes, trained.recipe.name, [images], [logits], graph.constants),
            producer_name="eailab",
            producer_version=__version__,
            opset_imports=[onnx.helper.make_opsetid("", self.OPSET)],
            ir_version=self.IR_VERSION,
        )
        onnx.helper.set_model_props(model, dict(facts))
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))

    def load(self, data: bytes, trained: TrainedNetwork) -> ExportRunner:  # noqa: ARG002 - one signature for all formats
        """Load the file into onnxruntime."""
        _, onnxruntime = self._libraries()
        onnxruntime.disable_telemetry_events()  # its Windows builds have some
        options = onnxruntime.SessionOptions()
        options.log_severity_level = self.ERRORS
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        by = f"onnxruntime {onnxruntime.__version__}"
        return ExportRunner(by, lambda pixels: session.run(["logits"], {"images": pixels})[0])

    @staticmethod
    def _libraries() -> tuple[Any, Any]:
        """Return ONNX and its runtime, which no other command needs."""
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            raise UsageError(f"--to onnx needs onnx and onnxruntime ({error}): {install_command('onnx')}") from error
        return onnx, onnxruntime


class TorchExport(ExportFormat):
    """A program of torch from whole pixel values to logits: `torch.export`'s archive, without our code."""

    suffix = ".pt2"
    FACTS = "eailab.json"
    """The archive's further file that holds the facts."""

    def write(self, trained: TrainedNetwork, facts: Mapping[str, str]) -> bytes:
        """Return the content of a `.pt2` archive."""
        import torch

        network = images_of(trained.recipe).network().module(trained.recipe, trained.weights, trained.expected)
        images = torch.zeros(2, *trained.expected.image, dtype=torch.uint8)
        any_number = {0: torch.export.Dim("N", min=1)}
        program = torch.export.export(network, (images,), dynamic_shapes=(any_number,), strict=False)
        archive = io.BytesIO()
        torch.export.save(program, archive, extra_files={self.FACTS: json.dumps(dict(facts))})
        return archive.getvalue()

    def load(self, data: bytes, trained: TrainedNetwork) -> ExportRunner:  # noqa: ARG002 - one signature for all formats
        """Load the archive into torch."""
        import torch

        network = torch.export.load(io.BytesIO(data)).module()

        def logits(pixels: Pixels) -> NDArray[np.float32]:
            with torch.inference_mode():
                scores: NDArray[np.float32] = network(torch.tensor(pixels)).numpy()
            return scores

        return ExportRunner(f"torch {torch.__version__}", logits)


FORMATS: dict[str, ExportFormat] = {"safetensors": Safetensors(), "onnx": Onnx(), "torch-export": TorchExport()}
