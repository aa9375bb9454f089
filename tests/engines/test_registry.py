"""Engines describe themselves, and what no engine has is one clear error."""

import re
from pathlib import Path

import pytest

from eailab.engines.registry import ENGINES, engine_of
from eailab.engines.schedules import SCHEDULES, learning_rates
from eailab.errors import RecipeError
from eailab.recipe.load import load
from eailab.recipe.schema import RECIPES

PACKAGE = Path(__file__).parents[2] / "eailab"


@pytest.fixture
def recipe():
    return load("digits-mlp").recipe


def test_every_class_of_recipes_has_its_engine():
    assert {name: spec.recipe for name, spec in ENGINES.items()} == RECIPES
    assert all(name == spec.name for name, spec in ENGINES.items())


def test_an_engine_that_is_not_registered_is_named_with_those_that_are(recipe):
    other = recipe.model_copy(update={"engine": "abacus"})
    with pytest.raises(RecipeError, match="there is no engine abacus: choose one of numpy-mlp, torch-resnet"):
        engine_of(other)


@pytest.mark.parametrize(
    ("module", "table"), [("numpy_mlp.optimizers", "RULES"), ("torch_resnet.optimizers", "OPTIMIZERS")]
)
def test_an_optimizer_that_an_engine_does_not_have_is_refused(recipe, monkeypatch, module, table):
    """It is never trained by another one under its name."""
    optimizers = pytest.importorskip(f"eailab.engines.{module}")
    monkeypatch.delitem(getattr(optimizers, table), type(recipe.optimizer))
    make = optimizers.rule if table == "RULES" else optimizers.optimizer
    with pytest.raises(RecipeError, match=rf"does not have the optimizer {recipe.optimizer.name}: choose one of"):
        make(recipe.optimizer, None, None)


def test_a_schedule_without_a_function_is_refused(recipe, monkeypatch):
    monkeypatch.delitem(SCHEDULES, type(recipe.schedule))
    with pytest.raises(RecipeError, match=rf"does not have the schedule {recipe.schedule.name}: choose one of"):
        learning_rates(recipe.schedule, 0.1, 1, 1)


OWN = (
    *(
        "cli/train.py",
        "cli/program.py",
        "cli/gate.py",
        "cli/own_network.py",
        "studies/audit.py",
        "studies/audit_run.py",
        "recipe/of_command.py",
    ),
    "api/function.py",
    "labs/limited.py",
)
"""What there is for one engine only: its command, what makes its recipes, judges its runs and starts programs."""


def test_engines_are_known_by_name_and_class_in_their_package_only():
    """Everything else asks `EngineSpec`."""
    engines = "|".join(folder.parent.name for folder in PACKAGE.glob("engines/*/__init__.py"))
    assert "numpy_mlp" in engines
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if file.relative_to(PACKAGE).parts[0] == "engines":
            continue
        assert not re.search(r"isinstance\([^)]*Recipe\b", text), file
        if file.relative_to(PACKAGE).as_posix() in OWN:
            continue
        assert not re.search(rf"eailab\.engines\.({engines})\b|from eailab.engines import ({engines})", text), file
        if file != PACKAGE / "recipe" / "schema.py":
            assert not re.search(r"""["'](numpy-mlp|torch-resnet)["']: """, text), file
