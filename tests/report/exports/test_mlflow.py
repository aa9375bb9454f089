"""MLflow's own client finds what the store holds; some seconds, where MLflow is installed."""

from pathlib import Path
from urllib.parse import urlparse

import pytest

from eailab.errors import StoreError
from eailab.report.exports.export_records import export_study
from eailab.report.study_report import load_study

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow's own, of SQLAlchemy


@pytest.fixture
def client(export, folder):
    """MLflow's client of the database that a study was exported to."""
    out = export("mlflow", folder)
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{out / 'mlflow.db'}")


def runs_of(client, folder):
    """The runs of a study's experiment, by name."""
    experiment = client.get_experiment_by_name(folder.name)
    found = client.search_runs([experiment.experiment_id])
    runs = {run.data.tags["eailab.name"]: run for run in found}
    assert len(runs) == len(found)
    return runs


def test_every_trial_reads_back_with_settings_labels_and_epochs(client, shop, folder):
    runs = runs_of(client, folder)
    trials = export_study(load_study(shop.store, folder)).trials
    assert set(runs) == {"table", *(trial.name for trial in trials)}
    for trial in trials:
        run = runs[trial.name]
        assert run.data.params["optimizer.lr"] == "0.001"
        assert run.data.params["batch_size"] == trial.labels["level"]
        assert run.data.params["name"] == "<script>alert(1)</script>"
        assert {name: run.data.tags[f"eailab.{name}"] for name in trial.labels} == trial.labels
        assert {name: value for name, value in run.data.metrics.items() if name.startswith("final/")} == trial.final
        history = client.get_metric_history(run.info.run_id, "accuracy/validation")
        assert [(one.step, one.value, one.timestamp) for one in history] == [
            (epoch.number, epoch.scores["accuracy/validation"], round(1000 * time))
            for epoch, time in zip(trial.epochs, trial.clock, strict=True)
        ]
        assert run.info.start_time == max(1, round(1000 * trial.began))
        assert run.info.end_time == (None if trial.finished is None else round(1000 * trial.finished))


def test_a_trial_that_has_no_result_says_so(client, folder):
    runs = runs_of(client, folder)
    assert [(run.info.status, run.data.tags["eailab.state"]) for name, run in sorted(runs.items())] == [
        *[("FINISHED", "finished")] * 3,
        ("FAILED", "diverged"),
        ("RUNNING", "unfinished"),
        ("SCHEDULED", "missing"),
        ("FINISHED", "running"),
    ]


def test_the_table_is_a_file_of_its_own_run_which_the_trials_lie_below(client, folder):
    runs = runs_of(client, folder)
    table = runs.pop("table").info
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {table.run_id}
    artifacts = Path(urlparse(table.artifact_uri).path)
    assert {path.name for path in artifacts.iterdir()} == {"table.md", "table.json"}
    assert "| 10 (baseline) | 91.00 |" in (artifacts / "table.md").read_text()


def test_a_trial_that_has_come_further_takes_the_place_of_its_earlier_run(client, export, shop, folder):
    """And a run of the user's, and those that have not changed, stay."""
    experiment = client.get_experiment_by_name(folder.name).experiment_id
    own = client.create_run(experiment, run_name="mine").info.run_id
    before = {run.info.run_id: run for run in client.search_runs([experiment])}
    shop.train_again(folder, 1, 1, epoch=1, seconds=9.0)
    export("mlflow", folder)
    after = {run.info.run_id: run for run in client.search_runs([experiment])}
    (gone,), (new,) = set(before) - set(after), set(after) - set(before)
    assert own in after
    assert before[gone].data.tags["eailab.name"] == after[new].data.tags["eailab.name"] == "batch_size=20/block-1"
    assert client.get_run(gone).info.lifecycle_stage == "deleted"


def test_a_run_that_was_cut_short_is_written_again(client, export, folder):
    """As if the program had been killed before the run's last tag."""
    cut = runs_of(client, folder)["batch_size=10/block-1"].info.run_id
    client.delete_tag(cut, "eailab.content")
    export("mlflow", folder)
    runs = runs_of(client, folder)
    assert len(runs) == 7
    assert runs["batch_size=10/block-1"].info.run_id != cut


def test_an_experiment_that_was_deleted_is_one_message(client, export, folder):
    client.delete_experiment(client.get_experiment_by_name(folder.name).experiment_id)
    with pytest.raises(StoreError, match="mlflow experiments restore"):
        export("mlflow", folder)


def test_a_file_that_is_no_database_is_one_message(export, folder, tmp_path):
    file = tmp_path / "out" / "mlflow" / "mlflow.db"
    file.parent.mkdir(parents=True)
    file.write_text("my notes on everything")
    with pytest.raises(StoreError, match="not an SQLite database"):
        export("mlflow", folder)
    assert file.read_text() == "my notes on everything"
