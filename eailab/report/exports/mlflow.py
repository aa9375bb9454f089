"""Export to a store of MLflow's in one SQLite file: an experiment a study, with runs for its table and each trial.

MLflow no longer writes plain folders (`mlruns`). A run carries what it was made of as a tag: exporting again leaves it
as it is while that is the same, and else puts a new one in its place; MLflow keeps the old one among its deleted runs.
"""

import logging
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from eailab.errors import StoreError
from eailab.files import DATABASE, opened
from eailab.findings.trial import TrialState
from eailab.findings.words import written
from eailab.plain import plain
from eailab.report.exports.export_records import PREFIX, ExportStudy, ExportTrial
from eailab.runs.atomic import make_folder, writing

FILE = "mlflow.db"
MAGIC = b"SQLite format 3\0"
"""How a database begins; one without tables is empty."""

NAME, CONTENT = f"{PREFIX}name", f"{PREFIX}content"
"""Tags by which a run that eailab wrote is recognised, and by which it is seen to be out of date."""

TABLE = "table"
"""Name of the run that has a study's table; no trial's, which all have a slash."""

LARGEST_BATCH = 1000
"""Metrics that MLflow takes at once."""

STATUS: dict[TrialState, str] = {
    "finished": "FINISHED",
    "collapsed": "FINISHED",
    "diverged": "FAILED",
    "timed-out": "FAILED",
    "damaged": "FAILED",
    "unfinished": "RUNNING",
    "missing": "SCHEDULED",
    "spared": "KILLED",
    "absent": "KILLED",
}
"""Of a run; the tag `eailab.state` says it in our words."""


def write(studies: Sequence[ExportStudy], folder: Path) -> None:
    """Bring the experiments of these studies up to date; runs and experiments of the user's are not touched.

    Raises:
        StoreError: The database cannot be written, is of another version of MLflow, or an experiment was deleted in it.
    """
    file = folder / FILE
    _check(file)
    with _explained(file):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{file.absolute().as_posix()}")
        for study in studies:
            _write_study(client, study, folder)


def _check(file: Path) -> None:
    """Refuse a place that no database can be in; MLflow would try for two minutes, and say less.

    Raises:
        StoreError: It cannot be written, or there is something else.
    """
    begins = b""
    with writing(file):
        make_folder(file.parent)
        with tempfile.TemporaryFile(dir=file.parent), suppress(FileNotFoundError), opened(file, DATABASE) as database:
            begins = database.read(len(MAGIC))
        with file.open("ab"):
            pass
    if begins not in (b"", MAGIC):
        raise StoreError(f"{file} is not an SQLite database: move it away, or choose another --out.")


def _write_study(client: Any, study: ExportStudy, folder: Path) -> None:
    experiment = client.get_experiment_by_name(study.name)
    if experiment is None:
        place = (folder.absolute() / "artifacts" / study.name).as_uri()
        number = client.create_experiment(study.name, artifact_location=place)
    elif experiment.lifecycle_stage == "deleted":
        raise StoreError(
            f"the experiment {study.name} was deleted in {folder / FILE}: "
            f"`mlflow experiments restore -x {experiment.experiment_id}` brings it back, or choose another --out."
        )
    else:
        number = experiment.experiment_id
    present = _present(client, number)
    table = _write_table(client, number, study, next(iter(present[TABLE]), None))
    for trial in study.trials:
        same = [run for run in present[trial.name] if run.data.tags.get(CONTENT) == trial.content][:1]
        if not same:
            _write_trial(client, number, trial, parent=table)
        for run in present[trial.name]:
            if run not in same:
                client.delete_run(run.info.run_id)


def _present(client: Any, experiment: str) -> defaultdict[str, list[Any]]:
    """Return the runs that eailab wrote in an experiment by their names; one that was cut short has no content."""
    runs: defaultdict[str, list[Any]] = defaultdict(list)
    token = None
    while True:
        page = client.search_runs([experiment], max_results=LARGEST_BATCH, page_token=token)
        for run in page:
            if NAME in run.data.tags:
                runs[run.data.tags[NAME]].append(run)
        if not (token := page.token):
            return runs


def _write_table(client: Any, experiment: str, study: ExportStudy, earlier: Any) -> str:
    """Write a study's table as files of a run, and return the run's identifier, which stays the same."""
    if earlier is not None and earlier.data.tags.get(CONTENT) == study.content:
        return str(earlier.info.run_id)
    run = earlier or client.create_run(experiment, _ms(study.began), {NAME: TABLE}, run_name=plain(study.title))
    identifier = str(run.info.run_id)
    client.log_text(identifier, study.markdown, "table.md")
    client.log_text(identifier, study.json, "table.json")
    client.set_tag(identifier, f"{PREFIX}state", study.state)
    client.set_terminated(identifier, "FINISHED", _ms(study.ended))
    client.set_tag(identifier, CONTENT, study.content)  # last, so that one that was cut short is done again
    return identifier


def _write_trial(client: Any, experiment: str, trial: ExportTrial, parent: str) -> None:
    from mlflow.entities import Metric, Param

    tags = trial.tags | {NAME: trial.name, "mlflow.parentRunId": parent}
    run = client.create_run(experiment, _ms(trial.began), tags, run_name=plain(trial.name))
    identifier = run.info.run_id
    metrics = [
        Metric(name, value, _ms(time), epoch.number)
        for epoch, time in zip(trial.epochs, trial.clock, strict=True)
        for name, value in epoch.scores.items()
    ]
    metrics += [Metric(name, value, _ms(trial.ended), trial.last_epoch) for name, value in trial.final.items()]
    client.log_batch(identifier, params=[Param(name, written(value)) for name, value in trial.settings.items()])
    for first in range(0, len(metrics), LARGEST_BATCH):
        client.log_batch(identifier, metrics=metrics[first : first + LARGEST_BATCH])
    if trial.finished is None:
        client.update_run(identifier, STATUS[trial.state])
    else:
        client.set_terminated(identifier, STATUS[trial.state], _ms(trial.finished))
    client.set_tag(identifier, CONTENT, trial.content)


def _ms(seconds: float) -> int:
    """Return milliseconds; at least one, since MLflow takes 0 for the present time."""
    return max(1, round(seconds * 1000))


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Import MLflow without its reports on its users and its chatter; turn what it raises into one message."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise StoreError(f"MLflow could not write {file}: {error}") from error
