"""Group-sequential studies: add blocks for the arms that are still open, at looks fixed in advance."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from eailab.errors import StoreError, UsageError
from eailab.runs.store import Store
from eailab.stats.group_sequential import looks_within
from eailab.studies.design import Study
from eailab.studies.record import Plan, StudyRecord, read_record
from eailab.studies.run import Runner, StudyRun


class LooksMade(Protocol):
    """How far a study's trials have brought it."""

    @property
    def needed(self) -> Sequence[tuple[int, int]]:
        """Arm index and block of the trials that the next look waits for."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""


def with_looks(studies: Sequence[Study], max_trials: int | None) -> Study:
    """Return the study with its looks, and the blocks of the last.

    Args:
        studies: One; alpha is split within a study, and effects of a factorial need whole blocks.
        max_trials: The most trials that the study may use.

    Raises:
        UsageError: More than one study, a factorial, or no limit.
        StudyError: A limit below two blocks.
    """
    if len(studies) > 1 or studies[0].axes:
        raise UsageError("--until-decided is for one factor at a time: leave out --and, --cross or --study.")
    if max_trials is None:
        raise UsageError("--until-decided needs an end: add --max-trials N, such as --max-trials 40.")
    looks = looks_within(max_trials, len(studies[0].arms))
    return replace(studies[0], looks=looks, blocks=tuple(range(looks[-1])))


def run_until_decided(
    study: Study,
    runner: Runner,
    looks_made: Callable[[StudyRecord], LooksMade],
    on_look: Callable[[int, int, int], None] = lambda *_: None,
) -> StudyRun:
    """Train look by look what open arms need, until all are decided, the last look is made, or a trial has failed.

    Args:
        study: With looks.
        runner: Where it runs, and who follows it.
        looks_made: Judges what the store has of the study.
        on_look: Called before trials are trained with the look's number, its blocks, and how many trials it trains.

    Raises:
        StoppedError: `should_stop` of the context said so.
    """
    for name in compared_otherwise(study, runner.context.store):
        runner.note(
            f"{name} compares the same arms after other numbers of blocks. Each of the two keeps its 5%, the better of "
            "the two does not: let one decide, and choose it by its plan."
        )
    for number, blocks in enumerate(study.looks, start=1):
        (planned,) = runner.plan([replace(study, blocks=tuple(range(blocks)))])
        while (looks := looks_made(planned.record)).needed:
            asked = _only(planned, looks)
            on_look(number, blocks, len(asked.todo))
            with runner.train([asked]) as failed:
                pass
            if failed:
                return StudyRun((planned,), tuple(failed))
        if looks.over:
            break
    return StudyRun((planned,), ())


def compared_otherwise(study: Study, store: Store) -> list[str]:
    """Return the studies of a store that differ from this one in their looks alone, or have none."""
    names = []
    for folder in store.study_folders():
        try:
            other = read_record(folder).study
        except StoreError:
            continue  # reported where it is asked for
        if other.looks != study.looks and replace(other, looks=study.looks).fingerprint == study.fingerprint:
            names.append(folder.name)
    return names


def _only(planned: Plan, looks: LooksMade) -> Plan:
    """Return a plan with no more to do than the next look needs."""
    needed = {planned.record.trials[key] for key in looks.needed}
    return replace(planned, todo=tuple(trial for trial in planned.todo if trial.fingerprint in needed))
