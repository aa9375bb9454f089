"""Judge trials that eailab did not run: make a study of what was read, and write its table, figures and page."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from eailab.engines.named_metrics import declare
from eailab.errors import UsageError
from eailab.existing.assign import Options, assign
from eailab.existing.read import read_table
from eailab.metrics import LARGEST_NUMBER, Metric
from eailab.report.study_report import StudyReport
from eailab.report.write import write_study
from eailab.runs.store import Store
from eailab.stats.group_sequential import judgement_levels
from eailab.studies.design import Study
from eailab.studies.imported import (
    Imported,
    ImportRequest,
    Note,
    PublishedArm,
    Question,
    finite_or_none,
    in_order,
    note_of,
    parse_summary,
    study_of,
)
from eailab.studies.imported_files import digest_of, kept, write_imported
from eailab.studies.imported_judgements import Account, account_of
from eailab.studies.sharing import holding
from eailab.studies.storage import StudyRecord, write_record
from eailab.translation import tr


@dataclass(frozen=True)
class Terms:
    """The terms by which the arms are judged."""

    margin: float = 0.0
    """Largest difference that counts as none, in the unit shown."""
    target: float | None = None
    """A number in place of a baseline, in the unit of the source."""
    beat_by: float = 0.0
    """What an arm has to beat the baseline by to be BETTER, in the unit shown."""

    def __post_init__(self) -> None:
        """Refuse numbers that nothing can be held to."""
        for name, value in (("--margin", self.margin), ("--beat-by", self.beat_by)):
            if not 0.0 <= value <= LARGEST_NUMBER:
                raise UsageError(f"{name} {value:g}: give a number of 0 or more, in the metric's unit.")
        if self.target is not None and not abs(self.target) <= LARGEST_NUMBER:
            raise UsageError(f"--target {self.target:g}: give a finite number.")


@dataclass(frozen=True)
class Read:
    """Trials as they were read, and from where."""

    name: str
    """Of the study."""
    factor: tuple[str, ...]
    metric: Metric
    arms: Mapping[str, Mapping[str, float]]
    """Value by arm and seed."""
    baseline: str
    blocked: bool
    reader: str
    asked: ImportRequest
    """How they are read again."""
    sources: Mapping[str, Path] = field(default_factory=dict)
    """Files by their paths below the kept copy."""
    notes: tuple[Note, ...] = ()
    summaries: Mapping[str, PublishedArm] = field(default_factory=dict)


def judge(read: Read, store: Store, terms: Terms, say: Callable[[str], None]) -> StudyReport:
    """Compare the arms that were read, and keep them as a study of the store.

    Raises:
        UsageError: There are too few arms for what is asked.
        StoreError: Something cannot be written.
    """
    levels = list(read.arms)
    arms = [*(in_order(list(read.arms.values())) if read.blocked else map(finite_or_none, read.arms.values()))]
    baseline = levels.index(read.baseline) if terms.target is None else len(levels)
    if terms.target is not None:
        levels, arms = [*levels, f"{terms.target:g}"], [*arms, {}]
    imported = Imported(
        arms=tuple(arms),
        reader=read.reader,
        summaries=tuple(read.summaries.get(level) for level in levels),
        target=terms.target,
        beat_by=terms.beat_by,
        files={name: digest_of(file) for name, file in read.sources.items()},
        asked=read.asked,
        notes=read.notes,
    )
    blocked = read.blocked and terms.target is None
    question = Question(read.factor, tuple(levels), baseline, read.metric, blocked, terms.margin)
    study = study_of(question, imported, read.name)
    record = StudyRecord(study, {}, (None,) * len(arms), None, imported)
    folder = store.root / "studies" / study.folder_name
    with holding(folder, say):
        account = account_of(record, store)
        for note in _notes(account, study):
            say(note)
        write_imported(folder, imported, read.sources)
        write_record(folder, replace(record, judged=account.judged))
        return write_study(store, folder)


def _notes(account: Account, study: Study) -> Iterator[str]:
    """Yield what is known of earlier judgements of a source."""
    times = len(account.judged)
    if account.is_known:
        yield f"this source was judged before, and is the same study: {study.folder_name}."
    elif account.grown_from is not None and times > 1:
        yield (
            f"these are the runs of {account.grown_from.study.folder_name} and more: this is judgement {times}, held "
            f"at {judgement_levels(times)[-1]:.3g}, so that all of them together are wrong in at most 6% of cases."
        )
    elif account.others:
        yield (
            f"the source, or what is asked of it, has changed since {', '.join(account.others)}: what was judged then "
            f"is kept, and this is a new judgement, {study.folder_name}. Judging again and again finds differences "
            "that are not there in more than 5% of cases."
        )


# --- what is judged ---------------------------------------------------------------------------------------------------


def of_files(paths: Sequence[Path], options: Options) -> Read:
    """Read the trials in files and folders.

    Raises:
        UsageError: They cannot be read, or what is judged is in doubt.
    """
    observed = assign(read_table(paths), options)
    sources, named = kept(paths, observed.table.files)
    return Read(
        name=f"{paths[0].resolve().stem}-{observed.factor[0]}",
        factor=observed.factor,
        metric=observed.metric,
        arms=observed.arms,
        baseline=observed.baseline,
        blocked=observed.is_blocked,
        reader=observed.table.reader,
        sources=sources,
        asked=ImportRequest(options, (tuple(named),)),
        notes=tuple(map(note_of, (*observed.table.notes, *observed.notes))),
    )


def against(new: Read, record: Read, paths: tuple[Path, Path]) -> Read:
    """Return the one arm of each of two sources, the second as the baseline.

    Raises:
        UsageError: A source has several arms, or they are of two metrics.
    """
    for read, path in zip((new, record), paths, strict=True):
        if len(read.arms) != 1:
            raise UsageError(
                f"{path} has {len(read.arms)} arms ({', '.join(list(read.arms)[:6])}): --against compares one arm with "
                "one. Keep the rows of one arm in each file."
            )
    if new.metric.name != record.metric.name:
        raise UsageError(
            f"{paths[0]} has the metric {new.metric.name} and {paths[1]} has {record.metric.name}: name one with "
            "--metric."
        )
    first, second = (path.resolve().name for path in paths)
    if first == second:
        first, second = (f"{path.resolve().parent.name}/{path.name}" for path in paths)
    (ours,), (theirs,) = new.arms.values(), record.arms.values()
    root, names = kept(paths, [*new.sources.values(), *record.sources.values()])
    return Read(
        name=f"{paths[0].resolve().stem}-against-{paths[1].resolve().stem}",
        factor=("source",),
        metric=new.metric,
        arms={first: ours, second: theirs},
        baseline=second,
        blocked=len(ours) > 1 and set(ours) == set(theirs),
        reader=" and ".join(dict.fromkeys((new.reader, record.reader))),
        sources=root,
        asked=ImportRequest(new.asked.options, tuple((name,) for name in names)),
        notes=(*new.notes, *(note for note in record.notes if note not in new.notes)),
    )


def of_summaries(texts: Sequence[str], options: Options) -> Read:
    """Return what was published of arms, such as `A 93.5±0.2 n=5`.

    Raises:
        UsageError: Fewer than two arms, an arm twice, or a text that says something else.
    """
    if options.by or options.seed or options.joint:
        raise UsageError("--by, --seed and --joint are for files with results: leave them out with --summary.")
    found = [parse_summary(text) for text in texts]
    arms = dict(found)
    if len(arms) < len(found):
        raise UsageError("--summary has an arm twice: give each arm once.")
    if options.baseline is not None and options.baseline not in arms:
        raise UsageError(f"--baseline {options.baseline}: the arms are {', '.join(arms)}.")
    return Read(
        name="summary",
        factor=("arm",),
        metric=declare(options.metric or "metric", options.goal or (None if options.metric else "max"), options.unit),
        arms={arm: {} for arm in arms},
        baseline=options.baseline or next(iter(arms)),
        blocked=False,
        reader=tr("means and SDs"),
        asked=ImportRequest(options, summary=tuple(texts)),
        notes=(
            note_of(
                tr("what stands behind ± was taken for the SD over runs: an SE would make the intervals too narrow")
            ),
        ),
        summaries=arms,
    )
