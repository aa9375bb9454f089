"""Write the files of figures: a trial's curves, and a study's with what they were drawn from, in `figures.json`.

A figure is drawn only when a number has changed. One that was damaged since is drawn again, and never handed on as if
it were whole.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eailab.engines.registry import engine_of, headline_of, metrics_of
from eailab.errors import DamagedError, StoreError
from eailab.files import FIGURE, TABLE, read
from eailab.findings.path import PathFindings
from eailab.findings.study import StudyFindings
from eailab.findings.trial import curves_of, reported_curves
from eailab.report.describe import path_bars, trial_curves
from eailab.report.figures import ON_SCREEN, PATH_FIGURE, Drawing, FileKind, figure_names
from eailab.report.json_report import as_json
from eailab.runs import records
from eailab.runs.atomic import refuse_links, write_changed, write_changed_together
from eailab.runs.trial_folder import TrialFolder
from eailab.translation import ENGLISH, language

# --- of a trial ------------------------------------------------------------------------------------------------------


def write_trial_curves(folder: TrialFolder, title: str) -> bool:
    """Draw `curves.png` and `curves.svg` of a trial that has ended, where they are missing.

    A trial that has not ended, has no epoch, or cannot be read is left without: its study's table says why.

    Returns:
        Whether it has them now.

    Raises:
        StoreError: The files cannot be written.
    """
    refuse_links(folder.path.parent, folder.path)
    files = {kind: folder.path / f"curves.{kind}" for kind in ON_SCREEN}
    if not folder.result_file.exists():
        return False
    if all(file.exists() for file in files.values()):
        return True
    try:
        recipe = folder.recipe()
        metrics = metrics_of(recipe)
        is_own = engine_of(recipe).is_foreign
        curves = reported_curves(folder, metrics) if is_own else curves_of(folder.epochs(), metrics)
    except StoreError:
        return False
    if curves.is_empty:
        return False
    from eailab.report.plots import draw

    for kind, data in draw(trial_curves(curves, metrics, headline_of(recipe), title)).items():
        write_changed(files[kind], data)
    return True


# --- of a study ------------------------------------------------------------------------------------------------------

SCHEMA_VERSION = 1
"""Of `figures.json`."""

NAME = "figures.json"


def keep(folder: Path, numbers: str, figures: Mapping[str, Drawing]) -> None:
    """Write a study's figures into its folder, and then what they are and the digest of the numbers that they show.

    Raises:
        StoreError: A file cannot be written.
    """
    files = {f"{name}.{kind}": data for name, drawing in figures.items() for kind, data in drawing.items()}
    write_changed_together({folder / "figures" / name: data for name, data in files.items()})
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "numbers": _sha256(numbers.encode()),
        "figures": {name: _sha256(data) for name, data in files.items()},
    }
    text = json.dumps(record | {"checksum": records.seal(record)}, indent=2)
    write_changed(folder / NAME, f"{text}\n".encode())


def kept(folder: Path, numbers: str, names: Sequence[str], kinds: Sequence[FileKind]) -> Mapping[str, Drawing] | None:
    """Return a study's figures as they lie in its folder, or None where they were not drawn, or of other numbers.

    Raises:
        DamagedError: One has other bytes than were drawn, or there is something else than a file in its place.
        StoreError: The system does not let us read one.
    """
    try:
        record = records.parse(read(folder / NAME, TABLE))
        seal = record.pop("checksum")
        if seal != records.seal(record):
            raise ValueError("it differs from its own checksum")
        figures = dict(record["figures"])
        if record["numbers"] != _sha256(numbers.encode()) or not {f"{n}.{k}" for n in names for k in kinds} <= set(
            figures
        ):
            return None
        return {name: {kind: _whole(folder, f"{name}.{kind}", figures) for kind in kinds} for name in names}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"{folder / NAME} is damaged: {error}.") from error


def _whole(folder: Path, name: str, figures: Mapping[str, str]) -> bytes:
    file = folder / "figures" / name
    data = read(file, FIGURE)
    if _sha256(data) != figures[name]:
        raise DamagedError(f"{file} has other bytes than were drawn.")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def figures_of(
    findings: StudyFindings, folder: Path, notes: list[str], lang: str = ENGLISH, kinds: Sequence[FileKind] = ON_SCREEN
) -> Mapping[str, Drawing]:
    """Return a study's figures: those in its folder while they show the present numbers, else drawn again.

    What was damaged is added to the notes.
    """
    try:
        if lang == ENGLISH and os.path.lexists(folder / NAME):
            drawn = kept(folder, as_json(findings), figure_names(findings), kinds)
            if drawn is not None:
                return drawn
    except DamagedError as error:
        notes.append(f"{error} The figures were drawn again.")
    from eailab.report.plots import study_figures

    return study_figures(findings, language(lang), kinds)


def path_figure(
    found: PathFindings, lang: str = ENGLISH, kinds: Sequence[FileKind] = ON_SCREEN
) -> Mapping[str, Drawing]:
    """Draw the figure of a path ablation, under its name."""
    from eailab.report.plots import draw

    return {PATH_FIGURE: draw(path_bars(found), language(lang), kinds)}


def language_of_figures(lang: str) -> tuple[str, list[str]]:
    """Return the language in which figures can be labelled here, with a note where it is not the report's."""
    from eailab.report.fonts import writes_chinese

    if writes_chinese():
        return lang, []
    note = "figures next to the report are labelled in English: no font with Chinese letters is installed"
    return ENGLISH, [f"{note} (Debian's package fonts-noto-cjk has one)."]
