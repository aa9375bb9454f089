"""A third engine: a line fitted to noisy points by gradient descent, with a metric of its own and no data set."""

import os
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from eailab.engines.base import Engine, Setup, Step
from eailab.engines.registry import register
from eailab.engines.spec import EngineSpec
from eailab.metrics import NO_SPLIT, Metric
from eailab.recipe.base import Recipe, StudySettings
from eailab.seeding import stream
from eailab.translation import tr

ERROR = Metric(
    "mean-squared-error",
    tr("mean squared error"),
    higher_is_better=False,
    split=NO_SPLIT,
    quantity=tr("mean squared error"),
    unit="m²",
    unit_words=tr("square metres"),
    difference_unit="m²",
    difference_words=tr("square metres"),
    usual_sds=(0.01, 0.1),
)


class LineRecipe(Recipe):
    """How a line is fitted."""

    engine: Literal["line"]
    lr: Annotated[float, Field(gt=0.0)] = 0.1
    """Learning rate."""
    study: StudySettings = StudySettings(metric="mean-squared-error", margin=0.01)


class LineEngine(Engine):
    """Fits `y = a x + b` to the points of a block."""

    def __init__(self, recipe: LineRecipe, setup: Setup) -> None:
        chance = stream(setup.block, "points")
        self.lr, self.x, self.line = recipe.lr, chance.uniform(-1.0, 1.0, 50), np.zeros(2)
        self.y = 3.0 * self.x - 1.0 + chance.normal(0.0, 0.3, 50)

    def train_epoch(self, number, on_step):
        off = self.line[0] * self.x + self.line[1] - self.y
        self.line -= 2.0 * self.lr * np.array([(off * self.x).mean(), off.mean()])
        on_step(Step(1, 1, None))
        return {ERROR.key: float(((self.line[0] * self.x + self.line[1] - self.y) ** 2).mean())}

    def state(self):
        return {"line": self.line.copy()}

    def load_state(self, state):
        self.line = np.array(state["line"])


LINE = EngineSpec("line", version=1, recipe=LineRecipe, metrics=lambda _: (ERROR,), build=LineEngine)

if "LINE_ENGINE" in os.environ:  # in a process that a test has started
    register(LINE)
