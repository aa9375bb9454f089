"""The grid shows each trial where it stands, and the interim numbers without a verdict."""

from io import StringIO

import pytest
from rich.console import Console

from eailab.cli.grid import Grid
from eailab.cli.progress import watcher
from eailab.engines.base import Scores, Step
from eailab.recipe.load import Override, load
from eailab.runs.events import Ended, EpochEnded, Failed, FewerAtOnce, Started, Stepped, TriedAgain, Waiting
from eailab.runs.executors.base import Surroundings
from eailab.runs.records import Epoch
from eailab.stats.verdict import Verdict
from eailab.studies.conduct import conduct, plan
from eailab.studies.design import one_factor

RECIPE = load("digits-mlp", [Override("epochs", 2, "-o")]).recipe


def planned(root, blocks=(0, 1, 2)):
    return plan(one_factor(RECIPE, "batch-size", [16, 32], blocks), Surroundings(root))


def picture(grid, width=140):
    stream = StringIO()
    Console(file=stream, width=width).print(grid.picture())
    return stream.getvalue()


def trial(plan, arm, block):
    return plan.record.trials[arm, block]


def finish(grid, name, accuracy):
    grid(Started(name, "cpu", 1, 2, 0))
    for number in (1, 2):
        grid(EpochEnded(name, Epoch(number, Scores(0.5, accuracy), Scores(0.6, accuracy)), 0.1))
    grid(Ended(name, "finished", Scores(0.7, accuracy)))


@pytest.fixture
def grid_of():
    def make(*plans):
        return Grid(plans, Console(file=StringIO(), width=140), lambda _: None)

    return make


def test_every_state_has_its_word(tmp_path, grid_of):
    study = planned(tmp_path)
    grid = grid_of(study)
    name = trial(study, 0, 0)
    grid(Started(name, "cpu", 1, 30, 0))
    grid(EpochEnded(name, Epoch(6, Scores(0.5, 0.9), Scores(0.6, 0.951)), 0.1))
    grid(Stepped(name, 7, Step(1, 2, None, None)))
    grid(Waiting(trial(study, 1, 0)))
    grid(Started(trial(study, 0, 1), "cpu", 1, 30, 0))
    grid(Ended(trial(study, 0, 1), "diverged", None))
    grid(Failed(trial(study, 1, 1), "a bug", 1))
    said = picture(grid)
    for text in ("7/30 95.1%", "elsewhere", "diverged", "failed", "block 2", "2 of 6 trials"):
        assert text in said, said


def test_interim_numbers_are_those_of_the_finished_trials_and_no_verdict_is_given(tmp_path, grid_of):
    study = planned(tmp_path)
    grid = grid_of(study)
    for block, (low, high) in enumerate([(0.90, 0.95), (0.91, 0.955), (0.92, 0.97)]):
        finish(grid, trial(study, 0, block), low)
        finish(grid, trial(study, 1, block), high)
    said = picture(grid)
    assert "91.00" in said
    assert "-4.83" in said
    assert "interim" in said
    assert not any(verdict.value in said for verdict in Verdict)
    assert "6 of 6 trials" in said


def test_finished_trials_of_the_store_are_there_from_the_start(tmp_path, grid_of):
    first = planned(tmp_path, (0,))
    conduct(first, Surroundings(tmp_path), 1, lambda _: None, lambda: False)
    result = Surroundings(tmp_path).store.folder(trial(first, 0, 0)).result()
    said = picture(grid_of(planned(tmp_path, (0, 1))))
    assert f"{100 * result.validation.accuracy:.1f}%" in said
    assert "0 of 2 trials" in said


def test_a_trial_on_another_machine_is_seen_by_its_epochs(tmp_path, grid_of):
    """Its steps are not told; finished is what has a result, not what has its last epoch."""
    study = planned(tmp_path)
    grid = grid_of(study)
    name = trial(study, 0, 0)
    grid(Started(name, "cpu", 1, 2, 0))
    for number in (1, 2):
        grid(EpochEnded(name, Epoch(number, Scores(0.5, 0.9), Scores(0.6, 0.9)), 0.1))
        assert f"{number}/2 90.0%" in picture(grid)
        assert "0 of 6 trials" in picture(grid)
    grid(Ended(name, "finished", Scores(0.7, 0.9)))
    assert "1 of 6 trials" in picture(grid)


def test_a_trial_tried_again_waits_again(tmp_path, grid_of):
    study = planned(tmp_path)
    grid = grid_of(study)
    grid(Started(trial(study, 0, 0), "cpu", 1, 2, 0))
    grid(TriedAgain(trial(study, 0, 0), "killed"))
    assert "0/2" not in picture(grid)


def test_more_blocks_than_fit_are_shown_from_where_work_is_left(tmp_path, grid_of):
    study = planned(tmp_path, tuple(range(20)))
    grid = grid_of(study)
    for block in range(10):
        for arm in (0, 1):
            finish(grid, trial(study, arm, block), 0.9)
    said = picture(grid)
    assert "block 9 " in said
    assert "block 10" in said
    assert "block 0 " not in said


def test_fewer_side_by_side_than_asked_for_is_said_with_its_reason(tmp_path, capsys):
    study = planned(tmp_path)
    watcher([study])(FewerAtOnce(trial(study, 0, 0), most=4, wanted=16, taken=15_000_000_000))
    assert capsys.readouterr().err == "4 trials side by side instead of 16: one takes 15.0 GB of the GPU's memory\n"


def test_a_terminal_gets_the_grid_and_a_file_gets_lines(tmp_path, monkeypatch):
    assert not isinstance(watcher([planned(tmp_path)]), Grid)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with watcher([planned(tmp_path)]) as shown:
        assert isinstance(shown, Grid)
