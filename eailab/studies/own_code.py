"""Say that the code of a person's own network has changed since a study of it was last planned."""

from contextlib import suppress
from pathlib import Path

from eailab.errors import EailabError
from eailab.files import safe_name
from eailab.plain import plain
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import flatten
from eailab.runs.store import Store
from eailab.studies.design import Study
from eailab.studies.storage import read_record

CODE = "model.code"
MOST_STUDIES = 50
"""Of the same name that are looked at, the newest ones."""


def notes_on_code(store: Store, study: Study) -> list[str]:
    """Name the earlier study that differs in the code of its networks alone, in a sentence."""
    if not any(arm.recipe.images and arm.recipe.images.has_own_network for arm in study.arms):
        return []
    asked = _without_code(study)
    for folder in _newest(store, study):
        try:
            before = read_record(folder).study
        except (EailabError, OSError):
            continue  # damaged, or not a study: whoever reads it says so
        if before.fingerprint == study.fingerprint or _without_code(before) != asked:
            continue
        pairs = zip(before.arms, study.arms, strict=True)
        changed = {
            str(flatten(now.recipe)["model.file"])
            for old, now in pairs
            if flatten(old.recipe).get(CODE) != flatten(now.recipe).get(CODE)
        }
        return [
            f"{', '.join(map(plain, sorted(changed)))}, or a module beside it, has changed since the study "
            f"{folder.name}: this is another study, and the trials of that one stay in {store.root / 'trials'}."
        ]
    return []


def _newest(store: Store, study: Study) -> list[Path]:
    """Return the folders of studies of the same name, those that were planned last first."""
    found = []
    for file in (store.root / "studies").glob(f"{safe_name(study.name)}-*/study.yaml"):
        with suppress(OSError):  # it was removed meanwhile
            found.append((file.stat().st_mtime_ns, file.parent))
    return [folder for _, folder in sorted(found, reverse=True)][:MOST_STUDIES]


def _without_code(study: Study) -> tuple[object, ...]:
    def settings(recipe: Recipe) -> dict[str, object]:
        return {path: value for path, value in flatten(recipe).items() if path not in (CODE, "name", "threads")}

    return str(study.factor), study.baseline, [settings(arm.recipe) for arm in study.arms]
