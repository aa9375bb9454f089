"""Where a study lies in a store, by whatever recipe or path to its data an earlier version of eailab named it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from eailab.errors import StoreError
from eailab.recipe.naming import may_have_been
from eailab.runs.store import Store
from eailab.studies.design import Study, StudyRecord, read_record


def find_folder(store: Store, study: Study, data: Mapping[str, str]) -> tuple[Path, Study, list[str]]:
    """Return the folder of a study, which need not exist yet, the study as that folder has it, and notes for the user.

    Args:
        store: Where to look.
        study: With the fingerprints of its own data.
        data: Fingerprints of all its data sets, by their names in the recipes.
    """
    folder = store.root / "studies" / study.folder_name
    if (folder / "study.yaml").exists():
        return folder, study, []
    notes = []
    for other in store.study_folders():
        if not study.data and not other.name.endswith(f"-{study.fingerprint}"):
            continue
        try:
            record = read_record(other)
        except StoreError:
            continue  # said where it is asked for
        before = record.study
        recipe = study.arms[study.baseline].recipe
        if before.fingerprint == study.fingerprint and may_have_been(before.name, study.name, recipe):
            return other, replace(study, name=before.name), []
        if not study.data or len(before.arms) != len(study.arms):
            continue
        if not before.data and _is_the_same(record, study, data):
            return other, replace(before, blocks=study.blocks), []
        if replace(before, data={}).fingerprint == replace(study, data={}).fingerprint:
            notes.append(
                f"the data at {', '.join(study.data)} have changed since {other.name} was last run: that study stays, "
                "and this is another. Put the old data back, and it goes on."
            )
    return folder, study, notes


def _is_the_same(record: StudyRecord, study: Study, data: Mapping[str, str]) -> bool:
    """Whether a study that was named by the paths of its data has the same arms, and was trained on the same data."""
    pairs = zip(record.study.arms, study.arms, strict=True)
    names = {theirs.recipe.data.name: ours.recipe.data.name for theirs, ours in pairs}
    own = {theirs: study.data[ours] for theirs, ours in names.items() if ours in study.data}
    if replace(record.study, data=own).fingerprint != study.fingerprint:
        return False
    trials = record.study.trials({theirs: data[ours] for theirs, ours in names.items()})
    return all(trials[key].fingerprint == name for key, name in record.trials.items())
