"""`eailab diff`: two trials side by side."""

from typing import Annotated

import typer

from eailab.cli.options import RUNS_DIR, AsJson, RunsDir
from eailab.cli.output import echo


def diff(
    first: Annotated[str, typer.Argument(metavar="TRIAL", help="A trial's fingerprint, its beginning, or its folder.")],
    second: Annotated[str, typer.Argument(metavar="TRIAL", help="The other one.")],
    runs: RunsDir = RUNS_DIR,
    everything: Annotated[bool, typer.Option("--all", help="Show what is equal too.")] = False,
    json: AsJson = False,
) -> None:
    """Set two trials side by side: recipe, environment, data and results.

    Example: eailab diff 3f9c 81ab
    """
    from eailab.report.diff import diff as compare
    from eailab.report.diff import trial_named
    from eailab.report.terminal import print_table
    from eailab.runs.store import Store

    store = Store(runs)
    found = compare(trial_named(store, first), trial_named(store, second))
    if json:
        from dataclasses import asdict

        from eailab.report.record import as_plain, layout

        echo(layout(as_plain(asdict(found))))
        return
    equal = sum(not line.differs for line in found.lines)
    print_table("Two trials", found.table(everything=everything), [f"{equal} of {len(found.lines)} things are equal"])
