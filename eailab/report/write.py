"""Write the files of reports: a study's tables, figures and page, a report over studies, and what exports ask for.

A file is rewritten only when its bytes change, and a figure is drawn only when a number has changed, so that writing
a finished study again is quick and touches nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from eailab.errors import StoreError, UsageError
from eailab.files import folder_name
from eailab.findings import noise, path
from eailab.findings.study import StudyFindings
from eailab.recipe.canonical import digest
from eailab.report import json_report, latex_fragments, markdown
from eailab.report.augmented_images import keep_sheet
from eailab.report.compose import figure_path, noise_document, path_document
from eailab.report.exports.export_records import check_names, export_path, export_study
from eailab.report.figure_files import figures_of, keep, language_of_figures, path_figure, write_trial_curves
from eailab.report.figures import IN_PRINT, Drawing, FileKind
from eailab.report.formats import DEFAULT_FORMATS, EXPORTS, FORMATS
from eailab.report.json_report import as_json, costs_json
from eailab.report.lab import task_of
from eailab.report.study_report import PathReport, Report, StudyReport, load_path, load_study, why_unreadable
from eailab.runs.atomic import refuse_links, write_bytes, write_changed, write_changed_together, write_text
from eailab.runs.context import RunContext
from eailab.runs.store import Store
from eailab.studies.heads import ENDS, STEPS_FOLDER, STUDIES, Head, heads, path_heads
from eailab.studies.judgements import note_on_related, record_judgement
from eailab.studies.labels import Named, Names, names_for
from eailab.studies.lookup import called
from eailab.studies.sharing import entered
from eailab.studies.storage import Plan, read_record
from eailab.studies.tuning_file import sound_tuning
from eailab.translation import ENGLISH, language


@dataclass(frozen=True)
class Written:
    """A report over studies, as it was written."""

    studies: tuple[StudyFindings, ...]
    unreadable: tuple[str, ...]
    """Messages about studies that could not be read."""
    files: Mapping[str, Path]
    """By the format's name."""
    notes: tuple[str, ...] = ()
    """What the user should know of how it was made."""
    exports: Mapping[str, Path] = field(default_factory=dict)
    """Folder of each export, by the tool's name."""
    paths: tuple[PathReport, ...] = ()
    """Path ablations of the report."""


def write_study(store: Store, folder: Path, data_dir: Path | None = None) -> StudyReport:
    """Write a study's tables, costs, figures and page into its folder, which is to be held meanwhile.

    Without `data_dir` the page's examples are of the usual folder of downloaded data sets.

    Returns:
        What the files say.

    Raises:
        StoreError: `study.yaml` is missing or damaged, a file cannot be written, or a folder is a link.
    """
    refuse_links(folder.parent, folder, folder / "figures")
    keep_sheet(folder, read_record(folder), data_dir)
    study = load_study(store, folder, data_dir)
    findings = study.findings
    numbers = as_json(findings)
    keep(folder, numbers, figures_of(findings, folder, []))
    report = Report("study", ENGLISH, (study,))
    write_changed(folder / "report.html", FORMATS["html"].text(report).encode())
    write_changed(folder / "costs.json", costs_json(findings.name, study.costs, study.tuning_costs).encode())
    write_changed(folder / "table.md", FORMATS["markdown"].text(report).encode())
    write_changed(folder / "table.json", numbers.encode())
    return study


def write_plans(
    plans: Sequence[Plan],
    context: RunContext,
    say: Callable[[str], None],
    *,
    name: str = "",
    advance: Callable[[], None] = lambda: None,
) -> tuple[list[StudyReport], Path]:
    """Write the files of each study that was trained, of a single trial its curves, and of several studies a report.

    Args:
        plans: Of the studies.
        context: Where they were trained.
        say: Called with what the user should know.
        name: What the common report of several studies is called; the same studies have the same folder.
        advance: Called when a study is written.

    Returns:
        What each study's files say, and the path of the page to read.

    Raises:
        StoreError: A file cannot be written, or a folder is a link.
    """
    reports = []
    for planned in plans:
        with entered(planned, context.store, say) as record:
            record_judgement(planned, record, context.store)
            reports.append(write_study(context.store, planned.folder, context.data_dir))
            if len(planned.trials) == 1:
                (trial,) = planned.trials
                write_trial_curves(context.store.folder(trial.fingerprint), planned.labels[trial.fingerprint])
        advance()
    for note in _related(reports):
        say(note)
    if len(plans) == 1:
        return reports, plans[0].folder / "report.html"
    fingerprint = digest([planned.record.study.fingerprint for planned in plans])[:10]
    out = context.runs_dir / "reports" / folder_name(name, fingerprint)
    refuse_links(out.parent, out, out / "figures")
    return reports, _write_report(reports, out).files["html"]


def write_report(
    folders: Sequence[Path],
    out: Path,
    data_dir: Path | None = None,
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    lang: str = ENGLISH,
    lab: bool = False,
    exports: Sequence[str] = (),
    fragments: bool = False,
    labels: Sequence[str] = (),
) -> Written:
    """Write a report over several studies, with its figures, or hand them on; their own folders are only read.

    Args:
        folders: Of the studies; see `find_studies`.
        out: Folder to write into; made where it is missing.
        data_dir: Folder of downloaded data sets, for the page's examples; None for the usual one.
        formats: Names of `FORMATS`.
        lang: Code of the report's language.
        lab: Whether to write the lab report, `lab-report.md`, in place of the formats.
        exports: Names of `EXPORTS`; see `chosen_exports`.
        fragments: Whether parts of a paper are written too; see `latex_fragments`.
        labels: What levels are to be called, such as `16=small`; see `names_for`.

    Raises:
        StoreError: None of the studies can be read, or a file cannot be written.
        UsageError: There is no catalogue of the language, two studies to be exported have one name and fingerprint, or
            the labels name no level.
    """
    language(lang)
    found, paths, unreadable = _readable(folders, data_dir, names_for(labels, _named(folders)) if labels else {})
    return _write_report(
        found, out, unreadable, paths, formats=formats, lang=lang, lab=lab, exports=exports, fragments=fragments
    )


def _write_report(
    found: Sequence[StudyReport],
    out: Path,
    unreadable: tuple[str, ...] = (),
    paths: tuple[PathReport, ...] = (),
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    lang: str = ENGLISH,
    lab: bool = False,
    exports: Sequence[str] = (),
    fragments: bool = False,
) -> Written:
    """Write a report over studies and path ablations that were read already; see `write_report`."""
    files = {name: out / f"report{FORMATS[name].suffix}" for name in formats}
    reported = _of_tasks(found) if lab else found
    if lab:
        formats, files = ["markdown"], {"markdown": out / "lab-report.md"}
    figure_lang, notes = lang, list[str]()
    if lang != ENGLISH and (fragments or any(FORMATS[name].figures for name in formats)):
        figure_lang, notes = language_of_figures(lang)

    @cache
    def drawn(kinds: tuple[FileKind, ...]) -> Mapping[str, Mapping[str, Drawing]]:
        """Draw the figures of every study and path ablation once, by the name of its folder."""
        figures = {one.folder: figures_of(one.findings, one.path, notes, figure_lang, kinds) for one in reported}
        of_paths = () if lab else paths
        return figures | {one.folder: path_figure(one.findings, figure_lang, kinds) for one in of_paths}

    for kinds in dict.fromkeys(FORMATS[name].figures for name in formats if FORMATS[name].figures):
        _write_figures(drawn(kinds), out)
    report = Report("lab" if lab else "report", lang, tuple(reported), unreadable, paths=paths)
    for name in formats:
        write_changed(files[name], FORMATS[name].text(report).encode())
    exported = _export(found, paths, exports, out) if exports else {}
    if fragments:
        exported[latex_fragments.FOLDER] = _write_fragments(report, out / latex_fragments.FOLDER, drawn(IN_PRINT))
    if lab:
        files = {"lab": files["markdown"]}
    studies = tuple(one.findings for one in report.distinguished)
    notes += [note for one in reported for note in one.notes] + _related(reported)
    in_report = {one.folder for one in reported}
    notes += [f"{one.folder} is of no task of the lab: left out" for one in found if one.folder not in in_report]
    return Written(studies, unreadable, files, tuple(dict.fromkeys(notes)), exported, paths)


def _of_tasks(found: Sequence[StudyReport]) -> list[StudyReport]:
    """Return the studies that a lab report has.

    Raises:
        UsageError: There are none.
    """
    of_tasks = [one for one in found if task_of(one.record) is not None]
    if not of_tasks:
        raise UsageError(
            "--lab reports studies of an MLP or a residual network that eailab trains on images, and none of these is "
            "one: leave it out, or make the studies of a task with `eailab ablate --study lab-task1`."
        )
    return of_tasks


def _write_figures(drawings: Mapping[str, Mapping[str, Drawing]], out: Path) -> None:
    """Write the figures that lie next to a report."""
    write_changed_together({
        out / f"{figure_path(folder, name)}.{kind}": data
        for folder, figures in drawings.items()
        for name, drawing in figures.items()
        for kind, data in drawing.items()
    })  # fmt: skip


def _write_fragments(report: Report, folder: Path, drawings: Mapping[str, Mapping[str, Drawing]]) -> Path:
    """Write parts of a paper with their figures, and return their folder."""
    texts = {folder / name: text.encode() for name, text in latex_fragments.fragments(report).items()}
    figures = {
        folder / f"{name}-{figure}.pdf": files["pdf"]
        for of, name in latex_fragments.names(report).items()
        for figure, files in drawings[of].items()
    }
    write_changed_together(texts | figures)
    return folder


def _related(found: Sequence[StudyReport]) -> list[str]:
    """Return notes on other studies of the same trials."""
    return [note for one in found for note in note_on_related(one.folder, one.findings.related)]


def _readable(
    folders: Sequence[Path], data_dir: Path | None, names: Mapping[str, Names]
) -> tuple[list[StudyReport], tuple[PathReport, ...], tuple[str, ...]]:
    """Return the studies and the path ablations that can be read, and messages about the others.

    Raises:
        StoreError: None can be read.
    """
    found, paths, errors = [], [], []
    known = {root: heads(root, STUDIES) for root in {folder.parent.parent for folder in folders}}
    for folder in folders:
        store = Store(folder.parent.parent)
        try:
            if (folder / STEPS_FOLDER).is_dir():
                paths.append(load_path(store, folder))
            else:
                found.append(
                    load_study(store, folder, data_dir, others=known[store.root], names=names.get(str(folder)))
                )
        except StoreError as error:
            errors.append((folder, error))
    if not found and not paths:
        raise StoreError("\n".join(str(error) for _, error in errors))
    return found, tuple(paths), tuple(why_unreadable(folder, error) for folder, error in errors)


def _named(folders: Sequence[Path]) -> list[Named]:
    """Return the studies among folders whose levels can be called otherwise; others are said when they are read."""
    found = []
    for folder in folders:
        if not (folder / STEPS_FOLDER).is_dir():
            with suppress(StoreError):
                found.append(Named(str(folder), read_record(folder), sound_tuning(folder)))
    return found


def _export(
    found: Sequence[StudyReport], paths: Sequence[PathReport], exports: Sequence[str], out: Path
) -> dict[str, Path]:
    """Write the exports, and return the folder of each."""
    studies = [*map(export_study, found), *map(export_path, paths)]
    check_names(studies)
    folders = {name: out / EXPORTS[name].folder for name in exports}
    for name, folder in folders.items():
        EXPORTS[name].write(studies, folder)
    return folders


def find_studies(store: Store, wanted: Sequence[str]) -> list[Path]:
    """Return the folders of studies, by names as `studies_called` takes them, or by path; of all where none is wanted.

    Raises:
        UsageError: The store has no studies, or none of a name; the message has the nearest names.
    """
    known = heads(store.root)
    present = sorted([*store.study_folders(), *(path.folder for path in path_heads(known))])
    if not present and not any(
        (Path(text) / name).exists() for text in wanted for name in ("study.yaml", STEPS_FOLDER)
    ):
        raise UsageError(
            f"there are no studies in {store.root}: run one, such as "
            "`eailab ablate batch-size 16 32 64 --recipe digits-mlp`, or name another folder with --runs."
        )
    if not wanted:
        return present
    found = [folder for text in wanted for folder in _called(text, known, store)]
    return list(dict.fromkeys(found))


def _called(text: str, known: Sequence[Head], store: Store) -> list[Path]:
    path = Path(text)
    if (path / "study.yaml").exists() or (path / STEPS_FOLDER / ENDS / "study.yaml").exists():
        return [path.resolve()]
    return [one.folder for one in called(known, text, store.root)]


def write_noise(found: noise.Noise, folder: Path) -> None:
    """Write `noise.md` and then `noise.json` into the study's folder.

    Raises:
        StoreError: A file cannot be written.
    """
    document = noise_document(found)
    write_text(folder / "noise.md", markdown.render(document))
    write_text(folder / "noise.json", json_report.render(document))


def write_path(found: path.PathFindings, folder: Path) -> None:
    """Write `waterfall.md`, the figure, and last `waterfall.json` into a path ablation's folder.

    Raises:
        StoreError: A file cannot be written, or a folder is a link.
    """
    refuse_links(folder.parent, folder, folder / "figures")
    for name, drawing in path_figure(found).items():
        for kind, data in drawing.items():
            write_bytes(folder / "figures" / f"{name}.{kind}", data)
    document = path_document(found)
    write_text(folder / "waterfall.md", markdown.render(document))
    write_text(folder / "waterfall.json", json_report.render(document))
