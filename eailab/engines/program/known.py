"""Keep what is known of programs in a runs folder: of which code trials are, and how their metrics are reported."""

import json
import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from eailab import files
from eailab.engines.program.identity import Identity, changed_while_running, changes, identify, written_while_running
from eailab.engines.program.reading import IN_WORDS, ReportingRules, Way
from eailab.engines.program.trial_files import new_file, own_folder
from eailab.errors import DataError, StoreError
from eailab.recipe.canonical import digest
from eailab.recipe.own import ProgramRecipe
from eailab.units import LONGEST_SECONDS

FOLDER = "programs"
"""Next to `trials` and `studies`."""
WRITTEN = "written"
"""Name of the record of files that programs have written next to their code."""
SAME = "same"
"""Begins the names of records that say under which earlier fingerprint trials with the same code were planned."""

_log = logging.getLogger(__name__)


def identity_of(recipe: ProgramRecipe, runs: Path) -> Identity:
    """Return what trials of a recipe depend on, as it is now.

    What lies in a runs folder, and what programs have written while they ran, is not code.
    """
    here = Path(recipe.checkout or ".").absolute()
    near = (here, *here.glob("*/"), runs.parent)  # the runs of an audit lie in a store within another
    stores = [one for one in near if _is_store(one)]
    excluded = [runs, *stores, *(here / name for name in _read(runs, WRITTEN).get("files", []))]
    return identify(recipe.template.words, here, code=recipe.code, data=recipe.data, excluded=excluded)


def inputs_of(recipe: ProgramRecipe, runs: Path) -> str:
    """Return the fingerprint of `identity_of`, which a trial that starts right after this takes as its own.

    It is the one that trials were planned with before their program wrote a file that had counted as code until then.
    """
    identity = identity_of(recipe, runs)
    _TAKEN.clear()
    _TAKEN[_asked(recipe, runs)] = (identity, time.monotonic())
    return _planned_as(identity, runs)


def _planned_as(identity: Identity, runs: Path) -> str:
    found = _read(runs, _same(identity.fingerprint)).get("fingerprint")
    return found if isinstance(found, str) else identity.fingerprint


_TAKEN: dict[tuple[object, ...], tuple[Identity, float]] = {}
"""What `inputs_of` has found last, and when."""
FRESH_SECONDS = 1.0
"""For so long it is taken for what there is; what changes meanwhile is found when the program has ended."""


def _asked(recipe: ProgramRecipe, runs: Path) -> tuple[object, ...]:
    return recipe.template.words, recipe.checkout, *recipe.code, None, *recipe.data, None, runs.absolute(), Path.cwd()


def changes_since(now: Identity, runs: Path, before: str) -> list[str]:
    """Return in words what has changed since trials with an earlier fingerprint; nothing where that is not known."""
    with suppress(ValueError):
        then = Identity.read(_read(runs, _code(before)))
        written = {*_read(runs, WRITTEN).get("files", [])}
        code = {name: content for name, content in then.code.items() if name in now.code or name not in written}
        return changes(Identity(code, then.data, then.program), now)
    return []


def keep_identity(identity: Identity, runs: Path) -> None:
    """Keep what trials depend on, so that `changes_since` can tell later what is different."""
    _keep(runs, _code(identity.fingerprint), identity.record())


class Known:
    """Hold what trials of a program, with the same code and data, have shown; made before one runs."""

    def __init__(self, recipe: ProgramRecipe, runs: Path, wanted: ReportingRules) -> None:
        self.recipe, self.runs = recipe, runs
        taken, when = _TAKEN.pop(_asked(recipe, runs), (None, 0.0))
        is_fresh = taken is not None and time.monotonic() - when < FRESH_SECONDS
        self.identity = taken if taken is not None and is_fresh else identity_of(recipe, runs)
        names = [metric.name for metric in wanted.metrics]
        self._way = f"way-{digest([self.identity.fingerprint, names, wanted.regex])}"
        keep_identity(self.identity, runs)

    @property
    def way(self) -> Way | None:
        """Return how earlier trials reported their metrics; None where there are none."""
        found = _read(self.runs, self._way).get("way")
        return cast(Way, found) if found in IN_WORDS else None

    def keep(self, way: Way) -> None:
        """Have later trials report their metrics the same way."""
        _keep(self.runs, self._way, {"way": way})

    def check_code(self) -> None:
        """Leave files that a program has written while it ran out of its code from now on.

        Raises:
            DataError: Its code, its data or what runs it was changed meanwhile, so that it is not known which of both
                it has used.
        """
        after = identity_of(self.recipe, self.runs)
        if after.fingerprint == self.identity.fingerprint:
            return
        if changed := changed_while_running(self.identity, after):
            own = " A file that the program itself writes does not belong to --data." if self.recipe.data else ""
            raise DataError(f"while the program ran, {', '.join(changed)}: start the command again.{own}")
        if written := written_while_running(self.identity, after):
            known = {*_read(self.runs, WRITTEN).get("files", []), *written}
            _keep(self.runs, WRITTEN, {"files": sorted(known)}, again=True)
            _log.info("%s was written while the program ran, and is not taken for its code.", ", ".join(written))

        # Without these files it is another fingerprint; the trials that were planned before keep theirs.
        without = identity_of(self.recipe, self.runs)
        if without.fingerprint != self.identity.fingerprint:
            _keep(self.runs, _same(without.fingerprint), {"fingerprint": _planned_as(self.identity, self.runs)})


def keep_seconds(recipe: ProgramRecipe, runs: Path, seconds: float) -> None:
    """Keep what a run took that was made to try a program, for plans of it."""
    _keep(runs, _tried(recipe), {"seconds": seconds}, again=True)


def tried_seconds(recipe: ProgramRecipe, runs: Path) -> float | None:
    """Return what a program took when it was tried, with any settings; None where it was not."""
    found = _read(runs, _tried(recipe)).get("seconds")
    return found if isinstance(found, float) and 0.0 <= found < LONGEST_SECONDS else None


def _tried(recipe: ProgramRecipe) -> str:
    return f"tried-{digest([recipe.started])}"


def _code(fingerprint: str) -> str:
    return f"code-{fingerprint[:20]}"


def _same(fingerprint: str) -> str:
    return f"{SAME}-{fingerprint[:20]}"


def _is_store(folder: Path) -> bool:
    return (folder / "trials").is_dir() and (folder / "studies").is_dir()


def _file(runs: Path, name: str) -> Path:
    """Return where a record is; runs of an audit share those of the store that theirs lies in."""
    return (runs.parent if _is_store(runs.parent) else runs) / FOLDER / f"{name}.json"


def _read(runs: Path, name: str) -> dict[str, Any]:
    """Return a record; an empty one where there is none that can be read."""
    with suppress(FileNotFoundError, StoreError, ValueError, TypeError, RecursionError):
        return dict(json.loads(files.read(_file(runs, name), files.PROGRAM)))
    return {}


def _keep(runs: Path, name: str, record: dict[str, Any], *, again: bool = False) -> None:
    """Write a record; one that is there already stays, unless it is to be written again."""
    file = _file(runs, name)
    if file.exists() and not again:
        return
    own_folder(file.parent)
    new = file.with_name(f"{file.name}.{uuid4().hex[:8]}.tmp")
    with new_file(new) as opened:
        opened.write(json.dumps({"schema_version": 1, **record}).encode() + b"\n")
    new.replace(file)
