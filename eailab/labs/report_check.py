"""Hold a student's report to its store: each place to what it would be filled with now, each figure to its numbers."""

import io
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
from PIL import Image

from eailab import __version__, files
from eailab.errors import EailabError
from eailab.labs.contents import PlaceContent
from eailab.labs.fill import contents_of, figures_in
from eailab.labs.folder import REPORT_FILE, LabFolder
from eailab.labs.new import folder_of
from eailab.labs.places import Place, places_of
from eailab.plain import plain
from eailab.report.compose import figure_path
from eailab.translation import ENGLISH

PLAN = "plan"
"""A place that may say that there is none: that the plan is missing costs its own points."""
SHOWN_WORDS = 6
"""Of a difference."""


def report_problems(lab: LabFolder, name: str | None) -> tuple[list[str], list[str]]:
    """Return what is wrong with a report, and what is to be looked at; with a lab's name, it must have its places.

    Raises:
        EailabError: There is no report, or its marks are not well formed.
    """
    wrong = list(_missing_places(lab, name))
    contents, look = contents_of(lab), list[str]()
    for place, content in contents:
        is_of_another = not place.is_edited and place.filled_by not in ("", __version__)
        said = _differences(lab, place, content)
        if is_of_another and not content.missing:
            look += [f"{one} (filled by eailab {plain(place.filled_by)}, and this is {__version__})" for one in said]
        else:
            wrong += said
    notes = list[str]()
    figures, other = _figures(lab, [content for _, content in contents], notes)
    return [*wrong, *notes, *figures], [*look, *other]


def _missing_places(lab: LabFolder, name: str | None) -> Iterator[str]:
    if name is None:
        return
    template = files.read(folder_of(name) / f"report.{ENGLISH}.md", files.STUDENTS_REPORT).decode()
    there = {place.asked for place in lab.places}
    for place in places_of(template, name):
        if place.asked not in there:
            yield f"the report lacks the place {place.asked}"


def _differences(lab: LabFolder, place: Place, content: PlaceContent) -> list[str]:
    """Say where a place holds something else than its store gives."""
    where = f"{REPORT_FILE}:{place.line}: {place.asked}"
    if content.missing and place.words != (PLAN,):
        return [f"{where} cannot be filled: {content.missing} was not run"]
    theirs, ours = place.content.strip("\n"), content.text(lab.lang).strip("\n")
    if theirs == ours:
        return []
    if not theirs:
        return [f"{where} is empty: it was not filled"]
    before, after = theirs.split(), ours.split()
    said = []
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            here, there = (
                repr(" ".join(words[:SHOWN_WORDS])) if words else "nothing" for words in (before[i:j], after[k:m])
            )
            said.append(f"it says {here} where its store gives {there}")
    more = f", and {len(said) - 1} more" if len(said) > 1 else ""
    return [f"{where}: {said[0] if said else 'it has other spaces'}{more}"]


def _figures(lab: LabFolder, contents: list[PlaceContent], notes: list[str]) -> tuple[list[str], list[str]]:
    """Hold figures to those of the store, and these to what this machine draws of the numbers."""
    wrong, look, other = [], [], set[str]()
    for name, kept in figures_in(lab, contents, notes).items():
        try:
            theirs = files.read(lab.path / name, files.FIGURE)
        except FileNotFoundError:
            other.add(name)
            if name.endswith(".png"):
                wrong.append(f"{name} is missing")
            continue
        if theirs != kept:
            other.add(name)
            said = f"{name} is not the figure of these numbers"
            if lab.lang == ENGLISH:
                wrong.append(f"{said}: it was changed, or the store has changed since it was drawn")
            else:
                look.append(f"{said} as this machine draws it; other versions of its fonts draw otherwise")
    if lab.lang == ENGLISH:
        look += [
            f"{name} is not what this machine draws of the numbers: another matplotlib, or a change"
            for name in _drawn_otherwise(lab, contents)
            if name not in other
        ]
    return wrong, look


def _drawn_otherwise(lab: LabFolder, contents: list[PlaceContent]) -> Iterator[str]:
    """Yield figures whose picture is another than this machine draws, as after a change of the store's own."""
    from eailab.report.plots import study_figures
    from eailab.translation import english

    studies = {study.path: study for content in contents for of in content.figures.values() for study in of}
    asked = {(study.path, name) for content in contents for name, of in content.figures.items() for study in of}
    for path, study in studies.items():
        for name, drawing in study_figures(study.findings, english, ("png",)).items():
            file = Path(f"{figure_path(study.folder, name)}.png")
            if (path, name) in asked and not _look_alike(lab.path / file, drawing["png"]):
                yield str(file)


def _look_alike(file: Path, drawn: bytes) -> bool:
    try:
        theirs = files.read(file, files.FIGURE)
        if theirs == drawn:
            return True
        one, other = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in (theirs, drawn))
    except (OSError, ValueError, EailabError):
        return False
    return one.shape == other.shape and bool((one == other).all())
