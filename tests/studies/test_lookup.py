"""A study and a trial are found by what they are; a name that fits several says which."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from plans import one_factor

from eailab.errors import UsageError
from eailab.recipe.load import Override, load
from eailab.runs.store import Store
from eailab.studies.design import all_combinations, repeated, single
from eailab.studies.factor import FactorLevels
from eailab.studies.heads import STEPS, STUDIES, head_of, heads, trial_names, uses
from eailab.studies.lookup import find_fingerprint, find_trial, one_study, studies_called
from eailab.studies.storage import StudyRecord, read_record, write_record

RECIPE = load("digits-mlp").recipe
BLOCKS = (0, 1)


def write(root, study, below="studies"):
    trials = {key: trial.fingerprint for key, trial in study.trials(["d" * 64] * len(study.arms)).items()}
    folder = root / below / study.folder_name
    write_record(folder, StudyRecord(study, trials, (10,) * len(study.arms), 100))
    for name in trials.values():
        (root / "trials" / name).mkdir(parents=True, exist_ok=True)
    return folder


SIZES = one_factor(RECIPE, "batch-size", [16, 32], BLOCKS)
RATES = one_factor(RECIPE, "lr", [1e-3, 1e-5], BLOCKS)
LAYERS = one_factor(RECIPE, "activation", ["relu", ["relu", "sigmoid"]], BLOCKS)
CROSSED = all_combinations(
    RECIPE, [FactorLevels(("optimizer",), (("adam",), ("sgd",))), FactorLevels(("hidden",), (([8],), ([16],)))], BLOCKS
)


@pytest.fixture
def root(tmp_path):
    for study in (SIZES, RATES, LAYERS, CROSSED, replace(SIZES, name="我的 研究", metric="loss-gap")):
        write(tmp_path, study)
    for recipe in (RECIPE, load("digits-mlp", [Override("epochs", 1, "-o")]).recipe):
        write(tmp_path, single(recipe, 3))
    write(tmp_path, repeated(RECIPE, (7, 8)))
    return tmp_path


def found(root, text):
    return find_trial(Store(root), text).path.name


def name_of(study, arm, block):
    return study.trials(["d" * 64] * len(study.arms))[arm, block].fingerprint


@pytest.mark.parametrize(
    ("text", "study", "arm", "block"),
    [
        ("16/1", SIZES, 0, 1),
        ("digits-mlp-batch-size/16/1", SIZES, 0, 1),
        ("我的 研究/16/1", SIZES, 0, 1),
        (f"{SIZES.folder_name}/16/1", SIZES, 0, 1),
        ("digits-mlp-lr/0.001/0", RATES, 0, 0),
        ("1e-3/0", RATES, 0, 0),
        ("0.00001/1", RATES, 1, 1),
        ("1e-05/1", RATES, 1, 1),
        ("relu, sigmoid/0", LAYERS, 1, 0),
        ("[relu,sigmoid]/0", LAYERS, 1, 0),
        ("adam × 8/0", CROSSED, 0, 0),
        ("sgd x 16/1", CROSSED, 3, 1),
        ("digits-mlp-act/relu/0", LAYERS, 0, 0),
        ("digits-mlp/7", repeated(RECIPE, (7, 8)), 0, 7),
        ("digits-mlp-noise/8", repeated(RECIPE, (7, 8)), 0, 8),
        (f"{single(RECIPE, 3).folder_name}/3", single(RECIPE, 3), 0, 3),
        (name_of(RATES, 0, 1)[:12], RATES, 0, 1),
    ],
)
def test_a_trial_is_named_by_study_arm_and_block_or_the_beginning_of_its_fingerprint(root, text, study, arm, block):
    assert found(root, text) == name_of(study, arm, block)


def test_a_trial_is_named_by_the_path_of_its_folder(root):
    folder = root / "trials" / name_of(SIZES, 0, 0)
    (folder / "recipe.yaml").write_text("")
    assert find_trial(Store(root / "another"), str(folder)).path == folder


def test_a_name_of_several_trials_is_answered_with_names_that_each_have_one(root):
    """Two recipes of one name were trained in block 3."""
    with pytest.raises(UsageError, match="digits-mlp/3 may be 2 trials of") as caught:
        found(root, "digits-mlp/3")
    names = re.findall(r"digits-mlp-\w{10}/3", str(caught.value))
    assert len({found(root, name) for name in names}) == 2


@pytest.mark.parametrize("text", ["", "zz", "16/9", "64/0", "16", "/", "16/", "../16/0", "digits-mlp-batch-size//0"])
def test_a_name_that_no_trial_has_is_answered_with_the_ways_to_write_one(root, text):
    with pytest.raises(UsageError, match=r"\[STUDY/\]ARM/BLOCK or the beginning of a fingerprint.*`eailab runs list`"):
        found(root, text)


def test_the_nearest_names_can_be_pasted_into_a_shell(root):
    with pytest.raises(UsageError, match="such as 'relu, sigmoid/0'"):
        found(root, "relu, sigmoidd/0")


def test_two_trials_whose_fingerprints_begin_alike_are_named(root):
    name = name_of(RATES, 0, 0)
    (root / "trials" / f"{name[:19]}{'1' if name[19] == '0' else '0'}").mkdir()
    with pytest.raises(UsageError, match=f"{name[:9]} may be 2 trials of .*: .*relu/0"):
        found(root, name[:9])


def test_a_trial_that_is_planned_and_not_trained_is_said_to_be_so(root):
    (root / "trials" / name_of(SIZES, 0, 0)).rmdir()
    with pytest.raises(UsageError, match="the trial 16/0 is not trained yet"):
        found(root, "16/0")


def test_each_trial_has_the_shortest_name_that_no_other_has(root):
    names = trial_names(uses(heads(root)))
    assert names[name_of(SIZES, 0, 1)] == "16/1"
    assert names[name_of(single(RECIPE, 3), 0, 3)] == f"{single(RECIPE, 3).folder_name}/3"
    for fingerprint, name in names.items():
        assert found(root, name) == fingerprint


def test_a_head_says_what_the_whole_record_says(root):
    """It is read in another way, which has to follow what is written."""
    for head in heads(root, STUDIES):
        assert replace(head_of(read_record(head.folder)), folder=head.folder) == head


def test_a_record_that_cannot_be_read_leaves_the_others_and_its_folders_name(root):
    folder = root / "studies" / SIZES.folder_name
    (folder / "study.yaml").write_bytes(b"\xff")
    assert found(root, "1e-3/0") == name_of(RATES, 0, 0)
    assert studies_called(heads(root, STUDIES), SIZES.folder_name, root)[0].folder == folder


def test_the_steps_of_a_path_name_their_trials(tmp_path):
    study = replace(SIZES, name="a-to-b step 1")
    trials = {key: trial.fingerprint for key, trial in study.trials(["x"] * len(study.arms)).items()}
    write_record(tmp_path / "studies" / "a-to-b-0123456789" / "steps" / "1", StudyRecord(study, trials, (1, 1), 100))
    (head,) = heads(tmp_path, STEPS)
    assert head.called == "a-to-b-0123456789/steps/1"
    assert find_fingerprint([head], trials.values(), "a-to-b step 1/16/0", "here") == trials[0, 0]


def test_a_path_ablation_is_found_by_its_name_and_is_all_its_studies(tmp_path):
    for number in ("1", "2", "ends"):
        step = replace(SIZES, name=f"a-to-b step {number}")
        write_record(
            tmp_path / "studies" / "a-to-b-0123456789" / "steps" / number,
            StudyRecord(step, dict.fromkeys([(0, 0), (0, 1), (1, 0), (1, 1)], "0" * 20), (1, 1), 100),
        )
    found = heads(tmp_path)
    for text in ("a-to-b", "a-to-b-0123456789", "a-to"):
        assert one_study(found, text, tmp_path).called == "a-to-b-0123456789"
        assert len(studies_called(found, text, tmp_path)) == 3
    assert studies_called(found, "a-to-b step 2", tmp_path)[0].folder.name == "2"
    with pytest.raises(UsageError, match=r"Nearest: a-to-b\b"):
        one_study(found, "atob", tmp_path)


def test_a_label_of_a_study_file_names_no_trial_of_another_study(tmp_path):
    """The trial is in both studies, and the labelled one comes first."""
    labelled = replace(SIZES, name="a", arms=tuple(replace(arm, name=f"size {arm.level}") for arm in SIZES.arms))
    write(tmp_path, labelled)
    assert set(trial_names(uses(heads(tmp_path))).values()) == {
        f"a/size {size}/{block}" for size in (16, 32) for block in BLOCKS
    }
    assert found(tmp_path, "size 16/0") == name_of(SIZES, 0, 0)
    write(tmp_path, SIZES)
    assert trial_names(uses(heads(tmp_path)))[name_of(SIZES, 0, 0)] == "16/0"


def test_a_lasting_name_stays_a_trials_own(root):
    """`digits-mlp/3` is one trial until another recipe of that name is trained."""
    for places in uses(heads(root)).values():
        for place in places:
            assert len({found(root, other.lasting) for other in places}) == 1
            assert place.head.folder.name in place.lasting


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("digits-mlp-batch-size", 1),
        ("我的 研究", 1),
        (SIZES.folder_name, 1),
        ("digits-mlp-b", 1),
        ("digits-mlp", 2),
        ("我的", 1),
    ],
)
def test_a_study_is_found_by_its_name_its_folder_or_the_beginning_of_one(root, text, number):
    assert len(studies_called(heads(root, STUDIES), text, root)) == number


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("digits-mlp-batchsize", ["there is no study", "Nearest: digits-mlp-batch-size"]),
        ("digits-mlp-", ["studies in", "begin with digits-mlp-"]),
        ("", ["there is no study"]),
        ("我的研究", ["Nearest: '我的 研究'"]),
        ("digits-mlp-lrr", ["Nearest: digits-mlp-lr, "]),
        ("optimizer", ["Nearest: 'digits-mlp-optimizer"]),
    ],
)
def test_a_study_that_is_not_found_is_answered_with_the_nearest(root, text, fragments):
    with pytest.raises(UsageError) as caught:
        studies_called(heads(root, STUDIES), text, root)
    assert all(fragment in str(caught.value) for fragment in fragments), caught.value


def test_looking_up_imports_nothing_heavy():
    """A shell asks at each key."""
    code = "import sys, eailab.studies.lookup; print([m for m in ('numpy', 'torch', 'scipy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert run.stdout.strip() == "[]"
