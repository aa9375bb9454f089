"""Plan studies without training: `--dry-run`, `--detect`, `--budget` and `--freeze`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from eailab.cli.advice import offering_small_data
from eailab.cli.output import echo, echo_json, say_note
from eailab.errors import Correction, StudyError, UsageError
from eailab.plain import counted
from eailab.units import duration, parse_seconds, size

if TYPE_CHECKING:
    from eailab.cli.running import Console
    from eailab.metrics import Metric
    from eailab.runs.context import RunContext
    from eailab.studies.design import Study
    from eailab.studies.forecast import Cost, Forecast
    from eailab.studies.power_analysis import Noise
    from eailab.studies.record import Plan


@dataclass(frozen=True)
class _Row:
    """One arm of a plan."""

    label: str
    is_baseline: bool
    differs: tuple[str, ...]
    """Every setting that is not the baseline's."""
    said: tuple[str, ...]
    """The same without what comes with a variant, which has been said; with the change of updates."""
    finished: tuple[int, ...]
    """Blocks that need no training."""
    new: tuple[int, ...]
    cost: "Cost | None"
    """Of a trial; None when nothing is left of the arm."""


def show(plans: Sequence["Plan"], context: "RunContext", jobs: int | None, sd: float | None, *, as_json: bool) -> None:
    """Print what some plans would train; nothing is trained or written.

    Args:
        plans: Of one study each.
        context: Folders and device.
        jobs: Trials side by side; None to choose.
        sd: Of a trial within its block, as the user assumes it; None to take the store's.
        as_json: Print JSON instead.
    """
    from eailab.studies.forecast import forecast

    if any(planned.todo for planned in plans):
        echo("timing some steps of each arm ...", err=True)
    cost = forecast(plans, context, jobs)
    noises = [noise_of(planned, context, sd) for planned in plans]
    if as_json:
        studies = [_as_mapping(planned, cost, noise) for planned, noise in zip(plans, noises, strict=True)]
        echo_json({"schema_version": 1, "studies": studies, "left": _left_mapping(cost)})
        return
    for planned, noise in zip(plans, noises, strict=True):
        _print_plan(planned, cost, noise, planned.record.study.measure)
    for line in _cost_lines(cost):
        echo(line, hang=2)
    echo("this was a dry run: nothing was trained and nothing was written", hang=2)


def noise_of(planned: "Plan", context: "RunContext", sd: float | None) -> "Noise | None":
    """Return the noise that a plan is judged by: the user's `--sd`, else what the store's trials show."""
    from eailab.studies.power_analysis import Noise, known_noise

    measure = planned.record.study.measure
    if sd is not None:
        return Noise(sd * measure.margin_scale, "as assumed by --sd")
    return known_noise(planned, context.store)


def _rows(planned: "Plan", cost: "Forecast") -> list[_Row]:
    from eailab.recipe.override import changes_in_words
    from eailab.studies.forecast import recipe_key

    study, record = planned.record.study, planned.record
    todo = {trial.fingerprint for trial in planned.todo}
    rows = []
    for index, arm in enumerate(study.arms):
        new = tuple(block for block in study.blocks if record.trials[index, block] in todo)
        differs = changes_in_words(study.arms[study.baseline].recipe, arm.recipe)
        change = record.updates[index] / record.updates[study.baseline] - 1.0
        rows.append(
            _Row(
                label=arm.label,
                is_baseline=index == study.baseline,
                differs=tuple(differs.values()),
                said=(
                    *(said for path, said in differs.items() if not _comes_with_a_variant(path, study)),
                    *([f"updates {change:+.0%}"] if change else []),
                ),
                finished=tuple(block for block in study.blocks if block not in new),
                new=new,
                cost=cost.costs.get(recipe_key(arm.recipe)) if new else None,
            )
        )
    return rows


def _comes_with_a_variant(path: str, study: "Study") -> bool:
    """Return whether a setting is brought or dropped by a factor that names a variant."""
    varied = {setting.removesuffix(".name") for setting in (study.factor.settings if study.factor else ())}
    part, _, leaf = path.rpartition(".")
    return part in varied and leaf != "name" and path not in varied


def _print_plan(planned: "Plan", cost: "Forecast", noise: "Noise | None", measure: "Metric") -> None:
    from eailab.findings.tables import Column, Table
    from eailab.report.terminal import print_table
    from eailab.studies.sharing import blocks_in_words

    study = planned.record.study
    headings = ("arm", "differs from the baseline", "finished", "to train", "a trial")
    rows = tuple(
        (
            f"{row.label} (baseline)" if row.is_baseline else row.label,
            "; ".join(row.said) or "-",
            blocks_in_words(row.finished),
            blocks_in_words(row.new),
            "-" if row.cost is None else f"{_seconds(row.cost.seconds)} ({row.cost.source})",
        )
        for row in _rows(planned, cost)
    )
    extent = f"{counted(len(study.arms), 'arm')} in {counted(len(study.blocks), 'block')}"
    title = f"{study.name}: {extent}, {counted(len(planned.trials), 'trial')}"
    print_table(title, Table(tuple(map(Column, headings)), rows), [f"detects: {_detects(planned, noise, measure)}"])
    echo()


def _detects(planned: "Plan", noise: "Noise | None", measure: "Metric") -> str:
    """Describe the smallest difference that a plan detects at 80% power."""
    from eailab.studies.power_analysis import detects

    study = planned.record.study
    one = detects(planned, 1.0)
    if one is None:
        return "nothing: one block gives no verdict"

    def amount(value: float) -> str:
        return measure.with_unit(f"{value:.2g}")

    if noise is not None:
        return (
            f"differences of {amount(one * noise.sd)} or more with 80% power; "
            f"SD of a trial {amount(noise.sd)}, {noise.source}"
        )
    cases = "; ".join(f"{amount(one * sd)} if it is {amount(sd)}" for sd in measure.usual_sds)
    return (
        f"with 80% power, differences of {one:.2f} times the SD of a trial within its block, "
        f"which no trial of these arms shows yet"
        + (f": {cases}" if cases else "")
        + ("" if study.factor is None else " (`eailab noise` measures it)")
    )


def _cost_lines(cost: "Forecast") -> list[str]:
    """Describe what is left to train and what it costs."""
    if not cost.trials:
        return ["to train: nothing, every trial is finished"]
    side = f", {cost.jobs} side by side" if cost.jobs > 1 else ""
    shared = cost.jobs > 1 and cost.gpu_bytes is not None
    sharing = ", if trials that share the GPU did not slow each other down" if shared else ""
    lines = [
        f"to train: {counted(cost.trials, 'trial')}{side}, on {' and '.join(cost.devices)}",
        f"time:     about {_seconds(cost.seconds)}{sharing}",
    ]
    if cost.memory_bytes is not None:
        gpu = "" if cost.gpu_bytes is None else f", and {size(cost.gpu_bytes)} on the GPU"
        lines.append(f"memory:   about {size(cost.memory_bytes)} at once{gpu}")
    return [*lines, f"disk:     about {size(cost.disk_bytes)}"]


def _seconds(seconds: float) -> str:
    """Write a time, that of quick trials with its fractions."""
    return f"{seconds:.2g} s" if seconds < 10.0 else duration(seconds)


def _as_mapping(planned: "Plan", cost: "Forecast", noise: "Noise | None") -> dict[str, Any]:
    from eailab.studies.power_analysis import detects

    study: Study = planned.record.study
    return {
        "name": study.name,
        "fingerprint": study.fingerprint,
        "factor": None if study.factor is None else str(study.factor),
        "blocks": list(study.blocks),
        "arms": [
            {
                "label": row.label,
                "is_baseline": row.is_baseline,
                "differs": list(row.differs),
                "finished": list(row.finished),
                "to_train": list(row.new),
                "trials": [planned.record.trials[index, block] for block in study.blocks],
                "seconds": None if row.cost is None else round(row.cost.seconds, 3),
                "seconds_from": None if row.cost is None else row.cost.source,
            }
            for index, row in enumerate(_rows(planned, cost))
        ],
        "sd": None if noise is None else noise.sd,
        "sd_from": None if noise is None else noise.source,
        "detectable": None if noise is None else detects(planned, noise.sd),
    }


def _left_mapping(cost: "Forecast") -> Mapping[str, Any]:
    return {
        "trials": cost.trials,
        "jobs": cost.jobs,
        "seconds": round(cost.seconds, 3),
        "memory_bytes": cost.memory_bytes,
        "gpu_bytes": cost.gpu_bytes,
        "disk_bytes": cost.disk_bytes,
        "devices": cost.devices,
    }


def solve(
    studies: "tuple[Study, ...]", where: "RunContext", jobs: int | None, goal: float | str, sd: float | None
) -> int:
    """Return the number of blocks that a difference needs, or a time such as `30m` allows, and print it."""
    from eailab.studies.forecast import blocks_for
    from eailab.studies.plan import plan
    from eailab.studies.power_analysis import blocks_that_detect

    with offering_small_data(studies[0].arms[0].recipe):
        plans = [plan(study, where) for study in with_blocks(studies, 1)]
    if isinstance(goal, str):
        blocks, seconds = blocks_for(plans, where, jobs, parse_time(goal))
        say_note(f"--budget {goal}: {blocks} blocks, in about {duration(seconds)}")
        return blocks
    needed = 0
    for planned in plans:
        study = planned.record.study
        noise = noise_of(planned, where, sd)
        if noise is None:
            raise StudyError(
                f"--detect {goal:g} needs the SD of a trial, and no finished trials of {study.name} show it: "
                "measure it with `eailab noise`, or assume one with --sd."
            )
        blocks = blocks_that_detect(goal * study.measure.margin_scale, noise.sd, len(study.arms))
        say_note(f"--detect {goal:g}: {study.name} needs {blocks} blocks (SD {noise.sd:.3g}, {noise.source})")
        needed = max(needed, blocks)
    return needed


def write_frozen_plan(studies: "tuple[Study, ...]", console: "Console", message: str | None, *, wanted: bool) -> None:
    """Write the frozen plan, and print where it is."""
    from eailab.studies.preregistration import freeze, known_already, unplanned
    from eailab.studies.sharing import blocks_in_words

    if message is None:
        raise UsageError(
            "--freeze needs -m with what you expect to see, in your words, such as:",
            Correction(options={"--message": _expectation(studies[0])}),
        )
    if not wanted:
        raise UsageError(
            "-m is the hypothesis of a plan: leave it out, or write the plan with --freeze.",
            Correction(options={"--freeze": None}),
        )
    where, plans = console.context, console.plan(studies)
    older = unplanned(where.store, plans)
    frozen, file = freeze(plans, message, where.store)
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
        said = f"; known already: {known}" if known else ""
        echo(f"  {study.folder_name}: blocks {blocks_in_words(study.blocks)}{said}", hang=2)
    echo("nothing was trained; the same command without --freeze and -m trains it", hang=2)
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
