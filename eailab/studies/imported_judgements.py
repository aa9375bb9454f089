"""Keep account of how often results that eailab did not run were judged as they grew."""

from dataclasses import dataclass

from eailab.errors import StoreError
from eailab.runs.store import Store
from eailab.studies.heads import STUDIES, Head, head_of, heads
from eailab.studies.imported import runs_of
from eailab.studies.judgements import Judged
from eailab.studies.storage import StudyRecord, read_record


@dataclass(frozen=True)
class Account:
    """The judgements of an imported study, of which one is made now."""

    judged: Judged
    """The blocks of each, all of them in the last; none of a study that has a single block."""
    is_known: bool = False
    """Whether the study lay in the store before."""
    grown_from: StudyRecord | None = None
    """The study that was judged by some of these runs before; None where there is none."""
    others: tuple[str, ...] = ()
    """Studies of the same name that were judged by other runs, or were asked something else."""


def account_of(record: StudyRecord, store: Store) -> Account:
    """Return the judgements of an imported study that is judged now, with those of the study that it has grown from.

    It has grown from another of the same arms, metric and baseline whose runs it has with the same values, and more.
    """
    study = record.study
    found = [head for head in heads(store.root, STUDIES) if head.is_imported]
    if any(head.folder.name == study.folder_name for head in found):
        try:
            return Account(read_record(store.root / "studies" / study.folder_name).judged, is_known=True)
        except StoreError:  # it is written again
            found = [head for head in found if head.folder.name != study.folder_name]
    blocks = tuple(sorted(study.blocks))
    last = (blocks,) if len(blocks) > 1 else ()
    earlier = list(filter(None, (_grown_from(head, record) for head in found)))
    if not earlier:
        return Account(last, others=tuple(head.called for head in found if head.name == study.name))
    before = max(earlier, key=lambda one: (len(one.judged), len(one.study.blocks)))
    return Account(before.judged if before.judged[-1:] == last else (*before.judged, *last), grown_from=before)


def _grown_from(head: Head, record: StudyRecord) -> StudyRecord | None:
    """Return an earlier study if the runs of a later one are its own, or its own and more."""
    own = head_of(record)
    if (head.factor, head.arms, head.metric, head.baseline) != (own.factor, own.arms, own.metric, own.baseline):
        return None
    try:
        before = read_record(head.folder)
    except StoreError:
        return None
    if before.imported is None or record.imported is None or not before.judged:
        return None
    recipes = before.study.arms[0].recipe, record.study.arms[0].recipe
    if recipes[0].shares_seeds != recipes[1].shares_seeds or not set(before.study.blocks) <= set(record.study.blocks):
        return None
    then = record.restricted(before.study.blocks).study
    runs = [
        (runs_of(before.imported, before.study, arm), runs_of(record.imported, then, arm))
        for arm in range(len(own.arms))
    ]
    has_runs = any(value is not None for theirs, _ in runs for value in theirs)
    return before if has_runs and all(theirs == ours for theirs, ours in runs) else None
