"""`eailab gate`: compare two revisions of a program's code, and end with an exit code."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eailab.cli.deciding import EXIT_CODES, fail_if
from eailab.cli.options import RUNS_DIR, AsJson, Jobs, Overrides, ProgramMetric, Quiet, RunsDir, Verbose
from eailab.cli.output import echo_json, say_note
from eailab.cli.program import NO_PROGRAM, ProgramOptions, takes_program, try_instead
from eailab.errors import UsageError

if TYPE_CHECKING:
    from eailab.studies.storage import Plan

ARMS = ("base", "candidate")
MOST_TRIALS = 8


@takes_program("arm")
def gate(
    base: Annotated[
        str, typer.Option("--base", metavar="REV", help="The revision to compare with: a commit, branch or tag.")
    ],
    candidate: Annotated[
        str, typer.Option("--candidate", metavar="REV", help="The changed revision; . for the files as they are now.")
    ] = ".",
    metric: ProgramMetric = None,
    max_trials: Annotated[
        int, typer.Option(min=1, metavar="N", help="The most trials to use, of both revisions together.")
    ] = MOST_TRIALS,
    margin: Annotated[
        str | None, typer.Option(metavar="M", help="Differences below this do not matter, in the metric's unit.")
    ] = None,
    jobs: Jobs = None,
    override: Overrides = None,
    runs: RunsDir = RUNS_DIR,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
    json: AsJson = False,
    program: ProgramOptions = NO_PROGRAM,
) -> None:
    """Run a program in two revisions of its code, until one is shown to be better, and end with an exit code.

    It ends with 0 if the candidate is better, 3 if it is worse or the same, 4 if that is undecided. The last line of
    its output is the decision as JSON; see `eailab schema decision`.

    Example: eailab gate --base HEAD --run 'python train.py --seed {seed}' --metric val_bpb
    """
    from eailab.cli.options import overrides_of, run_context
    from eailab.cli.running import Console
    from eailab.engines.program.known import identity_of
    from eailab.findings.decision import Decision, arm_decisions
    from eailab.studies.design import one_at_a_time
    from eailab.studies.factor import FactorLevels
    from eailab.studies.revisions import Repository, named_by_code
    from eailab.studies.run import run_until_decided, with_looks

    if not program:
        raise UsageError("name a program of yours: --run 'python train.py --seed {seed}' --metric val_bpb.")
    changes = overrides_of({"study.margin": margin}, override)
    recipe = program.recipe(metric, (), changes)
    gpus = program.gpus_for(jobs)
    where = run_context(runs.absolute(), None, "auto", retries=program.retries, keep_code=program.keep_code, gpus=gpus)

    # Check both revisions out; the files as they are now become a commit that no branch has.
    repository, notes = Repository(Path()), list[str]()
    commits = {"base": repository.commit_of(base)}
    if candidate == ".":
        commits["candidate"], notes = repository.snapshot(where.runs_dir.resolve())
    else:
        commits["candidate"] = repository.commit_of(candidate)
    if submodules := repository.submodules(commits["candidate"]):
        notes.append(f"{', '.join(submodules)}: submodules are empty in the revisions that are compared.")
    for note in notes:
        say_note(note)

    with repository.checked_out(commits, say_note) as found:
        # Trials are named by the code, so that a revision that changes none of it runs nothing again.
        codes = {
            name: identity_of(recipe.model_copy(update={"checkout": str(one.folder)}), where.runs_dir).fingerprint
            for name, one in found.items()
        }
        if codes["base"] == codes["candidate"]:
            raise UsageError(
                f"{base} and {candidate} have the same code, comments aside: there is nothing to compare. Change it, "
                "or name another revision with --base."
            )
        folders = {name: str(named_by_code(one, codes[name])) for name, one in found.items()}
        levels = FactorLevels(("checkout",), tuple((folders[arm],) for arm in ARMS), (folders["base"],), ARMS)
        base_recipe = recipe.model_copy(update={"checkout": folders["base"]})
        study = with_looks(one_at_a_time(base_recipe, [levels], (0,), "epochs"), max_trials)
        try_instead(program, study, where.runs_dir)
        console = Console(where, jobs, audits=not program.no_audit)

        def publish(plans: "Sequence[Plan]") -> Decision:
            (findings,), page = console.write(plans)
            if not json:
                console.print(plans, (findings,), page)
            (decision,) = arm_decisions(findings)
            echo_json(asdict(decision), is_line=True)
            return decision

        decision = run_until_decided(study, console, console.judge, publish, console.say_look)
    fail_if([decision.verdict], frozenset(EXIT_CODES))
