"""The formats of a report: a new one is one module, and one entry here."""

from collections.abc import Callable
from dataclasses import dataclass

from eailab.report import csv_rows, html, json_report, latex, markdown
from eailab.report.compose import Detail, report_document
from eailab.report.document import Document
from eailab.report.figures import IN_PRINT, ON_SCREEN, FileKind
from eailab.report.study_report import Report


@dataclass(frozen=True)
class Format:
    """One way to set a document."""

    suffix: str
    render: Callable[[Document], str]
    detail: Detail = Detail.REPORT
    """How much of a study it shows."""
    figures: tuple[FileKind, ...] = ()
    """Kinds of the figures that are files beside it."""

    def text(self, report: Report) -> str:
        """Return a report in this format."""
        return self.render(report_document(report, self.detail))


FORMATS = {
    "html": Format(".html", html.render, Detail.PAGE),
    "markdown": Format(".md", markdown.render, figures=ON_SCREEN),
    "latex": Format(".tex", latex.render, figures=IN_PRINT),
    "csv": Format(".csv", csv_rows.render),
    "json": Format(".json", json_report.render),
}
