"""`eailab diff`: two trials side by side."""

from typing import Annotated

import typer

from eailab.cli.options import RUNS_DIR, AsJson, RunsDir, TrialName
from eailab.cli.output import echo_json


def diff(
    first: TrialName,
    second: TrialName,
    runs: RunsDir = RUNS_DIR,
    everything: Annotated[bool, typer.Option("--all", help="Show what is equal too.")] = False,
    json: AsJson = False,
) -> None:
    """Set two trials side by side: recipe, environment, data and results.

    Example: eailab diff 16/0 32/0
    """
    from eailab.findings.diff import diff as compare
    from eailab.report.terminal import print_table
    from eailab.runs.store import Store
    from eailab.studies.lookup import find_trial

    store = Store(runs)
    found = compare(find_trial(store, first), find_trial(store, second))
    if json:
        from dataclasses import asdict

        from eailab.report.record import as_plain

        echo_json(as_plain(asdict(found)))
        return
    equal = sum(not line.differs for line in found.lines)
    print_table("Two trials", found.table(everything=everything), [f"{equal} of {len(found.lines)} things are equal"])
