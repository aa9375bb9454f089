"""Write offline runs of Weights & Biases: a folder for each trial, and for each study's table, for `wandb sync`.

Nothing is sent and nobody is asked to log in. A run's identifier depends on study and trial alone, so that syncing
twice makes no second run there; exporting again leaves a folder as it is while its trial is the same.
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eailab.errors import StoreError
from eailab.files import WRITTEN, read
from eailab.plain import plain
from eailab.recipe.canonical import digest
from eailab.report.exports.export_records import ExportStudy, ExportTrial
from eailab.runs.atomic import make_folder, write_text, writing

PROJECT = "eailab"

NOTE = "eailab.json"
"""In a run's folder: what it was made of. wandb passes it over."""


@dataclass(frozen=True)
class _Run:
    """One run as wandb knows it."""

    identifier: str
    content: str
    """Tells whether it has changed since an earlier export."""
    settings: Mapping[str, Any]
    """As `wandb.init` takes them."""
    rows: tuple[tuple[int, Mapping[str, float]], ...]
    """Step and values."""
    summary: Mapping[str, Any]
    failed: bool = False


def write(studies: Sequence[ExportStudy], folder: Path) -> None:
    """Write the runs that are missing or out of date; other runs in the folder are not touched.

    Raises:
        StoreError: The folder cannot be written, or wandb cannot.
    """
    with writing(folder):
        make_folder(folder)
    runs = [run for study in studies for run in (_table(study), *map(_trial, study.trials))]
    if not (due := [run for run in runs if not _is_written(run, folder)]):
        return
    with _service(folder) as wandb, tempfile.TemporaryDirectory(prefix=".eailab-", dir=folder) as scratch:
        for run in due:
            _write_run(wandb, run, Path(scratch))
            (made,) = Path(scratch).glob(f"wandb/offline-run-*-{run.identifier}")
            write_text(made / NOTE, json.dumps({"content": run.content}) + "\n")
            earlier = list(folder.glob(f"offline-run-*-{run.identifier}"))
            for one in earlier:
                shutil.rmtree(one)
            made.rename(folder / made.name)


def _table(study: ExportStudy) -> _Run:
    settings = {
        "name": f"{plain(study.title)}: table",
        "group": study.name,
        "job_type": "table",
        "config": {"eailab": {"study": study.name, "state": study.state}},
        "notes": study.markdown,
        "tags": ("table", study.state),
    }
    verdicts = {plain(label): verdict for label, verdict in study.verdicts.items()}
    return _Run(digest([study.name]), study.content, settings, (), {"verdict": verdicts})


def _trial(trial: ExportTrial) -> _Run:
    settings = {
        "name": trial.name,
        "group": trial.group,
        "job_type": plain(trial.labels["arm"])[:64],
        "config": {**trial.recipe.model_dump(mode="json"), "eailab": dict(trial.labels)},
        "notes": trial.outcome,
        "tags": (trial.state,),
    }
    rows = (
        (epoch.number, {**epoch.scores, "epoch": epoch.number, "_timestamp": time})
        for epoch, time in zip(trial.epochs, trial.clock, strict=True)
    )
    identifier = digest([trial.group, trial.labels["arm"], trial.labels["trial"]])
    failed = trial.state in ("diverged", "timed-out", "damaged")
    return _Run(identifier, trial.content, settings, tuple(rows), {**trial.final, "state": trial.state}, failed)


def _is_written(run: _Run, folder: Path) -> bool:
    for note in folder.glob(f"offline-run-*-{run.identifier}/{NOTE}"):
        try:
            return bool(json.loads(read(note, WRITTEN)) == {"content": run.content})
        except (OSError, ValueError):
            return False
    return False


def _write_run(wandb: Any, run: _Run, scratch: Path) -> None:
    offline = wandb.init(
        mode="offline",
        dir=scratch,
        project=PROJECT,
        id=run.identifier,
        **run.settings,
        reinit="create_new",
        settings=wandb.Settings(
            silent=True,
            console="off",
            host="",
            disable_git=True,
            disable_code=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_disable_stats=True,
            x_save_requirements=False,
        ),
    )
    for step, values in run.rows:
        offline.log(dict(values), step=step)
    offline.summary.update(dict(run.summary))
    offline.finish(exit_code=int(run.failed))


@contextmanager
def _service(folder: Path) -> Iterator[Any]:
    """Yield wandb, which writes by a process of its own, without its reports on its users; end that process after."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    logging.getLogger("wandb").setLevel(logging.WARNING)
    import wandb

    try:
        yield wandb
    except (wandb.Error, OSError) as error:
        raise StoreError(f"wandb could not write {folder}: {error}") from error
    finally:
        wandb.teardown()
