"""Freeze plans before the trials they name are trained, so that a report tells what was planned from the rest.

A plan is a file of the store, `plans/<fingerprint>.yaml`. Its fingerprint is over everything that it says but the time,
so that the same plan is one file, and a plan that was changed afterwards no longer fits its name.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from eailab.errors import DamagedError, StoreError, StudyError
from eailab.files import PLAN, name_and_fingerprint, read
from eailab.recipe.canonical import digest
from eailab.runs.atomic import refuse_links, set_aside, write_text
from eailab.runs.store import Store, StoreProblem, is_foreign
from eailab.seeding import LARGEST_BLOCK
from eailab.studies.design import Study
from eailab.studies.heads import STUDIES, heads
from eailab.studies.storage import Plan, StudyRecord

SCHEMA_VERSION = 1
"""Of a plan's file."""

_FINGERPRINT = re.compile(rb"\b[0-9a-f]{10}\b")


Blocks = tuple[Annotated[int, Field(ge=0, le=LARGEST_BLOCK)], ...]


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class FrozenStudy:
    """A study as it was planned."""

    name: str
    fingerprint: str
    """Over arms, baseline, metric, margin and what is held: another of these is another study."""
    blocks: Blocks
    seen: Blocks
    """Blocks of which a trial was finished when the plan was frozen, so that its result could have been known."""


@checked_dataclass(frozen=True, config=ConfigDict(strict=True))
class FrozenPlan:
    """A hypothesis, and the studies that are to test it."""

    hypothesis: str
    studies: tuple[FrozenStudy, ...]

    @property
    def fingerprint(self) -> str:
        """Return ten hexadecimal digits over all of it."""
        return digest(self.mapping())[:10]

    def mapping(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {"schema_version": SCHEMA_VERSION, **_FROZEN.dump_python(self, mode="json")}


_FROZEN = TypeAdapter(FrozenPlan)


@dataclass(frozen=True)
class BrokenPlan:
    """A file of a frozen plan that cannot be read, or is not what was frozen."""

    file: Path
    reason: str
    studies: frozenset[str]
    """Fingerprints that can still be read in it: of the studies that it may have named."""


@dataclass(frozen=True)
class Standing:
    """The standing of a study by the frozen plans of its store."""

    plan: FrozenPlan | None
    """The plan that names it; None when all of it is post hoc."""
    post_hoc: tuple[int, ...]
    """Its blocks that the plan does not name."""
    seen: tuple[int, ...]
    """Its blocks that were known, in part or whole, when the plan was frozen."""
    broken: tuple[str, ...] = ()
    """Names of the files of plans that may have named it, and that do not hold."""


def freeze(
    plans: Sequence[Plan], hypothesis: str, store: Store, is_over: Callable[[Plan], bool] = lambda _: False
) -> tuple[FrozenPlan, Path]:
    """Write a plan; one that is frozen already keeps its file, unless that is damaged.

    Args:
        plans: The studies with all their blocks.
        hypothesis: What they are expected to show.
        store: Where it is kept, next to the trials.
        is_over: Says of a study with looks that it was decided before all its trials were trained.

    Raises:
        StudyError: The hypothesis says nothing, or a study's results are all known.
        StoreError: The file cannot be written, or the folder is a link.
    """
    said = " ".join(hypothesis.split())
    if not said:
        raise StudyError('-m is empty: say what you expect, such as -m "3x3 beats 7x7 by a point or more".')
    if known := [planned.record.study for planned in plans if not planned.todo or is_over(planned)]:
        why = "its looks are over" if known[0].looks else "every trial has ended already"
        further = "" if known[0].looks else "Plan further blocks with a larger --seeds, or f"
        raise StudyError(
            f"{', '.join(study.name for study in known)}: {why}, so a plan would be written after its results. "
            f"{further or 'F'}reeze a plan before the next comparison is trained."
        )
    frozen = FrozenPlan(said, tuple(_frozen_study(planned) for planned in plans))
    file = store.root / "plans" / f"{frozen.fingerprint}.yaml"
    refuse_links(file.parent)
    if any(broken.file == file for broken in read_plans(store)[1]):
        set_aside(file)
    if not file.exists():
        mapping = frozen.mapping() | {"frozen": datetime.now(UTC).isoformat(timespec="seconds")}
        write_text(file, yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, width=120))
    return frozen, file


def known_already(planned: Plan) -> dict[str, tuple[int, ...]]:
    """Return the blocks in which an arm of a plan has ended already, by the arm's label; arms without are left out."""
    study, todo = planned.record.study, {trial.fingerprint for trial in planned.todo}
    known = {
        arm.label: tuple(block for block in study.blocks if planned.record.trials[index, block] not in todo)
        for index, arm in enumerate(study.arms)
    }
    return {label: blocks for label, blocks in known.items() if blocks}


def unplanned(store: Store, plans: Sequence[Plan]) -> list[str]:
    """Return the studies that reports call post hoc once some plans of others are frozen as the first of a store."""
    if any(read_plans(store)):
        return []
    named = {name for planned in plans for name in _names(planned.record.study)}
    return [
        head.called
        for head in heads(store.root, STUDIES)
        if head.factor is not None and name_and_fingerprint(head.folder.name)[1] not in named
    ]


def planned_otherwise(store: Store, study: Study) -> list[str]:
    """Say which frozen plans name the comparison of a study after other numbers of blocks, which makes it another.

    Of a study that one of them names nothing is said.
    """
    named = [(plan, one) for plan in read_plans(store)[0] for one in plan.studies]
    if study.factor is None or any(one.fingerprint in _names(study) for _, one in named):
        return []
    from eailab.stats.group_sequential import looks_within  # scipy, which no plan needs unless one was frozen

    notes = []
    for plan, one in named:
        trials = len(study.arms) * len(one.blocks)
        ways: dict[tuple[int, ...], str] = {(): "in a fixed number of blocks"}
        if len(one.blocks) > 1:
            ways[looks_within(trials, len(study.arms))] = f"with --until-decided --max-trials {trials}"
        notes += [
            f"the frozen plan {plan.fingerprint} has this comparison {way}. Asked for in another way it is another "
            "study, which reports call post hoc, unless a plan of its own is frozen before it is trained."
            for looks, way in ways.items()
            if one.fingerprint in _names(replace(study, looks=looks))
        ]
    return notes


def read_plans(store: Store) -> tuple[list[FrozenPlan], list[BrokenPlan]]:
    """Return the frozen plans of a store, by fingerprint, and what is there in place of others."""
    plans, broken = [], []
    for file in sorted((store.root / "plans").glob("*.yaml")):
        if is_foreign(file.name):
            continue
        text = b""
        try:
            text = read(file, PLAN)
            plans.append(_read(file, text))
        except StoreError as error:
            broken.append(BrokenPlan(file, str(error), frozenset(one.decode() for one in _FINGERPRINT.findall(text))))
    return plans, broken


def plan_problems(store: Store) -> Iterator[StoreProblem]:
    """Yield the files of frozen plans that cannot be read, or are not what was frozen."""
    return (StoreProblem(broken.file, broken.reason) for broken in read_plans(store)[1])


def standing(store: Store, record: StudyRecord) -> Standing | None:
    """Return how a study stands to the store's plans; None where nothing was ever frozen.

    A plan that does not hold costs the studies that it names their standing, and no other study anything.
    """
    plans, broken = read_plans(store)
    if not plans and not broken:
        return None
    blocks, names = record.study.blocks, _names(record.study)
    lost = tuple(one.file.name for one in broken if names & one.studies)
    naming = [(plan, study) for plan in plans for study in plan.studies if study.fingerprint in names]
    if not naming:
        return Standing(None, () if lost else blocks, (), lost)
    plan, study = max(naming, key=lambda one: len(set(one[1].blocks) & set(blocks)))
    return Standing(plan, tuple(block for block in blocks if block not in study.blocks), study.seen, lost)


def frozen_blocks(store: Store, study: Study) -> set[int]:
    """Return the blocks of a study that a frozen plan names: all, where one that may name it does not hold."""
    plans, broken = read_plans(store)
    names = _names(study)
    if any(names & one.studies for one in broken):
        return set(study.blocks)
    return {block for plan in plans for one in plan.studies if one.fingerprint in names for block in one.blocks}


def _names(study: Study) -> set[str]:
    """Return the fingerprints by which a plan may name a study; earlier versions went by the path to its data."""
    return {study.fingerprint, replace(study, data={}).fingerprint}


def _frozen_study(planned: Plan) -> FrozenStudy:
    study = planned.record.study
    seen = {block for blocks in known_already(planned).values() for block in blocks}
    return FrozenStudy(study.name, study.fingerprint, study.blocks, tuple(sorted(seen)))


def _read(file: Path, text: bytes) -> FrozenPlan:
    try:
        mapping: Any = yaml.safe_load(text)
        if mapping["schema_version"] > SCHEMA_VERSION:
            raise StoreError(
                f"{file} has schema version {mapping['schema_version']}, this eailab knows {SCHEMA_VERSION}: "
                "install a newer eailab."
            )
        plan = _FROZEN.validate_json(json.dumps(mapping, default=str))  # in which lists may stand for tuples
    except ValidationError as error:
        problem = error.errors()[0]
        where, value = ".".join(map(str, problem["loc"])), f"{problem['input']!r:.60}"
        raise DamagedError(
            f"{file} cannot be read as a frozen plan: {where} is {value}. Restore it, or remove it."
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise DamagedError(f"{file} cannot be read as a frozen plan: {error}. Restore it, or remove it.") from error
    if plan.fingerprint != file.stem:
        raise DamagedError(
            f"{file} is not what was frozen: its content has the fingerprint {plan.fingerprint}. "
            "Restore it, or remove it."
        )
    return plan
