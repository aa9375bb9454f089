"""Keep account of how often a study was judged, since each judgement may find a difference that is not there.

A judgement is a table with verdicts that a command which trains has published, once all trials of its blocks had ended.
A study that fixes its looks in advance (`Study.looks`) needs no account.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eailab.errors import StoreError
from eailab.plain import blocks_in_words, counted
from eailab.runs.store import Store
from eailab.studies.design import Study
from eailab.studies.heads import STEPS_FOLDER, Head
from eailab.studies.storage import Plan, StudyRecord, write_record

Judged = tuple[tuple[int, ...], ...]


def is_accounted(study: Study, folder: Path) -> bool:
    """Return whether judgements of a study are kept: it compares arms, and is neither a step nor a study with looks."""
    return study.factor is not None and not study.looks and folder.parent.name != STEPS_FOLDER


def kept_judgements(before: StudyRecord, trials: Mapping[tuple[int, int], str], store: Store, folder: Path) -> Judged:
    """Return the judgements of a record that still count for a study that is to have these trials.

    A finished study of an earlier version, which kept no account, was judged once, which matters where it grows. A
    judgement of trials that others have replaced, since the program or the engine has changed, says nothing of these.
    """
    judged, grows = before.judged, {block for _, block in trials} > set(before.study.blocks)
    if (
        not judged
        and grows
        and is_accounted(before.study, folder)
        and _can_be_judged(before, before.study.blocks, store)
    ):
        judged = (tuple(sorted(before.study.blocks)),)
    replaced = {block for (arm, block), name in before.trials.items() if trials.get((arm, block)) != name}
    return tuple(blocks for blocks in judged if not replaced & set(blocks))


def record_judgement(planned: Plan, record: StudyRecord, store: Store) -> StudyRecord:
    """Record in an up-to-date record that a command judges its study now; the folder is to be held meanwhile.

    The same blocks again are no further judgement; nor are fewer, which another command has judged with more.

    Returns:
        The record with this judgement; as it was while trials have not ended, or where the folder is read-only.

    Raises:
        StoreError: The folder cannot be written.
    """
    before = record.judged[-1] if record.judged else ()
    blocks = tuple(sorted({*before, *planned.record.study.blocks}))
    if blocks == before or not is_accounted(record.study, planned.folder) or not os.access(planned.folder, os.W_OK):
        return record
    if not _can_be_judged(record, blocks, store):
        return record
    judged = replace(record, judged=(*record.judged, blocks))
    write_record(planned.folder, judged)
    return judged


def note_on_later_blocks(record: StudyRecord, store: Store) -> list[str]:
    """Say which blocks of a study have ended since it was judged last, and are in no table; nothing where none has."""
    later = sorted(set(record.study.blocks) - set(record.as_judged.study.blocks))
    ended = [block for block in later if _have_ended(record, [block], store)]
    if not ended:
        return []
    return [
        f"{record.study.folder_name}: {counted(len(ended), 'block')} finished since, not yet judged "
        f"({blocks_in_words(ended)}): the study's own command judges them."
    ]


@dataclass(frozen=True)
class Related:
    """Another study that compares trials of this one."""

    called: str
    metric: str | None
    """What it is judged by, where that is another metric; its arms and its baseline likewise."""
    arms: tuple[str, ...] | None
    baseline: str | None


def related_studies(record: StudyRecord, folder: Path, known: Sequence[Head], store: Store) -> tuple[Related, ...]:
    """Return the other studies that compare the same trials, since the best of several tables keeps no 5%."""
    study = record.study
    if study.factor is None or record.imported is not None:
        return ()
    own = {name: arm for (arm, _), name in record.trials.items()}
    labels = tuple(arm.label for arm in study.arms)
    found = []
    for head in known:
        shared = [name for name in head.trials.values() if name in own]
        if head.folder == folder or head.factor is None or len({own[name] for name in shared}) < 2:
            continue
        if not any(store.folder(name).result_file.is_file() for name in shared):
            continue
        baseline = head.arms[head.baseline]
        found.append(
            Related(
                called=head.called,
                metric=None if head.metric == study.metric else head.metric,
                arms=None if head.arms == labels else head.arms,
                baseline=None if baseline == labels[study.baseline] else baseline,
            )
        )
    return tuple(sorted(found, key=lambda one: one.called))


def note_on_related(folder: str, related: Sequence[Related]) -> list[str]:
    """Name the other studies that compare the same trials as a study; nothing where there is none."""
    if not related:
        return []
    named = []
    for one in related:
        differs = [
            *([f"by {one.metric.replace('_', ' ')}"] if one.metric else []),
            *([f"with the arms {', '.join(one.arms)}"] if one.arms else []),
            *([f"against {one.baseline}"] if one.baseline else []),
        ]
        named.append(f"{one.called} ({', '.join(differs) or 'with another margin, or other looks'})")
    return [
        f"{folder}: the same trials are judged in {'; '.join(named)} too. Each table keeps its 5%, the best of "
        "them does not: let one decide, chosen before it is read."
    ]


def _can_be_judged(record: StudyRecord, blocks: Collection[int], store: Store) -> bool:
    """Return whether blocks can give a verdict: there are two or more, and all their trials have ended."""
    return len(blocks) >= 2 and _have_ended(record, blocks, store)


def _have_ended(record: StudyRecord, blocks: Collection[int], store: Store) -> bool:
    """Return whether all trials of some blocks have a result that can be read."""
    wanted = frozenset(blocks)
    names = (name for (_, block), name in record.trials.items() if block in wanted)
    try:
        return all(store.folder(name).result(thorough=False) is not None for name in names)
    except StoreError:
        return False
