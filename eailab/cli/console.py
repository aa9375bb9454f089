"""How studies are run from a command line: notes and progress are printed, and signals stop the training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from eailab.cli.advice import offering_small_data
from eailab.cli.output import LOG, say_note
from eailab.cli.progress import Watch
from eailab.cli.stopping import asking, what_is_kept
from eailab.errors import StoppedError
from eailab.plain import counted
from eailab.report import publish
from eailab.runs.context import RunContext
from eailab.studies.design import Study
from eailab.studies.parallelism import advice_on_threads
from eailab.studies.plan import left_to_train
from eailab.studies.record import Plan
from eailab.studies.run import Runner


@dataclass(frozen=True)
class Console(Runner):
    """Runs studies under the eyes of the user."""

    says_plan: bool = True
    """Whether the number of trials is printed before they are trained."""

    def note(self, text: str) -> None:
        """Print a note."""
        say_note(text)

    def plan(self, studies: Sequence[Study]) -> list[Plan]:
        """Plan some studies; where data are missing, offer a command that needs no download."""
        with offering_small_data(studies[0].arms[0].recipe):
            return super().plan(studies)

    @contextmanager
    def followed(self, plans: Sequence[Plan]) -> Iterator[RunContext]:
        """Show what happens in the trials, let signals stop them, and draw their curves."""
        if self.says_plan:
            self._say_plan(plans)
        store, watch = self.context.store, Watch(plans)

        def kept() -> str:
            return what_is_kept(watch.trials, self.context)

        with asking(watch.stopping, lambda: watch.stopped_at_once(kept())) as stop_code:
            try:
                with watch:
                    yield self.context.followed(watch, lambda: stop_code() != 0)
                    missing = publish.undrawn(plans, store)
                    watch.stage(f"drawing {counted(len(missing), 'figure')}", len(missing))
                    for folder, label in missing.items():
                        if not stop_code():
                            publish.publish_trial(folder, label)
                            watch.advance()
            except StoppedError as error:
                raise StoppedError(kept(), stop_code() or error.exit_code) from error
            if stop_code():
                raise StoppedError(kept(), stop_code())

    def _say_plan(self, plans: Sequence[Plan]) -> None:
        """Print how many trials there are, how many are left to train, and where those would waste cores."""
        total = len({trial.fingerprint for planned in plans for trial in planned.trials})
        todo = left_to_train(plans)
        if total > 1:
            LOG.info("%d trials: %d finished already, %d to train", total, total - len(todo), len(todo))
        elif not todo:
            LOG.info("this trial is finished already; nothing to train")
        if advice := advice_on_threads(todo, self.context, self.jobs):
            self.note(advice)
