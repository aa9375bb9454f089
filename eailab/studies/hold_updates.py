"""What a level changes by itself: at equal epochs a larger batch makes fewer updates. Here they are held instead."""

from collections.abc import Sequence
from dataclasses import replace

from eailab.recipe.override import vary
from eailab.recipe.schema import Recipe
from eailab.studies.design import Study, steps_an_epoch, updates
from eailab.translation import Text, joined, listed_and, tr, trn

IN_EPOCHS = ("warmup_epochs", "step_size", "milestones")
"""Settings of schedules that are counted in epochs, and so stay where they are when the epochs change."""


def hold_updates(study: Study, training_images: Sequence[int]) -> Study:
    """Return the study with each arm's epochs set so that its updates equal the baseline's, to the nearest epoch.

    Args:
        study: With `hold` "updates"; another is returned as it is.
        training_images: Of each arm.
    """
    if study.hold != "updates":
        return study
    target = updates(study.arms[study.baseline].recipe, training_images[study.baseline])
    arms = [
        replace(arm, recipe=_with_updates(arm.recipe, target, images))
        for arm, images in zip(study.arms, training_images, strict=True)
    ]
    return replace(study, arms=tuple(arms))


def held(study: Study, made: Sequence[int]) -> list[Text]:
    """Say what holding the updates did to each arm, a sentence each.

    Args:
        study: As `hold_updates` returned it.
        made: Updates of a trial of each arm.
    """
    baseline = study.arms[study.baseline].recipe
    sentences = []
    for arm, number in zip(study.arms, made, strict=True):
        if study.hold != "updates" or arm.recipe.epochs == baseline.epochs:
            continue
        left = number / made[study.baseline] - 1.0
        values = {"arm": arm.label, "before": baseline.epochs, "left": left}
        said = (
            trn(
                "{arm}: {n} epoch in place of {before} holds the updates to {left:+.1%}",
                "{arm}: {n} epochs in place of {before} hold the updates to {left:+.1%}",
                arm.recipe.epochs,
                **values,
            )
            if left
            else trn(
                "{arm}: {n} epoch in place of {before} holds the updates",
                "{arm}: {n} epochs in place of {before} hold the updates",
                arm.recipe.epochs,
                **values,
            )
        )
        in_epochs = [
            f"{name} {value}" for name, value in arm.recipe.schedule.model_dump().items() if name in IN_EPOCHS and value
        ]
        if in_epochs:
            said = joined([said, tr("the schedule's {settings} stay in epochs", settings=listed_and(in_epochs))])
        sentences.append(said)
    return sentences


def _with_updates(recipe: Recipe, target: int, training_images: int) -> Recipe:
    epochs = max(1, round(target / steps_an_epoch(recipe, training_images)))
    return recipe if epochs == recipe.epochs else vary(recipe, "epochs", epochs).recipe
