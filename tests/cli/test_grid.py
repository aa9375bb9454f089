"""The picture on a terminal: what is left and what trains now come first, and what does not fit is said."""

from io import StringIO

import pytest
from plans import one_factor, train_plan
from rich.console import Console
from scores import scored

from eailab.cli.grid import GridPicture
from eailab.engines.base import Step
from eailab.recipe.load import Override, load
from eailab.runs.context import Compiling, Ended, EpochEnded, Failed, RunContext, Started, Stepped, TriedAgain, Waiting
from eailab.runs.records import Epoch
from eailab.stats.verdict import Verdict
from eailab.studies.plan import plan
from eailab.studies.progress import Trials

RECIPE = load("digits-mlp", [Override("epochs", 2, "-o")]).recipe


def planned(root, blocks=(0, 1, 2), factor="batch-size", levels=(16, 32), recipe=RECIPE):
    return plan(one_factor(recipe, factor, list(levels), blocks), RunContext(root))


def lines(trials, width=140, height=24):
    stream = StringIO()
    Console(file=stream, width=width).print(GridPicture(trials).draw(width, height), end="")
    return stream.getvalue().splitlines()


def picture(trials, width=140, height=24):
    return "\n".join(lines(trials, width, height))


def trial(plan, arm, block):
    return plan.record.trials[arm, block]


def finish(trials, name, accuracy):
    trials.update(Started(name, "cpu", 1, 2, 0))
    for number in (1, 2):
        trials.update(EpochEnded(name, Epoch(number, scored((0.5, accuracy), (0.6, accuracy))), 0.1))
    trials.update(Ended(name, "finished", scored((0.5, accuracy), (0.6, accuracy), (0.7, accuracy))))


def train(trials, name, epoch, step, epochs=30, accuracy=0.951):
    trials.update(Started(name, "cpu", 1, epochs, 0))
    if epoch > 1:
        trials.update(EpochEnded(name, Epoch(epoch - 1, scored((0.5, 0.9), (0.6, accuracy))), 60.0))
    trials.update(Stepped(name, epoch, Step(step, 100, None)))


def test_every_state_has_its_word(tmp_path):
    study = planned(tmp_path)
    trials = Trials([study])
    train(trials, trial(study, 0, 0), 7, 45)
    trials.update(Waiting(trial(study, 1, 0)))
    trials.update(Started(trial(study, 0, 1), "cpu", 1, 30, 0))
    trials.update(Ended(trial(study, 0, 1), "diverged", {}))
    trials.update(Failed(trial(study, 1, 1), "a bug", 1))
    said = picture(trials)
    for text in ("6.4/30 95.1%", "elsewhe", "diverged", "failed", "block 2", "2 of 6 trials"):
        assert text in said, said


def test_what_is_left_and_what_trains_now_stand_above_the_table(tmp_path):
    study = planned(tmp_path)
    now = [0.0]
    trials = Trials([study], lambda: now[0])
    train(trials, trial(study, 0, 0), 1, 1, epochs=30)
    for step in range(2, 30):
        now[0] += 36.0
        trials.update(Stepped(trial(study, 0, 0), 1, Step(step, 100, None)))
    head, training, *rest = lines(trials, 80)
    assert head == "0 of 6 trials, about 12 h left, 16 min 48 s so far"
    assert training.startswith("batch_size 16, block 0: epoch 1/30, 29%")
    assert "interim" in rest[0]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [2, 5, 12, 24])
def test_nothing_is_wider_or_higher_than_the_terminal_and_the_time_left_is_whole(tmp_path, width, height):
    """`123:` for 123 hours was what was left of the time at 80 columns."""
    levels = (0.001, 0.0011, 0.0012, 0.0013, 0.0014, 0.0015, 0.0016, 0.0017)
    studies = [planned(tmp_path, tuple(range(12)), "lr", levels), planned(tmp_path, tuple(range(12)))]
    now = [0.0]
    trials = Trials(studies, lambda: now[0])
    for block in range(6):
        train(trials, trial(studies[0], 1, block), 1, 0, epochs=30)
    for step in range(1, 30):
        now[0] += 1000.0
        for block in range(6):
            trials.update(Stepped(trial(studies[0], 1, block), 1, Step(step, 100, None)))
    drawn = lines(trials, width, height)
    assert len(drawn) < height or height == 2
    assert all(len(line.rstrip()) <= width for line in drawn)
    assert "days left" in drawn[0]
    assert any("in training" in line for line in drawn) or height < 5


def test_what_does_not_fit_is_said(tmp_path):
    levels = (0.001, 0.0011, 0.0012, 0.0013, 0.0014)
    studies = [planned(tmp_path, tuple(range(12)), "lr", levels), planned(tmp_path, tuple(range(12)))]
    narrow = picture(Trials(studies), 80, 24)
    assert narrow.count("not shown: blocks 3 to 11") == 2
    low = picture(Trials(studies), 40, 9)
    assert "not shown: blocks 2 to 11; diff." in low
    assert "1 study not shown" in low
    assert "3 arms" in picture(Trials(studies), 200, 9)


def test_the_layout_stays_while_trials_come_further(tmp_path):
    study = planned(tmp_path, recipe=load("digits-mlp", [Override("epochs", 30, "-o")]).recipe)
    trials = Trials([study])
    headings = []
    for epoch in (1, 9, 30):
        train(trials, trial(study, 0, 0), epoch, 50)
        headings.append(next(line for line in lines(trials, 80) if line.startswith("batch_size  ")))
    assert len(set(headings)) == 1


def test_an_epoch_of_an_hour_is_seen_to_move(tmp_path):
    study = planned(tmp_path, recipe=load("digits-mlp", [Override("epochs", 1, "-o")]).recipe)
    trials = Trials([study])
    train(trials, trial(study, 0, 0), 1, 37, epochs=1)
    assert "0.37/1" in picture(trials)
    assert "epoch 1/1, 37%" in picture(trials)


def test_compiling_and_the_last_evaluation_have_a_name(tmp_path):
    study = planned(tmp_path)
    trials = Trials([study])
    assert "starting" in lines(trials)[0]
    trials.update(Started(trial(study, 0, 0), "cpu", 1, 2, 0))
    trials.update(Compiling(trial(study, 0, 0)))
    assert "block 0: compiling" in picture(trials)
    trials.update(EpochEnded(trial(study, 0, 0), Epoch(2, scored((0.5, 0.9), (0.6, 0.9))), 1.0))
    assert "block 0: last evaluation" in picture(trials)


def test_names_are_shown_as_they_are_written(tmp_path):
    """Rich reads [b] as bold, and [/b] alone ended the program."""
    for name in ("ablation [/b]", "run [a]", "[red]exp", ":smile:"):
        recipe = RECIPE.model_copy(update={"name": name})
        said = picture(Trials([planned(tmp_path, recipe=recipe)]))
        assert f"{name}-batch-size" in said


def test_interim_numbers_are_those_of_the_finished_trials_and_no_verdict_is_given(tmp_path):
    study = planned(tmp_path)
    trials = Trials([study])
    for block, (low, high) in enumerate([(0.90, 0.95), (0.91, 0.955), (0.92, 0.97)]):
        finish(trials, trial(study, 0, block), low)
        finish(trials, trial(study, 1, block), high)
    said = picture(trials)
    assert "91.00" in said
    assert "-4.83" in said
    assert "interim" in said
    assert not any(verdict.value in said for verdict in Verdict)
    assert "6 of 6 trials" in said


def test_a_trial_at_chance_is_collapsed_and_in_no_interim_mean(tmp_path, monkeypatch):
    """As the table of all trials will say it; which one has is known only beside others that have learnt."""
    monkeypatch.setattr("eailab.cli.grid.images_evaluated", lambda *_: {"validation": 288})
    study = planned(tmp_path)
    trials = Trials([study])
    finish(trials, trial(study, 1, 1), 0.11)
    assert "collapsed" not in picture(trials)
    for block in range(3):
        finish(trials, trial(study, 0, block), 0.90)
    for block in (0, 2):
        finish(trials, trial(study, 1, block), 0.96)
    said = picture(trials)
    assert said.count("collapsed") == 1
    assert "96.00" in said
    assert "-6.00" in said


def test_finished_trials_of_the_store_are_there_from_the_start(tmp_path):
    first = planned(tmp_path, (0,))
    train_plan(first, RunContext(tmp_path), 1)
    result = RunContext(tmp_path).store.folder(trial(first, 0, 0)).result()
    said = picture(Trials([planned(tmp_path, (0, 1))]))
    assert f"{100 * result.values['validation_accuracy']:.1f}%" in said
    assert "0 of 2 trials" in said


def test_a_trial_on_another_machine_is_seen_by_its_epochs(tmp_path):
    """Its steps are not told; finished is what has a result, not what has its last epoch."""
    study = planned(tmp_path)
    trials = Trials([study])
    name = trial(study, 0, 0)
    trials.update(Started(name, "cpu", 1, 2, 0))
    for number in (1, 2):
        trials.update(EpochEnded(name, Epoch(number, scored((0.5, 0.9), (0.6, 0.9))), 0.1))
        assert f"{number}.00/2 90.0%" in picture(trials)
        assert "0 of 6 trials" in picture(trials)
    trials.update(Ended(name, "finished", scored((0.5, 0.9), (0.6, 0.9), (0.7, 0.9))))
    assert "1 of 6 trials" in picture(trials)


def test_a_trial_tried_again_waits_again(tmp_path):
    study = planned(tmp_path)
    trials = Trials([study])
    trials.update(Started(trial(study, 0, 0), "cpu", 1, 2, 0))
    trials.update(TriedAgain(trial(study, 0, 0), "killed"))
    assert "0/2" not in picture(trials)


def test_more_blocks_than_fit_are_shown_from_where_work_is_left(tmp_path):
    study = planned(tmp_path, tuple(range(20)))
    trials = Trials([study])
    for block in range(10):
        for arm in (0, 1):
            finish(trials, trial(study, arm, block), 0.9)
    said = picture(trials)
    assert "block 9 " in said
    assert "block 10" in said
    assert "block 0 " not in said
