"""What a report leaves on the disk: a trial's curves, a study's tables, figures and page, a report over studies.

A file is rewritten only when its bytes change, and a figure is drawn only when a number has changed, so that publishing
a finished study again is quick and touches nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eailab.errors import DamagedError, StoreError, UsageError
from eailab.findings import noise, path
from eailab.findings.study import StudyFindings
from eailab.findings.trial import curves_of
from eailab.report.drawn import keep, kept
from eailab.report.edition import (
    FORMATS,
    Edition,
    Told,
    figure_paths,
    json_text,
    markdown_text,
    page_text,
    tell,
    why_unreadable,
)
from eailab.report.escaping import markdown as escaped
from eailab.report.exports.outgoing import check_names, outgoing
from eailab.report.exports.table import EXPORTS
from eailab.report.figures import IN_PRINT, ON_SCREEN, Drawing, FileKind, figure_names
from eailab.report.markdown import bullets, table_text
from eailab.report.record import as_json, costs_json, layout, noise_mapping, waterfall_mapping
from eailab.runs.atomic import refuse_links, write_bytes, write_changed, write_text
from eailab.runs.store import Store, TrialFolder
from eailab.studies.lookup import STUDIES, Head, heads, studies_called
from eailab.translation import ENGLISH, language

DEFAULT_FORMATS = ("markdown", "html")

FIGURES_BESIDE: Mapping[str, tuple[FileKind, ...]] = {"markdown": ON_SCREEN, "lab": ON_SCREEN, "latex": IN_PRINT}
"""Formats whose figures are files of their own, and of which kinds."""


@dataclass(frozen=True)
class Report:
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


def publish_trial(folder: TrialFolder, title: str) -> None:
    """Draw `curves.png` and `curves.svg` of a trial that has ended, where they are missing.

    A trial that has not ended, has no epoch, or cannot be read is left without: its study's table says why.

    Raises:
        StoreError: The files cannot be written.
    """
    refuse_links(folder.path.parent, folder.path)
    if not without_curves(folder):
        return
    try:
        curves = curves_of(folder.epochs())
    except StoreError:
        return
    if not curves.epochs:
        return
    from eailab.report.plots import trial_curves

    drawing = trial_curves(curves, title)
    for kind, data in drawing.items():
        write_changed(_curves_file(folder, kind), data)


def without_curves(folder: TrialFolder) -> bool:
    """Whether a trial has ended and its curves are not drawn."""
    return folder.result_file.exists() and not all(_curves_file(folder, kind).exists() for kind in ON_SCREEN)


def _curves_file(folder: TrialFolder, kind: FileKind) -> Path:
    return folder.path / f"curves.{kind}"


def publish_study(store: Store, folder: Path, data_dir: Path | None = None) -> Told:
    """Write a study's tables, costs, figures and page into its folder, which is to be held meanwhile.

    Args:
        store: Where the trials lie.
        folder: The study's, with `study.yaml`.
        data_dir: Folder of downloaded data sets, for the page's examples; None for the usual one.

    Returns:
        What was told.

    Raises:
        StoreError: `study.yaml` is missing or damaged, a file cannot be written, or a folder is a link.
    """
    refuse_links(folder.parent, folder, folder / "figures")
    told = tell(store, folder, data_dir)
    findings = told.findings
    keep(folder, as_json(findings), _figures(findings, folder, []))
    edition = Edition("study", "en", (told,))
    write_changed(folder / "report.html", page_text(edition).encode())
    write_changed(folder / "costs.json", costs_json(findings.name, told.costs).encode())
    write_changed(folder / "table.md", markdown_text(edition).encode())
    write_changed(folder / "table.json", json_text(edition).encode())
    return told


def publish_report(
    folders: Sequence[Path],
    out: Path,
    data_dir: Path | None = None,
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    lang: str = "en",
    lab: bool = False,
    exports: Sequence[str] = (),
) -> Report:
    """Write a report over several studies, with its figures, or hand them on; their own folders are only read.

    Args:
        folders: Of the studies; see `find_studies`.
        out: Folder to write into; made where it is missing.
        data_dir: Folder of downloaded data sets, for the page's examples; None for the usual one.
        formats: Names of `FORMATS`.
        lang: Code of the report's language.
        lab: Whether to write the lab report, `lab-report.md`, in place of the formats; in English.
        exports: Names of `EXPORTS`; see `chosen_exports`.

    Raises:
        StoreError: None of the studies can be read, or a file cannot be written.
        UsageError: There is no wording for the language, or two studies to be exported have one name and fingerprint.
    """
    language(lang)
    found, unreadable = _readable(folders, data_dir)
    return write_report(found, out, unreadable, formats=formats, lang=lang, lab=lab, exports=exports)


def write_report(
    found: Sequence[tuple[Path, Told]],
    out: Path,
    unreadable: tuple[str, ...] = (),
    *,
    formats: Sequence[str] = DEFAULT_FORMATS,
    lang: str = ENGLISH,
    lab: bool = False,
    exports: Sequence[str] = (),
) -> Report:
    """Write a report over studies that were read already, each with its folder; see `publish_report`."""
    if lab and lang != ENGLISH:
        raise UsageError("the lab report is in English only: leave --lang out.")
    beside = dict.fromkeys(FIGURES_BESIDE[name] for name in (["lab"] if lab else formats) if name in FIGURES_BESIDE)
    figure_lang, notes = (lang, []) if lang == ENGLISH or not beside else _language_of_figures(lang)
    for folder, told in found:
        for kinds in beside:
            for name, drawing in _figures(told.findings, folder, notes, figure_lang, kinds).items():
                for kind, data in drawing.items():
                    write_changed(out / figure_paths(told, kind)[name], data)
    edition = Edition("lab" if lab else "report", lang, tuple(told for _, told in found), unreadable)
    files = {}
    if lab:
        files["lab"] = out / "lab-report.md"
        write_changed(files["lab"], markdown_text(edition).encode())
        formats = ()
    for name in formats:
        files[name] = out / f"report{FORMATS[name].suffix}"
        write_changed(files[name], FORMATS[name].text(edition).encode())
    handed_on = _hand_on(found, exports, out) if exports else {}
    return Report(tuple(told.findings for told in edition.told), unreadable, files, tuple(notes), handed_on)


def _readable(folders: Sequence[Path], data_dir: Path | None) -> tuple[list[tuple[Path, Told]], tuple[str, ...]]:
    """Return the studies that can be read, each with its folder, and messages about the others.

    Raises:
        StoreError: None can be read.
    """
    found, errors = [], []
    for folder in folders:
        try:
            found.append((folder, tell(Store(folder.parent.parent), folder, data_dir)))
        except StoreError as error:
            errors.append((folder, error))
    if not found:
        raise StoreError("\n".join(str(error) for _, error in errors))
    return found, tuple(why_unreadable(folder, error) for folder, error in errors)


def _hand_on(found: Sequence[tuple[Path, Told]], exports: Sequence[str], out: Path) -> dict[str, Path]:
    """Write the exports, and return the folder of each."""
    studies = [outgoing(Store(folder.parent.parent), told) for folder, told in found]
    check_names(studies)
    folders = {name: out / EXPORTS[name].folder for name in exports}
    for name, folder in folders.items():
        EXPORTS[name].write(studies, folder)
    return folders


def chosen_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Return the formats that are asked for, each once; the usual ones where none is.

    Raises:
        UsageError: There is no such format.
    """
    if unknown := [name for name in names if name not in FORMATS]:
        raise UsageError(f"there is no format {unknown[0]!r}: choose from {', '.join(FORMATS)}.")
    return tuple(dict.fromkeys(names)) or DEFAULT_FORMATS


def _language_of_figures(lang: str) -> tuple[str, list[str]]:
    """Return the language in which figures can be labelled here, with a note where it is not the report's."""
    from eailab.report.plots import writes_chinese

    if writes_chinese():
        return lang, []
    note = "figures beside the report are labelled in English: no font with Chinese letters is installed"
    return ENGLISH, [f"{note} (Debian's package fonts-noto-cjk has one)."]


def find_studies(store: Store, wanted: Sequence[str]) -> list[Path]:
    """Return the folders of studies.

    Args:
        store: Where to look.
        wanted: Names as `studies_called` takes them, or paths of study folders; none for all.

    Raises:
        UsageError: The store has no studies, or none of a name; the message has the nearest names.
    """
    present = store.study_folders()
    if not present and not any((Path(text) / "study.yaml").exists() for text in wanted):
        raise UsageError(
            f"there are no studies in {store.root}: run one, such as "
            "`eailab ablate batch-size 16 32 64 --recipe digits-mlp`, or name another folder with --runs."
        )
    if not wanted:
        return present
    known = heads(store.root, STUDIES)
    found = [folder for text in wanted for folder in _named(text, known, store)]
    return list(dict.fromkeys(found))


def _named(text: str, known: Sequence[Head], store: Store) -> list[Path]:
    path = Path(text)
    if (path / "study.yaml").exists():
        return [path.resolve()]
    return [head.folder for head in studies_called(known, text, store.root)]


def _figures(
    findings: StudyFindings,
    folder: Path,
    notes: list[str],
    lang: str = ENGLISH,
    kinds: Sequence[FileKind] = ON_SCREEN,
) -> Mapping[str, Drawing]:
    """Return a study's figures: those in its folder while they show the present numbers, else drawn again.

    What was damaged is added to the notes.
    """
    try:
        if lang == ENGLISH and (drawn := kept(folder, as_json(findings), figure_names(findings), kinds)) is not None:
            return drawn
    except DamagedError as error:
        notes.append(f"{error} The figures were drawn again.")
    from eailab.report.plots import study_figures

    return study_figures(findings, language(lang), kinds)


def publish_noise(found: noise.Noise, folder: Path) -> None:
    """Write `noise.md` and then `noise.json` into the study's folder.

    Raises:
        StoreError: A file cannot be written.
    """
    parts = [f"# {escaped(noise.title(found))}", table_text(noise.noise_table(found))]
    parts.append(bullets([escaped(sentence) for sentence in noise.sentences(found)]))
    write_text(folder / "noise.md", "\n\n".join(parts) + "\n")
    write_text(folder / "noise.json", layout(noise_mapping(found)) + "\n")


def publish_waterfall(found: path.Waterfall, folder: Path) -> None:
    """Write `waterfall.md`, the figure, and last `waterfall.json` into a walk's folder.

    Raises:
        StoreError: A file cannot be written, or a folder is a link.
    """
    from eailab.report.plots import waterfall_figure

    refuse_links(folder.parent, folder, folder / "figures")
    drawing = waterfall_figure(found)
    write_bytes(folder / "figures" / "waterfall.png", drawing["png"])
    write_bytes(folder / "figures" / "waterfall.svg", drawing["svg"])
    parts = [
        f"# {escaped(path.title(found))}",
        table_text(path.waterfall_table(found)),
        f"![{path.TITLE}](figures/waterfall.png)",
        bullets([escaped(sentence) for sentence in path.sentences(found)]),
    ]
    write_text(folder / "waterfall.md", "\n\n".join(parts) + "\n")
    write_text(folder / "waterfall.json", layout(waterfall_mapping(found)) + "\n")
