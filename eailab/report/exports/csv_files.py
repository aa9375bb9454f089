"""Two tidy tables, for a spreadsheet or a data frame: a row for each trial, and a row for each epoch."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from eailab.report.csv_rows import cell, trials_csv
from eailab.report.exports.export_records import ExportStudy, epoch_names
from eailab.runs.atomic import write_changed

LABELS = ("study", "factor", "arm", "baseline", "block", "trial", "state")
NAMED = ("study", "factor", "arm", "is_baseline", "block", "trial", "state", "epoch", "ended", "seconds")


def write(studies: Sequence[ExportStudy], folder: Path) -> None:
    """Write `trials.csv`, which is `report.csv` with the settings of every recipe, and `epochs.csv`.

    Raises:
        StoreError: A file cannot be written.
    """
    trials = trials_csv([(study.name, part) for study in studies for part in study.parts], with_settings=True)
    write_changed(folder / "trials.csv", trials.encode())
    write_changed(folder / "epochs.csv", epochs_csv(studies).encode())


def epochs_csv(studies: Sequence[ExportStudy]) -> str:
    """Return a row for each epoch of each trial, in the units shown; what is not there is empty."""
    names = {key: name for study in studies for part in study.parts for key, name in epoch_names(part.findings).items()}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*NAMED, *names))
    for trial in (trial for study in studies for trial in study.trials):
        labels = {**trial.labels, "baseline": str(int(trial.labels.get("baseline") == "true"))}
        named = [cell(labels.get(label, "")) for label in LABELS]
        for epoch in trial.epochs:
            ended = None if epoch.ended is None else datetime.fromtimestamp(epoch.ended, UTC)
            when = "" if ended is None else ended.isoformat(timespec="milliseconds")
            scores = (epoch.scores.get(name, "") for name in names.values())
            writer.writerow([*named, epoch.number, when, "" if epoch.seconds is None else epoch.seconds, *scores])
    return buffer.getvalue()
