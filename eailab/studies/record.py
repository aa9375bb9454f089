"""Studies as they lie in a store: their records, and how they leave it."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import yaml

from eailab.errors import DamagedError, RecipeError, StoreError, StudyError
from eailab.files import STUDY, read
from eailab.recipe.validate import recipe_from
from eailab.runs import atomic, store_admin
from eailab.runs.damage import SCHEMA_VERSION
from eailab.runs.lock import in_training, is_held
from eailab.runs.store import Store
from eailab.runs.trial import Trial
from eailab.studies.design import Arm, Axis, Hold, Study
from eailab.studies.factor import BUNDLE, factor_of, read_factor
from eailab.studies.lookup import LOADER, UNREADABLE, Head, PathHead, check_baseline, uses

CHECKSUM = "# SHA-256 of the lines above: "
"""What the last line of `study.yaml` says before the digest."""

LARGEST_COUNT = 2**63 - 1


@dataclass(frozen=True)
class StudyRecord:
    """A study as it lies in the store, with the names of its trials."""

    study: Study
    trials: dict[tuple[int, int], str]
    """Fingerprint of each trial by arm index and block."""
    updates: tuple[int, ...]
    """Optimizer steps of a trial of each arm."""
    training_images: int


@dataclass(frozen=True)
class Plan:
    """A study with its trials, checked against the data and the store; nothing is trained yet."""

    record: StudyRecord
    folder: Path
    trials: tuple[Trial, ...]
    """All of them, block by block."""
    todo: tuple[Trial, ...]
    """Those without a result."""
    notes: tuple[str, ...]
    """What the user should know before it starts."""

    @property
    def labels(self) -> dict[str, str]:
        """What to call each trial, by its fingerprint."""
        study = self.record.study
        head = study.factor.word if study.factor else study.name
        return {
            fingerprint: f"{head} {study.arms[arm].label}, block {block}" if study.factor else f"{head}, block {block}"
            for (arm, block), fingerprint in self.record.trials.items()
        }


def write_record(folder: Path, record: StudyRecord) -> None:
    """Write `study.yaml`; what it says depends on nothing but the plan.

    Raises:
        StoreError: The folder cannot be written, or is a link.
    """
    atomic.refuse_links(folder.parent, folder)
    study = record.study
    mapping = {
        "schema_version": SCHEMA_VERSION,
        "name": study.name,
        "fingerprint": study.fingerprint,
        "factor": None if study.factor is None else str(study.factor),
        "baseline": study.baseline,
        "blocks": list(study.blocks),
        "metric": study.metric,
        "margin": study.margin,
        "hold": study.hold,
        "looks": list(study.looks),
        **({"data": dict(study.data)} if study.data else {}),
        "axes": [
            {"factor": str(axis.factor), "levels": list(axis.levels), "baseline": axis.baseline} for axis in study.axes
        ],
        "training_images": record.training_images,
        "arms": [
            {
                "level": arm.level,
                **({"label": arm.name} if arm.name else {}),
                "brought": list(arm.brought),
                "updates": record.updates[index],
                "trials": {str(block): record.trials[index, block] for block in study.blocks},
                "recipe": arm.recipe.model_dump(mode="json"),
            }
            for index, arm in enumerate(study.arms)
        ],
    }
    body = yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, width=120)
    text = f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n"
    file = folder / "study.yaml"
    try:
        if read(file, STUDY) == text.encode():
            return
    except (FileNotFoundError, DamagedError):
        pass
    atomic.write_text(file, text)


def read_record(folder: Path) -> StudyRecord:
    """Read `study.yaml`.

    Raises:
        DamagedError: The file differs from its own checksum, or is no study.
        StoreError: The file is missing, of a newer version, or the system does not let us read it.
    """
    file = folder / "study.yaml"
    try:
        text = read(file, STUDY).decode()
        version = re.match(r"schema_version: (\d{1,9})$", text, re.MULTILINE)
        if version and int(version[1]) > SCHEMA_VERSION:
            raise StoreError(
                f"{file} has schema version {version[1]}, this eailab knows {SCHEMA_VERSION}: install a newer eailab."
            )
        body, mark, checksum = text.rpartition(CHECKSUM)
        if not mark or checksum.strip() != sha256(body.encode()).hexdigest():
            raise ValueError("it differs from its own checksum")
        mapping: Any = yaml.load(body, LOADER)  # noqa: S506 - both loaders are safe ones
        arms = mapping["arms"]
        _check(mapping)
        study = Study(
            name=mapping["name"],
            factor=None if mapping["factor"] is None else read_factor(mapping["factor"]),
            arms=tuple(
                Arm(arm["level"], recipe_from(arm["recipe"]), tuple(arm["brought"]), str(arm.get("label", "")))
                for arm in arms
            ),
            baseline=mapping["baseline"],
            blocks=tuple(mapping["blocks"]),
            metric=mapping["metric"],
            margin=mapping["margin"],
            hold=mapping.get("hold", "epochs"),
            looks=tuple(mapping.get("looks", ())),
            data=dict(mapping.get("data", {})),
            axes=tuple(
                Axis(factor_of(one["factor"].split(BUNDLE)), tuple(one["levels"]), one["baseline"])
                for one in mapping.get("axes", ())
            ),
        )
        trials = {(index, block): arm["trials"][str(block)] for index, arm in enumerate(arms) for block in study.blocks}
        return StudyRecord(study, trials, tuple(arm["updates"] for arm in arms), mapping["training_images"])
    except FileNotFoundError as error:
        raise StoreError(f"{folder} is no study: {file.name} is missing. Run the study's command again.") from error
    except (*UNREADABLE, StudyError, RecipeError) as error:
        raise DamagedError(f"{file} cannot be read as a study: {error}. Run the study's command again.") from error


def _check(mapping: Any) -> None:
    """Raise ValueError where something in a study is of another type, or range, than it can be.

    Whoever changes the file can seal it again: then nothing else finds a number where a text is expected.
    """
    arms, axes = mapping["arms"], mapping.get("axes", ())
    texts = [mapping["name"], mapping["metric"], *(name for arm in arms for name in arm["trials"].values())]
    texts += [text for arm in arms for text in arm["brought"]] + [text for axis in axes for text in axis["levels"]]
    for text in texts:
        if type(text) is not str:
            raise ValueError(f"{text!r:.60} stands where a text is expected")
    counts = [mapping["training_images"], *mapping["blocks"], *mapping.get("looks", ())]
    counts += [arm["updates"] for arm in arms]
    for count in counts:
        if type(count) is not int or not 0 <= count <= LARGEST_COUNT:
            raise ValueError(f"{count!r:.60} stands where a whole number is expected")
    for baseline, among in [(mapping["baseline"], arms), *((axis["baseline"], axis["levels"]) for axis in axes)]:
        check_baseline(baseline, len(among))
    if type(mapping["margin"]) not in (int, float) or not 0 <= mapping["margin"] < math.inf:
        raise ValueError(f"{mapping['margin']!r:.60} is not a margin")
    if mapping.get("hold", "epochs") not in get_args(Hold):
        raise ValueError(f"{mapping['hold']!r:.60} is nothing that arms have in common")


# --- removing a study ------------------------------------------------------------------------------------------------


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
        store_admin.remove(store, store.folder(name))
    store_admin.delete(aside)
