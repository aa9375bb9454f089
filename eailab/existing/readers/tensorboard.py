"""Read TensorBoard's event files, with the library of the extra `tensorboard`."""

from pathlib import Path

from eailab.errors import UsageError
from eailab.existing.table import Value
from eailab.extras import install_command

_HPARAMS = "_hparams_/session_start_info"


def hparams_and_scalars(folder: Path) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return the hyper-parameters of the event files in a folder, and the last value of each scalar.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError as error:
        raise UsageError(
            f"{folder} holds TensorBoard's event files, and TensorBoard reads them: {install_command('tensorboard')}"
        ) from error
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    tags = events.Tags()
    scalars: dict[str, Value] = {tag: float(events.Scalars(tag)[-1].value) for tag in tags["scalars"]}
    for tag in tags["tensors"]:  # as TensorFlow's and newer writers store scalars
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            scalars[tag] = float(make_ndarray(events.Tensors(tag)[-1].tensor_proto))
    settings: dict[str, Value] = {}
    if _HPARAMS in events.summary_metadata:
        content = HParamsPluginData.FromString(events.SummaryMetadata(_HPARAMS).plugin_data.content)
        for name, value in content.session_start_info.hparams.items():
            kind = value.WhichOneof("kind")
            settings[name] = None if kind in (None, "null_value") else getattr(value, kind)
    return settings, scalars
