"""Verify a report: make it again from the store, and compare the two, a page to the last letter."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from eailab import __version__
from eailab.data.dataset import Dataset, largest_class
from eailab.data.registry import load
from eailab.errors import DataError, StoreError, UsageError
from eailab.files import REPORT, name_and_fingerprint, read
from eailab.plain import plain
from eailab.recipe.base import Recipe
from eailab.report.formats import FORMATS
from eailab.report.manifest import Manifest, ReportedStudy, of_csv, of_json, parse
from eailab.report.report_diff import ReportDiff, compare
from eailab.report.study_report import PathReport, Report, StudyReport, load_path, load_study, why_unreadable
from eailab.runs.damage import mislabelled
from eailab.runs.store import Store
from eailab.runs.store import verify as check_result
from eailab.runs.trial import Trial
from eailab.studies.admin import Unnamed, blocks_left_out, contradictions, path_contradictions, unnamed
from eailab.studies.factor import BUNDLE
from eailab.studies.heads import STEPS_FOLDER, STUDIES, TUNING, Head, Tried, head_of, heads
from eailab.studies.labels import Names, renamed, renamed_tuning
from eailab.studies.lookup import find_fingerprint
from eailab.studies.storage import StudyRecord
from eailab.studies.tuning_check import tuning_contradictions
from eailab.studies.tuning_file import Tuning


@dataclass(frozen=True)
class Verification:
    """The result of a check of a report."""

    outcome: ReportDiff
    trials: int
    """Whose files were held to their checksums; one that several studies share is one."""
    failing: int
    """Of these, which do not hold."""
    problems: tuple[str, ...]
    """About studies and trials of the store."""
    gaps: tuple[str, ...]
    """Trials without a result, which the report must show as such."""
    notes: tuple[str, ...]
    """What else a person should know; not a problem."""
    records: tuple[StudyRecord, ...]
    """The studies that the report is about."""
    tunings: Mapping[str, Tuning]
    """How the arms of some of them were tuned, by the study's fingerprint."""
    manifest: Manifest
    """What the report says it was made of."""
    missing_data: tuple[str, ...] = ()
    """Data sets that are not here, without which a report says less."""

    @property
    def holds(self) -> bool:
        """Return whether every number matches and every file of every trial holds."""
        return self.outcome.holds and not self.problems

    def mapping(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "holds": self.holds,
            "numbers": self.outcome.numbers,
            "matching": self.outcome.matching,
            "differences": list(self.outcome.problems),
            "trials": self.trials,
            "store": list(self.problems),
            "gaps": list(self.gaps),
            "not_checked": list(self.outcome.foreign),
            "notes": list(self.notes),
        }

    def trial(self, store: Store, wanted: str) -> Trial:
        """Return a trial of the report by a name that its user gives.

        Raises:
            UsageError: The report has no such trial, or that has no result in the store.
        """
        if all(record.imported for record in self.records):
            raise UsageError(
                f"--retrain {wanted}: eailab did not run these trials, and cannot train them again. Leave it out: the "
                "numbers are read from the kept source again all the same."
            )
        trials = {name: (record, key) for record in self.records for key, name in record.trials.items()}
        of_tunings = {name: block for one in self.tunings.values() for _, block, name in one.tried}
        found = [head_of(record, self._tried(record)) for record in self.records]
        names = {source.folder: source.names for source in self.manifest.sources if source.names}
        found += [
            head_of(
                renamed(record, names[record.study.folder_name]), self._tried(record, names[record.study.folder_name])
            )
            for record in self.records
            if record.study.folder_name in names
        ]
        fingerprint = find_fingerprint(found, {*trials, *of_tunings}, wanted, "the report")
        result = store.folder(fingerprint).record()
        if result is None:
            raise UsageError(f"--retrain {wanted} has no result in the store to compare with.")
        if fingerprint not in trials:
            return Trial(store.folder(fingerprint).recipe(), of_tunings[fingerprint], result["data"])
        record, (arm, block) = trials[fingerprint]
        return Trial(record.study.arms[arm].recipe, block, result["data"])

    def _tried(self, record: StudyRecord, names: Names | None = None) -> Iterator[Tried]:
        tuning = renamed_tuning(self.tunings.get(record.study.fingerprint), names or {})
        return iter(()) if tuning is None else tuning.tried


def verify(report: Path, store: Store, data_dir: Path | None = None) -> Verification:
    """Make a report again from the store, and compare the two; hold every trial to its checksums and name.

    Args:
        report: A page, markdown, LaTeX, CSV or JSON file that eailab wrote.
        store: Where its trials lie.
        data_dir: Folder of downloaded data sets, which class-wise numbers need.

    Raises:
        UsageError: The file cannot be read, is not a report of eailab, or is a page of another version.
        StoreError: A study of the report is not in the store.
    """
    manifest, studies, paths, outcome = _compared(report, store, data_dir)
    problems, notes = _left_out(studies)
    if report.suffix.lower() in (".md", ".tex") and manifest.version != __version__:
        notes.append(f"the report was made by {_made_by(manifest)}: if it differs, make it again, and compare that.")
    notes += [
        f"the report calls {own} of {source.folder} {name}"
        for source in manifest.sources
        for own, name in source.names.items()
    ]
    tally = check_sources(store, studies, paths, data_dir)
    return Verification(
        outcome=outcome,
        trials=len(tally.checked),
        failing=len(tally.failing),
        problems=(*problems, *tally.about_studies, *tally.problems),
        gaps=tuple(tally.gaps),
        notes=(*notes, *dict.fromkeys(tally.notes)),
        records=(*(study.record for study in studies), *(record for one in paths for record in one.record.records)),
        tunings={one.record.study.fingerprint: tuning for one in studies if (tuning := one.tuning) is not None},
        manifest=manifest,
        missing_data=tuple(tally.missing_data),
    )


def check_sources(
    store: Store, studies: Sequence[StudyReport], paths: Sequence[PathReport], data_dir: Path | None = None
) -> "Tally":
    """Hold the records of studies and path ablations, and every trial of theirs, to what must be true of them."""
    loose = unnamed(store)
    tally = Tally(store, data_dir)
    for study in studies:
        datasets = tally.check(study.folder, study.record)
        if (tuning := study.tuning) is not None:
            tally.check_tuning(study.folder, study.record, tuning, datasets)
        tally.about_studies += [f"{study.folder}: {said}" for said in check_study(store, study, datasets, loose)]
    for one in paths:
        said = path_contradictions(store, one.record.folder, loose)
        tally.about_studies += [f"{one.folder}: {sentence}" for sentence in said]
        for record in one.record.records:
            tally.check(one.folder, record)
    return tally


class Tally:
    """The trials of a report's studies, each held to its checksums, its name and the labels of its images."""

    def __init__(self, store: Store, data_dir: Path | None) -> None:
        self.store, self.data_dir = store, data_dir
        self.checked, self.failing = set[str](), set[str]()
        self.about_studies = list[str]()
        self.missing_data = dict[str, None]()
        self.problems, self.gaps, self.notes = list[str](), list[str](), list[str]()

    def check(self, folder: str, record: StudyRecord) -> dict[str, Dataset | None]:
        """Check the trials of a study, and return its data sets."""
        arms, datasets = record.study.arms, _datasets(record, self.data_dir)
        self.missing_data |= {name: None for name, dataset in datasets.items() if dataset is None}
        self.notes += [
            f"{folder}: results were not held to the labels of {name}, which were not found here; a report's intervals "
            "for new images need them"
            for name, dataset in datasets.items()
            if dataset is None
        ]
        if record.imported is not None:
            self.notes.append(f"{folder}: eailab did not run its trials: their values were read from the source again")
            return datasets
        for index, block in product(range(len(arms)), record.study.blocks):
            dataset, name = datasets.get(arms[index].recipe.data_name or ""), f"{folder}/{arms[index].label}/{block}"
            self._check(record.trials[index, block], block, name, arms[index].recipe, dataset)
        return datasets

    def check_tuning(
        self, folder: str, record: StudyRecord, tuning: Tuning, datasets: Mapping[str, Dataset | None]
    ) -> None:
        """Check the trials by which the arms of a study were tuned."""
        by_label = {arm.label: arm.recipe for arm in record.study.arms}
        recipes = {one.before: by_label[one.label] for one in tuning.arms}
        for one in tuning.arms:
            dataset = datasets.get(recipes[one.before].data_name or "")
            for training in one.trainings:
                name = f"{folder}/{one.before}{BUNDLE}{training.value}/{training.block}"
                self._check(training.trial, training.block, name, recipes[one.before], dataset)

    def _check(self, fingerprint: str, block: int, name: str, recipe: Recipe, dataset: Dataset | None) -> None:
        problem, has_result = check_trial(self.store, fingerprint, recipe, block, dataset)
        if has_result:
            self.checked.add(fingerprint)
        if problem is not None:
            self.failing.add(fingerprint)
            self.problems.append(f"{name}: {problem}")
        elif not has_result:
            self.gaps.append(f"{name}: no result in the store")


def _compared(
    report: Path, store: Store, data_dir: Path | None
) -> tuple[Manifest, tuple[StudyReport, ...], tuple[PathReport, ...], ReportDiff]:
    """Make a report again from what it says it was made of, and compare the two."""
    text = _read(report)
    suffix = report.suffix.lower()
    by_suffix = {form.suffix: form for form in FORMATS.values()}
    if suffix not in by_suffix:
        raise UsageError(f"{report} is not a report: give a file that ends in {', '.join(sorted(by_suffix))}.")
    try:
        manifest = _manifest(text, suffix, store)
        if suffix == ".html" and manifest.version != __version__:
            raise UsageError(f"it was made by {_made_by(manifest)}: make it again with `eailab report`.")
        known = heads(store.root, STUDIES)
        studies = tuple(_as_related(text, _load(store, source, data_dir, known)) for source in manifest.sources)
        paths = tuple(
            load_path(store, _folder(store, source.folder, STEPS_FOLDER), source.blocks) for source in manifest.paths
        )
        kept = _still_unreadable(manifest, store, data_dir)
        made_again = Report(manifest.kind, manifest.lang, studies, kept, manifest.version, paths)
        return manifest, studies, paths, compare(text, by_suffix[suffix].text(made_again), suffix)
    except UsageError as error:
        raise UsageError(f"{report} cannot be verified: {error}") from error
    except (ValueError, RecursionError, csv.Error) as error:
        raise UsageError(f"{report} cannot be verified: it is not a whole file ({error}).") from error


def _left_out(studies: Sequence[StudyReport]) -> tuple[list[str], list[str]]:
    """Name the blocks that a report leaves out: a problem where it has later ones, else a note on a study that grew."""
    problems, notes = list[str](), list[str]()
    for study in studies:
        notes += study.notes
        if study.left_out:
            has_grown = min(study.left_out) > max(study.record.study.blocks)
            blocks = ", ".join(map(str, study.left_out))
            said = f"{study.folder} has blocks that the report leaves out: {blocks}. Make it again to report them."
            (notes if has_grown else problems).append(said)
    return problems, notes


def check_trial(
    store: Store, fingerprint: str, recipe: Recipe, block: int, dataset: Dataset | None = None
) -> tuple[str | None, bool]:
    """Hold a trial to its checksums, to what follows from its recipe, and to the labels of its images.

    Args:
        store: Where it lies.
        fingerprint: Its name.
        recipe: Of its arm; one that is tuned differs from it in settings that choose no images.
        block: Its block.
        dataset: Whose labels to hold its accuracies to; None where they are not here.

    Returns:
        What is wrong, or None; and whether there is a result.
    """
    try:
        found = check_result(store.folder(fingerprint))
        if found is None:
            return None, False
        result, predictions = found
        if predictions is None or dataset is None or recipe.images is None:
            return None, True
        return next(mislabelled(recipe.images, block, result, predictions, dataset), None), True
    except StoreError as error:
        return str(error), True


def check_study(
    store: Store, study: StudyReport, datasets: Mapping[str, Dataset | None], loose: Unnamed
) -> Iterator[str]:
    """Yield what a study's record says and what does not follow from its recipes and trials."""
    images = {name: len(found.train) for name, found in datasets.items() if found is not None}
    yield from contradictions(store, study.record, images)
    yield from tuning_contradictions(store, study.record, study.tuning)
    if study.findings.is_tuning_lost:
        yield f"its {TUNING} is damaged, so how its arms were tuned was not checked"
    own = [datasets.get(arm.recipe.data_name or "") for arm in study.record.study.arms]
    said, derived = study.record.largest_class, largest_class(found for found in own if found is not None)
    if None not in (said, *own) and said != derived:
        yield f"it says that the largest class has the share {said:.6g} of its data, and that is {derived:.6g}"
    whole = replace(study.record.study, blocks=(*study.record.study.blocks, *study.left_out, *study.later))
    if left_out := blocks_left_out(replace(study.record, study=whole), loose):
        yield f"it {left_out}"


def _datasets(record: StudyRecord, data_dir: Path | None) -> dict[str, Dataset | None]:
    """Return the data sets that a study's trials were trained on, by name; None for one that is not on this machine."""
    found: dict[str, Dataset | None] = {}
    for index, arm in enumerate(record.study.arms):
        name, block = arm.recipe.data_name, record.study.blocks[0]
        if name is None:
            continue
        if name not in found:
            with suppress(DataError):
                found[name] = load(name, data_dir, download=False)
            dataset = found.setdefault(name, None)
            if dataset and Trial(arm.recipe, block, dataset.fingerprint).fingerprint != record.trials[index, block]:
                found[name] = None
    return found


def _manifest(text: str, suffix: str, store: Store) -> Manifest:
    if suffix == ".json":
        return of_json(json.loads(text))
    if suffix == ".csv":
        return of_csv(text, lambda folder: (store.root / "studies" / folder / STEPS_FOLDER).is_dir())
    return parse(text)


def _folder(store: Store, name: str, holds: str) -> Path:
    path = store.root / "studies" / name
    if not (path / holds).exists():
        raise StoreError(f"the report names {name}, which is not in {store.root}: name its folder with --runs.")
    return path


def _as_related(text: str, study: StudyReport) -> StudyReport:
    """Return a study without the others of its trials that its report does not name, and with a note on these.

    They may have been judged since the report was made, which takes nothing back that it says.
    """
    named = tuple(one for one in study.findings.related if name_and_fingerprint(one.called)[1] in text)
    since = [one for one in study.findings.related if one not in named]
    notes = [f"the report does not name {one.called}, which judges trials of {study.folder} too." for one in since]
    return replace(study, findings=replace(study.findings, related=named), notes=(*study.notes, *notes))


def _load(store: Store, source: ReportedStudy, data_dir: Path | None, known: Sequence[Head]) -> StudyReport:
    path = _folder(store, source.folder, "study.yaml")
    study = load_study(store, path, data_dir, source.blocks, known, source.names)
    if study.folder != source.folder:
        raise StoreError(
            f"{path} contains another study than its name says, {study.folder}: its study.yaml was changed."
        )
    return study


def _still_unreadable(manifest: Manifest, store: Store, data_dir: Path | None) -> tuple[str, ...]:
    """Return those of a report's messages on unreadable studies that are said today too."""
    said = set[str]()
    for folder in store.study_folders() if manifest.unreadable else ():
        try:
            load_study(store, folder, data_dir)
        except StoreError as error:
            said.add(why_unreadable(folder, error))
    return tuple(message for message in manifest.unreadable if message in said)


def _made_by(manifest: Manifest) -> str:
    made_by = "an earlier eailab" if manifest.version is None else f"eailab {plain(manifest.version):.40}"
    return f"{made_by}, and this is {__version__}"


def _read(report: Path) -> str:
    try:
        return read(report, REPORT).decode()
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {report}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{report} cannot be read: it is not text.") from error
