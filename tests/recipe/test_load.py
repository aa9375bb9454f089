"""A recipe is found, checked as a whole, changed by the command line, and says where each value comes from."""

from pathlib import Path

import pytest

from eailab.errors import RecipeError
from eailab.recipe.load import Override, load, parse_override
from eailab.recipe.yaml12 import parse_value

GOOD = """\
name: mine
engine: numpy-mlp
data: {name: digits}
model:
  hidden: [8, 8]
  activation: [relu, tanh]
optimizer: {name: adam, lr: 1, betas: [0.8, 0.9]}
schedule: {name: steplr, gamma: 0.5, warmup_epochs: 2}
epochs: 3
batch_size: 32
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD)
    return file


def o(*texts: str) -> list[Override]:
    return [parse_override(text) for text in texts]


def flag(name: str, text: str) -> Override:
    return Override(name, parse_value(text), f"--{name}")


def test_a_file_becomes_a_recipe_with_the_origin_of_every_value(mine):
    loaded = load(mine)
    assert loaded.recipe.name == "mine"
    assert loaded.recipe.optimizer.lr == 1.0
    assert loaded.source == str(mine)
    assert loaded.origins["optimizer.lr"] == f"{mine}:7"
    assert loaded.origins["model.hidden"] == f"{mine}:5"
    assert loaded.origins["model.dropout"] == "default"
    assert loaded.origins["data.augment.name"] == "default"
    assert loaded.notes == ()


def test_a_name_written_without_its_mapping_has_an_origin(tmp_path):
    file = tmp_path / "short.yaml"
    file.write_text(GOOD.replace("{name: digits}", "{name: digits, augment: deform}"))
    loaded = load(file)
    assert loaded.origins["data.augment.name"] == f"{file}:3"
    assert loaded.origins["data.augment.rotation"] == "default"


def test_a_recipe_is_named_or_a_path(mine, monkeypatch):
    assert load("digits-mlp").source == "digits-mlp.yaml"
    assert load(str(mine)).recipe == load(mine).recipe
    monkeypatch.chdir(mine.parent)
    assert load("mine.yaml").source == "mine.yaml"
    mine.rename(mine.parent / "without-ending")
    assert load("without-ending").recipe.name == "mine"


def test_an_unknown_name_gives_the_nearest_and_the_list():
    with pytest.raises(RecipeError, match=r"no recipe 'digit-mlp'; did you mean 'digits-mlp'\?.*eailab recipes list"):
        load("digit-mlp")
    with pytest.raises(RecipeError, match="the shipped ones are digits-mlp, mnist-mlp"):
        load("zzz")


@pytest.mark.parametrize("name", ["absent.yaml", "some/absent.yaml", "/dev/zero", "./", "nul\0.yaml"])
def test_a_path_that_is_no_file_is_refused(name):
    with pytest.raises(RecipeError, match=r"no such file|is a (folder|device)|cannot be"):
        load(name)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path):
    file = tmp_path / "large.yaml"
    with file.open("wb") as stream:
        stream.truncate(10**12)  # a hole: it takes no room on the disk
    with pytest.raises(RecipeError, match=r"large.yaml has 1,000,000,000,000 bytes"):
        load(file)


def test_problems_of_the_text_and_of_the_settings_are_reported_together(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD.replace("epochs: 3", "epochs: ten\nepochs: 4").replace("lr: 1", "lr: .nan").replace("32", "0"))
    with pytest.raises(RecipeError) as caught:
        load(file)
    heads = [line for line in str(caught.value).splitlines() if line.startswith(str(file))]
    assert [head.removeprefix(f"{file}:").split(": ")[:2] for head in heads] == [
        ["7:29", "optimizer.lr"],
        ["10:1", "epochs"],
        ["11:13", "batch_size"],
    ]


def test_an_unknown_engine_does_not_hide_what_no_engine_accepts(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD.replace("numpy-mlp", "numpy").replace("epochs: 3", "epochs: ten").replace("gamma", "gama"))
    with pytest.raises(RecipeError) as caught:
        load(file)
    message = str(caught.value)
    assert "torch-resnet, program, function, found 'numpy'; did you mean 'numpy-mlp'?" in message
    assert "epochs: expected a whole number" in message
    assert "schedule.gama: unknown key; did you mean 'gamma'?" in message
    assert "model.hidden" not in message  # one of the engines has it


def test_an_unknown_variant_does_not_hide_what_no_variant_accepts(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD.replace("adam, lr: 1", "adma, lr: -1").replace("betas: [0.8, 0.9]", "momentum: 0.9"))
    with pytest.raises(RecipeError) as caught:
        load(file)
    message = str(caught.value)
    assert "found 'adma'; did you mean 'adam'?" in message
    assert "optimizer.lr: expected a number above 0 and at most 1e+38, found -1" in message
    assert "optimizer.momentum:" not in message  # sgd has it


# --- overrides --------------------------------------------------------------------------------------------------------


def test_a_flag_counts_before_an_override_before_the_recipe_before_a_default(mine):
    both = load(mine, [flag("lr", "0.3"), *o("lr=0.2", "epochs=7")])
    assert both.recipe.optimizer.lr == 0.3
    assert both.recipe.epochs == 7
    assert both.recipe.batch_size == 32
    assert {both.origins[path] for path in ("optimizer.lr", "epochs", "model.init")} == {"--lr", "-o", "default"}


def test_of_two_overrides_of_one_setting_the_last_counts(mine):
    assert load(mine, o("lr=0.1", "optimizer.lr=0.2")).recipe.optimizer.lr == 0.2


def test_a_variant_is_chosen_before_its_settings_whatever_the_order(mine):
    settings_first = load(mine, o("optimizer.momentum=0.8", "optimizer.name=sgd"))
    name_first = load(mine, o("optimizer.name=sgd", "optimizer.momentum=0.8"))
    assert settings_first.recipe == name_first.recipe
    assert settings_first.recipe.optimizer.momentum == 0.8


def test_a_change_of_variant_says_what_it_brings_and_drops_but_not_what_was_asked_for(mine):
    loaded = load(mine, o("optimizer=sgd", "momentum=0.8"))
    assert loaded.notes == (
        "optimizer sgd brings nesterov false, weight_decay 0.0005 (was 0.0) and drops betas [0.8, 0.9]",
    )
    origins = {path: origin for path, origin in loaded.origins.items() if path.startswith("optimizer")}
    assert origins == {
        "optimizer.name": "-o",
        "optimizer.lr": f"{mine}:7",
        "optimizer.momentum": "-o",
        "optimizer.nesterov": "default",
        "optimizer.weight_decay": "default",
    }


def test_an_override_that_a_later_one_replaces_drops_nothing(mine):
    """`-o optimizer=sgd --optimizer adam` is adam, with the betas of the recipe."""
    loaded = load(mine, [*o("optimizer=sgd"), flag("optimizer", "adam")])
    assert loaded.recipe == load(mine).recipe
    assert loaded.notes == ()


def test_a_part_may_be_given_whole(mine):
    loaded = load(mine, o("schedule={name: cosine, final: 0.1}"))
    assert loaded.recipe.schedule.final == 0.1
    assert loaded.recipe.schedule.warmup_epochs == 2.0
    assert loaded.origins["schedule.final"] == "-o"
    assert loaded.origins["schedule.warmup_epochs"] == f"{mine}:8"


def test_labels_and_the_study_can_be_overridden_too(mine):
    loaded = load(mine, o("name=renamed", "study.margin=1", "metric=loss-gap"))
    assert (loaded.recipe.name, loaded.recipe.study.margin, loaded.recipe.study.metric) == ("renamed", 1.0, "loss-gap")


def test_all_overrides_that_do_not_fit_are_named(mine):
    with pytest.raises(RecipeError) as caught:
        load(mine, [*o("epochs=ten", "hidden=[1, 2.5]"), flag("lr", "0")])
    assert str(caught.value).splitlines() == [
        "3 problems:",
        "-o epochs=ten: epochs: expected a whole number from 1 to 1000000, found 'ten'",
        "--lr 0: optimizer.lr: expected a number above 0 and at most 1e+38, found 0",
        "-o hidden=[1, 2.5]: model.hidden[1]: expected a whole number from 1 to 65536, found 2.5",
    ]


def test_an_override_that_makes_a_line_of_the_file_wrong_is_named_with_the_line(mine):
    with pytest.raises(RecipeError) as caught:
        load(mine, o("hidden=[8, 8, 8]"))
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{mine}:6:15: model.activation: 2 functions for 3 hidden layers")
    assert first.endswith("(because of -o hidden=[8, 8, 8])")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch=3", "did you mean 'epochs'?"),
        ("learning-rate=3", "did you mean 'lr'?"),
        ("stem=3x3", "a factor of the engine torch-resnet"),
        ("engine=torch-resnet", "the engine of a recipe stays"),
        ("momentum=0.9", "adam has no momentum (sgd has)"),
        ("optimizer={lr: 1}", "name: missing: give name one of sgd, adam, adamw"),
        ("optimizer=3", "expected one of sgd, adam, adamw, found 3"),
        ("data={name: mnist}", "found {name: mnist}"),
        ("epochs=", "found nothing (null)"),
        ("name=7", "put it in quotes"),
    ],
)
def test_an_override_that_means_nothing_says_what_would(mine, text, said):
    with pytest.raises(RecipeError) as caught:
        load(mine, o(text))
    assert str(caught.value).startswith("-o ")
    assert said in str(caught.value)


def test_all_unknown_overrides_are_named_at_once(mine):
    with pytest.raises(RecipeError, match=r"(?s)-o foo=1: .*-o bar=2: "):
        load(mine, o("foo=1", "bar=2"))


def test_an_override_is_a_key_and_a_value():
    assert parse_override("batch-size=16") == Override("batch-size", 16, "-o")
    assert parse_override("name=a=b").value == "a=b"
    for text in ("epochs", "=3", "epochs=[3"):
        with pytest.raises(RecipeError, match=r"^-o "):
            parse_override(text)


def test_a_study_file_is_no_recipe(tmp_path):
    with pytest.raises(RecipeError, match="eailab ablate --study lab-task1"):
        load("lab-task1")
    (tmp_path / "mine.yaml").write_text("recipe: digits-mlp\nfactors: [{factor: lr, levels: [1, 2]}]\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml declares a study"):
        load(tmp_path / "mine.yaml")
