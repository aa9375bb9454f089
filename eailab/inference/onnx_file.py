"""A network as an ONNX graph, from whole pixel values to logits; written node by node, without torch for an MLP.

Shapes: `N` images, `H` rows, `W` columns, `C` channels, `S` samples along a side, `K` classes.
"""

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eailab import __version__
from eailab.errors import UsageError
from eailab.extras import install_command
from eailab.inference.format import Runner
from eailab.inference.trained import Trained
from eailab.recipe.schema import MlpRecipe

if TYPE_CHECKING:
    from eailab.engines.torch_resnet.inference import Classifier
    from eailab.engines.torch_resnet.models import ResNet

OPSET = 15
"""Version of ONNX's operators: an old one that has all of ours, so that old runtimes read the file too."""
IR_VERSION = 8
"""Version of ONNX's files, the one that came with these operators."""
LARGEST = 2**31 - 2**20
"""Bytes of weights: the file is one protocol-buffer message, which ends at 2 GiB."""
LOUDEST = 3
"""Of onnxruntime's messages, only errors."""


def make(trained: Trained, facts: Mapping[str, str]) -> bytes:
    """Return the content of an ONNX file, with the facts as its metadata.

    Raises:
        UsageError: ONNX is not installed, or its files cannot hold so large a network.
    """
    onnx, _ = _libraries()
    if (size := sum(array.nbytes for array in trained.weights.values())) > LARGEST:
        raise UsageError(f"the weights have {size / 2**30:.1f} GiB, an ONNX file has at most 2: choose another format.")
    expected = trained.expected
    graph = _Graph(onnx)
    images = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", *expected.image])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", len(expected.classes)])
    if isinstance(trained.recipe, MlpRecipe):
        _mlp(graph, trained.recipe, trained)
    else:
        from eailab.engines.torch_resnet.inference import Classifier

        _resnet(graph, Classifier(trained.recipe, trained.weights, expected))
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, trained.recipe.name, [images], [logits], graph.constants),
        producer_name="eailab",
        producer_version=__version__,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def opened(data: bytes, trained: Trained) -> Runner:  # noqa: ARG001 - one signature for all formats
    """Return the file as onnxruntime runs it on the CPU."""
    _, onnxruntime = _libraries()
    onnxruntime.disable_telemetry_events()  # its Windows builds have some
    options = onnxruntime.SessionOptions()
    options.log_severity_level = LOUDEST
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    by = f"onnxruntime {onnxruntime.__version__}"
    return Runner(by, lambda pixels: session.run(["logits"], {"images": pixels})[0])


def _libraries() -> tuple[Any, Any]:
    """Return ONNX and its runtime, which no other command needs."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UsageError(f"--to onnx needs onnx and onnxruntime ({error}): {install_command('onnx')}") from error
    return onnx, onnxruntime


class _Graph:
    """Nodes and constants in the making; each method adds nodes and returns the name of their result."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, *inputs: str, result: str = "", **attributes: object) -> str:
        """Add one node, whose result is numbered where it is not named."""
        name = result or f"{operator}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: ArrayLike) -> str:
        """Add an array that the file holds."""
        self.constants.append(self._onnx.numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def floating(self, x: str) -> str:
        """Make whole pixel values float32."""
        return self.add("Cast", x, to=self._onnx.TensorProto.FLOAT)

    def scaled(self, x: str, mean: ArrayLike, std: ArrayLike) -> str:
        """Scale pixel values as the training split's."""
        centred = self.add("Sub", x, self.constant("mean", mean))
        return self.add("Div", centred, self.constant("std", std))

    def linear(self, x: str, name: str, weights: Mapping[str, ArrayLike], result: str = "") -> str:
        """Add a linear layer, whose weight is `[O, I]`."""
        parts = [self.constant(part, weights[part]) for part in (f"{name}.weight", f"{name}.bias")]
        return self.add("Gemm", x, *parts, result=result, transB=1)

    def normalised(self, x: str, name: str, weights: Mapping[str, ArrayLike], epsilon: float) -> str:
        """Add batch normalisation by the running statistics."""
        parts = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        constants = [self.constant(part, weights[part]) for part in parts]
        return self.add("BatchNormalization", x, *constants, epsilon=epsilon)


# --- the numpy engine's networks ------------------------------------------------------------------------------------


def _mlp(graph: _Graph, recipe: MlpRecipe, trained: Trained) -> None:
    """Add an MLP, as `numpy_mlp.inference` computes it; dropout is nothing outside training."""
    from eailab.engines.numpy_mlp.layers import BatchNorm1d

    expected, weights = trained.expected, trained.weights
    x = graph.add("Flatten", graph.scaled(graph.floating("images"), expected.mean, expected.std))
    for number, activation in enumerate(recipe.model.activations):
        x = graph.linear(x, f"layers.{number}", weights)
        if recipe.model.norm == "batch":
            x = graph.normalised(x, f"norms.{number}", weights, BatchNorm1d.epsilon)
        x = _gelu(graph, x, number) if activation == "gelu" else graph.add(ACTIVATIONS[activation], x)
    graph.linear(x, f"layers.{len(recipe.model.hidden)}", weights, result="logits")


ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}
"""ONNX's operator for each activation; GELU's came with a later version of the operators."""


def _gelu(graph: _Graph, x: str, number: int) -> str:
    """Add `x (1 + erf(x / sqrt(2))) / 2`."""
    root, one, half = (
        graph.constant(f"gelu.{number}.{name}", np.float32(value))
        for name, value in (("root", sqrt(0.5)), ("one", 1.0), ("half", 0.5))
    )
    twice = graph.add("Add", graph.add("Erf", graph.add("Mul", x, root)), one)
    return graph.add("Mul", x, graph.add("Mul", twice, half))


# --- the torch engine's networks ------------------------------------------------------------------------------------


def _resnet(graph: _Graph, classifier: "Classifier") -> None:
    """Add a residual network, as its module computes it, from the layers and settings that the module has."""
    from torch import nn

    from eailab.engines.torch_resnet.augment import Resized224
    from eailab.engines.torch_resnet.models import BasicBlock, Bottleneck

    model = classifier.model
    x = graph.floating(graph.add("Transpose", "images", perm=[0, 3, 1, 2]))
    if isinstance(classifier.way, Resized224):
        rows, columns = (matrix[0].numpy() for matrix in classifier.way.centre)
        x = graph.add("MatMul", x, graph.constant("columns", columns.T))
        x = graph.add("MatMul", graph.constant("rows", rows), x)
    x = graph.scaled(x, classifier.mean.numpy(), classifier.std.numpy())
    if len(classifier.mean) == 1:
        x = graph.add("Expand", x, graph.constant("three_channels", np.array([1, 3, 1, 1])))
    x = graph.add("Relu", _convolved(graph, x, model, "conv1", "bn1"))
    if isinstance(pool := model.maxpool, nn.MaxPool2d):
        x = graph.add("MaxPool", x, **_window(pool))
    for name, block in model.named_modules():
        if isinstance(block, BasicBlock | Bottleneck):
            beside = x
            if block.downsample is not None:
                beside = _convolved(graph, x, model, f"{name}.downsample.0", f"{name}.downsample.1")
            layers = 3 if isinstance(block, Bottleneck) else 2
            for layer in range(1, layers + 1):
                x = _convolved(graph, x, model, f"{name}.conv{layer}", f"{name}.bn{layer}")
                x = graph.add("Relu", x if layer < layers else graph.add("Add", x, beside))
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    graph.linear(pooled, "fc", _arrays(model, "fc"), result="logits")


def _convolved(graph: _Graph, x: str, model: "ResNet", convolution: str, norm: str) -> str:
    """Add a convolution without bias, and the batch normalisation after it, by their names in the module."""
    layer: Any = model.get_submodule(convolution)
    after: Any = model.get_submodule(norm)
    x = graph.add("Conv", x, graph.constant(f"{convolution}.weight", layer.weight.numpy()), **_window(layer))
    return graph.normalised(x, norm, _arrays(model, norm), after.eps)


def _window(layer: Any) -> dict[str, Any]:
    """Return the kernel, stride and padding of a convolution or pooling as ONNX wants them."""
    kernel, stride, padding = (
        list(sides) if isinstance(sides, tuple) else [sides] * 2
        for sides in (layer.kernel_size, layer.stride, layer.padding)
    )
    return {"kernel_shape": kernel, "strides": stride, "pads": padding * 2}


def _arrays(model: "ResNet", name: str) -> dict[str, NDArray[np.generic]]:
    """Return the parameters and statistics of one layer, by their full names."""
    return {f"{name}.{part}": values.numpy() for part, values in model.get_submodule(name).state_dict().items()}
