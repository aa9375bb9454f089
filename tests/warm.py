"""Train a trial, so that forks of this process need not load numba's kernels, which takes each 0.2 s."""

from pathlib import Path
from tempfile import TemporaryDirectory

from plans import one_factor, train_plan

from eailab.recipe.load import Override, load
from eailab.runs.context import RunContext
from eailab.studies.plan import plan

SMALL = {"epochs": 1, "data.limit": 64, "model.hidden": [2]}

with TemporaryDirectory() as folder:
    recipe = load("digits-mlp", [Override(path, value, "-o") for path, value in SMALL.items()]).recipe
    context = RunContext(Path(folder))
    train_plan(plan(one_factor(recipe, "lr", [0.01, 0.001], [0]), context), context)
