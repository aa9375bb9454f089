"""Share a study among several commands: who writes its record, and which blocks it keeps.

A study's folder is held while its record is read, merged and written, and while its tables are published. A command
that trains also takes a seat, a folder `.running/N` of the study that lists the blocks it has planned, and holds that
until it ends; when it dies, the system lets the seat go.
"""

import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from operator import attrgetter
from pathlib import Path

from eailab.errors import DamagedError, StoppedError, StoreError
from eailab.files import PLAN, read
from eailab.runs.atomic import set_aside, write_text
from eailab.runs.lock import hold, is_held
from eailab.runs.store import QUARANTINE, Store
from eailab.runs.trial import Trial
from eailab.studies.judgements import kept_judgements
from eailab.studies.preregistration import frozen_blocks
from eailab.studies.storage import Plan, StudyRecord, read_record, write_record

RUNNING = ".running"
BLOCKS = "blocks.json"
"""In a seat: the blocks that its command has planned."""

WAITING_SECONDS = 0.1
"""Until a study that another command holds is looked at again."""

SAID_AFTER_SECONDS = 2.0


@dataclass(frozen=True)
class Beyond:
    """The blocks of a study that a command did not ask for, each by the first reason for which it stays."""

    begun: tuple[int, ...]
    """A trial has begun, or has ended: leaving them out would choose among results."""
    frozen: tuple[int, ...]
    """A frozen plan names them."""
    running: tuple[int, ...]
    """A command that is running has planned them."""
    idle: tuple[int, ...]
    """There is no reason: they leave."""

    @property
    def kept(self) -> tuple[int, ...]:
        """Return the blocks that stay."""
        return (*self.begun, *self.frozen, *self.running)


def beyond(store: Store, folder: Path, before: StudyRecord, asked: Collection[int]) -> Beyond:
    """Sort the blocks of a study's record that were not asked for; nothing is written."""
    others = sorted(set(before.study.blocks) - set(asked))
    if not others:
        return Beyond((), (), (), ())
    moved = {path.name.partition("-")[0] for path in (store.root / QUARANTINE).glob("*-*")}
    asked_for = set(asked)
    begun = {
        block
        for (_, block), name in before.trials.items()
        if block not in asked_for and (name in moved or store.folder(name).has_begun())
    }
    begun |= {block for judged in before.judged for block in judged if block not in asked_for}
    frozen = frozen_blocks(store, before.study) - begun
    running = _planned_by_running(folder) - begun - frozen
    idle = set(others) - begun - frozen - running
    return Beyond(*(tuple(block for block in others if block in kind) for kind in (begun, frozen, running, idle)))


@contextmanager
def holding(
    folder: Path, say: Callable[[str], None], should_stop: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Hold the folder of a study or path ablation; while another command holds it, this one waits, and says so.

    Raises:
        StoppedError: `should_stop` said so.
        StoreError: The folder cannot be used.
    """
    if folder.is_dir() and not os.access(folder, os.W_OK):
        yield  # nothing can be written from here, so there is nothing to keep apart
        return
    began, is_said = time.monotonic(), False
    while True:
        with hold(folder) as fence:
            if fence is not None:
                yield
                return
        if should_stop():
            raise StoppedError(f"stopped while another command wrote {folder}.")
        if not is_said and time.monotonic() - began > SAID_AFTER_SECONDS:
            say(f"another command is writing {folder}: waiting for it")
            is_said = True
        time.sleep(WAITING_SECONDS)


@contextmanager
def entered(
    planned: Plan, store: Store, say: Callable[[str], None], should_stop: Callable[[], bool] = lambda: False
) -> Iterator[StudyRecord]:
    """Hold a study's folder, and bring its record up to date: the plan's blocks, and those beyond them that stay.

    Raises:
        StoppedError: `should_stop` said so.
        StoreError: The folder cannot be written, or its record is of a newer version.
    """
    with holding(planned.folder, say, should_stop):
        record = _merged(planned, store, say)
        write_record(planned.folder, record)
        yield record


@contextmanager
def at_work(
    plans: Sequence[Plan], store: Store, say: Callable[[str], None], should_stop: Callable[[], bool]
) -> Iterator[None]:
    """Bring the records of some plans up to date, and keep their blocks there until this command is done.

    Raises:
        StoppedError: `should_stop` said so.
        StoreError: A folder cannot be written, or a record is of a newer version.
    """
    with ExitStack() as seats:
        for planned in filter(attrgetter("is_recorded"), plans):
            with entered(planned, store, say, should_stop):
                if planned.todo:
                    seats.enter_context(_seated(planned.folder, planned.record.study.blocks))
        yield


@contextmanager
def _seated(folder: Path, blocks: Sequence[int]) -> Iterator[None]:
    """Take the first seat that is free; to be begun while the study's folder is held."""
    for number in count():
        seat = folder / RUNNING / str(number)
        if is_held(seat):
            continue
        write_text(seat / BLOCKS, json.dumps(list(blocks)))  # before it is held: who sees it held can read them
        with hold(seat) as fence:
            if fence is not None:
                yield
                return


def _merged(planned: Plan, store: Store, say: Callable[[str], None]) -> StudyRecord:
    """Return the plan's record with the blocks beyond it that stay."""
    record = planned.record
    try:
        before = read_record(planned.folder)
    except DamagedError as error:
        aside = set_aside(planned.folder / "study.yaml")
        say(f"{error} It was set aside as {aside.name}, and written again with the blocks of this command.")
        return record
    except StoreError:
        if (planned.folder / "study.yaml").exists():
            raise
        return record
    blocks = (*record.study.blocks, *beyond(store, planned.folder, before, record.study.blocks).kept)
    data = [trial.data for trial in planned.trials[: len(record.study.arms)]]
    study = replace(record.study, blocks=tuple(sorted(blocks)))
    trials = {
        (index, block): record.trials.get((index, block)) or Trial(arm.recipe, block, data[index]).fingerprint
        for block in study.blocks
        for index, arm in enumerate(study.arms)
    }
    return replace(record, study=study, trials=trials, judged=kept_judgements(before, trials, store, planned.folder))


def _planned_by_running(folder: Path) -> set[int]:
    """Return the blocks that commands have planned that are running now."""
    planned: set[int] = set()
    for seat in (folder / RUNNING).glob("[0-9]*"):
        with suppress(FileNotFoundError, StoreError, ValueError, TypeError):
            if is_held(seat):
                planned.update(json.loads(read(seat / BLOCKS, PLAN)))
    return planned
