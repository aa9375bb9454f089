"""Write and read the records of studies, `study.yaml`, and find the folder that a study has or will have."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import yaml

from eailab.errors import DamagedError, RecipeError, StoreError, StudyError
from eailab.files import STUDY, name_and_fingerprint, read
from eailab.recipe.canonical import as_stored
from eailab.recipe.override import may_have_been
from eailab.recipe.validate import recipe_from
from eailab.runs import atomic
from eailab.runs.damage import SCHEMA_VERSION
from eailab.runs.records import Result
from eailab.runs.store import Store
from eailab.runs.trial import Trial
from eailab.studies.design import Arm, FactorialAxis, Hold, Study
from eailab.studies.factor import BUNDLE, factor_of, read_factor
from eailab.studies.heads import LOADER, UNREADABLE, check_baseline
from eailab.studies.imported import Imported, check
from eailab.studies.imported_files import read_imported

CHECKSUM = "# SHA-256 of the lines above: "
"""What the last line of `study.yaml` says before the digest."""

IMPORTED = b"\nimported: "
"""Begins the line of a record whose trials eailab did not run."""

LARGEST_COUNT = 2**63 - 1
LARGEST_COUNT_OF_RUNS = 10_000_000


@dataclass(frozen=True)
class StudyRecord:
    """A study as it lies in the store, with the names of its trials."""

    study: Study
    trials: dict[tuple[int, int], str]
    """Fingerprint of each trial by arm index and block."""
    updates: tuple[int | None, ...]
    """Optimizer steps of a trial of each arm; None of an engine without a data set."""
    training_images: int | None
    """Of the baseline; None without a data set."""
    imported: Imported | None = None
    """The trials themselves where eailab did not run them; `trials` is then empty."""
    judged: tuple[tuple[int, ...], ...] = ()
    """The blocks that each judgement so far rested on, each more than the last; none for a study with looks."""
    largest_class: float | None = None
    """Share of the largest class among the labels of its data, of several data sets the largest; None without a data
    set, and in records that are older than this field."""

    def updates_change(self, arm: int) -> float:
        """Return by how much an arm's updates differ, relative to the baseline's: -0.5 for half as many."""
        own, baseline = self.updates[arm], self.updates[self.study.baseline]
        return own / baseline - 1.0 if own and baseline else 0.0

    def restricted(self, blocks: Collection[int]) -> "StudyRecord":
        """Return the study with some of its blocks alone, and with the judgements that rest on these."""
        asked = set(blocks)
        kept = tuple(block for block in self.study.blocks if block in asked)
        judged = tuple(one for one in self.judged if asked.issuperset(one))
        return replace(self, study=replace(self.study, blocks=kept), judged=judged)

    @property
    def as_judged(self) -> "StudyRecord":
        """Return the study as it was judged last, without later blocks; the whole study before it is judged."""
        if not self.judged or set(self.judged[-1]) == set(self.study.blocks):
            return self
        return self.restricted(self.judged[-1])


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
    found: Mapping[str, Result] = field(default_factory=dict)
    """The results that the store has of the others, by fingerprint."""
    is_recorded: bool = True
    """Whether the store keeps a record of the study; trials of a tuning have none, and no audit looks at them."""

    @property
    def labels(self) -> dict[str, str]:
        """Return what to call each trial, by its fingerprint."""
        study = self.record.study
        head = study.factor.word if study.factor else study.name
        return {
            fingerprint: f"{head} {study.arms[arm].label}, block {block}" if study.factor else f"{head}, block {block}"
            for (arm, block), fingerprint in self.record.trials.items()
        }


def write_record(folder: Path, record: StudyRecord) -> None:
    """Write `study.yaml`, unless the same record is there; what it says depends on nothing but the plan.

    Raises:
        StoreError: The folder cannot be written, or is a link.
    """
    atomic.refuse_links(folder.parent, folder)
    file = folder / "study.yaml"
    with suppress(DamagedError):
        if file.exists() and read_record(folder) == record:
            return
    body = yaml.safe_dump(_mapping(record), sort_keys=False, allow_unicode=True, width=120)
    text = f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n"
    atomic.write_text(file, text)


def _mapping(record: StudyRecord) -> dict[str, Any]:
    """Return what stands in `study.yaml`, but the checksum."""
    study = record.study
    return {
        "schema_version": SCHEMA_VERSION,
        "name": study.name,
        "fingerprint": study.fingerprint,
        "factor": None if study.factor is None else str(study.factor),
        "baseline": study.baseline,
        **({} if record.imported is None else {"imported": sha256(record.imported.text.encode()).hexdigest()}),
        "blocks": _brief(record, study.blocks),
        "metric": study.metric,
        "margin": study.margin,
        "hold": study.hold,
        "looks": list(study.looks),
        **({"judged": [_brief(record, blocks) for blocks in record.judged]} if record.judged else {}),
        **({"data": dict(study.data)} if study.data else {}),
        "axes": [
            {"factor": str(axis.factor), "levels": list(axis.levels), "baseline": axis.baseline} for axis in study.axes
        ],
        "training_images": record.training_images,
        **({} if record.largest_class is None else {"largest_class": record.largest_class}),
        "arms": [
            {
                "level": arm.level,
                **({"label": arm.name} if arm.name else {}),
                "brought": list(arm.brought),
                "updates": record.updates[index],
                "trials": {
                    str(block): record.trials[index, block] for block in study.blocks if record.imported is None
                },
                "recipe": as_stored(arm.recipe),
            }
            for index, arm in enumerate(study.arms)
        ],
    }


def _brief(record: StudyRecord, blocks: Sequence[int]) -> list[int] | int:
    """Return blocks as they are written: of imported trials, of which there may be many, a count of those from 0 on."""
    counts = record.imported is not None and tuple(blocks) == tuple(range(len(blocks)))
    return len(blocks) if counts else list(blocks)


def _listed(blocks: Any) -> list[Any]:
    """Return the blocks as `_brief` wrote them."""
    return list(range(min(blocks, LARGEST_COUNT_OF_RUNS))) if type(blocks) is int else list(blocks)


def read_record(folder: Path) -> StudyRecord:
    """Read `study.yaml`.

    Raises:
        DamagedError: The file differs from its own checksum, or is not a study.
        StoreError: The file is missing, of a newer version, or the system forbids reading it.
    """
    file = folder / "study.yaml"
    try:
        text = read(file, STUDY)
        # What belongs to imported trials stands in other files too, which may have changed.
        return (_parsed.__wrapped__ if IMPORTED in text else _parsed)(text, folder)
    except FileNotFoundError as error:
        raise StoreError(f"{folder} is not a study: {file.name} is missing. Run the study's command again.") from error
    except (*UNREADABLE, StudyError, RecipeError) as error:
        raise DamagedError(f"{file} cannot be read as a study: {error}. Run the study's command again.") from error


@lru_cache(maxsize=64)
def _parsed(text: bytes, folder: Path) -> StudyRecord:
    """Return the record in a text; a command reads the same one at several places.

    Raises:
        StoreError: The text is of a newer version.
        UNREADABLE, StudyError, RecipeError: It differs from its own checksum, or is not a study.
    """
    # The version, and the checksum over all but itself.
    said = text.decode()
    version = re.match(r"schema_version: (\d{1,9})$", said, re.MULTILINE)
    if version and int(version[1]) > SCHEMA_VERSION:
        raise StoreError(
            f"{folder / 'study.yaml'} has schema version {version[1]}, this eailab knows {SCHEMA_VERSION}: install a "
            "newer eailab."
        )
    body, mark, checksum = said.rpartition(CHECKSUM)
    if not mark or checksum.strip() != sha256(body.encode()).hexdigest():
        raise ValueError("it differs from its own checksum")

    # The study, once each value is known to be of its type.
    mapping: Any = yaml.load(body, LOADER)  # noqa: S506 - both loaders are safe ones
    arms, imported = mapping["arms"], None
    if "imported" in mapping:
        imported = read_imported(folder, str(mapping["imported"]))
        mapping["blocks"] = _listed(mapping["blocks"])
    judged = tuple(tuple(_listed(blocks)) for blocks in mapping.get("judged", ()))
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
            FactorialAxis(factor_of(one["factor"].split(BUNDLE)), tuple(one["levels"]), one["baseline"])
            for one in mapping.get("axes", ())
        ),
    )
    if imported is not None:
        check(imported, study, judged, str(mapping["imported"]))
    trials = {
        (index, block): arm["trials"][str(block)]
        for index, arm in enumerate(arms)
        for block in study.blocks
        if imported is None
    }
    _check_judged(judged, study)
    return StudyRecord(
        study=study,
        trials=trials,
        updates=tuple(arm["updates"] for arm in arms),
        training_images=mapping["training_images"],
        imported=imported,
        judged=judged,
        largest_class=mapping.get("largest_class"),
    )


def _check(mapping: Any) -> None:
    """Raise ValueError where something in a study is of another type, or range, than it can be.

    Whoever changes the file can seal it again: then nothing else finds a number where a text is expected.
    """
    arms, axes = mapping["arms"], mapping.get("axes", ())
    texts = [mapping["name"], mapping["metric"], *(name for arm in arms for name in arm["trials"].values())]
    texts += [text for arm in arms for text in arm["brought"]] + [text for axis in axes for text in axis["levels"]]
    for text in texts:
        if type(text) is not str:
            raise ValueError(f"{text!r:.60} is found where a text is expected")
    counts = [mapping["training_images"], *mapping["blocks"], *mapping.get("looks", ())]
    counts += [arm["updates"] for arm in arms]
    for count in counts:
        if count is not None and (type(count) is not int or not 0 <= count <= LARGEST_COUNT):
            raise ValueError(f"{count!r:.60} is found where a whole number is expected")
    for baseline, among in [(mapping["baseline"], arms), *((axis["baseline"], axis["levels"]) for axis in axes)]:
        check_baseline(baseline, len(among))
    if type(mapping["margin"]) not in (int, float) or not 0 <= mapping["margin"] < math.inf:
        raise ValueError(f"{mapping['margin']!r:.60} is not a margin")
    largest = mapping.get("largest_class")
    if largest is not None and not (type(largest) is float and 0.0 < largest <= 1.0):
        raise ValueError(f"{largest!r:.60} is not the share of a class")
    if mapping.get("hold", "epochs") not in get_args(Hold):
        raise ValueError(f"{mapping['hold']!r:.60} is not one of the things that arms can have in common")


def _check_judged(judged: Sequence[tuple[Any, ...]], study: Study) -> None:
    """Raise ValueError where a judgement rests on other things than blocks of the study, or on none that are new."""
    before: tuple[int, ...] = ()
    for blocks in judged:
        rises = all(type(block) is int for block in blocks) and list(blocks) == sorted(set(blocks))
        if not rises or not set(before) < set(blocks) <= set(study.blocks):
            raise ValueError(f"{list(blocks)!r:.60} are not blocks that a judgement of this study can rest on")
        before = blocks


# --- where a study lies -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StudyPlace:
    """The folder of a study, which need not exist yet."""

    folder: Path
    study: Study
    """As the folder has it: an earlier version may have given it another name."""
    notes: tuple[str, ...] = ()
    """What the user should know."""


def find_folder(store: Store, study: Study, data: Sequence[str]) -> StudyPlace:
    """Return the place of a study, which has the fingerprints of its own data; its folder need not exist yet.

    `data` is what the trials of each arm depend on.
    """
    folder = store.root / "studies" / study.folder_name
    if (folder / "study.yaml").exists():
        return StudyPlace(folder, study)
    notes = []
    for other in store.study_folders():
        if not study.data and name_and_fingerprint(other.name)[1] != study.fingerprint:
            continue
        try:
            record = read_record(other)
        except StoreError:
            continue  # said where it is asked for
        before = record.study
        recipe = study.arms[study.baseline].recipe
        if before.fingerprint == study.fingerprint and may_have_been(before.name, study.name, recipe):
            return StudyPlace(other, replace(study, name=before.name))
        if not study.data or len(before.arms) != len(study.arms):
            continue
        if not before.data and _is_the_same(record, study, data):
            return StudyPlace(other, replace(before, blocks=study.blocks))
        if replace(before, data={}).fingerprint == replace(study, data={}).fingerprint:
            notes.append(
                f"the data at {', '.join(study.data)} have changed since {other.name} was last run: it is kept, "
                "and this is another one. Put the old data back to continue it."
            )
    return StudyPlace(folder, study, tuple(notes))


def _is_the_same(record: StudyRecord, study: Study, data: Sequence[str]) -> bool:
    """Return whether a study named by the paths of its data has the same arms, and was trained on the same data."""
    pairs = zip(record.study.arms, study.arms, strict=True)
    names = {theirs.recipe.data_name: ours.recipe.data_name for theirs, ours in pairs}
    own = {theirs: study.data[ours] for theirs, ours in names.items() if theirs and ours and ours in study.data}
    if replace(record.study, data=own).fingerprint != study.fingerprint:
        return False
    trials = record.study.trials(data)
    return all(trials[key].fingerprint == name for key, name in record.trials.items())
