"""Train a finished trial once more, to see whether the same bits come out."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eailab.engines.registry import ENGINES
from eailab.errors import DamagedError, StoreError
from eailab.runs.context import RunContext
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial

PARTS = ("status", "epochs", "diverged_at", "metrics", "parameters", "files")
"""Of `result.json`; the rest tells when and where."""


@dataclass(frozen=True)
class RetrainedTrial:
    """A trial compared with its repetition."""

    compared: int
    """Values and files that were compared."""
    differences: tuple[str, ...]
    """What came out otherwise; a sentence each."""
    environments: tuple[str, str]
    """What the trial ran on, then and now."""


def retrain(trial: Trial, context: RunContext) -> RetrainedTrial:
    """Train a finished trial again in a store of its own, which is then thrown away, and compare the bits.

    Raises:
        StoreError: The trial has no result to compare with.
        StoppedError: `context.should_stop` said so.
        DataError: The data are missing, or are not those that the trial is named after.
    """
    there = context.store.folder(trial.fingerprint)
    before = there.record()
    if before is None:
        raise StoreError(f"{trial.fingerprint} has no result to compare with: train it first.")
    with suppress(DamagedError):  # a trial of several studies has the name, in its files, that the first gave it
        trial = there.ordered()
    with TemporaryDirectory(prefix="eailab-again-") as folder:
        elsewhere = replace(context, runs_dir=Path(folder))
        run_trial(trial, elsewhere)
        after = elsewhere.store.folder(trial.fingerprint).record()
    assert after is not None  # noqa: S101 - a trial that has run has a result
    return compared(before, after)


def compared(before: dict[str, Any], after: dict[str, Any]) -> RetrainedTrial:
    """Compare the record of a trial with that of its repetition."""
    then, now = _flat(before), _flat(after)
    return RetrainedTrial(
        compared=len(then.keys() | now.keys()),
        differences=tuple(
            f"{name}: {then.get(name)} then, {now.get(name)} now"
            for name in sorted(then.keys() | now.keys())
            if then.get(name) != now.get(name)
        ),
        environments=(_environment(before), _environment(after)),
    )


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    other = {f"files.{one.name}" for one in ENGINES[record["engine"]].artifacts if not one.is_repeatable}
    found: dict[str, Any] = {}
    for part in PARTS:
        value = record[part]
        found |= {f"{part}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {part: value}
    return {name: value for name, value in found.items() if name not in other}


def _environment(record: dict[str, Any]) -> str:
    provenance = record["provenance"]
    packages = ", ".join(f"{name} {version}" for name, version in provenance["packages"].items())
    return f"{provenance['device']}, python {provenance['python']}, {packages}"
