"""Name a trial, and write the file that says which block and data its folder is of."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from eailab import files
from eailab.engines.registry import engine_of
from eailab.errors import DamagedError, RecipeError
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import canonical, digest, to_yaml
from eailab.recipe.load import parse_recipe
from eailab.runs import records
from eailab.seeding import LARGEST_BLOCK

OWN_DATA = "own"
"""What stands for the path of a person's own data where a trial's name is made."""

_COMMENTS = re.compile(rb"\A(?:#[^\n]*\n)*")
"""Lines at the top of a trial's recipe, which differ from block to block."""

_OLD_IDENTITY = re.compile(rb"^# What: +block (\d{1,10}) on the data ([0-9a-f]{1,128})$", re.MULTILINE)
"""Where stores of versions without `trial.json` say it: in a comment of the recipe."""


@dataclass(frozen=True)
class Trial:
    """One arm in one block: all that can change its result."""

    recipe: Recipe
    block: int
    data: str
    """Fingerprint of what it depends on outside its recipe: the data set's decoded arrays, or what
    `EngineSpec.inputs` gives; empty for nothing."""

    @cached_property
    def fingerprint(self) -> str:
        """Return the trial's name: 20 hexadecimal digits over recipe, block, data and engine version.

        Where a person's own data lie is not part of it: images are the same in another folder, or by another path.
        """
        from eailab.data.registry import SOURCES  # with numpy, which lists of trials do without

        name = self.recipe.data_name
        own = {} if name is None or name in SOURCES else {name: OWN_DATA}
        return digest(
            {
                "recipe": canonical(self.recipe, own),
                "block": self.block,
                "data": self.data,
                "engine_version": engine_of(self.recipe).version,
            }
        )


def recipe_text(trial: Trial) -> str:
    """Return a trial's recipe as YAML. Its comments tell people how to repeat the trial; no program reads them."""
    command = engine_of(trial.recipe).command
    run = f"# Run:     eailab {command} --recipe recipe.yaml --seed {trial.block}\n" if command else ""
    on = f" on the data {trial.data}" if trial.recipe.images else ""
    return f"{run}# What:    block {trial.block}{on}\n" + to_yaml(trial.recipe)


def parse_trial_recipe(text: bytes, file: Path) -> Recipe:
    """Return the recipe that a trial's file holds; the trials of an arm share it.

    Raises:
        RecipeError: It is not a recipe.
    """
    with suppress(RecipeError):
        return _parsed(_COMMENTS.sub(b"", text))
    return parse_recipe(text, str(file))  # it cannot be, and names the lines of the file


@lru_cache(maxsize=256)
def _parsed(text: bytes) -> Recipe:
    return parse_recipe(text, "")


def identity_text(trial: Trial) -> str:
    """Return the content of a trial's `trial.json`."""
    record: dict[str, object] = {"schema_version": 1, "block": trial.block, "data": trial.data}
    record["checksum"] = records.seal(record)
    return json.dumps(record, indent=2) + "\n"


def read_identity(file: Path, recipe_file: Path) -> tuple[int, str]:
    """Return the block and the data of a trial by its `trial.json`, or in stores of earlier versions its recipe.

    Raises:
        DamagedError: The file is damaged, or neither file says it.
        StoreError: The system does not let us read it.
    """
    try:
        text = files.read(file, files.RESULT)
    except FileNotFoundError:
        return _identity_of_old(recipe_file)
    try:
        record = records.parse(text)
        seal, block, data = record.pop("checksum"), record["block"], record["data"]
        whole = seal == records.seal(record) and type(block) is int and 0 <= block <= LARGEST_BLOCK
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{file} is damaged: it is not the block and the data of a trial.") from error
    if not whole or not isinstance(data, str):
        raise DamagedError(f"{file} differs from its own checksum: it is damaged.")
    return block, data


def _identity_of_old(recipe_file: Path) -> tuple[int, str]:
    try:
        match = _OLD_IDENTITY.search(files.read(recipe_file, files.TRIAL_RECIPE))
    except FileNotFoundError:
        match = None
    if match is None:
        raise DamagedError(f"{recipe_file} does not say of which block it is, and there is no trial.json.")
    return int(match[1]), match[2].decode()
