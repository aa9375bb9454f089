"""Write the folder of a lab for a student."""

from dataclasses import dataclass
from pathlib import Path

from eailab.errors import EailabError, UsageError
from eailab.labs.folder import REPORT_FILE, STUDY_FILE
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import to_yaml
from eailab.recipe.describe import nearest
from eailab.recipe.load import load, shipped_file
from eailab.studies.study_file import declared
from eailab.translation import language

RECIPE_FILE, RUBRIC_FILE = "recipe.yaml", "rubric.yaml"
TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Lab:
    """A lab that comes with eailab."""

    what: str
    recipe: str
    """Of the embedded digits: a shipped recipe, or empty for one that lies with the lab."""
    real: tuple[str, ...]
    """Shipped recipes of real data sets that it runs on too."""


LABS = {
    "task1": Lab("a multi-layer perceptron from scratch: learning rate, activation", "digits-mlp", ("mnist-mlp",)),
    "task2": Lab(
        "a residual network, one factor at a time: six factors", "", ("resnet18-cifar10-small", "resnet18-cifar10")
    ),
    "fair": Lab("unfair, then fair: Adam against SGD, then each tuned", "digits-mlp", ("mnist-mlp",)),
}
"""By name."""


def lab_called(name: str) -> tuple[Lab, Path]:
    """Return a lab and the folder of its files.

    Raises:
        UsageError: There is none of the name.
    """
    if name not in LABS:
        raise UsageError(f"there is no lab {name!r}: there are {', '.join(LABS)}{nearest(name, LABS) or '.'}")
    return LABS[name], TEMPLATES / name


def write_lab(name: str, folder: Path, recipe: str | None, lang: str) -> list[Path]:
    """Write a lab's folder: its recipe, study file, report and what else it comes with; nothing is overwritten.

    Args:
        name: Of `LABS`.
        folder: A new one.
        recipe: A recipe in place of the one of the embedded digits, by name or path.
        lang: Code of the report's language.

    Returns:
        What was written.

    Raises:
        UsageError: There is no such lab, recipe or language, the recipe lacks a factor of the lab, or the folder is
            there already.
        EailabError: The folder cannot be written.
    """
    language(lang)
    lab, source = lab_called(name)
    file, asked = _recipe_file(lab, source), None
    if recipe is not None:
        asked = load(recipe).recipe
    texts = {
        one.name.removesuffix(".txt"): one.read_text("utf-8")
        for one in (*source.iterdir(), file)
        if one.is_file() and one.name != RUBRIC_FILE and not one.name.startswith("report.")
    }
    texts[RECIPE_FILE] = texts.pop(file.name)
    if asked is not None:
        texts[RECIPE_FILE] = f"# Run:     eailab ablate --study {STUDY_FILE}\n" + to_yaml(asked)
    texts[REPORT_FILE] = source.joinpath(f"report.{lang}.md").read_text("utf-8")
    half = max(1, (asked or load(file).recipe).epochs // 2)
    texts[STUDY_FILE] = texts[STUDY_FILE].replace("HALF_THE_EPOCHS", str(half))
    written = []
    try:
        folder.mkdir(parents=True)
        for called, text in texts.items():
            (folder / called).write_text(text, encoding="utf-8")
            written.append(folder / called)
        declared(folder / STUDY_FILE)
    except FileExistsError as error:
        raise UsageError(f"{folder} is there already, and nothing was changed: give another folder.") from error
    except OSError as error:
        raise EailabError(f"{folder} cannot be written: {error.strerror}.") from error
    except UsageError as error:
        for one in written:
            one.unlink()
        folder.rmdir()
        raise UsageError(f"the lab {name} does not fit this recipe. {error}") from error
    return written


def recipe_of(name: str) -> Recipe:
    """Return the recipe of a lab's embedded digits."""
    return load(_recipe_file(*lab_called(name))).recipe


def _recipe_file(lab: Lab, source: Path) -> Path:
    return shipped_file(lab.recipe) if lab.recipe else source / RECIPE_FILE


def copy_rubric(name: str, file: Path) -> Path:
    """Write the rubric of a lab into a new file, and return its path.

    Raises:
        UsageError: There is no such lab, or the file is there already.
        EailabError: It cannot be written.
    """
    text = lab_called(name)[1].joinpath(RUBRIC_FILE).read_text("utf-8")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(f"{file} is there already, and nothing was changed: give another name.") from error
    except OSError as error:
        raise EailabError(f"{file} cannot be written: {error.strerror}.") from error
    return file
