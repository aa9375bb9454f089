"""Two tidy tables, for a spreadsheet or a data frame: a row for each trial, and a row for each epoch."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from eailab.recipe.canonical import flatten
from eailab.report.csv_rows import cell, trials_csv
from eailab.report.exports.export_records import ExportEpoch, ExportStudy, ExportTrial, epoch_names
from eailab.runs.atomic import write_changed

NAMED = ("study", "factor", "arm", "is_baseline", "block", "trial", "state", "epoch", "ended", "seconds")


def write(studies: Sequence[ExportStudy], folder: Path) -> None:
    """Write `trials.csv`, which is `report.csv` with the settings of every recipe, and `epochs.csv`.

    Raises:
        StoreError: A file cannot be written.
    """
    reports = [study.report for study in studies]
    trials = trials_csv(
        reports, {(one.folder, arm.label): flatten(arm.recipe) for one in reports for arm in one.record.study.arms}
    )
    write_changed(folder / "trials.csv", trials.encode())
    write_changed(folder / "epochs.csv", epochs_csv(studies).encode())


def epochs_csv(studies: Sequence[ExportStudy]) -> str:
    """Return a row for each epoch of each trial, in the units shown; what is not there is empty."""
    names = {key: name for study in studies for key, name in epoch_names(study.report.findings).items()}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*NAMED, *names))
    for study in studies:
        for trial in study.trials:
            for epoch in trial.epochs:
                scores = (epoch.scores.get(name, "") for name in names.values())
                writer.writerow((*_named(trial), *_timed(epoch), *scores))
    return buffer.getvalue()


def _named(trial: ExportTrial) -> tuple[object, ...]:
    study, factor, arm, block, name, state = (
        cell(trial.labels.get(label, "")) for label in ("study", "factor", "arm", "block", "trial", "state")
    )
    return (study, factor, arm, int(trial.labels.get("baseline") == "true"), block, name, state)


def _timed(epoch: ExportEpoch) -> tuple[object, ...]:
    ended = "" if epoch.ended is None else datetime.fromtimestamp(epoch.ended, UTC).isoformat(timespec="milliseconds")
    seconds = "" if epoch.seconds is None else epoch.seconds
    return (epoch.number, ended, seconds)
