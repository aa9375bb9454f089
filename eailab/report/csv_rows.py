"""Tidy CSV tables for a spreadsheet or a data frame, unrounded: a row for each trial, and a row for each epoch."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from eailab.findings.study import StudyFindings
from eailab.findings.words import written
from eailab.metrics import recorded
from eailab.plain import plain
from eailab.recipe.canonical import flatten
from eailab.report.document import Document
from eailab.report.exports.export_records import ExportStudy, epoch_names
from eailab.report.study_report import StudyReport
from eailab.runs.atomic import write_changed

LABELS = ("study", "factor", "arm", "baseline", "block", "trial", "state")
OF_EPOCHS = ("study", "factor", "arm", "is_baseline", "block", "trial", "state", "epoch", "ended", "seconds")
OF_ARMS = (
    *("study", "factor", "arm", "is_baseline", "metric", "mean", "sd", "difference", "low", "high", "level"),
    *("verdict", "test", "trials"),
)
NAMED = ("study", "factor", "arm", "is_baseline", "block", "trial", "state", "metric", "value")


def render(document: Document) -> str:
    """Return every trial of a document's studies and path ablations, in English whatever its language."""
    studies = [(study.folder, study) for study in document.studies]
    return trials_csv(studies + [(path.folder, study) for path in document.paths for study in path.studies])


def trials_csv(studies: Sequence[tuple[str, StudyReport]], *, with_settings: bool = False) -> str:
    """Return the text of `report.csv`: values are in the units shown, and what is not there is empty.

    Args:
        studies: In order, each under the name of its folder; that of a path ablation has several.
        with_settings: Whether further columns have the settings of each recipe, by dotted path.
    """
    arms = [arm for _, study in studies for arm in study.record.study.arms] if with_settings else []
    recipes = {id(arm.recipe): flatten(arm.recipe) for arm in arms}
    paths = list(dict.fromkeys(path for recipe in recipes.values() for path in recipe))
    are_named = any(study.findings.names for _, study in studies)
    keys = list(dict.fromkeys(metric.key for _, study in studies for metric in recorded(study.findings.metrics)))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    named = (*NAMED[:3], *(["arm_in_store"] if are_named else []), *NAMED[3:])
    writer.writerow((*named, *keys, "seconds", *(f"recipe.{path}" for path in paths)))
    for folder, study in studies:
        findings = study.findings
        own = {name: label for label, name in findings.names.items()}
        for index, (found, cost) in enumerate(zip(findings.arms, study.costs, strict=True)):
            for trial, seconds in zip(found.trials, cost.seconds_by_block, strict=True):
                recipe = recipes.get(id(study.recipe_of(index, trial)), {})
                set_to = [_setting(recipe[path]) if path in recipe else "" for path in paths]
                level = [cell(own.get(found.label, found.label))] if are_named else []
                named = (cell(folder), cell(findings.factor or ""), cell(found.label), *level)
                ended = (trial.block, trial.fingerprint, trial.state, findings.metric, trial.value)
                final = map(trial.final.get, keys)
                writer.writerow((*named, int(found.is_baseline), *ended, *final, seconds or "", *set_to))
    return buffer.getvalue()


def write(studies: Sequence[ExportStudy], folder: Path) -> None:
    """Write `trials.csv`, which is `report.csv` with the settings of every recipe, `epochs.csv`, and `arms.csv`.

    Raises:
        StoreError: A file cannot be written.
    """
    trials = trials_csv([(study.name, part) for study in studies for part in study.parts], with_settings=True)
    write_changed(folder / "trials.csv", trials.encode())
    write_changed(folder / "epochs.csv", epochs_csv(studies).encode())
    arms = arms_csv([(study.name, part.findings) for study in studies for part in study.parts])
    write_changed(folder / "arms.csv", arms.encode())


def arms_csv(studies: Sequence[tuple[str, StudyFindings]]) -> str:
    """Return a row for each arm that is compared, of all factors, in the units shown; what is not there is empty."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(OF_ARMS)
    for name, findings in studies:
        for arm in findings.arms:
            if (result := arm.against_baseline) is not None:
                low, high, level = (*result.interval, result.level) if result.interval else (None, None, None)
                named = (cell(name), cell(findings.factor or ""), cell(arm.label), int(arm.is_baseline))
                compared = (result.mean, result.sd, result.difference, low, high, level, result.verdict)
                writer.writerow((*named, findings.metric, *compared, arm.test, result.trials))
    return buffer.getvalue()


def epochs_csv(studies: Sequence[ExportStudy]) -> str:
    """Return a row for each epoch of each trial, in the units shown; what is not there is empty."""
    names = {key: name for study in studies for part in study.parts for key, name in epoch_names(part.findings).items()}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*OF_EPOCHS, *names))
    for trial in (trial for study in studies for trial in study.trials):
        labels = {**trial.labels, "baseline": str(int(trial.labels.get("baseline") == "true"))}
        named = [cell(labels.get(label, "")) for label in LABELS]
        for epoch in trial.epochs:
            ended = None if epoch.ended is None else datetime.fromtimestamp(epoch.ended, UTC)
            when = ended and ended.isoformat(timespec="milliseconds")
            writer.writerow([*named, epoch.number, when, epoch.seconds, *map(epoch.scores.get, names.values())])
    return buffer.getvalue()


def _setting(value: object) -> object:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else cell(written(value))


def cell(text: str) -> str:
    """Return text for a cell of a CSV file; one that a spreadsheet would take for a formula gets an apostrophe.

    >>> cell("=1+1")
    "'=1+1"
    """
    text = plain(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
