"""A changed recipe differs in what was changed, and in what a new variant brings."""

import pytest

from eailab.errors import RecipeError
from eailab.recipe.load import load
from eailab.recipe.override import differences, vary

MLP = load("mnist-mlp").recipe
RESNET = load("resnet18-cifar10").recipe


@pytest.mark.parametrize(
    ("path", "value", "then"),
    [
        ("batch_size", 64, 64),
        ("optimizer.lr", 1, 1.0),
        ("model.stem", "3x3", "3x3"),
        ("model.name", "resnet50", "resnet50"),
        ("ema", 0.99, 0.99),
        ("data.augment.padding", 2, 2),
    ],
)
def test_a_change_of_one_setting_changes_nothing_else(path, value, then):
    varied = vary(RESNET, path, value)
    assert varied.brought == ()
    assert {key: new for key, (_, new) in differences(RESNET, varied.recipe).items()} == {path: then}


def test_the_recipe_itself_stays_as_it_was():
    before = RESNET.model_dump()
    vary(RESNET, "optimizer.name", "sgd")
    assert RESNET.model_dump() == before


def test_the_level_that_a_recipe_has_changes_nothing():
    assert vary(RESNET, "optimizer.name", "adam").recipe == RESNET
    assert vary(RESNET, "data.augment", "crop-flip").recipe == RESNET
    assert vary(RESNET, "data.augment", "crop-flip").brought == ()


def test_another_variant_keeps_shared_settings_and_takes_its_own_defaults():
    warm = vary(vary(RESNET, "schedule.warmup_epochs", 3).recipe, "optimizer.lr", 0.3).recipe
    sgd = vary(warm, "optimizer.name", "sgd")
    assert sgd.recipe.optimizer.model_dump() == {
        "name": "sgd",
        "lr": 0.3,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 5e-4,
    }
    assert sgd.brought == (
        "optimizer sgd brings momentum 0.9, nesterov false, weight_decay 0.0005 (was 0.0) and drops betas [0.9, 0.999]",
    )
    assert vary(warm, "schedule.name", "cosine").recipe.schedule.warmup_epochs == 3.0


def test_betas_outlive_a_change_to_adamw_and_weight_decay_does_not():
    """Betas mean the same in both; weight decay is a penalty in one, and decoupled in the other."""
    other = vary(vary(MLP, "optimizer.betas", [0.8, 0.9]).recipe, "optimizer.weight_decay", 0.5).recipe
    adamw = vary(other, "optimizer.name", "adamw")
    assert adamw.recipe.optimizer.betas == [0.8, 0.9]
    assert adamw.recipe.optimizer.weight_decay == 0.01
    assert adamw.brought == ("optimizer adamw brings weight_decay 0.01 (was 0.5)",)


@pytest.mark.parametrize("path", ["data.augment", "data.augment.name"])
def test_an_augmentation_is_changed_by_its_name(path):
    varied = vary(vary(RESNET, "data.augment.padding", 2).recipe, path, "cutout")
    assert varied.recipe.data.augment.model_dump() == {"name": "cutout", "padding": 2, "size": 16}
    assert varied.brought == ("augment cutout brings size 16",)


def test_a_variant_may_come_with_settings():
    varied = vary(RESNET, "optimizer.name", {"name": "sgd", "momentum": 0, "weight_decay": 0})
    assert varied.recipe.optimizer.momentum == 0.0
    assert varied.brought == ("optimizer sgd brings nesterov false and drops betas [0.9, 0.999]",)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("optimizer.lr", "ten", "optimizer.lr=ten: expected a number above 0 and at most 1e+38, found 'ten'"),
        ("epochs", 2.5, "epochs=2.5: expected a whole number from 1 to 1000000, found 2.5"),
        ("epochs", True, "found true"),
        ("optimizer.name", "sdg", "found 'sdg'; did you mean 'sgd'?"),
        ("optimizer.momentum", 0.9, "adam has no momentum (sgd has)"),
        ("data.augment", "deform", "deform is for the engine numpy-mlp"),
        ("schedule.name", {"name": "cosine", "final": 2}, "schedule.final: expected a number from 0 to 1, found 2"),
        ("optimizer.name", ["sgd"], "expected one of sgd, adam, adamw, found [sgd]"),
    ],
)
def test_a_level_that_does_not_fit_is_refused_in_plain_words(path, value, said):
    with pytest.raises(RecipeError) as caught:
        vary(RESNET, path, value)
    assert said in str(caught.value)


def test_differences_name_what_only_one_of_two_variants_has():
    sgd = vary(RESNET, "optimizer.name", "sgd").recipe
    assert differences(sgd, RESNET) == {
        "optimizer.name": ("sgd", "adam"),
        "optimizer.momentum": (0.9, None),
        "optimizer.nesterov": (False, None),
        "optimizer.weight_decay": (5e-4, 0.0),
        "optimizer.betas": (None, [0.9, 0.999]),
    }
    assert differences(RESNET, RESNET) == {}
