"""One edition of a report: some studies, in one language, set in any of the formats.

A report is composed here and nowhere else, so that what is published and what is verified are the same.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from eailab import __version__
from eailab.errors import StoreError
from eailab.findings.apart import told_apart
from eailab.findings.classes import Classes, classes_of
from eailab.findings.costs import ArmCost, costs
from eailab.findings.methods import Answer, answers
from eailab.findings.study import StudyFindings, study_findings
from eailab.report import html, latex, markdown
from eailab.report.csv_rows import trials_csv
from eailab.report.figures import FileKind, figure_names
from eailab.report.lab import lab_sections
from eailab.report.manifest import Kind, Manifest, Source
from eailab.report.record import as_json, layout, report_mapping
from eailab.runs.store import Store
from eailab.studies.design import StudyRecord, read_record
from eailab.translation import Say, language


@dataclass(frozen=True)
class Told:
    """Everything that reports tell of one study."""

    record: StudyRecord
    findings: StudyFindings
    costs: tuple[ArmCost, ...]
    classes: Classes | str
    """Or why there are none."""
    left_out: tuple[int, ...] = ()
    """Blocks that the study has and that are not reported."""

    @property
    def answers(self) -> tuple[Answer, ...]:
        """What a paper says of it."""
        return answers(self.findings, self.record, self.costs)

    @property
    def folder(self) -> str:
        """Name of the study's folder."""
        return self.record.study.folder_name


@dataclass(frozen=True)
class Edition:
    """Studies to be set, in order."""

    kind: Kind
    lang: str
    studies: tuple[Told, ...]
    unreadable: tuple[str, ...] = ()
    """Messages about studies that could not be read."""
    version: str | None = __version__
    """See `Manifest.version`."""

    @property
    def say(self) -> Say:
        """Into the edition's language."""
        return language(self.lang)

    @property
    def manifest(self) -> Manifest:
        """What the edition is made of."""
        sources = tuple(Source(told.folder, told.findings.blocks) for told in self.studies)
        return Manifest(self.kind, self.lang, sources, self.unreadable, self.version)

    @cached_property
    def told(self) -> tuple[Told, ...]:
        """The studies, those with the same title told apart."""
        apart = told_apart([told.findings for told in self.studies])
        return tuple(replace(told, findings=findings) for told, findings in zip(self.studies, apart, strict=True))

    @property
    def title(self) -> str:
        """Of a page."""
        return self.studies[0].findings.name if self.kind == "study" else self.say("Report")


def tell(store: Store, folder: Path, data_dir: Path | None = None, blocks: Sequence[int] | None = None) -> Told:
    """Read a study and all that reports tell of it.

    Args:
        store: Where the trials lie.
        folder: The study's, with `study.yaml`.
        data_dir: Folder of downloaded data sets; None for the usual one.
        blocks: Leave out the others; None for all that the study has.

    Raises:
        StoreError: `study.yaml` is missing or damaged, or the study lacks one of the blocks.
    """
    record = read_record(folder)
    left_out: tuple[int, ...] = ()
    if blocks is not None:
        if missing := set(blocks) - set(record.study.blocks):
            raise StoreError(f"{folder} has no block {min(missing)} any more.")
        left_out = tuple(block for block in record.study.blocks if block not in blocks)
        kept = tuple(block for block in record.study.blocks if block in blocks)
        record = replace(record, study=replace(record.study, blocks=kept))
    findings = study_findings(store, record)
    return Told(record, findings, costs(store, findings), classes_of(store, record, findings, data_dir), left_out)


def why_unreadable(folder: Path, error: StoreError) -> str:
    """Return what a report says of a study that cannot be read, without the path of the machine."""
    return str(error).replace(f"{folder.parent.parent}{os.sep}", "")


def page_text(edition: Edition) -> str:
    """Return an edition as a page; studies that compare nothing come last."""
    studies = sorted(edition.told, key=lambda told: told.findings.factor is None)
    return html.page(
        edition.title,
        [html.PageStudy(told.findings, told.costs, told.classes, told.answers) for told in studies],
        edition.unreadable,
        lang=edition.lang,
        say=edition.say,
        manifest=edition.manifest.text(),
    )


def markdown_text(edition: Edition) -> str:
    """Return an edition as markdown, with its figures beside it; a study's own has none, and nothing of time."""
    if edition.kind == "lab":
        filled = [(told.record, told.findings, told.costs, figure_paths(told)) for told in edition.told]
        sections = lab_sections(filled)
        return markdown.report_text(sections, edition.unreadable, edition.manifest.text(), title="Lab report")
    alone = edition.kind == "study"
    sections = [
        markdown.study_section(
            told.findings,
            {} if alone else figure_paths(told),
            level=1 if alone else 2,
            say=edition.say,
            answers=() if alone else told.answers,
        )
        for told in edition.told
    ]
    return markdown.report_text(
        sections, edition.unreadable, edition.manifest.text(), say=edition.say, title=None if alone else edition.title
    )


def latex_text(edition: Edition) -> str:
    """Return an edition as LaTeX, with its figures beside it."""
    sections = [
        latex.study_section(told.findings, figure_paths(told, "pdf"), say=edition.say, answers=told.answers)
        for told in edition.told
    ]
    return latex.document(
        edition.title, sections, edition.unreadable, edition.manifest.text(), lang=edition.lang, say=edition.say
    )


def csv_text(edition: Edition) -> str:
    """Return every trial of an edition as a row of numbers, in English whatever its language."""
    return trials_csv([(told.folder, told.findings, told.costs) for told in edition.studies])


def json_text(edition: Edition) -> str:
    """Return an edition as JSON, in English whatever its language."""
    if edition.kind == "study":
        return as_json(edition.studies[0].findings)
    return layout(report_mapping([told.findings for told in edition.studies], edition.unreadable)) + "\n"


def figure_paths(told: Told, kind: FileKind = "png") -> dict[str, str]:
    """Return where a report's figures of a study lie, relative to the report, by their names."""
    return {name: f"figures/{told.folder}/{name}.{kind}" for name in figure_names(told.findings)}


@dataclass(frozen=True)
class Format:
    """One way to set an edition."""

    suffix: str
    text: Callable[[Edition], str]


FORMATS = {
    "html": Format(".html", page_text),
    "markdown": Format(".md", markdown_text),
    "latex": Format(".tex", latex_text),
    "csv": Format(".csv", csv_text),
    "json": Format(".json", json_text),
}
"""A new format: one module, one entry."""
