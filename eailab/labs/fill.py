"""Fill the marked places of a student's report from the store; what stands outside them is not touched."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eailab.errors import RecipeError, StudyError, UsageError
from eailab.labs.contents import PlaceContent, content_of
from eailab.labs.folder import LabFolder
from eailab.labs.places import Place, filled
from eailab.report.compose import figure_path
from eailab.report.figure_files import figures_of, language_of_figures
from eailab.report.study_report import StudyReport
from eailab.runs.atomic import refuse_links, write_changed
from eailab.translation import ENGLISH, language


@dataclass(frozen=True)
class Filled:
    """Hold what filling a report came to."""

    report: Path
    places: int
    missing: Mapping[str, tuple[str, ...]]
    """Commands to run first, with what the places that wait for each ask for."""
    figures: tuple[Path, ...] = ()
    notes: tuple[str, ...] = field(default=())


def fill(lab: LabFolder, *, replace: bool = False) -> Filled:
    """Fill the places of a student's report, and draw its figures; with `replace`, what somebody wrote inside is lost.

    Raises:
        UsageError: A mark asks for something that there is not, or somebody wrote inside a place; nothing is written.
        StoreError: A study cannot be read, or a file cannot be written.
    """
    language(lab.lang)
    refuse_links(lab.path / "figures")
    if not lab.places:
        raise UsageError(f"{lab.report_file} has no marked place, such as a line <!-- eailab: table lr -->.")
    if not replace:
        _refuse_edited(lab)
    contents = contents_of(lab)
    missing: dict[str, list[str]] = {}
    for place, content in contents:
        if content.missing:
            missing.setdefault(content.missing, []).append(place.asked)
    notes, figures = list[str](), list[Path]()
    for file, data in figures_in(lab, [content for _, content in contents], notes).items():
        write_changed(lab.path / file, data)
        figures.append(Path(file))
    texts = [(place, content.text(lab.lang)) for place, content in contents]
    write_changed(lab.report_file, filled(lab.text, texts).encode())
    waiting = {command: tuple(asked) for command, asked in missing.items()}
    return Filled(lab.report_file, len(contents), waiting, tuple(figures), tuple(dict.fromkeys(notes)))


def contents_of(lab: LabFolder) -> list[tuple[Place, PlaceContent]]:
    """Return what each place of a report holds now.

    Raises:
        UsageError: Marks ask for what there is not: all of them, by line.
    """
    _ = lab.declared  # whose mistakes are reported once, and not at each place
    found, wrong = [], []
    for place in lab.places:
        try:
            found.append((place, content_of(lab, place)))
        except (RecipeError, StudyError):
            raise
        except UsageError as error:
            wrong.append(f"{lab.report_file}:{place.line}: {str(error).removesuffix('.')}.")
    if wrong:
        raise UsageError("\n".join(wrong))
    return found


def figures_in(lab: LabFolder, contents: list[PlaceContent], notes: list[str]) -> dict[str, bytes]:
    """Return the files of all figures that some contents show, by their paths below the folder."""
    asked: dict[Path, set[str]] = {}
    studies: dict[Path, StudyReport] = {}
    for content in contents:
        for name, of in content.figures.items():
            for study in of:
                asked.setdefault(study.path, set()).add(name)
                studies[study.path] = study
    lang, said = language_of_figures(lab.lang) if lab.lang != ENGLISH and asked else (ENGLISH, [])
    notes += said
    found: dict[str, bytes] = {}
    for path, names in asked.items():
        study = studies[path]
        for name, drawing in figures_of(study.findings, path, notes, lang).items():
            if name in names:
                found |= {f"{figure_path(study.folder, name)}.{kind}": data for kind, data in drawing.items()}
    return found


def _refuse_edited(lab: LabFolder) -> None:
    edited = [place for place in lab.places if place.is_edited]
    if edited:
        lines = "\n".join(f"{lab.report_file}:{place.line}: {place.asked}" for place in edited)
        raise UsageError(
            f"somebody wrote inside a place that is filled, and filling would lose it:\n{lines}\nmove your sentences "
            "below the closing mark and try again, or add --replace to lose them. Nothing was changed."
        )
