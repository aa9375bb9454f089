"""A study keeps account of its judgements: who trains judges, who reads shows the last judgement."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from stores import recipe

from eailab.findings.decision import arm_decisions
from eailab.findings.statements import state_sentences
from eailab.report.csv_rows import arms_csv
from eailab.report.formats import FORMATS
from eailab.report.json_report import as_mapping
from eailab.report.study_report import Report, load_study
from eailab.report.verify import verify
from eailab.report.write import write_plans, write_report, write_study
from eailab.runs.context import RunContext
from eailab.stats.model import compare
from eailab.stats.unblocked import Sample, compare_unblocked
from eailab.studies.design import single
from eailab.studies.heads import STUDIES, heads
from eailab.studies.judgements import (
    kept_judgements,
    note_on_later_blocks,
    note_on_related,
    record_judgement,
    related_studies,
)
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
    seen = []
    monkeypatch.setattr(
        "eailab.report.write.write_study", lambda *asked: seen.append(judged(folder)) or write_study(*asked)
    )
    publish(shop, planned(folder))
    assert seen == [(ALL,)]


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


# --- a study that is judged again

CLEAR = [0.80, 0.81, 0.80, 0.92, 0.93]
"""Worse in the first three blocks than in the two that follow."""


@pytest.fixture
def again(shop):
    """Judged after three blocks, at 5%, and after five, at 0.5%."""
    folder = shop.study({10: SMALL, 20: CLEAR, 30: [0.90, 0.91, 0.93, 0.94, 0.93]})
    write_record(folder, replace(read_record(folder), judged=(FIRST, ALL)))
    return folder


def test_a_second_judgement_keeps_the_first_verdict_and_shows_its_own_interval(shop, again):
    found = shop.findings(again)
    _, moved, other = found.arms
    assert (moved.against_baseline.verdict, other.against_baseline.verdict) == ("WORSE", "UNDECIDED")
    assert "WORSE since judgement 1 of 2, after 3 blocks" in moved.notes
    assert not any("judgement" in note for note in other.notes)
    values = np.array([arm.values for arm in found.arms]).T
    alone = compare(values, 0, found.margin, level=0.005)
    assert [arm.against_baseline.interval for arm in found.arms] == [arm.interval for arm in alone.arms]
    assert moved.against_baseline.interval[1] > 0.0
    assert found.levels == (0.005,)


def test_every_form_of_the_report_says_how_often_the_study_was_judged(shop, again):
    report = publish(shop, planned(again))
    assert judged(again) == (FIRST, ALL)
    markdown, numbers = (again / "table.md").read_text(), json.loads((again / "table.json").read_text())
    assert "99.5% interval" in markdown
    assert "95% interval" not in markdown.replace("99.5% interval", "")
    assert (
        "Judgements: 2, after 3 and 5 blocks, at levels of 5% and 0.5%: so all judgements together"
        in markdown.replace("*", "")
    )
    looks = numbers["looks"]
    assert (looks["blocks"], looks["levels"], looks["made"], looks["planned"]) == ([3, 5], [0.05, 0.005], 2, False)
    assert looks["decisions"][1] == {"verdict": "WORSE", "look": 1, "blocks": 3, "level": 0.05}
    arm = numbers["arms"][1]
    assert (arm["level"], arm["interval"]) == (0.005, list(report.findings.arms[1].against_baseline.interval))
    row = list(csv.DictReader(arms_csv([("again", report.findings)]).splitlines()))[1]
    assert [float(row[name]) for name in ("low", "high", "level")] == [*arm["interval"], 0.005]
    page = (again / "report.html").read_text()
    assert "99.5% interval" in page
    assert "judged after 3 and 5 blocks, at levels of 5% and 0.5%" in page
    assert "given with 99.5% intervals" in page
    assert verify(again / "report.html", shop.store).holds


def test_the_decision_is_of_the_last_judgement(shop, again):
    found = shop.findings(again)
    worse, open_arm = arm_decisions(found)
    assert (worse.verdict, worse.level, worse.looks_made, worse.looks_planned) == ("WORSE", 0.995, 2, None)
    assert (worse.low, worse.high) == found.arms[1].against_baseline.interval
    assert open_arm.verdict == "UNDECIDED"


def test_runs_without_shared_seeds_are_judged_again_likewise():
    """Groups of runs have the intervals of the level too."""
    samples = [Sample.of(np.array(values)) for values in (SMALL, LARGE, CLEAR)]
    for one, other in zip(
        compare_unblocked(samples, 0, 0.0).arms, compare_unblocked(samples, 0, 0.0, level=0.005).arms, strict=True
    ):
        if one.interval is not None:
            assert one.interval == one.interval95 == other.interval95
            assert other.interval[0] < one.interval[0] < one.interval[1] < other.interval[1]
            assert other.level == 0.005


# --- other studies of the same trials


def related(shop, folder):
    return related_studies(read_record(folder), folder, heads(shop.root, STUDIES), shop.store)


def test_other_studies_of_the_same_trials_are_named_with_what_they_differ_in(shop, tmp_path):
    """The best of several tables keeps no 5%; a page made before there were others says nothing, and still holds."""
    folder = shop.study({10: SMALL, 20: LARGE, 30: CLEAR})
    write_study(shop.store, folder)
    page = tmp_path / "before.html"
    page.write_bytes((folder / "report.html").read_bytes())
    assert "also judged in" not in page.read_text()
    fewer = shop.study({10: SMALL, 20: LARGE})
    swapped = shop.study({10: SMALL, 20: LARGE, 30: CLEAR}, baseline=20)
    loss = shop.study({10: SMALL, 20: LARGE, 30: CLEAR}, study={"metric": "validation-loss"})
    shop.study({10: SMALL, 20: LARGE}, epochs=2)
    (note,) = note_on_related(folder.name, related(shop, folder))
    assert f"{fewer.name} (with the arms 10, 20)" in note
    assert f"{swapped.name} (against 20)" in note
    assert f"{loss.name} (by validation-loss)" in note
    assert note.count("(") == 3
    written = write_report([folder], tmp_path / "out", formats=["json"])
    assert note in written.notes
    (one,) = json.loads(written.files["json"].read_text())["studies"]
    assert {"called": loss.name, "metric": "validation-loss", "arms": None, "baseline": None} in one["related"]
    report = Report("study", "en", (load_study(shop.store, folder),))
    for kind in ("html", "markdown"):
        file = tmp_path / f"after{FORMATS[kind].suffix}"
        file.write_text(FORMATS[kind].text(report))
        assert f"{fewer.name} (with the arms 10, 20)" in file.read_text()
        assert verify(file, shop.store).holds
    assert "also judged in" in FORMATS["latex"].text(report)
    found = verify(page, shop.store)
    assert found.holds
    assert sum("the report does not name" in note for note in found.notes) == 3


def test_of_several_metrics_one_is_primary_and_the_others_are_marked(shop):
    """That of the engine's studies by default; a metric that nothing else was judged by needs no mark."""
    by_loss = {"study": {"metric": "validation-loss"}}
    loss = shop.study({10: SMALL, 20: LARGE}, **by_loss)
    said = "Validation loss is not the primary metric of these trials, which are judged by validation accuracy too"
    assert not any(said in one for one in state_sentences(load_study(shop.store, loss).findings))
    accuracy = shop.study({10: SMALL, 20: LARGE})
    assert state_sentences(load_study(shop.store, loss).findings) == (f"{said}: let that decide.",)
    assert state_sentences(load_study(shop.store, accuracy).findings) == ()
    assert as_mapping(load_study(shop.store, loss).findings)["primary_metric"] == "validation-accuracy"


def test_studies_that_share_a_baseline_alone_ask_another_question(shop):
    folder = shop.study({10: SMALL, 20: LARGE})
    shop.study({10: SMALL, 30: CLEAR})
    assert related(shop, folder) == ()
    assert note_on_related(folder.name, ()) == []
