"""Every trial of a report as a row of a CSV file, unrounded, for a spreadsheet or a data frame."""

import csv
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from eailab.findings.numbers import written
from eailab.metrics import recorded
from eailab.plain import plain
from eailab.report.document import Document
from eailab.report.study_report import StudyReport

NAMED = ("study", "factor", "arm", "is_baseline", "block", "trial", "state", "metric", "value")


def render(document: Document) -> str:
    """Return every trial of a document's studies, in English whatever its language."""
    return trials_csv(document.studies)


def trials_csv(
    studies: Sequence[StudyReport],
    settings: Mapping[tuple[str, str], Mapping[str, object]] = MappingProxyType({}),
) -> str:
    """Return the text of `report.csv`: values are in the units shown, and what is not there is empty.

    Args:
        studies: In order.
        settings: Of an arm, by dotted path, for further columns; by the folder's name and the arm's label.
    """
    paths = list(dict.fromkeys(path for recipe in settings.values() for path in recipe))
    keys = list(dict.fromkeys(metric.key for study in studies for metric in recorded(study.findings.metrics)))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*NAMED, *keys, "seconds", *(f"recipe.{path}" for path in paths)))
    for study in studies:
        folder, findings = study.folder, study.findings
        for arm, cost in zip(findings.arms, study.costs, strict=True):
            recipe = settings.get((folder, arm.label), {})
            set_to = [_setting(recipe[path]) if path in recipe else "" for path in paths]
            for trial, seconds in zip(arm.trials, cost.seconds_by_block, strict=True):
                named = (cell(folder), cell(findings.factor or ""), cell(arm.label), int(arm.is_baseline))
                value = "" if trial.value is None else trial.value
                ended = (trial.block, trial.fingerprint, trial.state, findings.metric, value)
                final = (trial.final.get(key, "") for key in keys)
                writer.writerow((*named, *ended, *final, seconds or "", *set_to))
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
