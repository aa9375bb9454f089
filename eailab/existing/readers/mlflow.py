"""Read MLflow's SQLite database, by the standard library and without writing to it."""

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from eailab import files
from eailab.errors import UsageError
from eailab.existing.readers.common import Run, deleted_runs, table_of
from eailab.existing.table import ResultsTable, Value
from eailab.existing.values import value_of
from eailab.translation import tr

_HEAD = b"SQLite format 3\0"


def recognises(path: Path) -> bool:
    """Tell whether a file is an SQLite database."""
    try:
        with files.opened(path, files.DATABASE) as file:
            return file.read(len(_HEAD)) == _HEAD
    except FileNotFoundError:
        return False


def read(path: Path) -> ResultsTable:
    """Read the runs of all experiments that were not deleted, with the latest value of each metric.

    Raises:
        UsageError: It is not MLflow's, of a version with other tables, or locked.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)) as database:
            runs = list(_runs(database, path))
            (deleted,) = database.execute("SELECT count(*) FROM runs WHERE lifecycle_stage = 'deleted'").fetchone()
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise UsageError(f"{path} is locked: another program writes to it. Wait until it has ended.") from error
        raise UsageError(
            f"{path} cannot be read as MLflow's database ({error}): it is another program's, or of another version. "
            "Export the runs as CSV: `mlflow experiments csv`."
        ) from error
    if not runs:
        raise UsageError(f"{path} has no runs that were not deleted.")
    notes = [deleted_runs(path, deleted)] if deleted else []
    return table_of(runs, "MLflow", [path], notes)


def _runs(database: sqlite3.Connection, path: Path) -> Iterator[Run]:
    settings: dict[str, dict[str, Value]] = defaultdict(dict)
    metrics: dict[str, dict[str, Value]] = defaultdict(dict)
    for run, key, text in database.execute("SELECT run_uuid, key, value FROM params"):
        settings[run][key] = value_of(str(text))
    for run, key, value, is_nan in database.execute("SELECT run_uuid, key, value, is_nan FROM latest_metrics"):
        metrics[run][key] = math.nan if is_nan else float(value)
    found = database.execute(
        "SELECT r.run_uuid, r.name, r.status, e.name FROM runs r JOIN experiments e USING (experiment_id) "
        "WHERE r.lifecycle_stage = 'active' AND e.lifecycle_stage = 'active' ORDER BY r.start_time, r.run_uuid"
    )
    for run, name, status, experiment in found:
        place = f"{path.name}, run {name or run}"
        odd = tr("{run} is {state}, and its values count", run=place, state=str(status).lower())
        notes = () if status == "FINISHED" else (odd,)
        yield Run({"experiment": str(experiment), **settings[run]}, metrics[run], place, notes=notes)
