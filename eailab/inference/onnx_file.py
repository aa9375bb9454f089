"""Write a network as an ONNX file, from whole pixel values to logits."""

from collections.abc import Mapping
from typing import Any

from eailab import __version__
from eailab.engines.onnx_graph import Graph
from eailab.engines.registry import engine_of
from eailab.errors import UsageError
from eailab.extras import install_command
from eailab.inference.format import Runner
from eailab.inference.trained import Trained

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
    graph = Graph(onnx)
    images = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", *expected.image])
    logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", len(expected.classes)])
    engine_of(trained.recipe).network().add_to_onnx(graph, trained.recipe, trained.weights, expected)
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
