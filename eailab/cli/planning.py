"""Plan studies without training: `--dry-run`, `--detect`, `--budget` and `--freeze`."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from eailab.cli.advice import offering_small_data
from eailab.cli.output import LOG, echo, echo_json, say_note
from eailab.errors import Correction, UsageError
from eailab.plain import blocks_in_words, counted
from eailab.units import duration, parse_seconds

if TYPE_CHECKING:
    from eailab.cli.running import Console
    from eailab.findings.dry_run import PlannedStudy, PlannedTuning
    from eailab.recipe.load import Override
    from eailab.runs.context import RunContext
    from eailab.studies.design import Study
    from eailab.studies.storage import Plan


def say_beforehand(studies: Sequence["Study"], changes: Sequence["Override"]) -> None:
    """Print what a person should know of some studies, and of what changed their recipe, before anything is trained."""
    from eailab.recipe.override import tells_something
    from eailab.studies.forecast import weak_design

    arms = [arm for one in studies for arm in one.arms]
    brought = [sentence for arm in arms for sentence in arm.brought if tells_something(sentence)]
    weak = [said for one in studies if (said := weak_design(one))]
    for sentence in dict.fromkeys([*brought, *_without_effect(studies, changes), *weak]):
        say_note(sentence)


def _without_effect(studies: Sequence["Study"], changes: Sequence["Override"]) -> Iterator[str]:
    """Yield which changes of the model are none to an arm, since its network does not have the setting."""
    from eailab.recipe.factors import own_setting, path_of
    from eailab.recipe.networks import ARGS
    from eailab.recipe.override import lacking

    arms = {arm.label: arm.recipe for one in studies for arm in one.arms}
    base = studies[0].arms[0].recipe
    for change in changes:
        path = change.path if change.path.startswith(ARGS) else None  # of a network that another change names
        path = path or own_setting(change.path, base) or path_of(change.path, base.engine, False, base)
        if networks := lacking(path, arms):
            has = "it does not have" if len(networks) == 1 else "they do not have"
            yield f"{change} has no effect on {', '.join(networks)}: {has} the setting {path}"


def show(
    plans: Sequence["Plan"],
    context: "RunContext",
    jobs: int | None,
    sd: float | None,
    *,
    as_json: bool,
    tuning: "PlannedTuning | None" = None,
) -> None:
    """Print what some plans would train; nothing is trained or written.

    The SD is of a trial within its block, as the user assumes it; None to take the store's. What `tuning` says is
    trained before the winners are compared, next to these plans.
    """
    from eailab.engines.registry import engine_of
    from eailab.findings.dry_run import PlannedStudy, cost_lines
    from eailab.studies.forecast import forecast, noise_of

    if any(not engine_of(trial.recipe).is_foreign for planned in plans for trial in planned.todo):
        echo("timing some steps of each arm ...", err=True)
    cost = forecast(plans, context, jobs)
    store = context.store
    studies = [
        PlannedStudy.of(planned, cost, noise_of(planned, store, sd), store, context.data_dir) for planned in plans
    ]
    if as_json:
        first = {} if tuning is None else {"tuning": tuning.mapping()}
        echo_json({**first, "studies": [study.mapping() for study in studies], "left": cost.mapping()})
        return
    if tuning is not None:
        for line in tuning.lines():
            echo(line, hang=2)
        echo()
    for study in studies:
        _show_study(study)
    for line in cost_lines(cost):
        echo(line, hang=2)
    echo("this was a dry run: nothing was trained and nothing was written", hang=2)


def _show_study(study: "PlannedStudy") -> None:
    """Print one plan, with -v the layers of its networks too."""
    from eailab.cli.own_network import print_layers
    from eailab.report.terminal import print_table

    print_table(study.title, study.table(), [*study.sizes(), f"detects: {study.detectable()}"])
    echo()
    for arms, network in study.networks().items() if LOG.isEnabledFor(logging.DEBUG) else ():
        echo(f"layers of {arms}:")
        print_layers(network)
        echo()
    for label, command in study.commands.items():
        echo(f"{label}: {command}", hang=2)
    if study.commands:
        echo()


def solve(
    studies: "tuple[Study, ...]", where: "RunContext", jobs: int | None, goal: float | str, sd: float | None
) -> int:
    """Return the number of blocks that a difference needs, or a time such as `30m` allows, and print it."""
    from eailab.studies.forecast import blocks_for, blocks_that_detect
    from eailab.studies.plan import plan

    with offering_small_data(studies[0].arms[0].recipe):
        plans = [plan(study, where) for study in with_blocks(studies, 1)]
    if isinstance(goal, str):
        blocks, seconds = blocks_for(plans, where, jobs, parse_time(goal))
        say_note(f"--budget {goal}: {blocks} blocks, in about {duration(seconds)}")
        return blocks
    needed = 0
    for planned in plans:
        blocks, noise = blocks_that_detect(planned, where.store, goal, sd)
        name = planned.record.study.name
        spread = f"SD {noise.sd:.3g}, {noise.source}{noise.bound(planned.record.study.measure)}"
        say_note(f"--detect {goal:g}: {name} needs {blocks} blocks ({spread})")
        needed = max(needed, blocks)
    return needed


def expectation(studies: "tuple[Study, ...]", message: str | None, *, freeze: bool) -> str | None:
    """Return what a plan that is to be frozen expects; None where none is.

    Raises:
        UsageError: One of --freeze and -m is given without the other.
    """
    if freeze and message is None:
        raise UsageError(
            "--freeze needs -m with what you expect to see, in your words, such as:",
            Correction(options={"--message": _expectation(studies[0])}),
        )
    if message is not None and not freeze:
        raise UsageError(
            "-m is the hypothesis of a plan: leave it out, or write the plan with --freeze.",
            Correction(options={"--freeze": None}),
        )
    return message


def write_frozen_plan(studies: "tuple[Study, ...]", console: "Console", message: str) -> None:
    """Write the frozen plan, and print where it is."""
    from eailab.studies.preregistration import freeze, known_already, unplanned

    where, plans = console.context, console.plan(studies)
    older = unplanned(where.store, plans)
    frozen, file = freeze(plans, message, where.store, console.is_decided)
    if older:
        say_note(
            f"this is the first frozen plan of {where.runs_dir}: reports call {counted(len(older), 'other study')} "
            f"there post hoc from now on, since no plan names them: {', '.join(older)}."
        )
    echo(f"plan {frozen.fingerprint}: {frozen.hypothesis}", hang=2)
    for planned in plans:
        study = planned.record.study
        known = "; ".join(
            f"{label} in {'block' if len(blocks) == 1 else 'blocks'} {blocks_in_words(blocks)}"
            for label, blocks in known_already(planned).items()
        )
        also = f"; known already: {known}" if known else ""
        echo(f"  {study.folder_name}: blocks {blocks_in_words(study.blocks)}{also}", hang=2)
    echo("no trial of the plan was trained; the same command without --freeze and -m trains it", hang=2)
    echo(f"plan:    {file}")


def _expectation(study: "Study") -> str:
    """Return an example of what one may expect of a study."""
    first = next(arm for arm in study.arms if arm is not study.arms[study.baseline])
    return f"{first.label} is better than {study.arms[study.baseline].label} by {study.margin:g} or more"


def with_blocks(studies: "tuple[Study, ...]", number: int) -> "tuple[Study, ...]":
    """Return studies with another number of blocks, from 0."""
    return tuple(replace(study, blocks=tuple(range(number))) for study in studies)


def parse_time(text: str) -> float:
    """Return the seconds of a time such as `90s`, `30m`, `1.5h`; a bare number is in minutes.

    Raises:
        UsageError: It is not a time above 0.
    """
    seconds = parse_seconds(text) or parse_seconds(f"{text}m")
    if seconds is None:
        raise UsageError(f"--budget {text}: give a time, such as 90s, 30m or 2h.")
    return seconds
