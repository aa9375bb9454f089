"""Run studies: plan them, train what is left, publish what they show; all blocks at once, or look by look."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from eailab.engines.registry import engine_of
from eailab.errors import StoppedError, StoreError, StudyError, TrialFailedError, UsageError
from eailab.plain import counted
from eailab.runs.context import Event, Failed, RunContext
from eailab.runs.executors import executor_for
from eailab.runs.machine import check_disk_space, side_by_side
from eailab.runs.store import Store
from eailab.runs.training import result_of
from eailab.stats.group_sequential import looks_within
from eailab.studies.audit import Check, raise_ignored_seed
from eailab.studies.audit_run import audited_first, checked_first
from eailab.studies.design import Study
from eailab.studies.plan import left_to_train, plan
from eailab.studies.sharing import at_work
from eailab.studies.storage import Plan, StudyRecord, read_record

Published = TypeVar("Published")


@dataclass(frozen=True)
class Runner:
    """Run studies in a context; a subclass shows what happens by overriding `note`, `plan`, `followed` and `report`."""

    context: RunContext
    jobs: int | None = None
    """Trials side by side; None for what `side_by_side` says."""
    fail_fast: bool = False
    """Start no trial, and end those in training, once one has failed."""
    audits: bool = False
    """Whether a person's own training is audited by its first runs, and ended if it ignores its seed."""
    said: set[str] = field(default_factory=set)
    """Notes on plans, each of which is reported once."""

    def note(self, text: str) -> None:
        """Report what concerns no single trial; by default to nobody."""

    def plan(self, studies: Sequence[Study]) -> list[Plan]:
        """Plan some studies, and report the notes on them.

        Raises:
            StudyError: A program may ignore its seed, and nothing would find it.
        """
        if not self.audits:
            _refuse_unseen_seeds(studies)
        plans = [plan(study, self.context) for study in studies]
        for note in (note for planned in plans for note in planned.notes):
            if note not in self.said:
                self.said.add(note)
                self.note(note)
        return plans

    @contextmanager
    def followed(self, plans: Sequence[Plan]) -> Iterator[RunContext]:  # noqa: ARG002 - a subclass shows them
        """Yield the context in which some plans are trained, for as long as they are."""
        yield self.context

    def trained_first(self, plans: Sequence[Plan]) -> Collection[str]:
        """Return the names of the trials that an audit needs before the others are trained."""
        return audited_first(plans) if self.audits else ()

    def check_first(self, plans: Sequence[Plan], context: RunContext, *, are_new: bool) -> None:
        """Run the baseline's first trial again, and report what the first trials show; see `checked_first`.

        Raises:
            StudyError: A person's own training ignores its seed.
        """
        checks = checked_first(plans, context, are_new=are_new)
        raise_ignored_seed(checks, self.said_of_ignored_seed(plans))
        for check in dict.fromkeys(checks):  # studies of one baseline have checks in common
            self.report(check)

    def said_of_ignored_seed(self, plans: Sequence[Plan]) -> str | None:  # noqa: ARG002 - for a subclass
        """Return what is said in place of a check's text, which names options of the command line."""
        return None

    def report(self, check: Check) -> None:
        """Report what a check of an audit found; by default a warning only."""
        if check.state == "warning":
            self.note(f"audit: {check.text}.")


def _refuse_unseen_seeds(studies: Sequence[Study]) -> None:
    for arm in (arm for study in studies for arm in study.arms):
        if not arm.recipe.shows_seed:
            raise StudyError(
                f"the command {arm.recipe.started} has no {{seed}}, and without an audit nothing tells whether its "
                "runs differ: write {seed} where the program takes its seed; or, if it reads EAILAB_SEED from its "
                "environment, say --seed-env (seed_env: true); or, if its runs are independent without a seed, "
                "--unseeded (unseeded: true)."
            )


def run_studies(studies: Sequence[Study], runner: Runner, publish: Callable[[Sequence[Plan]], Published]) -> Published:
    """Plan some studies, train what is left of them, and publish what they show, in spite of trials that failed.

    Args:
        studies: What to compare; trials that they share are trained once.
        runner: Where they run, and who follows them.
        publish: Called with the plans after the training; no other command drops their blocks before it returns.

    Returns:
        What `publish` has returned.

    Raises:
        StoppedError: `should_stop` of the context said so.
        UsageError: What was asked for is at fault in all trials that failed.
        TrialFailedError: One or more trials failed for another reason, or timed out; raised after publishing.
        StoreError: The store cannot be written, or its disk is too small.
        DeviceError: This machine lacks the device, or the precision of a trial.
    """
    plans, published = runner.plan(studies), list[Published]()
    failed = train_plans(plans, runner, lambda: published.append(publish(plans)))
    raise_failures(failed, plans, runner)
    raise_timed_out(plans, runner)
    return published[0]


def train_plans(plans: Sequence[Plan], runner: Runner, publish: Callable[[], None] = lambda: None) -> list[Failed]:
    """Train what is left of some plans, and return the trials that failed; see `run_studies`.

    Raises:
        UsageError: What was asked for is at fault in all that failed, and no other has a result to be published.
    """
    failed: list[Failed] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Failed):
            failed.append(event)
        context.on_event(event)

    def should_stop() -> bool:
        return context.should_stop() or (runner.fail_fast and bool(failed))

    with ExitStack() as seats:
        with runner.followed(plans) as context:
            # What cannot work on this machine is refused before anything is written.
            todo = left_to_train(plans)
            for trial in todo if context.on == "local" else ():
                engine_of(trial.recipe).check_device(trial.recipe, context.device)
            workers = runner.jobs or side_by_side(todo, context)
            check_disk_space(context.runs_dir, context.data_dir, todo, workers)

            # Write the studies' records. Other commands on these studies leave their blocks there until the end.
            seats.enter_context(at_work(plans, context.store, runner.note, context.should_stop))

            # Train. A trial that fails does not stop the others, unless `fail_fast` says so.
            first = runner.trained_first(plans)
            early, rest = (
                [trial for trial in todo if (trial.fingerprint in first) is is_first] for is_first in (True, False)
            )
            try:
                for trials in (early, rest):
                    if trials:
                        executor_for(context.on, workers).run(trials, context.followed(on_event, should_stop))
                    if trials is early and first and not (failed and runner.fail_fast):
                        runner.check_first(plans, context, are_new=bool(early))
            except StoppedError:
                if context.should_stop() or not failed:
                    raise
        _raise_if_nothing_else(failed, plans, context.store)
        publish()
    return failed


def _raise_if_nothing_else(failed: Sequence[Failed], plans: Sequence[Plan], store: Store) -> None:
    """Raise what was refused where no trial has a result, so that there is nothing to be published.

    Raises:
        UsageError: What was asked for is at fault in all trials that failed.
    """
    if _are_refused(failed) and not _is_any_kept(plans, store):
        raise UsageError(failed[0].reason)


def _are_refused(failed: Sequence[Failed]) -> bool:
    """Return whether there are failures, and what was asked for is at fault in all."""
    return bool(failed) and all(failure.exit_code == UsageError.exit_code for failure in failed)


def _is_any_kept(plans: Sequence[Plan], store: Store) -> bool:
    """Return whether a trial of some plans has a result."""
    return any(store.folder(trial.fingerprint).result_file.exists() for one in plans for trial in one.trials)


def train_first(plans: Sequence[Plan], runner: Runner) -> None:
    """Train what `Runner.trained_first` names of some plans, and check it, before anything else is trained.

    Raises:
        UsageError: What a check found, or see `raise_failures`.
        TrialFailedError: See `raise_failures`.
    """
    first = runner.trained_first(plans)
    if first:
        early = [replace(one, todo=tuple(trial for trial in one.todo if trial.fingerprint in first)) for one in plans]
        raise_failures(train_plans(early, runner), early, runner)


def raise_failures(failed: Sequence[Failed], plans: Sequence[Plan], runner: Runner) -> None:
    """Raise when trials of some plans have failed.

    Raises:
        UsageError: What was asked for is at fault in all of them.
        TrialFailedError: One or more ended without a result for another reason.
    """
    if not failed:
        return
    if _are_refused(failed):
        raise UsageError(failed[0].reason)
    others = (
        "No other was started after it"
        if runner.fail_fast
        else "The others are kept"
        if _is_any_kept(plans, runner.context.store)
        else "None finished"
    )
    raise TrialFailedError(
        f"{counted(len(failed), 'trial')} ended without a result (see above). "
        f"{others}; the same command tries again what is left."
    )


def raise_timed_out(plans: Sequence[Plan], runner: Runner) -> None:
    """Raise when trials of some plans have timed out, which counts in what was published.

    Raises:
        TrialFailedError: One or more have.
    """
    limits = dict[str, str]()
    for trial in (trial for planned in plans for trial in planned.trials if trial.recipe.limit_seconds is not None):
        result = result_of(runner.context.store.folder(trial.fingerprint))
        if result is not None and result.limit_seconds is not None:
            limits[trial.fingerprint] = f"{result.limit_seconds:g} s"
    if limits:
        longest = ", ".join(sorted(set(limits.values())))
        raise TrialFailedError(
            f"{counted(len(limits), 'trial')} timed out (after {longest}), which counts as a failure, as a "
            "divergence does. The same command keeps that; with a longer --timeout it runs them again."
        )


# --- look by look ----------------------------------------------------------------------------------------------------


class LooksMade(Protocol):
    """Describe how far a study's trials have brought it."""

    @property
    def needed(self) -> Sequence[tuple[int, int]]:
        """Return the arm index and block of the trials that the next look waits for."""

    @property
    def over(self) -> bool:
        """Return whether nothing is left to do."""


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
    judge: Callable[[StudyRecord], LooksMade],
    publish: Callable[[Sequence[Plan]], Published],
    on_look: Callable[[int, int, int, int], None] = lambda *_: None,
) -> Published:
    """Run a group-sequential study: train what open arms need, until all are decided or the last look is made.

    A trial that fails ends it. See `run_studies` for what it returns and raises.

    Args:
        study: With looks.
        runner: Where it runs, and who follows it.
        judge: Says what the trials in the store have decided.
        publish: Called with the plan of the last look that was begun.
        on_look: Called before trials are trained with the look's number, the number of looks, the look's blocks, and
            how many trials it trains.
    """
    for name in compared_otherwise(study, runner.context.store):
        runner.note(
            f"{name} compares the same arms after other numbers of blocks. Each of the two keeps its 5%, the better of "
            "the two does not: let one decide, and choose it by its plan."
        )
    failed: list[Failed] = []
    for number, blocks in enumerate(study.looks, start=1):
        (planned,) = runner.plan([replace(study, blocks=tuple(range(blocks)))])
        while (looks := judge(planned.record)).needed and not failed:
            asked = _only(planned, looks)
            on_look(number, len(study.looks), blocks, len(asked.todo))
            failed = train_plans([asked], runner)
        if failed or looks.over:
            break
    published = publish([planned])
    raise_failures(failed, [planned], runner)
    raise_timed_out([planned], runner)
    return published


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
