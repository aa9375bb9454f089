"""A frozen plan is a file that fits its own name, and tells planned blocks from all others."""

import math
from contextlib import suppress
from dataclasses import replace

import pytest
import yaml
from plans import one_factor, train_plan

from eailab.errors import StudyError
from eailab.recipe.canonical import digest
from eailab.recipe.load import Override, load
from eailab.runs.context import RunContext
from eailab.studies.plan import plan
from eailab.studies.preregistration import freeze, frozen_blocks, known_already, read_plans, standing, unplanned
from eailab.studies.run import with_looks

RECIPE = load("digits-mlp", [Override("epochs", 1, "-o")]).recipe


def planned(root, blocks, levels=(16, 32)):
    return plan(one_factor(RECIPE, "batch-size", list(levels), blocks), RunContext(root))


def store(root):
    return RunContext(root).store


def test_a_plan_is_read_back_and_trains_nothing(tmp_path):
    frozen, file = freeze([planned(tmp_path, (0, 1))], "16 beats\n 32", store(tmp_path))
    assert frozen.hypothesis == "16 beats 32"
    assert read_plans(store(tmp_path)) == ([frozen], [])
    assert file.stem == frozen.fingerprint
    assert not (tmp_path / "trials").exists()


def test_the_same_plan_is_one_file_and_keeps_its_time(tmp_path):
    _, file = freeze([planned(tmp_path, (0, 1))], "a", store(tmp_path))
    file.write_text(file.read_text().replace(file.read_text().split("frozen: ")[1], "'2020-01-01'\n"))
    before = file.read_bytes()
    _, again = freeze([planned(tmp_path, (0, 1))], "a", store(tmp_path))
    assert again == file
    assert file.read_bytes() == before
    assert freeze([planned(tmp_path, (0, 1))], "b", store(tmp_path))[1] != file


@pytest.mark.parametrize("looks_first", [False, True])
def test_a_plan_with_other_looks_is_named_before_training(tmp_path, looks_first):
    """The studies are two, so that a report calls the other one post hoc: too late, once it is trained."""
    fixed = one_factor(RECIPE, "batch-size", [16, 32], range(4))
    kinds = [fixed, with_looks([fixed], 13)]
    frozen, other = reversed(kinds) if looks_first else kinds
    before = [plan(one, RunContext(tmp_path)) for one in (frozen, other)]
    assert [one.notes for one in before] == [(), ()]
    freeze(before[:1], "a", store(tmp_path))
    (note,) = plan(other, RunContext(tmp_path)).notes
    way = "with --until-decided --max-trials 12" if looks_first else "in a fixed number of blocks"
    assert f"has this comparison {way}." in note
    assert plan(frozen, RunContext(tmp_path)).notes == ()
    assert plan(one_factor(RECIPE, "lr", [0.1, 0.2], (0, 1)), RunContext(tmp_path)).notes == ()


def test_the_file_of_another_program_is_not_a_plan(tmp_path):
    _, file = freeze([planned(tmp_path, (0, 1))], "a", store(tmp_path))
    (file.parent / f"._{file.name}").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    assert len(read_plans(store(tmp_path))[0]) == 1
    assert not read_plans(store(tmp_path))[1]


def test_without_a_plan_nothing_is_post_hoc(tmp_path):
    assert standing(store(tmp_path), planned(tmp_path, (0, 1)).record) is None


def test_blocks_and_studies_outside_a_plan_are_post_hoc(tmp_path):
    frozen, _ = freeze([planned(tmp_path, (0, 1))], "a", store(tmp_path))
    inside = standing(store(tmp_path), planned(tmp_path, (0, 1)).record)
    assert (inside.plan, inside.post_hoc, inside.seen) == (frozen, (), ())
    assert standing(store(tmp_path), planned(tmp_path, (0, 1, 2, 5)).record).post_hoc == (2, 5)
    other = standing(store(tmp_path), planned(tmp_path, (0, 1), levels=(16, 64)).record)
    assert (other.plan, other.post_hoc) == (None, (0, 1))


def test_what_was_known_when_the_plan_was_frozen_is_in_it(tmp_path):
    train_plan(planned(tmp_path, (0,)), RunContext(tmp_path), 1)
    frozen, _ = freeze([planned(tmp_path, (0, 1))], "a", store(tmp_path))
    assert frozen.studies[0].seen == (0,)


def test_what_was_known_is_said_arm_by_arm(tmp_path):
    """The baseline of another study is known; the arm that is compared with it is not."""
    train_plan(planned(tmp_path, (0,)), RunContext(tmp_path), 1)
    assert known_already(planned(tmp_path, (0, 1), levels=(16, 64))) == {"16": (0,)}
    assert known_already(planned(tmp_path, (0, 1))) == {"16": (0,), "32": (0,)}
    assert known_already(planned(tmp_path, (5,), levels=(64, 128))) == {}


def test_studies_that_a_first_plan_makes_post_hoc_are_known_beforehand(tmp_path):
    train_plan(planned(tmp_path, (0,)), RunContext(tmp_path), 1)
    (older,) = unplanned(store(tmp_path), [])
    assert older.startswith("digits-mlp-batch-size-")
    assert unplanned(store(tmp_path), [planned(tmp_path, (0, 1))]) == []
    freeze([planned(tmp_path, (0, 1), levels=(16, 64))], "a", store(tmp_path))
    assert unplanned(store(tmp_path), []) == []  # they have been post hoc since the first plan


def test_a_later_plan_may_name_more_blocks(tmp_path):
    freeze([planned(tmp_path, (0, 1))], "a", store(tmp_path))
    wider, _ = freeze([planned(tmp_path, (0, 1, 2))], "a", store(tmp_path))
    assert standing(store(tmp_path), planned(tmp_path, (0, 1, 2)).record).plan == wider


def test_a_plan_after_all_its_results_is_refused(tmp_path):
    known = replace(planned(tmp_path, (0, 1)), todo=())
    with pytest.raises(StudyError, match=r"digits-mlp-batch-size: every trial has ended already.*larger --seeds"):
        freeze([known], "16 beats 32", store(tmp_path))
    assert read_plans(store(tmp_path)) == ([], [])


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_hypothesis_is_refused(tmp_path, text):
    with pytest.raises(StudyError, match="say what you expect"):
        freeze([planned(tmp_path, (0,))], text, store(tmp_path))


@pytest.mark.parametrize(("old", "new"), [("hypothesis: a", "hypothesis: b"), ("- 1\n", "- 7\n"), ("studies", "stud")])
def test_a_plan_changed_afterwards_is_found(tmp_path, old, new):
    _, file = freeze([planned(tmp_path, (0, 1))], "a", store(tmp_path))
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))
    plans, (broken,) = read_plans(store(tmp_path))
    assert plans == []
    assert broken.file == file
    assert file.name in broken.reason


@pytest.mark.parametrize(
    ("place", "value"),
    [("blocks", [0, math.nan]), ("blocks", [0, -1]), ("seen", [0.0]), ("seen", [2**31]), ("name", 7), ("name", ["a"])],
)
def test_a_plan_named_after_what_cannot_stand_in_one_is_damaged(tmp_path, place, value):
    """Whoever changes it can name its file again, and then only types and ranges are left to find it."""
    _, file = freeze([planned(tmp_path, (0, 1))], "a", store(tmp_path))
    mapping = yaml.safe_load(file.read_text())
    mapping["studies"][0][place] = value
    with suppress(ValueError):  # NaN has no fingerprint
        file = file.rename(file.with_stem(digest({k: v for k, v in mapping.items() if k != "frozen"})[:10]))
    file.write_text(yaml.safe_dump(mapping))
    plans, (broken,) = read_plans(store(tmp_path))
    assert plans == []
    assert "cannot be read as a frozen plan" in broken.reason


def test_a_newer_plan_is_refused(tmp_path):
    _, file = freeze([planned(tmp_path, (0, 1))], "a", store(tmp_path))
    file.write_text(file.read_text().replace("schema_version: 1", "schema_version: 2"))
    _, (broken,) = read_plans(store(tmp_path))
    assert "newer eailab" in broken.reason


def test_a_damaged_plan_costs_its_own_study_its_standing_and_no_other_study_anything(tmp_path):
    own, other = planned(tmp_path, (0, 1)), planned(tmp_path, (0, 1), levels=(16, 64))
    _, file = freeze([own], "a", store(tmp_path))
    elsewhere = standing(store(tmp_path), other.record)
    whole = file.read_text()
    file.write_text(whole.replace("hypothesis: a", "hypothesis: b"))
    lost = standing(store(tmp_path), own.record)
    assert (lost.plan, lost.post_hoc, lost.broken) == (None, (), (file.name,))
    assert standing(store(tmp_path), other.record) == elsewhere
    assert frozen_blocks(store(tmp_path), own.record.study) == {0, 1}
    _, again = freeze([own], "a", store(tmp_path))
    assert again == file
    assert standing(store(tmp_path), own.record).broken == ()
    assert "hypothesis: b" in file.with_name(f"{file.name}.damaged-1").read_text()
