"""Describe the engine that runs a training program of one's own."""

import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from eailab import files
from eailab.engines.base import Setup
from eailab.engines.program.reading import Reading, check_regex, counted, declared
from eailab.engines.program.trial_files import CURVES, OUT, STDERR, STDOUT, places_of, reported
from eailab.engines.spec import Artifact, EngineSpec
from eailab.errors import RecipeError
from eailab.metrics import Metric
from eailab.recipe.describe import nearest
from eailab.recipe.own import OwnRecipe, ProgramRecipe

if TYPE_CHECKING:
    from eailab.engines.program.engine import ProgramEngine
    from eailab.engines.program.evidence import Evidence

_LAUNCHER = re.compile(r"(?:python|pypy)[0-9.]*|uv|torchrun|accelerate|deepspeed")
"""Programs whose first word that ends in `.py` is the script that they start."""


def _metrics(recipe: ProgramRecipe) -> tuple[Metric, ...]:
    """Return what a program is to report, once it is known that it can be read."""
    metrics = declared(recipe)
    if recipe.metric_regex is not None:
        check_regex(recipe.metric_regex, metrics)
    return metrics


def _build(recipe: ProgramRecipe, setup: Setup) -> "ProgramEngine":
    from eailab.engines.program.engine import ProgramEngine

    return ProgramEngine(recipe, _metrics(recipe), setup)  # type: ignore[abstract]  # it has no images to evaluate


def _inputs(recipe: ProgramRecipe, _: Path | None, runs_dir: Path) -> str:
    """Return the fingerprint of a program's code and data, once it is known that the program is there."""
    from eailab.engines.program.known import inputs_of

    template, folder = recipe.template, Path(recipe.checkout or ".")
    if not folder.is_dir():
        raise RecipeError(f"there is no folder {folder}, in which the program starts: check it out again.")
    program = template.program if os.sep not in template.program else str(folder.absolute() / template.program)
    if not template.shell and "{" not in program and shutil.which(program) is None:
        raise RecipeError(
            f"there is no program {template.program} here, or it may not be executed: write its path, or the "
            "interpreter before a script, as in 'python train.py'."
        )
    _refuse_missing_script(template.words, folder)
    return inputs_of(recipe, runs_dir)


def _refuse_missing_script(words: Sequence[str], folder: Path) -> None:
    """Refuse a command whose Python script is not there: no trial could start.

    Raises:
        RecipeError: The script is missing; the message names the one that may have been meant.
    """
    if not words or not _LAUNCHER.fullmatch(Path(words[0]).name):
        return
    at = next((number for number, word in enumerate(words) if word.endswith(".py")), 0)
    script = words[at]
    if at == 0 or "{" in script or {"-m", "-c"} & {*words[:at]} or (folder / script).exists():
        return
    near = {str(file.relative_to(folder)) for file in (folder / script).parent.glob("*.py") if folder in file.parents}
    raise RecipeError(f"there is no script {script}: write its path from {folder.absolute()}{nearest(script, near)}")


def _gaps(recipe: ProgramRecipe, runs_dir: Path) -> tuple[str, ...]:
    from eailab.engines.program.known import identity_of

    return identity_of(recipe, runs_dir).notes


def _what_changed(recipe: ProgramRecipe, runs_dir: Path, before: str) -> str:
    from eailab.engines.program.known import changes_since, identity_of

    return ", ".join(changes_since(identity_of(recipe, runs_dir), runs_dir, before))


def _tried_seconds(recipe: ProgramRecipe, runs_dir: Path) -> float | None:
    from eailab.engines.program.known import tried_seconds

    return tried_seconds(recipe, runs_dir)


def _command_line(recipe: ProgramRecipe, block: int, folder: Path) -> str:
    return str(recipe.template.fill(recipe.own_settings, places_of(block, folder)))


def evidence_of(recipe: OwnRecipe, arm: str, block: int, values: Mapping[str, float], folder: Path) -> "Evidence":
    """Return what a finished run of a program or function has left; see `EngineSpec.evidence`."""
    from eailab.engines.program.engine import sources_of
    from eailab.engines.program.evidence import evidence

    return evidence(arm, block, values, sources_of(recipe, block, folder), folder.absolute() / OUT)


@dataclass(frozen=True)
class Tried:
    """A run that was made to try a program."""

    recipe: ProgramRecipe
    command: str
    reading: Reading
    """What it reported."""
    seconds: float


def try_once(recipe: ProgramRecipe, block: int, runs_dir: Path) -> Tried:
    """Run a program once, in a folder that is then removed; only the time that it took is kept in the runs folder.

    Raises:
        TimedOutError: It took too long.
        TrialFailedError: It failed, or did not report a metric.
    """
    from eailab.engines.program.known import keep_seconds

    with TemporaryDirectory(prefix="eailab-try-") as folder:
        _inputs(recipe, None, Path(folder))
        setup = Setup(block, folder=Path(folder) / "trials" / "tried")
        setup.folder.mkdir(parents=True)
        engine = _build(recipe, setup)
        began = time.monotonic()
        engine.train_epoch(1, lambda _: None)
        seconds = time.monotonic() - began
        keep_seconds(recipe, runs_dir, seconds)
        assert engine.reading is not None  # noqa: S101 - it has run
        return Tried(recipe, _command_line(recipe, block, setup.folder), engine.reading, seconds)


PROGRAM = EngineSpec(
    name="program",
    version=1,
    recipe=ProgramRecipe,
    metrics=_metrics,
    build=_build,
    inputs=_inputs,
    gaps=_gaps,
    what_changed=_what_changed,
    reported=reported,
    tried_seconds=_tried_seconds,
    try_once=try_once,
    evidence=evidence_of,
    counted=counted,
    is_foreign=True,
    command_line=_command_line,
    own_folder=OUT,
    artifacts=(
        Artifact(STDOUT, files.KEPT_OUTPUT, of_failed=True, is_reported=False, is_repeatable=False),
        Artifact(STDERR, files.KEPT_OUTPUT, of_failed=True, is_reported=False, is_repeatable=False),
        Artifact(CURVES, files.CURVES),
    ),
)
