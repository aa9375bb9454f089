"""Read the heads of studies: what finding a study and naming its trials takes, without recipes and without numpy.

So a shell may ask at each key.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from eailab.errors import StoreError
from eailab.files import PLAN, STUDY, name_and_fingerprint, read
from eailab.studies.factor import BUNDLE, label

if TYPE_CHECKING:
    from eailab.studies.storage import StudyRecord


STEPS_FOLDER, ENDS = "steps", "ends"
"""Within a path ablation's folder: its studies, by step, and the one that compares its two recipes."""
STUDIES = "studies/*/study.yaml"
STEPS = f"studies/*/{STEPS_FOLDER}/*/study.yaml"
"""Where the records of studies, and of the steps of path ablations, lie in a runs folder."""

TUNING = "tuning.json"
"""In the folder of a study whose arms were tuned."""

Tried = tuple[str, int, str]
"""A label of what a tuning tried, its block, and the trial's fingerprint."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Of YAML: libyaml, where it is there, reads ten times as fast."""
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, yaml.YAMLError)
"""Raised where a record holds other things than it should."""

_OTHER = re.compile(
    r"^(?:  recipe:\n(?:(?: {4}.*)?\n)+"
    r"|  (?:brought|updates):.*\n(?:  (?:- |  ).*\n)*"
    r"|(?:blocks|looks|judged|axes|data|schema_version|fingerprint|margin|hold|training_images|largest_class):.*\n"
    r"(?:(?:- |  ).*\n)*)",
    re.MULTILINE,
)
"""What a head lacks of a record, which takes nine tenths of the time to read."""


@dataclass(frozen=True)
class Head:
    """A study, as far as finding it and its trials goes."""

    folder: Path
    name: str
    """The study's own, which several studies may have."""
    factor: str | None
    """Dotted path of the varied field; None where there is one arm."""
    baseline: int
    metric: str
    arms: tuple[str, ...]
    """Labels."""
    trials: Mapping[tuple[int, int], str]
    """Fingerprint of each trial by arm index and block."""
    has_labels: bool = False
    """Whether a study file labels the arms; such a label says nothing without its study."""
    is_imported: bool = False
    """Whether eailab did not run its trials, which then are not in the store."""
    searched: tuple[str, ...] = ()
    """Labels of what was tried when its arms were tuned, but for those that the arms have."""
    tuning: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """Fingerprint of each trial of that tuning, by index among `labels` and block."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the labels of the arms, and of what was tried in their tuning."""
        return self.arms + self.searched

    @property
    def fingerprints(self) -> set[str]:
        """Return the fingerprints of its trials, and of those by which its arms were tuned."""
        return {*self.trials.values(), *self.tuning.values()}

    @property
    def called(self) -> str:
        """Return the name that no other study of the store has: its folder's, with the path's before a step's."""
        folder = self.folder
        return "/".join(folder.parts[-3:]) if folder.parent.name == STEPS_FOLDER else folder.name

    @property
    def names(self) -> tuple[str, ...]:
        """Return all that the study is called."""
        own = (self.called,) if "/" in self.called else (name_and_fingerprint(self.called)[0], self.called)
        return self.name, *own


@dataclass(frozen=True)
class Use:
    """A trial as a study has it."""

    head: Head
    arm: int
    """Index among the labels of the study."""
    block: int

    @property
    def label(self) -> str:
        """Return the label of its arm, or of what it tried in the tuning of one."""
        return self.head.labels[self.arm]

    @property
    def is_of_tuning(self) -> bool:
        """Return whether it was trained to tune an arm, and is not compared."""
        return (self.arm, self.block) in self.head.tuning

    @property
    def names(self) -> tuple[str, ...]:
        """Return all names of the trial: `ARM/BLOCK`, `STUDY/ARM/BLOCK`, and where there is one arm `STUDY/BLOCK`."""
        place = f"{self.label}/{self.block}"
        studies = [f"{name}/" for name in self.head.names]
        alone = [f"{study}{self.block}" for study in studies] if len(self.head.arms) == 1 else []
        return (place, *(f"{study}{place}" for study in studies), *alone)

    @property
    def shown(self) -> tuple[str, str, str]:
        """Return what tables call the trial, from the shortest name to the one that no other trial has; "" for none."""
        head, place = self.head, f"{self.label}/{self.block}"
        if len(head.arms) == 1:
            return f"{head.name}/{self.block}", f"{head.name}/{place}", f"{head.called}/{self.block}"
        return "" if head.has_labels else place, f"{head.name}/{place}", f"{head.called}/{place}"

    @property
    def lasting(self) -> str:
        """Return the name that no trial trained later can share."""
        return self.shown[-1]


@dataclass(frozen=True)
class PathHead:
    """A path ablation, as far as finding it and its trials goes."""

    folder: Path
    steps: tuple[Head, ...]
    """Its studies: the two ends, and each step that was reached."""

    @property
    def called(self) -> str:
        """Return the name that no other study of the store has."""
        return self.folder.name

    @property
    def name(self) -> str:
        """Return its own, which several may have."""
        return name_and_fingerprint(self.called)[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Return all that it is called."""
        return self.name, self.called

    @property
    def trials(self) -> Mapping[tuple[int, int, int], str]:
        """Return the fingerprint of each trial by study, arm index and block."""
        return {(at, *key): trial for at, head in enumerate(self.steps) for key, trial in head.trials.items()}

    @property
    def fingerprints(self) -> set[str]:
        """Return the fingerprints of its trials."""
        return set(self.trials.values())


def heads(runs: Path, *patterns: str) -> list[Head]:
    """Return the heads of the studies of a runs folder, by folder; one that cannot be read has its folder's name.

    Patterns are `STUDIES` and `STEPS`; both where none is given.
    """
    return [_head(file) for pattern in patterns or (STUDIES, STEPS) for file in sorted(runs.glob(pattern))]


def check_baseline(index: object, count: int) -> None:
    """Raise ValueError unless this is an index below a count."""
    if type(index) is not int or not 0 <= index < count:
        raise ValueError(f"its baseline, {index!r:.60}, is not the place of one of {count}")


def _head(file: Path) -> Head:
    try:
        mapping: Any = yaml.load(_OTHER.sub("", read(file, STUDY).decode()), LOADER)  # noqa: S506 - both are safe
        arms = mapping["arms"]
        check_baseline(mapping["baseline"], len(arms))
        labels = tuple(str(arm.get("label") or label((arm["level"],))) for arm in arms)
        searched, tuning = _searched(labels, _tried(file.parent))
        return Head(
            folder=file.parent,
            name=str(mapping["name"]),
            factor=mapping["factor"],
            baseline=mapping["baseline"],
            metric=str(mapping["metric"]),
            arms=labels,
            trials={
                (index, int(block)): str(trial)
                for index, arm in enumerate(arms)
                for block, trial in arm["trials"].items()
            },
            has_labels=any("label" in arm for arm in arms),
            is_imported="imported" in mapping,
            searched=searched,
            tuning=tuning,
        )
    except (OSError, StoreError, *UNREADABLE):
        return Head(file.parent, name_and_fingerprint(file.parent.name)[0], None, 0, "", (), {})


def _tried(folder: Path) -> list[Tried]:
    """Return what the tuning of a study's arms tried; nothing where they were not tuned, or the file is damaged."""
    try:
        mapping: Any = json.loads(read(folder / TUNING, PLAN))
        return [
            (f"{arm['before']}{BUNDLE}{one['value']}", int(one["block"]), str(one["trial"]))
            for arm in mapping["arms"]
            for one in arm["trainings"]
        ]
    except (OSError, StoreError, *UNREADABLE):
        return []


def _searched(labels: Sequence[str], tried: Iterable[Tried]) -> tuple[tuple[str, ...], dict[tuple[int, int], str]]:
    """Return the labels of a tuning that the arms lack, and its trials by index among all labels and block."""
    places = {label: index for index, label in enumerate(labels)}
    trials = {}
    for said, block, trial in tried:
        trials[places.setdefault(said, len(places)), block] = trial
    return tuple(places)[len(labels) :], trials


def head_of(record: "StudyRecord", tried: Iterable[Tried] = ()) -> Head:
    """Return the head of a study that has been read, and of what the tuning of its arms tried."""
    study = record.study
    labels = tuple(arm.label for arm in study.arms)
    searched, tuning = _searched(labels, tried)
    return Head(
        folder=Path(study.folder_name),
        name=study.name,
        factor=None if study.factor is None else str(study.factor),
        baseline=study.baseline,
        metric=study.metric,
        arms=labels,
        trials=record.trials,
        has_labels=any(arm.name for arm in study.arms),
        searched=searched,
        tuning=tuning,
    )


def path_heads(found: Iterable[Head]) -> list[PathHead]:
    """Return the path ablations that some steps belong to, by folder."""
    steps: dict[Path, list[Head]] = defaultdict(list)
    for head in found:
        if head.folder.parent.name == STEPS_FOLDER:
            steps[head.folder.parents[1]].append(head)
    return [PathHead(folder, tuple(steps[folder])) for folder in sorted(steps)]


def uses(found: Iterable[Head]) -> dict[str, list[Use]]:
    """Return where studies have each trial, by its fingerprint."""
    table: dict[str, list[Use]] = defaultdict(list)
    for head in found:
        for (arm, block), trial in (*head.trials.items(), *head.tuning.items()):
            table[trial].append(Use(head, arm, block))
    return dict(table)


def trial_names(table: Mapping[str, Sequence[Use]]) -> dict[str, str]:
    """Return the shortest name of each trial that no other trial has, by its fingerprint."""
    meant: dict[str, set[str]] = defaultdict(set)
    for trial, places in table.items():
        for place in places:
            for name in place.names:
                meant[name].add(trial)
    return {
        trial: next(place.shown[at] for at in range(3) for place in places if len(meant.get(place.shown[at], ())) == 1)
        for trial, places in table.items()
    }
