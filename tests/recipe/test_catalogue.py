"""The recipes that are shipped can be found, loaded and run."""

import shlex

import pytest
import typer.main

from eailab.cli.app import app
from eailab.recipe.catalogue import engine_of, header, names, shipped, shipped_studies
from eailab.recipe.load import load

COMMANDS = typer.main.get_command(app)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_loads_under_its_own_name(name):
    assert load(name).recipe.name == name


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_starts_with_a_command_that_exists(name):
    """The command is parsed as the program would; each option is one that it has."""
    said = header(shipped()[name])
    assert said.what
    program, command, *rest = shlex.split(said.run)
    assert program == "eailab"
    parsed = COMMANDS.commands[command].make_context(command, rest)
    assert parsed.params.get("recipe") in (name, None)


def test_recipes_are_listed_by_engine():
    assert set(names("numpy-mlp")) >= {"digits-mlp", "mnist-mlp"}
    assert set(names("torch-resnet")) >= {"resnet18-cifar10", "resnet18-digits"}
    assert set(names("numpy-mlp")) | set(names("torch-resnet")) == set(shipped())
    assert engine_of(shipped()["mnist-mlp"]) == "numpy-mlp"
    with pytest.raises(KeyError):
        names("jax")


def test_a_header_without_its_lines_is_empty(tmp_path):
    file = tmp_path / "bare.yaml"
    file.write_text("name: bare\n")
    assert (header(file).run, header(file).what) == ("", "")


def test_study_files_lie_with_the_recipes_and_are_none():
    assert {"lab-task1", "lab-task2"} <= set(shipped_studies())
    assert not set(shipped_studies()) & set(shipped())


@pytest.mark.parametrize("name", shipped_studies())
def test_a_shipped_study_starts_with_a_command_that_exists(name):
    said = header(shipped_studies()[name])
    assert said.what
    program, command, *rest = shlex.split(said.run)
    assert program == "eailab"
    assert COMMANDS.commands[command].make_context(command, rest).params["study"] == name
