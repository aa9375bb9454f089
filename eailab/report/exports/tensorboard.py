"""Write event files for TensorBoard: a folder for each trial, with its scalars and its settings for HParams.

Written by TensorBoard's own protocol buffers, so that no torch is needed. A file's bytes depend on the trial alone:
exporting again rewrites only what has changed, and makes no second run.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from eailab.findings.trial import TrialState
from eailab.report.exports.export_records import ExportStudy, ExportTrial
from eailab.runs.atomic import write_changed

FILE = "events.out.tfevents.eailab"
"""TensorBoard reads every file with `tfevents` in its name; this one is ours."""

STATUS: dict[TrialState, str] = {
    "finished": "STATUS_SUCCESS",
    "collapsed": "STATUS_SUCCESS",
    "diverged": "STATUS_FAILURE",
    "timed-out": "STATUS_FAILURE",
    "damaged": "STATUS_FAILURE",
    "unfinished": "STATUS_RUNNING",
    "missing": "STATUS_UNKNOWN",
    "spared": "STATUS_UNKNOWN",
    "absent": "STATUS_UNKNOWN",
}


def write(studies: Sequence[ExportStudy], folder: Path) -> None:
    """Write an event file for each study, with its table as text, and one for each trial.

    Raises:
        StoreError: A file cannot be written.
    """
    for study in studies:
        write_changed(folder / study.name / FILE, _records(_study_events(study)))
        for trial in study.trials:
            write_changed(folder / study.name / trial.name / FILE, _records(_trial_events(trial)))


def _study_events(study: ExportStudy) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.text.summary_v2 import text_pb

    yield Event(wall_time=study.ended, file_version="brain.Event:2")
    yield Event(wall_time=study.ended, summary=text_pb("table", study.markdown))


def _trial_events(trial: ExportTrial) -> Iterator[Any]:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.plugins.text.summary_v2 import text_pb

    def scalars(values: Iterable[tuple[str, float]]) -> Any:
        return Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values])

    settings = hparams_pb(trial.settings | trial.tags, f"{trial.group}/{trial.name}", start_time_secs=trial.began)
    yield Event(wall_time=trial.began, file_version="brain.Event:2")
    yield Event(wall_time=trial.began, summary=_in_one_order(settings))
    for epoch, time in zip(trial.epochs, trial.clock, strict=True):
        yield Event(wall_time=time, step=epoch.number, summary=scalars(epoch.scores.items()))
    last = scalars(trial.final.items()) if trial.final else text_pb("state", trial.outcome)
    yield Event(wall_time=trial.ended, step=trial.last_epoch, summary=last)
    yield Event(wall_time=trial.ended, summary=_end(trial))


def _end(trial: ExportTrial) -> Any:
    """Return how a trial ended, as the HParams page knows it."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.api_pb2 import Status
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    end = SessionEndInfo(status=Status.Value(STATUS[trial.state]), end_time_secs=trial.ended)
    data = metadata.create_summary_metadata(HParamsPluginData(session_end_info=end))
    return Summary(value=[Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=data, tensor=metadata.NULL_TENSOR)])


def _in_one_order(summary: Any) -> Any:
    """Write the map of settings in the order of its keys; protocol buffers leave that open."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    plugin = summary.value[0].metadata.plugin_data
    plugin.content = HParamsPluginData.FromString(plugin.content).SerializeToString(deterministic=True)
    return summary


def _records(events: Iterable[Any]) -> bytes:
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString())
    return buffer.getvalue()
