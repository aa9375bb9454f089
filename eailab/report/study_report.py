"""Read the studies of a report from the store with all that any format needs of them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from eailab import __version__
from eailab.errors import DataError, StoreError
from eailab.findings.apart import tell_apart
from eailab.findings.classes import Classes, classes_of
from eailab.findings.costs import ArmCost, costs, tuning_costs
from eailab.findings.methods import answers
from eailab.findings.networks import ArmNetwork, networks
from eailab.findings.path import PathFindings, findings_along
from eailab.findings.study import StudyFindings, study_findings
from eailab.findings.tables import Fact
from eailab.findings.trial import TrialFindings
from eailab.recipe.base import Recipe
from eailab.report.augmented_images import KeptSheet, kept_sheet
from eailab.report.manifest import Kind, Manifest, ReportedStudy
from eailab.runs.store import Store
from eailab.studies.heads import STUDIES, Head, heads
from eailab.studies.judgements import note_on_later_blocks, related_studies
from eailab.studies.labels import Names, renamed
from eailab.studies.path_run import PathRecord, read_path_ablation
from eailab.studies.storage import StudyRecord, read_record
from eailab.studies.tuning_file import Tuning, read_tuning
from eailab.translation import text_of


@dataclass(frozen=True)
class StudyReport:
    """A study with everything that reports say of it."""

    path: Path
    """Its folder in the store."""
    record: StudyRecord
    findings: StudyFindings
    costs: tuple[ArmCost, ...]
    classes: Classes | None = None
    """None of an engine that predicts no classes, and where they are not known."""
    no_classes: str | None = None
    """Why they are not known."""
    left_out: tuple[int, ...] = ()
    """Blocks that the study was judged with and that are not reported."""
    later: tuple[int, ...] = ()
    """Blocks that it has had since it was judged last, which no report has."""
    notes: tuple[str, ...] = ()
    """What the user should know of it besides."""
    tuning_costs: tuple[ArmCost, ...] = ()
    """Of the tuning of each arm; empty where they were not tuned."""
    sheet: KeptSheet | None = None
    """How training images are varied; None where they are not, or it was not kept where the study was trained."""

    @property
    def store(self) -> Store:
        """Return where its trials lie."""
        return Store(self.path.parent.parent)

    @property
    def tuning(self) -> Tuning | None:
        """Return how its arms were tuned, as the store has it."""
        return read_tuning(self.path) if self.findings.names and self.findings.tuning else self.findings.tuning

    def recipe_of(self, arm: int, trial: TrialFindings) -> Recipe:
        """Return the recipe of a trial of an arm of the findings; several arms of the record may be compared as one."""
        return self._recipes.get(trial.fingerprint) or self.record.study.arms[arm].recipe

    @cached_property
    def _recipes(self) -> dict[str, Recipe]:
        return {name: self.record.study.arms[arm].recipe for (arm, _), name in self.record.trials.items()}

    @property
    def answers(self) -> tuple[Fact, ...]:
        """Return what a paper says of it."""
        return answers(self.findings, renamed(self.record, self.findings.names), self.costs)

    @property
    def networks(self) -> list[ArmNetwork]:
        """Return the networks of its arms."""
        data = None if self.classes is None else self.classes.dataset
        if data is None:
            return networks(self.record, self.findings, None, None)
        height, width, channels = data.train.pixels.shape[1:]
        return networks(self.record, self.findings, (height, width, channels), len(data.classes))

    @property
    def folder(self) -> str:
        """Name of the study's folder."""
        return self.record.study.folder_name


@dataclass(frozen=True)
class PathReport:
    """A path ablation with what reports say of it."""

    record: PathRecord
    findings: PathFindings
    studies: tuple[StudyReport, ...]
    """Of its two ends, and of each step that was reached."""

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return self.record.folder.name


@dataclass(frozen=True)
class Report:
    """Studies to be reported, in order, and in which language."""

    kind: Kind
    lang: str
    studies: tuple[StudyReport, ...]
    unreadable: tuple[str, ...] = ()
    """Messages about studies that could not be read."""
    version: str | None = __version__
    """See `Manifest.version`."""
    paths: tuple[PathReport, ...] = ()
    """Path ablations, which come after the studies."""

    @property
    def manifest(self) -> Manifest:
        """Return what the report is made of."""
        sources = tuple(ReportedStudy(one.folder, one.findings.blocks, one.findings.names) for one in self.studies)
        paths = tuple(ReportedStudy(one.folder, one.findings.blocks) for one in self.paths)
        return Manifest(self.kind, self.lang, sources, self.unreadable, self.version, paths)

    @cached_property
    def distinguished(self) -> tuple[StudyReport, ...]:
        """Return the studies, those with the same title each with what sets it apart."""
        apart = tell_apart([study.findings for study in self.studies])
        return tuple(replace(study, findings=findings) for study, findings in zip(self.studies, apart, strict=True))


def load_study(
    store: Store,
    folder: Path,
    data_dir: Path | None = None,
    blocks: Sequence[int] | None = None,
    others: Sequence[Head] | None = None,
    names: Names | None = None,
) -> StudyReport:
    """Read a study and all that reports say of it.

    Args:
        store: Where the trials lie.
        folder: The study's, with `study.yaml`.
        data_dir: Folder of downloaded data sets; None for the usual one.
        blocks: Leave out the others; None for all that the study has.
        others: Heads of all studies of the store, among which those of the same trials are named; None to read them.
        names: What its arms are called otherwise; see `studies/labels.py`.

    Raises:
        UsageError: A name is another level's.
        StoreError: `study.yaml` is missing or damaged, or the study lacks one of the blocks.
    """
    whole = read_record(folder)
    record, left_out = whole.as_judged, tuple[int, ...]()
    known = set(record.study.blocks)
    later = tuple(block for block in whole.study.blocks if block not in known)
    if blocks is not None:
        if missing := set(blocks) - known:
            raise StoreError(f"{folder} has no block {min(missing)} any more.")
        asked = set(blocks)
        left_out = tuple(block for block in record.study.blocks if block not in asked)
        record = record.restricted(blocks)
    related = related_studies(record, folder, heads(store.root, STUDIES) if others is None else others, store)
    findings = replace(study_findings(store, record, data_dir, names, widen=True), related=related)
    classes, no_classes = None, None
    try:
        classes = classes_of(store, record, findings, data_dir)
    except DataError as error:
        no_classes = text_of(error)
    notes = tuple(note_on_later_blocks(whole, store))
    spent = costs(store, findings)
    tuning = tuning_costs(store, findings)
    sheet = kept_sheet(folder, whole)
    return StudyReport(folder, record, findings, spent, classes, no_classes, left_out, later, notes, tuning, sheet)


def load_path(store: Store, folder: Path, blocks: Sequence[int] | None = None) -> PathReport:
    """Read a path ablation, or some of its blocks alone, and all that reports say of it.

    Raises:
        StoreError: A record is missing or damaged, or it lacks one of the blocks.
    """
    record = read_path_ablation(folder)
    if blocks is not None:
        if missing := set(blocks) - set(record.path.blocks):
            raise StoreError(f"{folder} has no block {min(missing)} any more.")
        record = record.restricted(blocks)
    found = [study_findings(store, one) for one in record.records]
    studies = tuple(
        StudyReport(folder, one, findings, costs(store, findings))
        for one, findings in zip(record.records, found, strict=True)
    )
    taken = list(zip(found[1:], record.taken, record.indices, strict=False))  # the last step may have taken none yet
    return PathReport(record, findings_along(record.path, found[0], taken), studies)


def why_unreadable(folder: Path, error: StoreError) -> str:
    """Return what a report says of a study that cannot be read, without the path of the machine."""
    return str(error).replace(f"{folder.parent.parent}{os.sep}", "")
