"""TensorBoard's own reader finds what the store holds."""

import pytest

from eailab.report.exports.export_records import export_study
from eailab.report.study_report import load_study


@pytest.fixture
def read(export):
    """The events of a study's trials, by their names."""

    def of(folder):
        out = export("tensorboard", folder)
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        def loaded(path):
            return EventAccumulator(str(path)).Reload()

        runs = {file.parent.relative_to(out / folder.name).as_posix(): file.parent for file in out.rglob("*tfevents*")}
        return {name: loaded(path) for name, path in runs.items()}

    return of


def hparams(events, tag):
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    return HParamsPluginData.FromString(events.SummaryMetadata(f"_hparams_/{tag}").plugin_data.content)


def text(events, tag):
    return events.Tensors(tag)[0].tensor_proto.string_val[0].decode()


def test_every_epoch_reads_back_at_its_time(read, shop, folder):
    runs = read(folder)
    trials = export_study(load_study(shop.store, folder)).trials
    assert set(runs) == {".", *(trial.name for trial in trials)}
    for trial in trials:
        scalars = set(trial.final) | {name for epoch in trial.epochs for name in epoch.scores}
        assert set(runs[trial.name].Tags()["scalars"]) == scalars
        for name in scalars - set(trial.final):
            found = [(event.step, event.wall_time, event.value) for event in runs[trial.name].Scalars(name)]
            expected = zip(trial.epochs, trial.clock, strict=True)
            assert found == [(one.number, time, pytest.approx(one.scores[name])) for one, time in expected]
        for name, value in trial.final.items():
            assert [event.value for event in runs[trial.name].Scalars(name)] == [pytest.approx(value)]


def test_settings_and_labels_are_hyperparameters(read, folder):
    start = hparams(read(folder)["batch_size=20/block-0"], "session_start_info").session_start_info
    assert start.hparams["batch_size"].number_value == 20
    assert start.hparams["optimizer.name"].string_value == "adam"
    assert start.hparams["optimizer.betas"].string_value == "[0.9, 0.999]"
    assert start.hparams["eailab.factor"].string_value == "batch_size"
    assert start.hparams["eailab.level"].string_value == "20"
    assert start.hparams["name"].string_value == "<script>alert(1)</script>"


def test_a_trial_that_has_no_result_says_so(read, folder):
    from tensorboard.plugins.hparams.api_pb2 import Status

    runs = read(folder)
    said = {}
    for block in range(3):
        events = runs[f"batch_size=20/block-{block}"]
        status = Status.Name(hparams(events, "session_end_info").session_end_info.status)
        said[text(events, "state")] = status
    assert said == {
        "diverged: a value was not finite at epoch 2, step 7": "STATUS_FAILURE",
        "unfinished": "STATUS_RUNNING",
        "missing": "STATUS_UNKNOWN",
    }
    assert hparams(runs["batch_size=10/block-0"], "session_end_info").session_end_info.status == Status.Value(
        "STATUS_SUCCESS"
    )


def test_the_table_is_a_text(read, folder):
    assert "| 10 (baseline) | 91.00 |" in text(read(folder)["."], "table")


def test_settings_are_written_in_one_order(read, folder):
    """Protocol buffers write a map in another order in every process, and the same trial would have other bytes."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = read(folder)["batch_size=10/block-0"]
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    read_back = HParamsPluginData.FromString(content)
    assert len(read_back.session_start_info.hparams) > 20
    assert content == read_back.SerializeToString(deterministic=True)
