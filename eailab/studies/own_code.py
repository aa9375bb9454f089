"""Say that the code of a network has changed since a study of it was last planned: a person's, or a library's."""

from collections.abc import Iterator, Mapping
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

CODE = {"model.code": "{}, or a module next to it,", "model.version": "the version of {}"}
"""Settings that identify code, and what is said of what they change with."""
MOST_STUDIES = 50
"""Of the same name that are looked at, the newest ones."""


def notes_on_code(store: Store, study: Study) -> list[str]:
    """Name the earlier study that differs in the code of its networks alone, in a sentence."""
    if not any(arm.recipe.images and arm.recipe.images.has_foreign_network for arm in study.arms):
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
        changed = sorted({said for old, now in pairs for said in _changed(flatten(old.recipe), flatten(now.recipe))})
        return [
            f"{' and '.join(changed)} has changed since the study {folder.name}: this is another study, and the trials "
            f"of that one stay in {store.root / 'trials'}."
        ]
    return []


def _changed(old: Mapping[str, object], now: Mapping[str, object]) -> Iterator[str]:
    """Yield what is other code in two recipes that agree in all else."""
    for path, said in CODE.items():
        if old.get(path) != now.get(path):
            yield said.format(plain(str(now.get("model.file", now["model.name"]))))


def _newest(store: Store, study: Study) -> list[Path]:
    """Return the folders of studies of the same name, those that were planned last first."""
    found = []
    for file in (store.root / "studies").glob(f"{safe_name(study.name)}-*/study.yaml"):
        with suppress(OSError):  # it was removed meanwhile
            found.append((file.stat().st_mtime_ns, file.parent))
    return [folder for _, folder in sorted(found, reverse=True)][:MOST_STUDIES]


def _without_code(study: Study) -> tuple[object, ...]:
    def settings(recipe: Recipe) -> dict[str, object]:
        return {path: value for path, value in flatten(recipe).items() if path not in (*CODE, "name", "threads")}

    return str(study.factor), study.baseline, [settings(arm.recipe) for arm in study.arms]
