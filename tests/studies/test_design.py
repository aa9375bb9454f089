"""A study compares recipes that differ in one factor, over blocks that all arms share."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import one_factor

from eailab.errors import DamagedError, RecipeError, StoreError, StudyError
from eailab.recipe.load import Override, load
from eailab.recipe.override import differences
from eailab.studies.design import all_combinations, one_at_a_time, single, updates
from eailab.studies.factor import Bundle, FactorLevels
from eailab.studies.plan import parse_blocks
from eailab.studies.storage import StudyRecord, read_record, write_record

RECIPE = load("digits-mlp").recipe
RESNET = load("resnet18-cifar10").recipe


@given(st.lists(st.floats(1e-6, 10), min_size=2, max_size=6, unique=True))
def test_an_arm_differs_from_the_baseline_in_its_own_factor_only(levels):
    """One factor at a time means exactly that."""
    study = one_factor(RECIPE, "lr", levels, blocks=(0,))
    baseline = study.arms[study.baseline].recipe
    for arm in study.arms:
        assert set(differences(baseline, arm.recipe)) <= {"optimizer.lr"}
        assert arm.recipe.optimizer.lr == arm.level


def test_the_baseline_is_the_recipes_own_level_else_the_first():
    assert one_factor(RECIPE, "batch-size", [16, 32, 64], (0,)).baseline == 1
    assert one_factor(RECIPE, "batch-size", [16, 64], (0,)).baseline == 0
    assert one_factor(RECIPE, "batch-size", [16, 32, 64], (0,), baseline=64).baseline == 2


@pytest.mark.parametrize(
    ("factor", "levels", "settings", "message"),
    [
        ("batch-size", [16], {}, "two or more"),
        ("batch-size", [16, 16], {}, "name each level once"),
        ("lr", [1, 1.0], {}, "name each level once"),
        ("batch-size", [16, 64], {"baseline": 32}, "none of the levels"),
        ("batch-size", [16, 64], {"blocks": ()}, "at least one block"),
    ],
)
def test_what_makes_no_comparison_is_refused(factor, levels, settings, message):
    with pytest.raises(StudyError, match=message):
        one_factor(RECIPE, factor, levels, **({"blocks": (0,)} | settings))


@pytest.mark.parametrize(
    ("factor", "levels", "fragments"),
    [
        ("batch-sise", [16, 32], ["batch-sise", "batch-size"]),
        ("stem", ["7x7", "3x3"], ["stem", "torch-resnet"]),
        ("batch-size", ["many", 32], ["many", "batch_size"]),
        ("optimizer", ["adam", "sdg"], ["sdg", "sgd"]),
    ],
)
def test_an_unknown_factor_or_level_is_explained(factor, levels, fragments):
    with pytest.raises(RecipeError) as caught:
        one_factor(RECIPE, factor, levels, (0,))
    assert all(fragment in str(caught.value) for fragment in fragments)


def test_a_variant_brings_its_own_settings_and_says_so():
    study = one_factor(RESNET, "optimizer", ["adam", "sgd"], (0,))
    assert any("momentum" in sentence for sentence in study.arms[1].brought)
    assert study.arms[1].recipe.optimizer.lr == RESNET.optimizer.lr


def test_a_level_by_augmentation_keeps_all_else():
    study = one_factor(RESNET, "augment", ["none", "crop-flip", "cutout"], (0,))
    assert [arm.label for arm in study.arms] == ["none", "crop-flip", "cutout"]
    assert study.baseline == 1


def test_every_arm_has_a_trial_in_every_block_and_all_names_differ():
    study = one_factor(RECIPE, "batch-size", [16, 32, 64], (0, 1, 4))
    trials = study.trials(["x"] * len(study.arms))
    assert list(trials) == [(arm, block) for block in (0, 1, 4) for arm in range(3)]
    assert len({trial.fingerprint for trial in trials.values()}) == 9


def test_the_baselines_trials_are_those_of_the_plain_recipe():
    """So that a study finds what `train-mlp` has trained."""
    study = one_factor(RECIPE, "batch-size", [16, 32], (0,))
    assert study.trials(["x"] * len(study.arms))[1, 0] == single(RECIPE, 0).trials(["x"])[0, 0]


def test_more_blocks_go_on_with_the_same_study_and_another_baseline_does_not():
    def study(**settings):
        return one_factor(RECIPE, "batch-size", [16, 32], **({"blocks": (0,)} | settings))

    assert study().folder_name == study(blocks=(0, 1, 2)).folder_name
    assert study().folder_name != study(baseline=16).folder_name
    assert single(RECIPE, 0).folder_name != single(RECIPE, 1).folder_name


def test_a_folders_name_is_safe_whatever_the_recipes_name_is():
    recipe = RECIPE.model_copy(update={"name": "../../etc/<script> 表"})
    name = single(recipe, 0).folder_name
    assert "/" not in name
    assert "." not in name
    assert name.isascii()


def test_a_record_reads_back_as_written(tmp_path):
    study = one_factor(RESNET, "optimizer", ["adam", "sgd"], (0, 2), None)
    trials = {key: trial.fingerprint for key, trial in study.trials(["x"] * len(study.arms)).items()}
    record = StudyRecord(study, trials, (10, 20), 45_000)
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record


def test_labels_of_a_study_file_read_back_as_written(tmp_path):
    asked = FactorLevels(("batch-size",), ((16,), (32,)), names=("small", "large"))
    (study,) = one_at_a_time(RECIPE, [asked], (0,))
    write_record(tmp_path, StudyRecord(study, {(0, 0): "a", (1, 0): "b"}, (10, 10), 100))
    assert [arm.label for arm in read_record(tmp_path).study.arms] == ["small", "large"]


@pytest.mark.parametrize(
    ("factor", "level", "label"),
    [
        ("activation", ["relu", "sigmoid"], "relu, sigmoid"),
        ("sched", {"name": "steplr", "step_size": 2}, "steplr (step_size 2)"),
        ("ema", None, "none"),
        ("lr", 1e-05, "1e-05"),
        ("deterministic", True, "true"),
    ],
)
def test_a_label_is_words(factor, level, label):
    other = {"activation": "tanh", "sched": "constant", "ema": 0.9, "lr": 0.1, "deterministic": False}[factor]
    study = one_factor(RESNET if factor == "deterministic" else RECIPE, factor, [other, level], (0,))
    assert study.arms[1].label == label


def test_levels_that_would_be_called_the_same_are_refused():
    narrow = load("digits-mlp", [Override("hidden", [8], "-o")]).recipe
    with pytest.raises(StudyError, match=r"the levels relu and \[relu\] of model.activation are both called relu"):
        one_factor(narrow, "activation", ["relu", ["relu"]], (0,))


def test_a_single_level_is_answered_with_another():
    with pytest.raises(StudyError, match="a comparison needs two or more") as caught:
        one_factor(RECIPE, "activation", [["relu", "sigmoid"]], (0,))
    assert caught.value.correction.level == ("activation", "relu")


def test_a_record_that_says_the_same_is_left_alone(tmp_path):
    """A study that goes on renames no file under those who read it."""
    record = StudyRecord(one_factor(RECIPE, "lr", [0.1, 0.01], (0,)), {(0, 0): "a", (1, 0): "b"}, (10, 10), 100)
    write_record(tmp_path, record)
    before = (tmp_path / "study.yaml").stat().st_ino
    write_record(tmp_path, record)
    assert (tmp_path / "study.yaml").stat().st_ino == before
    write_record(tmp_path, replace(record, training_images=99))
    assert read_record(tmp_path).training_images == 99


def test_a_record_that_was_changed_is_refused(tmp_path):
    """Its arms decide which trials are compared."""
    write_record(tmp_path, StudyRecord(single(RECIPE, 0), {(0, 0): "a"}, (10,), 100))
    file = tmp_path / "study.yaml"
    file.write_text(file.read_text().replace("training_images: 100", "training_images: 101"))
    with pytest.raises(DamagedError, match="checksum"):
        read_record(tmp_path)


@pytest.mark.parametrize("text", ["", "schema_version: 99", "[1, 2", "schema_version: 1\nname: x"])
def test_a_record_that_is_no_study_is_refused(tmp_path, text):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(StoreError, match=r"study\.yaml"):
        read_record(tmp_path)


def test_updates_count_the_last_partial_batch():
    assert updates(RECIPE.model_copy(update={"epochs": 3, "batch_size": 32}), 100) == 12


@pytest.mark.parametrize(("text", "blocks"), [("1", (0,)), ("3", (0, 1, 2)), ("0,3,7", (0, 3, 7)), ("7,3", (3, 7))])
def test_seeds_are_a_count_or_a_list(text, blocks):
    assert parse_blocks(text) == blocks


def test_the_largest_count_of_seeds_is_ten_thousand():
    """As in a study file; a slip of the finger must not plan a million trials."""
    assert parse_blocks("10000") == tuple(range(10_000))


@pytest.mark.parametrize("text", ["0", "-1", "five", "1.5", "3,3", "-1,2", "", "3,", "10001", "99999999"])
def test_seeds_that_are_neither_are_refused(text):
    with pytest.raises(StudyError, match="--seeds"):
        parse_blocks(text)


def asked(text, *levels, baseline=None):
    return FactorLevels((text,), tuple((level,) for level in levels), None if baseline is None else (baseline,))


def test_several_factors_share_one_baseline():
    """Its trials are trained once, and every other arm differs from it in one factor."""
    first, second = one_at_a_time(RECIPE, [asked("lr", 0.01, 0.1), asked("batch-size", 16, 64)], (0, 1))
    assert first.trials(["x"] * len(first.arms))[0, 0] == second.trials(["x"] * len(second.arms))[0, 0]
    assert {str(first.factor), str(second.factor)} == {"optimizer.lr", "batch_size"}
    for study in (first, second):
        baseline = study.arms[study.baseline].recipe
        assert baseline.optimizer.lr == 0.01
        assert baseline.batch_size == 16
        for arm in study.arms:
            assert set(differences(baseline, arm.recipe)) <= {str(study.factor)}


def test_a_factor_named_twice_is_refused_under_whatever_name():
    with pytest.raises(StudyError, match=r"optimizer\.lr is varied twice, by lr and by optimizer\.lr"):
        one_at_a_time(RECIPE, [asked("lr", 0.1, 0.2), asked("optimizer.lr", 0.3, 0.4)], (0,))


def test_a_bundle_is_one_factor_under_the_names_of_both():
    bundle = FactorLevels(("lr", "optimizer"), ((0.001, "adam"), (0.1, "sgd")))
    (study,) = one_at_a_time(RECIPE, [bundle], (0,))
    assert study.factor == Bundle(("optimizer.lr", "optimizer.name"))
    assert [arm.label for arm in study.arms] == ["0.001+adam", "0.1+sgd"]
    assert study.baseline == 0
    sgd = study.arms[1]
    assert (sgd.recipe.optimizer.name, sgd.recipe.optimizer.lr) == ("sgd", 0.1)
    assert any("momentum" in sentence for sentence in sgd.brought)
    assert not any("lr" in sentence for sentence in sgd.brought)


def test_a_factorial_has_every_combination_once():
    study = all_combinations(RESNET, [asked("sched", "steplr", "constant"), asked("optimizer", "sgd", "adam")], (0,))
    assert [arm.label for arm in study.arms] == [
        "steplr × sgd",
        "steplr × adam",
        "constant × sgd",
        "constant × adam",
    ]
    assert [(arm.recipe.schedule.name, arm.recipe.optimizer.name) for arm in study.arms] == [
        ("steplr", "sgd"),
        ("steplr", "adam"),
        ("constant", "sgd"),
        ("constant", "adam"),
    ]
    assert study.baseline == 3
    assert study.arms[3].recipe == RESNET
    assert [(str(axis.factor), axis.baseline) for axis in study.axes] == [("schedule.name", 1), ("optimizer.name", 1)]


def test_one_factor_makes_no_factorial():
    with pytest.raises(StudyError, match="there is one"):
        all_combinations(RECIPE, [asked("lr", 0.1, 0.2)], (0,))


def test_designs_read_back_as_written(tmp_path):
    bundle = FactorLevels(("optimizer", "lr"), (("adam", 0.001), ("sgd", 0.1)))
    study = all_combinations(RESNET, [bundle, asked("batch-size", 16, 32)], (0, 2), "updates")
    trials = {key: trial.fingerprint for key, trial in study.trials(["x"] * len(study.arms)).items()}
    record = StudyRecord(study, trials, (10, 20, 10, 20), 45_000)
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
