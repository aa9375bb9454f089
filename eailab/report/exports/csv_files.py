"""Two tidy tables, for a spreadsheet or a data frame: a row for each trial, and a row for each epoch."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from eailab.recipe.canonical import flatten
from eailab.report.csv_rows import trials_csv
from eailab.report.escaping import cell
from eailab.report.exports.outgoing import OutgoingEpoch, OutgoingStudy, OutgoingTrial
from eailab.runs.atomic import write_changed

SCORES = {
    "train_loss": "loss/train",
    "train_accuracy": "accuracy/train",
    "validation_loss": "loss/validation",
    "validation_accuracy": "accuracy/validation",
}
"""What the scores of an epoch are called in `report.csv`, and what they go out as."""

EPOCH_COLUMNS = (
    "study",
    "factor",
    "arm",
    "is_baseline",
    "block",
    "trial",
    "state",
    "epoch",
    "ended",
    "seconds",
    *SCORES,
)
"""Losses are in nats, accuracies in percent; what is not there is empty."""


def write(studies: Sequence[OutgoingStudy], folder: Path) -> None:
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


def epochs_csv(studies: Sequence[OutgoingStudy]) -> str:
    """Return a row for each epoch of each trial; a trial without epochs has none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(EPOCH_COLUMNS)
    for study in studies:
        for trial in study.trials:
            writer.writerows((*_named(trial), *_numbers(epoch)) for epoch in trial.epochs)
    return buffer.getvalue()


def _named(trial: OutgoingTrial) -> tuple[object, ...]:
    study, factor, arm, block, name, state = (
        cell(trial.labels.get(label, "")) for label in ("study", "factor", "arm", "block", "trial", "state")
    )
    return (study, factor, arm, int(trial.labels.get("baseline") == "true"), block, name, state)


def _numbers(epoch: OutgoingEpoch) -> tuple[object, ...]:
    ended = "" if epoch.ended is None else datetime.fromtimestamp(epoch.ended, UTC).isoformat(timespec="milliseconds")
    seconds = "" if epoch.seconds is None else epoch.seconds
    return (epoch.number, ended, seconds, *(epoch.scores[name] for name in SCORES.values()))
