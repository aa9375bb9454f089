"""Metrics are declared once: units, directions and names stand in `eailab/metrics.py`, and logic reads them."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from eailab.engines.registry import headline_of, metric_of, metrics_of
from eailab.errors import RecipeError
from eailab.findings.statements import _metric
from eailab.metrics import CLASSIFICATION, recorded
from eailab.recipe.load import load
from eailab.runs.records import Epoch, Result

PACKAGE = Path(__file__).parents[1] / "eailab"


def named(name):
    return next(metric for metric in CLASSIFICATION if metric.name == name)


ABOUT_IMAGES = (
    "metrics.py",  # the declarations
    "engines",
    "recipe/parts.py",  # label smoothing
    "report/lab.py",  # the lab report and figures of papers
)
"""What may name a metric in code. Elsewhere only documentation and texts for people do."""

WORDS = re.compile(r"accurac|\bpp\b|(?<![a-z])loss(es)?(?![a-z])", re.IGNORECASE)


def named_in_logic(source):
    """Yield names and strings of code that name a metric: not those of docstrings, help and translated texts."""
    tree = ast.parse(source)
    prose = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            prose.add(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("tr", "trn"):
            prose |= set(node.args)
        if isinstance(node, ast.keyword) and node.arg == "help":
            prose |= set(ast.walk(node.value))
    for node in ast.walk(tree):
        for text in (getattr(node, part, None) for part in ("id", "attr", "arg", "name", "value")):
            if isinstance(text, str) and node not in prose and WORDS.search(text):
                yield text


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_logic_knows_no_metric_by_its_name(file):
    if not str(file.relative_to(PACKAGE)).startswith(ABOUT_IMAGES):
        assert list(named_in_logic(file.read_text(encoding="utf-8"))) == []


def test_what_names_a_metric_is_found():
    source = '''def f(x: "docs"):
    """Return the accuracy."""
    value = x.test_accuracy + x["train_loss"]
    return tr("the loss is {loss}", loss=f"{value} pp")
'''
    assert set(named_in_logic(source)) == {"test_accuracy", "train_loss", "loss", " pp"}


def test_recipes_may_ask_for_what_their_engine_declares():
    for name in ("digits-mlp", "resnet18-digits"):
        recipe = load(name).recipe
        assert metrics_of(recipe) == CLASSIFICATION
        assert headline_of(recipe).name == "validation-accuracy"


def test_a_metric_that_no_trial_records_is_refused_with_those_that_are():
    with pytest.raises(RecipeError, match=r"numpy-mlp does not record .*'perplexity': choose one of .*loss-gap"):
        metric_of(load("digits-mlp").recipe, "perplexity")


def test_a_value_is_shown_in_its_unit_and_a_difference_of_two_is_taken():
    values = {"train_loss": 0.25, "validation_loss": 1.0, "validation_accuracy": 0.975}
    shown = {metric.name: metric.value(values) for metric in CLASSIFICATION}
    assert shown["validation-accuracy"] == 97.5
    assert shown["loss-gap"] == 0.75
    assert shown["test-accuracy"] is None
    assert "loss_gap" not in {metric.key for metric in recorded(CLASSIFICATION)}
    assert named("validation-accuracy").text(97.5) == "97.50%"


def test_what_is_said_of_a_metric_comes_from_its_declaration():
    loss = named("validation-loss")
    assert _metric(loss) == "validation loss after the last epoch, in nats; lower is better"
    share = named("validation-accuracy")
    assert _metric(share).endswith("in percent; differences in percentage points (pp)")
    reward = replace(loss, title="reward", higher_is_better=True, unit_words="", difference_words="")
    assert _metric(reward) == "reward after the last epoch"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"validation_accuracy": 1.5}, "1.5 is not a number from 0 to 1"),
        ({"perplexity": 3.0}, "perplexity are not those of the recipe's engine"),
        ({"train_loss": None}, "None is not a number"),
    ],
)
def test_an_epoch_holds_what_an_engine_declares(changes, said):
    values = {"train_loss": 0.5, "train_accuracy": 0.5, "validation_loss": 0.5, "validation_accuracy": 0.5}
    assert Epoch.read({"epoch": 1, **values}, CLASSIFICATION).values == values
    with pytest.raises(ValueError, match=re.escape(said)):
        Epoch.read({"epoch": 1, **values, **changes}, CLASSIFICATION)


def test_an_epoch_without_a_metric_is_refused():
    with pytest.raises(ValueError, match="are not those of the recipe's engine"):
        Epoch.read({"epoch": 1, "train_loss": 0.5}, CLASSIFICATION)


def test_a_metric_may_be_optional():
    optional = [replace(metric, is_optional=metric.name == "validation-loss") for metric in CLASSIFICATION]
    values = {"train_loss": 0.5, "train_accuracy": 0.5, "validation_accuracy": 0.5}
    assert Epoch.read({"epoch": 1, **values}, optional).values == values


def test_without_a_recipe_the_values_are_numbers_of_any_name():
    assert Epoch.read({"epoch": 1, "reward": -3.0}).values == {"reward": -3.0}
    with pytest.raises(ValueError, match="is not a number"):
        Epoch.read({"epoch": 1, "reward": float("inf")})


def test_a_finished_trial_has_values_and_a_diverged_one_none():
    provenance = dict.fromkeys(("eailab", "python", "platform", "processor", "host", "device", "finished"), "x")
    provenance |= {"packages": {}, "cores": 1, "threads": 1}
    keys = [metric.key for metric in recorded(CLASSIFICATION)]
    record = {"status": "finished", "epochs": 1, "diverged_at": None, "parameters": 1, "provenance": provenance}
    assert Result.read({**record, "metrics": dict.fromkeys(keys, 0.5)}, CLASSIFICATION).values["test_loss"] == 0.5
    with pytest.raises(ValueError, match="are not those of the recipe's engine"):
        Result.read({**record, "metrics": {"perplexity": 0.5}}, CLASSIFICATION)
    with pytest.raises(ValueError, match="does not fit its metrics"):
        Result.read({**record, "metrics": dict.fromkeys(keys)})
