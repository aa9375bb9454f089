"""Check by a training program's first runs that its seed and a factor reach it: `eailab audit`."""

from dataclasses import asdict, replace
from typing import Annotated

import typer

from eailab.cli.options import RUNS_DIR, AsJson, Jobs, On, Overrides, ProgramMetric, Quiet, RunsDir, Verbose
from eailab.cli.output import echo, echo_json
from eailab.cli.program import NO_PROGRAM, ProgramOptions, takes_program, try_instead
from eailab.errors import CheckFailedError, UsageError


@takes_program("no_audit")
def audit(
    factor: Annotated[
        str | None, typer.Argument(metavar="FACTOR", help="A setting of the command, to see whether it has an effect.")
    ] = None,
    levels: Annotated[list[str] | None, typer.Argument(metavar="LEVELS...", help="Its values.")] = None,
    seeds: Annotated[str, typer.Option(metavar="N", help="Number of blocks, or a list of them: 2 or 11,12.")] = "2",
    metric: ProgramMetric = None,
    jobs: Jobs = None,
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    on: On = "local",
    _verbose: Verbose = False,
    _quiet: Quiet = False,
    json: AsJson = False,
    program: ProgramOptions = NO_PROGRAM,
) -> None:
    """Run a program a few times, and check that its seed and a FACTOR reach it and nothing else differs.

    Example: eailab audit lr 1e-3 1e-4 --run 'python train.py --lr {lr} --seed {seed}' --metric val_acc
    """
    from eailab.cli.options import overrides_of, run_context
    from eailab.cli.running import AuditAlone
    from eailab.studies.audit_run import audited_first, checks_of
    from eailab.studies.design import one_at_a_time, repeated
    from eailab.studies.plan import parse_blocks
    from eailab.studies.run import raise_timed_out, train_plans

    if not program:
        raise UsageError("name a program of yours: --run 'python train.py --seed {seed}' --metric val_acc.")
    if len(blocks := parse_blocks(seeds)) < 2:
        raise UsageError(f"--seeds {seeds}: an audit compares two seeds or more.")

    # The study whose first runs are looked at: of the factor's levels, or of the program alone.
    factors = program.factors(factor, levels or [], [], None, joint=False) if factor or program.arm else []
    base = program.recipe(metric, factors, overrides_of({}, override))
    study = one_at_a_time(base, factors, blocks, "epochs")[0] if factors else repeated(base, blocks)
    try_instead(program, study, runs)
    console = AuditAlone(
        run_context(
            *(runs, None, "auto"),
            on=on,
            retries=program.retries,
            keep_code=program.keep_code,
            gpus=program.gpus_for(jobs, on),
        ),
        jobs,
        audits=True,
    )

    # Run what the audit needs of it, and print what that shows.
    (planned,) = console.plan([study])
    names = audited_first([planned])
    planned = replace(planned, todo=tuple(trial for trial in planned.todo if trial.fingerprint in names))
    if train_plans([planned], console):
        raise CheckFailedError("the audit could not be made, since a run failed (see above).")
    checks = checks_of(console.context.store, planned.record)
    if json:
        echo_json({"checks": [asdict(one) for one in checks]})
    else:
        for check in checks:
            echo(f"{check.name}: {check.said}", hang=4)
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(UsageError.exit_code)
    raise_timed_out([planned], console)
