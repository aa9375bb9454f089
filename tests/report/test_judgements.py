"""A study keeps account of its judgements: who trains judges, who reads shows the last judgement."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from stores import recipe

from eailab.report.verify import verify
from eailab.report.write import write_plans, write_report, write_study
from eailab.runs.context import RunContext
from eailab.studies.design import single
from eailab.studies.judgements import kept_judgements, note_on_later_blocks, record_judgement
from eailab.studies.sharing import at_work, beyond
from eailab.studies.storage import Plan, StudyRecord, read_record, write_record

SMALL = [0.90, 0.92, 0.91, 0.93, 0.94]
LARGE = [0.80, 0.83, 0.81, 0.95, 0.96]
FIRST, ALL = (0, 1, 2), (0, 1, 2, 3, 4)


@pytest.fixture
def grown(shop):
    """A study of five finished blocks of which three have been judged."""
    folder = shop.study({10: SMALL, 20: LARGE})
    write_record(folder, replace(read_record(folder), judged=(FIRST,)))
    return folder


def planned(folder, *blocks):
    """What a command has planned that asks for some blocks."""
    record = replace(read_record(folder), judged=())
    blocks = blocks or record.study.blocks
    trials = {key: name for key, name in record.trials.items() if key[1] in blocks}
    study = replace(record.study, blocks=blocks)
    data = tuple(SimpleNamespace(data="d" * 64) for _ in study.arms)
    return Plan(replace(record, study=study, trials=trials), folder, data, (), ())


def publish(shop, one):
    (report,), _ = write_plans([one], RunContext(shop.root), lambda _: None)
    return report


def judged(folder):
    return read_record(folder).judged


def test_what_trains_records_its_judgement_once_and_keeps_the_rest_of_the_table(shop):
    """A study judged once has the table that it had before judgements were kept."""
    folder = shop.study({10: SMALL, 20: LARGE})
    write_study(shop.store, folder)
    before = (folder / "table.md").read_bytes(), (folder / "table.json").read_bytes()
    assert "judged" not in (folder / "study.yaml").read_text()
    for _ in range(2):
        publish(shop, planned(folder))
        assert judged(folder) == (ALL,)
        assert ((folder / "table.md").read_bytes(), (folder / "table.json").read_bytes()) == before


def test_more_blocks_are_a_further_judgement(shop, grown):
    publish(shop, planned(grown))
    assert judged(grown) == (FIRST, ALL)
    assert yaml.safe_load((grown / "study.yaml").read_text())["judged"] == [list(FIRST), list(ALL)]


def test_the_judgement_is_there_before_the_verdict(shop, monkeypatch):
    folder = shop.study({10: SMALL, 20: LARGE})
    monkeypatch.setattr("eailab.report.write.write_study", lambda *_: judged(folder))
    assert publish(shop, planned(folder)) == (ALL,)


def test_a_command_with_fewer_blocks_judges_what_the_other_has_judged(shop):
    """Two commands on one study: the slower one had planned fewer blocks."""
    folder = shop.study({10: SMALL, 20: LARGE})
    few = planned(folder, *FIRST)
    publish(shop, planned(folder))
    publish(shop, few)
    assert judged(folder) == (ALL,)


def test_nothing_is_judged_before_all_trials_of_its_blocks_have_ended(shop):
    folder = shop.study({10: SMALL, 20: [*LARGE[:4], "unfinished"]})
    assert publish(shop, planned(folder)).findings.state == "running"
    assert judged(folder) == ()
    publish(shop, planned(folder, 0, 1, 2, 3))
    assert judged(folder) == ((0, 1, 2, 3),)


def test_a_diverged_trial_has_ended_and_one_block_gives_no_verdict(shop):
    folder = shop.study({10: SMALL[:2], 20: [0.8, "diverged"]})
    publish(shop, planned(folder))
    assert judged(folder) == ((0, 1),)
    screen = shop.study({10: SMALL[:1], 20: LARGE[:1]}, epochs=2)
    publish(shop, planned(screen))
    assert judged(screen) == ()


def test_reading_shows_the_last_judgement_and_writes_nothing(shop, grown, tmp_path):
    text = (grown / "study.yaml").read_bytes()
    alone = shop.beside("alone").study({10: SMALL[:3], 20: LARGE[:3]})
    expected = shop.beside("alone").findings(alone)
    found = shop.findings(grown)
    assert (found.blocks, found.comparison) == (FIRST, expected.comparison)
    written = write_report([grown], tmp_path / "out", formats=["html", "json"])
    (note,) = written.notes
    assert "2 blocks finished since, not yet judged (3, 4)" in note
    assert written.studies[0].comparison == expected.comparison
    assert (grown / "study.yaml").read_bytes() == text


def test_a_report_of_the_last_judgement_verifies_and_goes_on_to_verify(shop, grown, tmp_path):
    """Before and after the next judgement; what was not judged is no omission."""
    written = write_report([grown], tmp_path / "out", formats=["html", "json"])
    for name in ("html", "json"):
        found = verify(written.files[name], shop.store)
        assert found.holds
        assert "not yet judged" in " ".join(found.notes)
        assert "leaves out" not in " ".join(found.notes)
    publish(shop, planned(grown))
    found = verify(written.files["html"], shop.store)
    assert found.holds
    assert "blocks that the report leaves out: 3, 4" in " ".join(found.notes)


def test_blocks_in_training_are_not_said_to_have_finished(shop):
    folder = shop.study({10: SMALL, 20: [*LARGE[:4], "unfinished"]})
    write_record(folder, replace(read_record(folder), judged=(FIRST,)))
    (note,) = note_on_later_blocks(read_record(folder), shop.store)
    assert "1 block finished since, not yet judged (3)" in note


def test_a_finished_study_of_an_earlier_version_was_judged_once(shop):
    """It kept no account: the judgement is entered as soon as a command asks for more blocks."""
    folder = shop.study({10: SMALL, 20: LARGE})
    everything, few = planned(folder), planned(folder, *FIRST)
    write_record(folder, few.record)
    with at_work([everything], shop.store, print, lambda: False):
        assert judged(folder) == (FIRST,)
        assert shop.findings(folder).blocks == FIRST
    running = shop.study({10: [0.9, "unfinished"], 20: [0.8, 0.7]}, epochs=4)
    assert kept_judgements(read_record(running), read_record(running).trials, shop.store, running) == ()


def test_a_judgement_of_trials_that_others_replaced_is_forgotten(shop, grown):
    """The program or the engine has changed: what was seen then says nothing of these trials."""
    record = read_record(grown)
    others = {key: name if key != (1, 2) else "another" for key, name in record.trials.items()}
    assert kept_judgements(record, others, shop.store, grown) == ()
    later = {key: name if key != (1, 3) else "another" for key, name in record.trials.items()}
    assert kept_judgements(record, later, shop.store, grown) == (FIRST,)


def test_judged_blocks_stay_though_their_trials_were_deleted(shop, grown):
    """Leaving them out would choose among results that were seen."""
    record = read_record(grown)
    empty = shop.beside("empty").store
    assert beyond(empty, grown, record, asked=(0,)).begun == (1, 2)
    assert beyond(empty, grown, record, asked=(0,)).idle == (3, 4)


def test_steps_of_a_path_and_studies_with_looks_keep_no_account(shop, grown):
    record = replace(read_record(grown), judged=())
    step = grown.parent / "a-0123456789" / "steps" / "1"
    assert kept_judgements(record, record.trials, shop.store, step) == ()
    looks = replace(record, study=replace(record.study, looks=(2, 5)))
    assert record_judgement(replace(planned(grown), record=looks), looks, shop.store).judged == ()


def test_a_folder_that_cannot_be_written_keeps_no_account_and_its_tables_are_shown(shop, monkeypatch):
    """A store on a read-only disk is read by the commands that made it too."""
    folder = shop.study({10: SMALL, 20: LARGE})
    write_study(shop.store, folder)
    monkeypatch.setattr("eailab.studies.judgements.os.access", lambda *_: False)
    assert publish(shop, planned(folder)).findings.state == "complete"
    assert judged(folder) == ()


@given(st.sets(st.integers(0, 9), min_size=2), st.sets(st.integers(0, 9), min_size=1))
def test_part_of_a_study_has_the_judgements_that_rest_on_it(some, others):
    study = replace(single(recipe(), 0), blocks=tuple(range(10)))
    judged = tuple(dict.fromkeys((tuple(sorted(some)), tuple(sorted(some | others)))))
    record = StudyRecord(study, {}, (), None, judged=judged)
    assert set(record.as_judged.study.blocks) == some | others
    assert record.restricted(some).judged[:1] == judged[:1]
    assert record.restricted([0]).judged == ()
