"""Run studies: plan them, train what is left, and report which trials failed."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from eailab.engines.registry import engine_of
from eailab.errors import StoppedError, TrialFailedError, UsageError
from eailab.plain import counted
from eailab.runs.context import RunContext
from eailab.runs.disk_space import check_disk_space
from eailab.runs.events import Event, Failed
from eailab.runs.executors import executor_for
from eailab.runs.trial import Trial
from eailab.studies.design import Study
from eailab.studies.parallelism import side_by_side
from eailab.studies.plan import left_to_train, plan
from eailab.studies.record import Plan
from eailab.studies.sharing import at_work


@dataclass(frozen=True)
class StudyRun:
    """Studies that have been trained as far as possible."""

    plans: tuple[Plan, ...]
    failed: tuple[Failed, ...]
    """Trials that ended without a result."""


@dataclass(frozen=True)
class Runner:
    """How studies are run; a subclass shows what happens by overriding `note`, `plan` and `followed`."""

    context: RunContext
    jobs: int | None = None
    """Trials side by side; None for what `side_by_side` says."""
    fail_fast: bool = False
    """Start no trial, and end those in training, once one has failed."""

    def note(self, text: str) -> None:
        """Report what concerns no single trial; by default to nobody."""

    def plan(self, studies: Sequence[Study]) -> list[Plan]:
        """Plan some studies, and report the notes on them."""
        plans = [plan(study, self.context) for study in studies]
        for note in dict.fromkeys(note for planned in plans for note in planned.notes):
            self.note(note)
        return plans

    @contextmanager
    def followed(self, plans: Sequence[Plan]) -> Iterator[RunContext]:  # noqa: ARG002 - a subclass shows them
        """Yield the context in which some plans are trained, for as long as they are."""
        yield self.context

    @contextmanager
    def train(self, plans: Sequence[Plan]) -> Iterator[list[Failed]]:
        """Train what is left of some plans; no other command drops their blocks before the end of the `with` block.

        Args:
            plans: What to train; trials that they share are trained once.

        Yields:
            The trials that failed.

        Raises:
            StoppedError: `should_stop` of the context said so.
            StoreError: The store cannot be written, or its disk is too small.
            DeviceError: This machine lacks the device, or the precision of a trial.
        """
        failed: list[Failed] = []
        with ExitStack() as seats:
            with self.followed(plans) as context:
                todo = left_to_train(plans)
                if context.on == "local":
                    for trial in todo:
                        engine_of(trial.recipe).check_device(trial.recipe, context.device)
                workers = self.jobs or side_by_side(todo, context)
                check_disk_space(context.runs_dir, context.data_dir, todo, workers)
                seats.enter_context(at_work(plans, context.store, self.note, context.should_stop))
                if todo:
                    self._train(todo, workers, context, failed)
            yield failed

    def _train(self, todo: Sequence[Trial], workers: int, context: RunContext, failed: list[Failed]) -> None:
        """Train some trials; those that fail are added to those that have."""

        def watch(event: Event) -> None:
            if isinstance(event, Failed):
                failed.append(event)
            context.on_event(event)

        def enough() -> bool:
            return context.should_stop() or (self.fail_fast and bool(failed))

        try:
            executor_for(context.on, workers).run(todo, context.followed(watch, enough))
        except StoppedError:
            if context.should_stop() or not failed:
                raise


@contextmanager
def run_studies(studies: Sequence[Study], runner: Runner) -> Iterator[StudyRun]:
    """Plan some studies and train what is left of them; the `with` block publishes what they show.

    Args:
        studies: What to compare; trials that they share are trained once.
        runner: Where they run, and who follows them.

    Yields:
        The studies' plans and the trials that failed; until the end of the block no other command drops their blocks.

    Raises:
        StoppedError: `should_stop` of the context said so.
        UsageError: What was asked for is at fault in all trials that failed.
        TrialFailedError: One or more trials failed for another reason; raised after the block.
    """
    plans = runner.plan(studies)
    with runner.train(plans) as failed:
        yield StudyRun(tuple(plans), tuple(failed))
    raise_failures(failed, stopped=runner.fail_fast)


def raise_failures(failed: Sequence[Failed], *, stopped: bool = False) -> None:
    """Raise when trials have failed.

    Args:
        failed: Those that have.
        stopped: Whether no other was started after the first.

    Raises:
        UsageError: What was asked for is at fault in all of them.
        TrialFailedError: One or more ended without a result for another reason.
    """
    if not failed:
        return
    if all(failure.exit_code == UsageError.exit_code for failure in failed):
        raise UsageError(failed[0].reason)
    others = "No other was started after it" if stopped else "The others are kept"
    raise TrialFailedError(
        f"{counted(len(failed), 'trial')} ended without a result (see above). "
        f"{others}; the same command tries again what is left."
    )
