"""Describe the engine that calls a training function of Python."""

from pathlib import Path
from typing import TYPE_CHECKING

from eailab import files
from eailab.engines.base import Setup
from eailab.engines.program.reading import counted, declared
from eailab.engines.program.spec import evidence_of
from eailab.engines.program.trial_files import CURVES, reported
from eailab.engines.spec import Artifact, EngineSpec
from eailab.recipe.own import FunctionRecipe

if TYPE_CHECKING:
    from eailab.engines.function.engine import FunctionEngine


def _build(recipe: FunctionRecipe, setup: Setup) -> "FunctionEngine":
    from eailab.engines.function.engine import FunctionEngine

    return FunctionEngine(recipe, declared(recipe), setup)  # type: ignore[abstract]  # it has no images to evaluate


def _inputs(recipe: FunctionRecipe, _: Path | None, runs_dir: Path) -> str:  # noqa: ARG001 - one signature for all
    from eailab.engines.function.identity import identity_of

    return identity_of(recipe.function).fingerprint


def _gaps(recipe: FunctionRecipe, runs_dir: Path) -> tuple[str, ...]:  # noqa: ARG001 - one signature for all engines
    from eailab.engines.function.identity import identity_of

    return identity_of(recipe.function).notes


def _what_changed(recipe: FunctionRecipe, runs_dir: Path, before: str) -> str:
    from eailab.engines.function.identity import identity_of
    from eailab.engines.program.known import changes_since

    return ", ".join(changes_since(identity_of(recipe.function), runs_dir, before))


FUNCTION = EngineSpec(
    name="function",
    version=1,
    recipe=FunctionRecipe,
    metrics=declared,
    build=_build,
    inputs=_inputs,
    gaps=_gaps,
    what_changed=_what_changed,
    reported=reported,
    evidence=evidence_of,
    counted=counted,
    is_foreign=True,
    artifacts=(Artifact(CURVES, files.CURVES),),
)
