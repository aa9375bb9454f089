"""Arms that train the same: a comparison of them shows nothing, and is reported before it is trained."""

from collections.abc import Mapping

from eailab.data.dataset import Dataset
from eailab.engines.equivalence import train_the_same
from eailab.errors import StudyError
from eailab.recipe.override import differences
from eailab.studies.design import Arm, Study
from eailab.studies.factor import word


def notes_on_equal_arms(study: Study, datasets: Mapping[str, Dataset]) -> list[str]:
    """Name each arm that trains the same as an earlier one, a sentence each.

    Args:
        study: Of any number of arms.
        datasets: By their names in the recipes.

    Raises:
        StudyError: Two arms differ in nothing but the path to the same data, so that their trials would be one.
    """
    notes = []
    for index, arm in enumerate(study.arms):
        data = datasets[arm.recipe.data.name]
        for earlier in study.arms[:index]:
            if datasets[earlier.recipe.data.name].fingerprint != data.fingerprint:
                continue
            paths = set(differences(earlier.recipe, arm.recipe))
            if paths == {"data.name"}:
                raise StudyError(
                    f"the levels {earlier.label} and {arm.label} of {word(study.factor)} are the same data: "
                    "name each level once."
                )
            if "data.name" not in paths and train_the_same(earlier.recipe, arm.recipe, len(data.train)):
                notes.append(_note(study, earlier, arm, paths))
                break
    return notes


def _note(study: Study, earlier: Arm, arm: Arm, paths: set[str]) -> str:
    epochs = f"{arm.recipe.epochs} epoch{'s' * (arm.recipe.epochs > 1)}"
    why = (
        f"over {epochs} their learning rates are equal at every step"
        if any(path.startswith("schedule.") for path in paths)
        else "their settings come to the same"
    )
    return (
        f"{earlier.label} and {arm.label} of {word(study.factor)} are one training here, since {why}: "
        "no difference between them can be found. Leave one out, or choose levels that act."
    )
