"""The time left is steady and near the truth, on streams of events whose end is known."""

import random

import pytest
from scores import scored

from eailab.engines.base import Reported, Step
from eailab.engines.named_metrics import declare
from eailab.recipe.load import Override, load
from eailab.runs.context import Compiling, Ended, EpochEnded, Started, Stepped, TriedAgain
from eailab.runs.records import Epoch
from eailab.runs.trial import Trial
from eailab.studies.progress import Cell
from eailab.studies.time_left import Stage, TimeLeft
from eailab.units import roughly

SCORES = scored((0.5, 0.9), (0.5, 0.9))


class Machine:
    """Trains nothing, and says what an executor would say, by a clock of its own."""

    def __init__(
        self,
        seconds_a_step,
        *,
        steps=10,
        epochs=3,
        trials=4,
        workers=1,
        seed=0,
        compiling=0.0,
        validation=0.0,
        announced=False,
    ):
        self.now = 0.0
        self.step_seconds, self.steps, self.epochs, self.workers = seconds_a_step, steps, epochs, workers
        self.compiling, self.validation, self.random = compiling, validation, random.Random(seed)  # noqa: S311
        self.says_compiling = announced
        self.trials = [
            Trial(load("digits-mlp", [Override("epochs", epochs, "-o"), Override("lr", lr, "-o")]).recipe, block, "x")
            for block in range(trials // len(seconds_a_step))
            for lr in seconds_a_step
        ]
        self.left = TimeLeft(self.trials, lambda: self.now)
        self.said, self.reported = [], 0
        """Seconds, and seconds left, at every seventh event; and the number of events."""

    def train(self, trial):
        """Yield the time of each event of one trial and the event, from 0."""
        at, name = 0.5, trial.fingerprint
        yield at, Started(name, "cpu", 1, self.epochs, 0)
        compiling, self.compiling = self.compiling, 0.0
        if self.says_compiling and compiling:
            yield at, Compiling(name)
        at += compiling
        for epoch in range(1, self.epochs + 1):
            began = at - (compiling if epoch == 1 and not self.says_compiling else 0.0)
            for step in range(1, self.steps + 1):
                at += self.step_seconds[trial.recipe.optimizer.lr] * self.random.lognormvariate(0.0, 0.4)
                yield at, Stepped(name, epoch, Step(step, self.steps, None))
            at += self.validation
            yield at, EpochEnded(name, Epoch(epoch, SCORES), at - began)
        yield at + 0.2, Ended(name, "finished", SCORES)

    def run(self):
        """Train all trials on the workers, and return the seconds that it took."""
        waiting = iter(self.trials)
        busy = {}  # worker: its trial's events to come, when it began, and the next event
        for worker in range(self.workers):
            busy[worker] = self.next_trial(waiting, 0.0)
        while busy := {worker: work for worker, work in busy.items() if work is not None}:
            worker = min(busy, key=lambda one: busy[one][2][0])
            events, began, (at, event) = busy[worker]
            self.now = at
            self.left.update(event)
            self.reported += 1
            if self.reported % 7 == 0:
                self.said.append((self.now, self.left.seconds()))
            following = next(events, None)
            busy[worker] = (
                self.next_trial(waiting, self.now)
                if following is None
                else (events, began, (began + following[0], following[1]))
            )
        return self.now

    def next_trial(self, waiting, now):
        trial = next(waiting, None)
        if trial is None:
            return None
        events = self.train(trial)
        at, event = next(events)
        return events, now, (now + at, event)


def ends(machine, after):
    """Return the ends that were expected, once so many seconds have gone."""
    return [now + left for now, left in machine.said if now > after and left is not None]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(
    "case",
    [
        {"seconds_a_step": {1e-3: 0.2}, "steps": 50, "epochs": 4, "trials": 9},
        {"seconds_a_step": {1e-3: 0.001}, "steps": 20, "epochs": 50, "trials": 30},
        {"seconds_a_step": {1e-3: 1.5}, "steps": 2000, "epochs": 1, "trials": 3, "validation": 120.0},
    ],
)
def test_the_end_that_is_expected_is_near_the_true_one_and_stays_there(case, workers):
    machine = Machine(**case, workers=workers)
    took = machine.run()
    expected = ends(machine, 0.1 * took)
    assert min(expected) > 0.85 * took
    assert max(expected) < 1.15 * took


def test_within_a_minute_the_end_of_days_of_work_does_not_move():
    """It said 18 days and 27 days within a minute."""
    machine = Machine({1e-3: 1.5}, steps=2000, epochs=30, trials=20)
    trial = machine.trials[0]
    for at, event in machine.train(trial):
        if at > 120.0:
            break
        machine.now = at
        machine.left.update(event)
        machine.said.append((at, machine.left.seconds()))
    expected = ends(machine, 30.0)
    assert max(expected) < 1.2 * min(expected)
    assert 0.85 < expected[-1] / (1.5 * 1.083 * 2000 * 30 * 20) < 1.15  # a lognormal's mean is not its median


def test_compiling_at_the_start_is_not_laid_to_every_trial():
    machine = Machine({1e-3: 0.05}, steps=20, epochs=10, trials=10, compiling=15.0)
    took = machine.run()
    expected = ends(machine, 18.0)
    assert max(expected) < 1.1 * took
    assert min(expected) > 0.9 * took


def test_compiling_within_a_trials_only_epoch_is_not_laid_to_the_others():
    machine = Machine({1e-3: 0.5}, steps=100, epochs=1, trials=6, compiling=60.0)
    took = machine.run()
    expected = ends(machine, 70.0)
    assert max(expected) < 1.1 * took
    assert min(expected) > 0.9 * took


def test_a_compilation_that_was_announced_counts_for_no_trial():
    """The numpy engine leaves it out of its epochs' seconds: after the first trial each was said to take it again."""
    machine = Machine({1e-3: 0.05}, steps=20, epochs=3, trials=10, compiling=15.0, announced=True)
    took = machine.run()
    expected = ends(machine, 15.6)
    assert max(expected) < 1.2 * took
    assert min(expected) > 0.8 * took


def test_an_arm_that_takes_longer_counts_as_long_as_it_takes():
    machine = Machine({1e-3: 0.05, 1e-2: 0.2}, steps=20, epochs=5, trials=8)
    took = machine.run()
    assert all(0.9 * took < end < 1.1 * took for end in ends(machine, 26.0))  # both arms have been seen


def test_nothing_is_said_before_anything_is_known():
    machine = Machine({1e-3: 1.0}, steps=20)
    machine.left.update(Started(machine.trials[0].fingerprint, "cpu", 1, 3, 0))
    assert machine.left.seconds() is None


def test_what_was_not_heard_yet_is_guessed_up_to_the_end_of_the_epoch():
    """On other machines, only epochs are heard; between them the time still runs."""
    machine = Machine({1e-3: 1.0}, epochs=4, trials=1)
    name = machine.trials[0].fingerprint
    machine.left.update(Started(name, "cpu", 1, 4, 0))
    for epoch in (1, 2):
        machine.now += 100.0
        machine.left.update(EpochEnded(name, Epoch(epoch, SCORES), 100.0))
    assert machine.left.seconds() == pytest.approx(200.0, abs=1.0)
    machine.now += 60.0
    assert machine.left.seconds() == pytest.approx(140.0, abs=1.0)
    machine.now += 500.0
    assert machine.left.seconds() == pytest.approx(100.0, abs=1.0)  # it hangs: the next epoch has not begun


def test_fewer_side_by_side_take_longer():
    machine = Machine({1e-3: 1.0}, epochs=2, trials=4)
    for trial in machine.trials:
        machine.left.update(Started(trial.fingerprint, "cpu", 1, 2, 0))
    for trial in machine.trials[:2]:
        machine.now += 10.0
        machine.left.update(EpochEnded(trial.fingerprint, Epoch(1, SCORES), 10.0))
    assert machine.left.seconds() == pytest.approx(10.0, abs=1.0)
    for trial in machine.trials:
        machine.left.update(TriedAgain(trial.fingerprint, "killed"))
    assert machine.left.seconds() == pytest.approx(80.0, abs=3.0)


def test_a_stage_counts_what_is_done_and_takes_the_median():
    now = [0.0]
    stage = Stage("drawing 498 figures", 498, lambda: now[0])
    for seconds in (9.0, 1.0, 1.0):  # the first imports matplotlib
        assert stage.seconds() is None or stage.seconds() > 400.0
        now[0] += seconds
        stage.advance()
    assert stage.count() == "drawing 498 figures: 3 done"
    assert stage.seconds() == 495.0


def test_words_have_the_digits_that_an_estimate_knows():
    assert [roughly(seconds) for seconds in (0.2, 12.4, 59.0, 99.0, 130.0)] == ["", "12 s", "60 s", "100 s", "2 min"]
    assert "less than" not in roughly(0.9)


def test_a_program_of_ones_own_is_as_far_as_it_says():
    """To eailab it is one epoch; its own epochs and last values are what a person waits for."""
    cell = Cell("lr 0.1, block 0", 1, "training", headline=declare("val_acc"), is_own=True)
    cell.update(Stepped("a", 1, Step.own(None)))
    assert (cell.progress, cell.score, cell.position) == ("running", "", 0.0)
    cell.update(Stepped("a", 1, Step.own(Reported({"val_acc": 0.75}, "step", 1200))))
    assert (cell.progress, cell.score, cell.position) == ("step 1200", "val_acc 0.7500", 0.0)
    cell.update(Stepped("a", 1, Step.own(Reported({"val_acc": 0.8}, "epoch", 3, 10))))
    assert (cell.progress, cell.score, cell.position) == ("epoch 3/10", "val_acc 0.8000", 0.3)
    cell.update(TriedAgain("a", "it ended with code 1"))
    assert (cell.progress, cell.score) == ("running", "")
