"""Define what recipes of all engines have, and what those of image classifiers add.

A copy with one field changed is checked again by `override.vary`, never by `model_copy`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from eailab.metrics import NAMES, USUAL
from eailab.recipe.networks import Foreign, Module
from eailab.recipe.optimization import AnySchedule, Constant, Optimizer
from eailab.recipe.parts import MOST_EPOCHS, PRINTABLE, Count, Data, Fraction, Margin, Mlp, ResNet, Settings


class StudySettings(Settings):
    """The comparison of this recipe's arms; no part of what is trained."""

    margin: Margin = 0.25
    """Differences smaller than this do not matter: percentage points of an accuracy, hundredths of a loss."""
    metric: Annotated[str, Field(examples=list(NAMES))] = USUAL
    """What verdicts rest on, after the last epoch; `loss-gap` is validation minus training loss."""


class Recipe(Settings):
    """Hold what recipes of all engines have."""

    example: ClassVar[str | None] = None
    """A shipped recipe of the engine, for hints."""
    small_example: ClassVar[str | None] = None
    """One that trains in seconds, on images that come with eailab."""

    is_offered: ClassVar[bool] = True
    """Whether a person writes such recipes, so that messages name the engine."""

    quiet: ClassVar[frozenset[str]] = frozenset()
    """Settings that reports name only where they are not at their defaults."""

    leaves_files: ClassVar[bool] = False
    """Whether a person's own training has a folder for each run, in which a configuration may lie."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
    """What tables and folders call this recipe; no part of its identity."""
    engine: str
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = 1
    """Passes over the training split, or what the engine takes for one."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads of a trial; fixed, since sums in another order have other last bits."""
    study: StudySettings = StudySettings()

    def identity(self) -> dict[str, Any]:
        """Return all that can change a trial's result, ready for JSON."""
        return self.model_dump(mode="json")

    @property
    def own_settings(self) -> Mapping[str, Any]:
        """Return the settings that the recipe's author has named, by name; each is a factor."""
        return {}

    @property
    def own_place(self) -> str:
        """Return the beginning of the dotted paths of `own_settings`; empty where there cannot be any."""
        return "settings."

    @property
    def started(self) -> str:
        """Return what trials start that is a person's own, whatever their settings; empty where nothing is."""
        return ""

    @property
    def shows_seed(self) -> bool:
        """Return whether the recipe tells that blocks differ; else two trials have to be run to see it."""
        return True

    @property
    def limit_seconds(self) -> float | None:
        """Return the time that a trial may take; None for any."""
        return None

    @property
    def shares_seeds(self) -> bool:
        """Return whether the arms of a block share its seeds; else blocks only number the repeats."""
        return True

    @property
    def images(self) -> "ImageRecipe | None":
        """Return the recipe itself where it classifies images; None for other engines."""
        return None

    @property
    def data_name(self) -> str | None:
        """Return the name of its data set; None where it has none."""
        return self.images.data.name if self.images else None


class ImageRecipe(Recipe):
    """Hold what recipes add that train a network to classify the images of a data set."""

    data: Data
    optimizer: Optimizer
    schedule: AnySchedule = Constant()
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
    """Passes over the training split."""
    batch_size: Count
    """Images a step; the last step of an epoch may have fewer."""
    label_smoothing: Fraction = 0.0
    """Share of the target's probability that is spread evenly over all classes (Szegedy et al., 2016)."""
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Decay a step of an exponential moving average of the weights, which is then what is evaluated; null for none."""
    model: Mlp | ResNet | Foreign

    @property
    def has_own_network(self) -> bool:
        """Return whether its network is a person's own code."""
        return isinstance(self.model, Module)

    @property
    def has_foreign_network(self) -> bool:
        """Return whether the code of its network, a person's own or a library's, does not come with eailab."""
        return isinstance(self.model, Foreign)

    @property
    def images(self) -> "ImageRecipe":
        """Return the recipe itself."""
        return self
