"""Write the folder of a lab for a student."""

import json
import os
from pathlib import Path

from eailab.errors import EailabError, UsageError
from eailab.files import write_new
from eailab.labs.folder import REPORT_FILE, STUDY_FILE
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import to_yaml
from eailab.recipe.describe import nearest
from eailab.recipe.load import load, shipped_file
from eailab.studies.study_file import check_recipe
from eailab.translation import language

RECIPE_FILE, RUBRIC_FILE = "recipe.yaml", "rubric.yaml"
TEMPLATES = Path(__file__).with_name("templates")


LABS = {"task1": "digits-mlp", "task2": None, "fair": "digits-mlp"}
"""The labs that come with eailab, with the shipped recipe of the embedded digits; None where one lies with the lab."""


def folder_of(name: str) -> Path:
    """Return the folder of a lab's files.

    Raises:
        UsageError: There is none of the name.
    """
    if name not in LABS:
        raise UsageError(f"there is no lab {name!r}: there are {', '.join(LABS)}{nearest(name, LABS) or '.'}")
    return TEMPLATES / name


def write_lab(name: str, folder: Path, recipe: str | None, lang: str) -> list[Path]:
    """Write a lab's new folder: its recipe, study file, report and what else it comes with; nothing is overwritten.

    `recipe` is one in place of that of the embedded digits, by name or path.

    Returns:
        What was written.

    Raises:
        UsageError: There is no such lab, recipe or language, the recipe lacks a factor of the lab, or the folder is
            there already.
        EailabError: The folder cannot be written.
    """
    language(lang)
    source = folder_of(name)
    file, study = _recipe_file(name), _study_with(name, recipe)
    texts = {
        one.name.removesuffix(".txt"): one.read_text("utf-8")
        for one in (*source.iterdir(), file)
        if one.is_file() and one.name != RUBRIC_FILE and not one.name.startswith("report.")
    }
    texts[RECIPE_FILE] = texts.pop(file.name)
    texts[STUDY_FILE] = study
    if recipe is not None:
        texts[RECIPE_FILE] = f"# Run:     eailab ablate --study {STUDY_FILE}\n" + to_yaml(load(recipe).recipe)
    texts[REPORT_FILE] = source.joinpath(f"report.{lang}.md").read_text("utf-8")
    written = []
    try:
        folder.mkdir(parents=True)
        for called, text in texts.items():
            (folder / called).write_text(text, encoding="utf-8")
            written.append(folder / called)
    except FileExistsError as error:
        raise UsageError(f"{folder} exists already and was not changed: give another folder.") from error
    except OSError as error:
        raise EailabError(f"{folder} cannot be written: {error.strerror}.") from error
    return written


def _study_with(name: str, recipe: str | None) -> str:
    """Return the study file of a lab that is given out with a recipe, or with the one of the embedded digits.

    Raises:
        UsageError: There is no such recipe, or it does not fit the lab's factors.
    """
    given = _recipe_file(name) if recipe is None else recipe
    half = max(1, load(given).recipe.epochs // 2)
    text = folder_of(name).joinpath(STUDY_FILE).read_text("utf-8").replace("HALF_THE_EPOCHS", str(half))
    try:
        check_recipe(text, f"{name}/{STUDY_FILE}", given)
    except UsageError as error:
        raise UsageError(f"the lab {name} does not fit the recipe {load(given).recipe.name}. {error}") from error
    return text


def recipe_of(name: str) -> Recipe:
    """Return the recipe of a lab's embedded digits."""
    return load(_recipe_file(name)).recipe


def _recipe_file(name: str) -> Path:
    source, shipped = folder_of(name), LABS[name]
    return source / RECIPE_FILE if shipped is None else shipped_file(shipped)


def copy_rubric(name: str, file: Path, recipe: str | None = None) -> Path:
    """Write the rubric of a lab into a new file, and return its path.

    `recipe` is that with which the lab was given out, in place of the one of the embedded digits.

    Raises:
        UsageError: There is no such lab or recipe, the recipe lacks a factor of the lab, or the file is there already.
        EailabError: It cannot be written.
    """
    text = folder_of(name).joinpath(RUBRIC_FILE).read_text("utf-8")
    if recipe is not None:
        _study_with(name, recipe)
        beside = Path(os.path.relpath(recipe, file.parent)) if Path(recipe).is_file() else recipe
        text = text.replace(f"\nlab: {name}\n", f"\nlab: {name}\nrecipe: {json.dumps(str(beside))}\n", 1)
    write_new(file, text)
    return file
