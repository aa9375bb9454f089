"""Several commands on one study: each block that somebody has trained, planned or frozen stays, and no other."""

from dataclasses import replace

import pytest
from plans import one_factor, train_plan

from eailab.errors import StoppedError
from eailab.recipe.load import Override, load
from eailab.runs.context import RunContext
from eailab.runs.lock import hold
from eailab.runs.store import quarantine
from eailab.studies.plan import plan
from eailab.studies.preregistration import freeze
from eailab.studies.sharing import at_work, entered
from eailab.studies.storage import read_record, write_record

CHANGES = [Override("epochs", 1, "-o"), Override("data.limit", 64, "-o"), Override("model.hidden", [2], "-o")]
RECIPE = load("digits-mlp", CHANGES).recipe


@pytest.fixture
def here(tmp_path):
    return RunContext(tmp_path / "runs")


def planned(here, *blocks):
    return plan(one_factor(RECIPE, "batch-size", [16, 32], blocks), here)


def train(one, here):
    assert train_plan(one, here, 1) == []


def enter(one, here, said=None):
    with entered(one, here.store, ([] if said is None else said).append) as record:
        return record.study.blocks


def blocks_of(one):
    return read_record(one.folder).study.blocks


def test_blocks_that_were_planned_and_never_trained_leave_when_fewer_are_asked_for(here):
    """Else a plan of 498 blocks, once made, could not be got rid of."""
    train(planned(here, 0), here)
    many = planned(here, 0, 1, 2, 3, 4)
    enter(many, here)
    assert blocks_of(many) == (0, 1, 2, 3, 4)
    fewer = planned(here, 0, 1)
    assert fewer.record.study.blocks == (0, 1)
    assert "blocks that were not asked for (2 to 4) were planned and never trained: they leave" in fewer.notes[0]
    assert enter(fewer, here) == (0, 1)
    assert blocks_of(fewer) == (0, 1)


def test_blocks_that_were_begun_stay_and_a_note_says_why(here):
    one = planned(here, 0, 1)
    trial = here.store.folder(one.record.trials[0, 1])
    enter(one, here)
    trial.begin(one.trials[2], 1)
    fewer = planned(here, 0)
    assert fewer.record.study.blocks == (0, 1)
    assert "(1) were trained, wholly or in part: they stay" in fewer.notes[0]
    assert enter(replace(fewer, record=fewer.record), here) == (0, 1)


def test_a_block_whose_damaged_trials_were_quarantined_stays(here):
    """It had results, and they were seen."""
    one = planned(here, 0, 1)
    train(one, here)
    for arm in (0, 1):
        quarantine(here.store, here.store.folder(one.record.trials[arm, 1]).path)
    assert planned(here, 0).record.study.blocks == (0, 1)


def test_blocks_that_a_frozen_plan_names_stay(here):
    one = planned(here, 0, 1)
    freeze([one], "16 is better", here.store)
    enter(planned(here, 0, 1, 2), here)
    fewer = planned(here, 0)
    assert fewer.record.study.blocks == (0, 1)
    assert "named by a frozen plan" in " ".join(fewer.notes)


def test_blocks_of_a_command_that_is_running_stay_until_it_ends(here):
    mine, other = planned(here, 0), planned(here, 0, 1, 2)
    with at_work([other], here.store, print, lambda: False):
        running = planned(here, 0)
        assert running.record.study.blocks == (0, 1, 2)
        assert "planned by another command that is running" in running.notes[0]
        assert enter(mine, here) == (0, 1, 2)
    assert enter(mine, here) == (0,)


def test_a_command_keeps_its_blocks_beside_those_of_others_whoever_comes_first(here):
    few, many = planned(here, 0, 1), planned(here, 0, 1, 2)
    with at_work([many], here.store, print, lambda: False), at_work([few], here.store, print, lambda: False):
        assert blocks_of(few) == (0, 1, 2)
    with at_work([few], here.store, print, lambda: False), at_work([many], here.store, print, lambda: False):
        assert blocks_of(few) == (0, 1, 2)


def test_trials_of_blocks_that_others_planned_have_the_names_that_they_gave_them(here):
    few, many = planned(here, 0), planned(here, 0, 1)
    with at_work([many], here.store, print, lambda: False):
        enter(few, here)
        assert read_record(few.folder) == many.record


def test_a_damaged_record_is_set_aside_when_it_is_written_again_and_that_is_said(here):
    one, said = planned(here, 0, 1), []
    enter(one, here)
    file = one.folder / "study.yaml"
    file.write_text(file.read_text().replace("margin", "nigram", 1))
    again = planned(here, 0)
    assert "It is set aside when the study is trained" in again.notes[0]
    assert file.read_text().count("nigram") == 1
    assert enter(again, here, said) == (0,)
    assert "set aside as study.yaml.damaged-1" in said[0]
    assert "nigram" in (one.folder / "study.yaml.damaged-1").read_text()


def test_a_wait_for_another_command_can_be_stopped(here, monkeypatch):
    monkeypatch.setattr("eailab.studies.sharing.SAID_AFTER_SECONDS", 0.0)
    one, said, stop = planned(here, 0), [], []

    def ask():
        stop.append(True)
        return len(stop) > 2

    with hold(one.folder), pytest.raises(StoppedError), entered(one, here.store, said.append, ask):
        pass
    assert said == [f"another command is writing {one.folder}: waiting for it"]
    assert not (one.folder / "study.yaml").exists()


def test_a_record_that_says_what_is_wanted_is_not_written_again(here):
    one = planned(here, 0)
    write_record(one.folder, one.record)
    before = (one.folder / "study.yaml").stat()
    enter(one, here)
    assert (one.folder / "study.yaml").stat().st_mtime_ns == before.st_mtime_ns
