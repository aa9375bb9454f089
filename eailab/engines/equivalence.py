"""Recognise recipes that train the same, bit for bit, although they are written differently."""

from typing import Any

import numpy as np

from eailab.data.split import training_size
from eailab.engines.registry import images_of
from eailab.engines.schedules import Factors, learning_rates
from eailab.recipe.base import ImageRecipe
from eailab.recipe.canonical import canonical
from eailab.recipe.optimization import AdamW
from eailab.recipe.parts import Data, Deform

MOST_STEPS = 10_000_000
"""Steps of a trial up to which schedules are compared, each step for itself."""


def train_the_same(first: ImageRecipe, second: ImageRecipe, images: int) -> bool:
    """Check whether two recipes give the same bits in every block, and differ in nothing but how that is written.

    Both are for one data set, whose official training split has so many images, before it is divided.
    """
    return _in_effect(first, images) == _in_effect(second, images) and _rates_agree(first, second, images)


def _in_effect(recipe: ImageRecipe, images: int) -> dict[str, Any]:
    """Return all that reaches a training but the learning rates, in a form that equal trainings share."""
    settings: dict[str, Any] = canonical(recipe)
    del settings["schedule"], settings["optimizer"]["lr"]
    settings["data"] |= _data_in_effect(recipe.data, images)
    if isinstance(recipe.optimizer, AdamW) and recipe.optimizer.weight_decay == 0.0:
        settings["optimizer"]["name"] = "adam"
    settings["model"] |= images_of(recipe).effective_model(recipe)
    return settings


def _data_in_effect(data: Data, images: int) -> dict[str, Any]:
    """Return the settings of the data that may be written differently."""
    augment = data.augment
    if isinstance(augment, Deform):
        strengths = (augment.rotation, augment.scale, augment.shear, augment.shift, augment.elastic)
        acts = any(strengths)
    else:
        acts = augment.name != "none"
    return {
        "limit": training_size(images, data),
        "val_fraction": training_size(images, data.model_copy(update={"limit": None})),
        "split_seed": data.split_seed if data.split == "fixed" else None,
        "augment": augment.model_dump() if acts else None,
    }


def _rates_agree(first: ImageRecipe, second: ImageRecipe, images: int) -> bool:
    """Check whether the learning rates of two recipes, equal in all else, are equal at every step."""
    if (first.schedule, first.optimizer.lr) == (second.schedule, second.optimizer.lr):
        return True
    steps = -(-training_size(images, first.data) // first.batch_size)
    if first.epochs * steps > MOST_STEPS:
        return False

    def rates(recipe: ImageRecipe) -> Factors:
        return learning_rates(recipe.schedule, recipe.optimizer.lr, recipe.epochs, steps)

    return np.array_equal(rates(first), rates(second))
