"""A study leaves the store, with those of its trials that no other study has."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from eailab.errors import StoreError
from eailab.runs import atomic, inspection
from eailab.runs.lock import in_training, is_held
from eailab.runs.store import Store
from eailab.studies.lookup import Head, PathHead, uses


def own_trials(store: Store, doomed: Head | PathHead, found: Sequence[Head]) -> list[str]:
    """Return the trials in the store that this study alone has.

    Args:
        store: Where they lie.
        doomed: The study, or path ablation.
        found: All studies of the store and all steps of path ablations.

    Raises:
        StoreError: A study cannot be read, so that nothing tells which trials it has.
    """
    others = [head for head in found if not head.folder.is_relative_to(doomed.folder)]
    if unread := [head for head in others if not head.trials]:
        raise StoreError(
            f"{unread[0].folder / 'study.yaml'} cannot be read, and may name trials of {doomed.called}: run its "
            "command again, or move it aside with `eailab runs verify --repair`."
        )
    present, shared = set(store.trial_names()), set(uses(others))
    return sorted(name for name in set(doomed.trials.values()) & present if name not in shared)


def remove_study(store: Store, doomed: Head | PathHead, trials: Sequence[str]) -> None:
    """Delete a study's folder and then some of its trials for good.

    Args:
        store: Where they lie.
        doomed: The study, or path ablation.
        trials: As `own_trials` returns them.

    Raises:
        StoreError: A process is training one of the trials, or something cannot be removed.
    """
    for name in trials:
        if is_held(folder := store.folder(name).path):
            raise in_training(folder, name)
    atomic.refuse_links(doomed.folder.parent, doomed.folder)
    aside = store.root / f".removed-{doomed.folder.name}-{uuid4().hex[:8]}"
    atomic.rename(doomed.folder, aside)
    for name in trials:
        inspection.remove(store, store.folder(name))
    _delete(aside)


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StoreError(f"{folder} could not be removed: {error.strerror or error}. Remove it by hand.") from error
