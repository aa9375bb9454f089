"""A study file declares its comparisons, and every slip in it is told with its line."""

import re

import pytest

from eailab.errors import RecipeError, StudyError
from eailab.recipe.catalogue import shipped, shipped_studies
from eailab.recipe.load import Override
from eailab.studies.study_file import declared

FILE = """\
recipe: digits-mlp
blocks: 3
margin: 0.7
factors:
  - {factor: lr, levels: [1e-3, 1e-2]}
  - {factor: batch-size, levels: [16, 32, 64], baseline: 32}
  - {joint: [optimizer, lr], levels: [[adam, 0.001], [sgd, 0.1]]}
  - cross:
      - {factor: optimizer, levels: [adam, sgd]}
      - {factor: sched, levels: [constant, steplr]}
"""


def written(tmp_path, text):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return file


def without_bundle(text=FILE):
    """`lr` may be varied alone or in a bundle, not both."""
    return "".join(line for line in text.splitlines(keepends=True) if "joint" not in line)


def test_a_file_becomes_its_studies_in_order(tmp_path):
    found = declared(written(tmp_path, without_bundle()))
    assert [study.name for study in found.studies] == [
        "mine-lr",
        "mine-batch-size",
        "mine-optimizer × schedule",
    ]
    assert all(study.blocks == (0, 1, 2) and study.margin == 0.7 for study in found.studies)
    assert [len(study.arms) for study in found.studies] == [2, 3, 4]
    assert all(study.arms[study.baseline].recipe == found.loaded.recipe for study in found.studies)


def test_the_command_line_changes_recipe_and_blocks(tmp_path):
    overrides = [Override("epochs", 2, "-o"), Override("study.margin", 0.1, "--margin")]
    found = declared(written(tmp_path, without_bundle()), overrides, (0, 5))
    assert all(arm.recipe.epochs == 2 for study in found.studies for arm in study.arms)
    assert found.studies[0].blocks == (0, 5)
    assert found.studies[0].margin == 0.1


@pytest.mark.parametrize(
    ("line", "blocks"),
    [
        pytest.param("", (0, 1, 2, 3, 4), id="left out"),
        pytest.param("blocks: 1\n", (0,), id="one"),
        pytest.param("blocks: [7, 0, 7]\n", (0, 7), id="a list"),
        pytest.param("blocks: [2147483647]\n", (2147483647,), id="the largest"),
    ],
)
def test_blocks_are_five_a_number_or_a_list(tmp_path, line, blocks):
    text = f"recipe: digits-mlp\n{line}factors: [{{factor: batch-size, levels: [8, 16]}}]\n"
    assert declared(written(tmp_path, text)).studies[0].blocks == blocks


def test_a_recipe_may_lie_beside_the_file(tmp_path):
    (tmp_path / "own.yaml").write_text(
        "name: own\nengine: numpy-mlp\ndata: {name: digits}\noptimizer: {name: sgd}\nepochs: 2\nbatch_size: 8\n"
    )
    text = "recipe: own.yaml\nname: sizes\nblocks: [1, 4]\nfactors: [{factor: batch-size, levels: [8, 16]}]\n"
    found = declared(written(tmp_path, text))
    assert (found.name, found.studies[0].blocks) == ("sizes", (1, 4))


@pytest.mark.parametrize(
    ("old", "new", "place", "fragments"),
    [
        ("lr, levels: [1e-3", "lr, lvels: [1e-3", "5:18", ["lvels", "levels"]),
        ("[1e-3, 1e-2]", "[1e-3]", "5:5", ["two or more"]),
        ("[1e-3, 1e-2]", "[1e-3, 0.001]", "5:5", ["name each level once"]),
        ("[1e-3, 1e-2]", "[1e-3, fast]", "5:5", ["fast", "a number above 0"]),
        ("factor: lr", "factor: learning-rat", "5:5", ["learning-rat", "lr"]),
        ("factor: lr", "factor: stem", "5:5", ["stem", "torch-resnet"]),
        ("factor: batch-size", "factor: optimizer.lr", "6:5", ["twice", "line 5"]),
        ("baseline: 32", "baseline: 128", "6:5", ["none of the levels"]),
        ("blocks: 3", "blocks: 0", "2:9", ["blocks", "expected"]),
        ("blocks: 3", "blocks: [2147483648]", "2:9", ["blocks", "2147483648"]),
        ("blocks: 3", "blocks: few", "2:9", ["blocks", "few"]),
        ("margin: 0.7", "margin: -1", "3:9", ["margin", "a number from 0"]),
        ("recipe: digits-mlp", "recipe: digit-mlp", "1:9", ["digit-mlp", "digits-mlp"]),
        ("recipe: digits-mlp\n", "", "1:1", ["recipe", "missing"]),
        ("factor: sched,", "factor: optimizer,", "7:5", ["varied twice"]),
        ("{factor: lr, levels: [1e-3, 1e-2]}", "lr", "5:5", ["a mapping"]),
        ("{factor: lr, levels", "{factor: lr, joint: [lr, epochs], levels", "5:5", ["one of factor, joint and cross"]),
        ("factor: lr, levels: [1e-3, 1e-2]", "factor: lr", "5:5", ["levels are missing"]),
        ("levels: [1e-3, 1e-2]", "levels: 1e-3", "5:26", ["a list of 1 or more", "found 0.001"]),
        ("1e-2]}", "1e-2], labels: [slow]}", "5:48", ["1 label for 2 levels", "one for each"]),
        ("1e-2]}", "1e-2], labels: [slow, slow]}", "5:48", ["'slow' is there twice"]),
        ("1e-2]}", "1e-2], labels: [slow, 2]}", "5:55", ["each text", "found 2"]),
        ("1e-2]}", "1e-2], labels: slow}", "5:48", ["a list of 1 or more", "found 'slow'"]),
        ("[adam, sgd]}", "[adam, sgd], labels: [Adam]}", "8:58", ["1 label for 2 levels"]),
        ("  - cross:\n", "  - labels: [a, b]\n    cross:\n", "7:5", ["labels and a baseline of their own"]),
    ],
)
def test_a_slip_is_told_with_its_place(tmp_path, old, new, place, fragments):
    text = without_bundle()
    assert old in text
    with pytest.raises(RecipeError) as caught:
        declared(written(tmp_path, text.replace(old, new, 1)))
    said = str(caught.value)
    assert f"mine.yaml:{place}:" in said, said
    assert all(fragment in said for fragment in fragments), said


def test_a_setting_in_a_bundle_and_alone_is_named_twice(tmp_path):
    with pytest.raises(RecipeError, match=r"mine\.yaml:7:5: .*optimizer\.lr is named twice, first on line 5"):
        declared(written(tmp_path, FILE))


def test_a_recipe_is_told_from_a_study_with_the_command_that_takes_it(tmp_path):
    with pytest.raises(StudyError, match=r"mine\.yaml is a recipe, and declares no study: .* --recipe "):
        declared(written(tmp_path, shipped()["digits-mlp"].read_text()))


def test_an_unknown_file_is_told_with_those_there_are(tmp_path):
    with pytest.raises(StudyError, match="nowhere"):
        declared(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("name", shipped_studies())
def test_a_shipped_study_loads_under_its_own_name(name):
    found = declared(name)
    assert found.name == name
    assert found.studies


def test_levels_have_the_labels_and_the_order_of_the_file(tmp_path):
    text = """\
recipe: digits-mlp
factors:
  - {factor: batch-size, levels: [64, 16, 32], labels: [large, small, usual]}
  - {joint: [optimizer, lr], levels: [[sgd, 0.1], [adam, 0.001]], labels: ["SGD, fast", Adam]}
  - cross:
      - {factor: sched, levels: [constant, steplr], labels: [flat, stairs]}
      - {factor: norm, levels: [batch, none]}
"""
    studies = declared(written(tmp_path, text)).studies
    assert [[arm.label for arm in study.arms] for study in studies] == [
        ["large", "small", "usual"],
        ["SGD, fast", "Adam"],
        ["flat × batch", "flat × none", "stairs × batch", "stairs × none"],
    ]
    assert [arm.recipe.batch_size for arm in studies[0].arms] == [64, 16, 32]
    assert studies[2].axes[0].levels == ("flat", "stairs")
    plain = declared(written(tmp_path, re.sub(r", labels: \[[^]]*\]", "", text))).studies
    assert [study.fingerprint for study in plain] == [study.fingerprint for study in studies]
