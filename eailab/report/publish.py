"""What a report leaves on the disk: a trial's curves, a study's tables, figures and page, a report over studies.

A file is rewritten only when its bytes change, and a figure is drawn only when a number has changed, so that publishing
a finished study again is quick and touches nothing.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eailab.errors import StoreError, UsageError
from eailab.report import html, markdown
from eailab.report.classes import classes_of
from eailab.report.costs import costs, costs_json
from eailab.report.figures import Drawing, figure_names
from eailab.report.findings import StudyFindings, study_findings
from eailab.report.record import as_json
from eailab.report.trials import curves_of
from eailab.runs.atomic import write_bytes
from eailab.runs.store import Store, TrialFolder
from eailab.studies.design import StudyRecord, read_record


@dataclass(frozen=True)
class Report:
    """A report over studies, as it was written."""

    studies: tuple[StudyFindings, ...]
    unreadable: tuple[str, ...]
    """Messages about studies that could not be read."""
    markdown_file: Path
    html_file: Path


def publish_trial(folder: TrialFolder, title: str) -> None:
    """Draw `curves.png` and `curves.svg` of a trial that has ended, where they are missing.

    A trial that has not ended, has no epoch, or cannot be read is left without: its study's table says why.

    Raises:
        StoreError: The files cannot be written.
    """
    files = {"png": folder.path / "curves.png", "svg": folder.path / "curves.svg"}
    if all(file.exists() for file in files.values()) or not folder.result_file.exists():
        return
    try:
        curves = curves_of(folder.epochs())
    except StoreError:
        return
    if not curves.epochs:
        return
    from eailab.report.plots import trial_curves

    drawing = trial_curves(curves, title)
    _write(files["png"], drawing.png)
    _write(files["svg"], drawing.svg)


def publish_study(store: Store, folder: Path, data_dir: Path | None = None) -> StudyFindings:
    """Write a study's tables, costs, figures and page into its folder.

    `table.json` is written last: while it holds the present numbers, everything else is up to date.

    Args:
        store: Where the trials lie.
        folder: The study's, with `study.yaml`.
        data_dir: Folder of downloaded data sets, for the page's examples; None for the usual one.

    Returns:
        What was told.

    Raises:
        StoreError: `study.yaml` is missing or damaged, or a file cannot be written.
    """
    record = read_record(folder)
    findings = study_findings(store, record)
    figures = _figures(findings, folder)
    for name, drawing in figures.items():
        _write(folder / "figures" / f"{name}.png", drawing.png)
        _write(folder / "figures" / f"{name}.svg", drawing.svg)
    told = _page_study(store, record, findings, data_dir)
    _write(folder / "report.html", html.page(findings.name, [told]).encode())
    _write(folder / "costs.json", costs_json(findings.name, told.costs).encode())
    _write(folder / "table.md", f"{markdown.study_section(findings, {}, level=1)}\n".encode())
    _write(folder / "table.json", as_json(findings).encode())
    return findings


def publish_report(folders: Sequence[Path], out: Path, data_dir: Path | None = None) -> Report:
    """Write `report.md`, its figures, and `report.html` over several studies; their own folders are only read.

    Args:
        folders: Of the studies; see `find_studies`.
        out: Folder to write into; made where it is missing.
        data_dir: Folder of downloaded data sets, for the page's examples; None for the usual one.

    Raises:
        StoreError: None of the studies can be read, or a file cannot be written.
    """
    studies, unreadable, told, texts = [], [], [], []
    for folder in folders:
        store = Store(folder.parent.parent)
        try:
            record = read_record(folder)
            findings = study_findings(store, record)
        except StoreError as error:
            unreadable.append(str(error))
            continue
        studies.append(findings)
        figures = _figures(findings, folder)
        paths = {name: f"figures/{folder.name}/{name}.png" for name in figures}
        for name, drawing in figures.items():
            _write(out / paths[name], drawing.png)
            _write((out / paths[name]).with_suffix(".svg"), drawing.svg)
        texts.append(markdown.study_section(findings, paths))
        told.append(_page_study(store, record, findings, data_dir))
    if not studies:
        raise StoreError("\n".join(unreadable))
    report = Report(tuple(studies), tuple(unreadable), out / "report.md", out / "report.html")
    _write(report.markdown_file, markdown.report_text(texts, unreadable).encode())
    _write(report.html_file, html.page("Report", sorted(told, key=_is_single), unreadable).encode())
    return report


def find_studies(store: Store, wanted: Sequence[str]) -> list[Path]:
    """Return the folders of studies.

    Args:
        store: Where to look.
        wanted: Names (all studies of that name), names with fingerprint, or paths of study folders; none for all.

    Raises:
        UsageError: The store has no studies, or none of a name; the message tells the nearest names.
    """
    present = store.study_folders()
    if not present and not any((Path(text) / "study.yaml").exists() for text in wanted):
        raise UsageError(
            f"there are no studies in {store.root}: run one, such as "
            "`eailab ablate batch-size 16 32 64 --recipe digits-mlp`, or name another folder with --runs."
        )
    if not wanted:
        return present
    found = [folder for text in wanted for folder in _named(text, present, store)]
    return list(dict.fromkeys(found))


def _named(text: str, present: Sequence[Path], store: Store) -> list[Path]:
    path = Path(text)
    if (path / "study.yaml").exists():
        return [path.resolve()]
    matches = [folder for folder in present if text in (folder.name, folder.name.rpartition("-")[0])]
    if not matches:
        names = sorted({name for folder in present for name in (folder.name, folder.name.rpartition("-")[0])})
        near = difflib.get_close_matches(text, names, n=3, cutoff=0.5) or [folder.name for folder in present[:10]]
        raise UsageError(f"there is no study {text} in {store.root}. Nearest: {', '.join(near)}.")
    return matches


def _is_single(study: html.PageStudy) -> bool:
    """Whether a study compares nothing: a page sets it after those that do."""
    return study.findings.factor is None


def _page_study(store: Store, record: StudyRecord, findings: StudyFindings, data_dir: Path | None) -> html.PageStudy:
    return html.PageStudy(findings, costs(store, record), classes_of(store, record, findings, data_dir))


def _figures(findings: StudyFindings, folder: Path) -> Mapping[str, Drawing]:
    """Return a study's figures: those in its folder while they show the present numbers, else drawn anew."""
    if (drawn := _drawn_before(findings, folder)) is not None:
        return drawn
    from eailab.report.plots import study_figures

    return study_figures(findings)


def _drawn_before(findings: StudyFindings, folder: Path) -> Mapping[str, Drawing] | None:
    try:
        if (folder / "table.json").read_bytes() != as_json(findings).encode():
            return None
        return {
            name: Drawing(
                png=(folder / "figures" / f"{name}.png").read_bytes(),
                svg=(folder / "figures" / f"{name}.svg").read_bytes(),
            )
            for name in figure_names(findings)
        }
    except OSError:
        return None


def _write(file: Path, data: bytes) -> None:
    """Write a file unless it holds these bytes already."""
    try:
        if file.read_bytes() == data:
            return
    except OSError:
        pass
    write_bytes(file, data)
