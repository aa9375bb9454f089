"""Find which columns of a table are the arm, the seed and the metric, and gather the runs of each arm."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from eailab.engines.named_metrics import Unit, declare, is_higher_better, tokens
from eailab.errors import UsageError
from eailab.existing.table import ResultsTable, Role, Value
from eailab.metrics import LARGEST_NUMBER, Metric
from eailab.plain import nearest
from eailab.translation import Text, tr, trn

SEEDS = frozenset(
    {"seed", "seeds", "randomseed", "rng", "repeat", "rep", "repetition", "fold", "block", "run", "trial"}
)
"""Words of a column that numbers the runs."""
STEPS = frozenset({"epoch", "step", "iteration", "iter"})
"""Words of a column that numbers the steps of a run."""
IGNORED = frozenset({
    *("time", "date", "timestamp", "seconds", "duration", "runtime", "host", "hostname", "path", "dir", "folder"),
    *("out", "output", "log", "logdir", "outdir", "checkpoint"),
    *("commit", "user", "device", "gpu", "created", "started", "finished"),
    *("state", "status", "notes", "tags", "sweep"),
})  # fmt: skip
"""Words of a column that tells no arms apart."""
LABELS = frozenset({"name", "id", "version"})
"""Words that label a run where they stand alone or behind one of `OF_A_RUN`; `optimizer.name` is a setting."""
OF_A_RUN = frozenset({"run", "experiment", "exp", "trial", "job", "wandb", "sweep"})
VERSIONS = frozenset({"commit", "version", "revision", "sha"})
STATES = frozenset({"state", "status"})
DONE = ("finished", "completed", "complete", "success", "done")
"""How trackers call the state of a run that came to its end."""
_PATHS = ("/", "./", "../", "~/")
MOST_SHOWN = 8


@dataclass(frozen=True)
class Options:
    """The roles of a table's columns as a person gives them; what is not given is found where there is no doubt."""

    by: tuple[str, ...] = ()
    """The columns that tell arms apart; none to find the one that varies."""
    seed: str | None = None
    """The column of the seeds; None to find it by its name, if there is one."""
    metric: str | None = None
    """The column that is judged; None to find it by its name."""
    baseline: str | None = None
    """The arm that the others are compared with; None for the first."""
    joint: bool = False
    """Whether several columns of `by` change together."""
    goal: Literal["max", "min"] | None = None
    """Which values are better; None for what the metric's name says."""
    unit: Unit = "raw"
    """Of the metric."""


@dataclass(frozen=True)
class Observations:
    """The runs of each arm."""

    factor: tuple[str, ...]
    """The column that tells arms apart, or several that change together."""
    metric: Metric
    arms: Mapping[str, Mapping[str, float]]
    """Value by arm and seed; arms in order of appearance, numbers rising; NaN and infinities as they were found."""
    baseline: str
    is_blocked: bool
    """Whether all arms have the same seeds."""
    notes: tuple[Text, ...]
    """What was found odd, a sentence each."""
    table: ResultsTable


def assign(table: ResultsTable, options: Options) -> Observations:
    """Gather the runs of each arm.

    Raises:
        UsageError: A column is not there or is in doubt, or a value is not a number.
    """
    metric = options.metric
    if not options.by and metric is None:
        table, metric = _from_wide(table, options.seed)
    metric = _checked(table, [*options.by, *filter(None, (options.seed, metric))], metric)
    seed = options.seed or _seed(table, metric)
    steps = _steps(table, {metric, seed, *options.by})
    factor = _factor(table, options, {metric, seed, *steps})
    notes = list(_odd_runs(table))
    if "best" in tokens(metric) or metric.endswith((".max", ".min")):
        notes.append(
            tr(
                "{metric} is called a best value, which is a selection and better than a new run would show",
                metric=metric,
            )
        )

    # The rows of each run, of which the last step counts.
    values = table.columns[metric]
    levels = [_words(table, name) for name in factor] or [["all"] * len(values)]
    arms_of = levels[0] if len(levels) == 1 else ["+".join(words) for words in zip(*levels, strict=True)]
    seeds_of = _words(table, seed) if seed else None
    runs: dict[str, dict[str, list[int]]] = {}
    for row, value in enumerate(values):
        if value is not None:
            own = runs.setdefault(arms_of[row], {})
            own.setdefault(seeds_of[row] if seeds_of else str(len(own)), []).append(row)
    if empty := [row for row, value in enumerate(values) if value is None]:
        notes.append(
            trn(
                "{n} row has no value of {metric}: {places}",
                "{n} rows have no value of {metric}: {places}",
                len(empty),
                metric=metric,
                places=_places(table, empty),
            )
        )
    if not runs:
        raise UsageError(f"no row has a value of {metric}.")
    arms = {
        arm: {number: _last(table, arm, number, rows, metric, steps, notes) for number, rows in own.items()}
        for arm, own in sorted(runs.items(), key=_rank)
    }
    if steps:
        notes.append(tr("of each run the value at its last {step} counts", step=steps[0]))
    numbers = {
        len({_place_in_run(table, steps, row) for row in rows}) for own in runs.values() for rows in own.values()
    }
    if steps and len(numbers) > 1:
        notes.append(
            tr(
                "runs have from {least} to {most} rows: they may have been trained for unequal times",
                least=min(numbers),
                most=max(numbers),
            )
        )
    measure = declare(metric, options.goal, options.unit)
    return _observations(table, arms, options.baseline, measure, tuple(factor) or ("arm",), notes, seed)


def _checked(table: ResultsTable, named: Sequence[str], metric: str | None) -> str:
    """Return the column of the metric, once all columns that were named are there and it has numbers."""
    columns = list(table.roles)
    if unknown := [name for name in named if name not in columns]:
        close = nearest(unknown[0], columns) or "."
        raise UsageError(f"there is no column {unknown[0]!r}: the columns are {_listed(columns)}{close}")
    metric = metric or _metric(table)
    for place, value in zip(table.places, table.columns[metric], strict=True):
        if isinstance(value, str):
            raise UsageError(
                f"{place}: {value!r:.60} in the column {metric} is not a number: correct it, or name the metric with "
                "--metric."
            )
    return metric


def _observations(
    table: ResultsTable,
    arms: Mapping[str, Mapping[str, float]],
    baseline: str | None,
    metric: Metric,
    factor: tuple[str, ...],
    notes: list[Text],
    seed: str | None,
) -> Observations:
    if baseline is not None and baseline not in arms:
        raise UsageError(f"--baseline {baseline}: the arms are {_listed(list(arms))}{nearest(baseline, arms) or '.'}")
    # Compare within blocks where all arms have the same seeds.
    numbers = next(iter(arms.values())).keys()
    blocked = seed is not None and len(arms) > 1 and all(own.keys() == numbers for own in arms.values())
    if seed is not None and len(arms) > 1 and not blocked:
        notes.append(
            tr("the values of {seed} are not the same in all arms, so they are compared without blocks", seed=seed)
        )
        shared = [number for number in numbers if all(number in own for own in arms.values())]
        if len(shared) > 1:
            notes.append(
                tr(
                    "rows of {seed} {shared} alone, which all arms have, would be compared within blocks",
                    seed=seed,
                    shared=_listed(shared),
                )
            )
    # Refuse or note values that cannot be right.
    for arm, own in arms.items():
        for number, value in own.items():
            if math.isfinite(value) and not metric.least <= value <= metric.most:
                raise UsageError(
                    f"{arm}, {seed or 'run'} {number}: {value:g} is not a share of 1: leave out --unit share, or give "
                    "--unit percent."
                )
        values = list(own.values())
        if lost := sum(not math.isfinite(value) for value in values):
            notes.append(
                tr(
                    "{arm}: {n} of {total} values are not finite or beyond {largest}, and count as diverged",
                    arm=arm,
                    n=lost,
                    total=len(values),
                    largest=f"{LARGEST_NUMBER:g}",
                )
            )
        if len(values) > 1 and len(set(values)) == 1:
            notes.append(
                tr(
                    "{arm}: all {n} values are equal to the last digit, so its seed may not be in use",
                    arm=arm,
                    n=len(values),
                )
            )
    return Observations(factor, metric, arms, baseline or next(iter(arms)), blocked, tuple(notes), table)


def _from_wide(table: ResultsTable, seed: str | None) -> tuple[ResultsTable, str | None]:
    """Return a table with a column of values for each method as one with a row a run; any other table as it is.

    It is such a table where all columns but the seed's hold numbers, and none is called as a metric or a setting is.
    """
    seed = seed or _seed(table, None)
    arms = [name for name in table.roles if name != seed]
    seeds = table.columns[seed] if seed else [float(number) for number in range(1, len(table.places) + 1)]
    is_wide = len(arms) > 1 and all(
        table.roles[name] == "unknown"
        and is_higher_better(name) is None
        and not (STEPS & set(tokens(name)) or _is_label(name))
        and all(isinstance(value, float | None) for value in table.columns[name])
        for name in arms
    )
    if not is_wide or len(set(seeds)) < len(seeds):
        return table, None
    columns: dict[str, Sequence[Value]] = {
        "method": [arm for arm in arms for _ in seeds],
        "seed": [*seeds] * len(arms),
        "value": [value for arm in arms for value in table.columns[arm]],
    }
    names = _listed(arms)
    note = (
        tr("the columns {names} are read as arms", names=names)
        if seed
        else tr("the columns {names} are read as arms, and the rows as their seeds", names=names)
    )
    roles: dict[str, Role] = {"method": "setting", "seed": "seed", "value": "metric"}
    places = [*table.places] * len(arms)
    return replace(table, columns=columns, places=places, roles=roles, notes=(*table.notes, note)), "value"


def _odd_runs(table: ResultsTable) -> Iterator[Text]:
    """Yield what columns say of code versions that differ, and of runs that did not come to their end."""
    for name, values in table.columns.items():
        if VERSIONS & set(tokens(name)) and len(set(values)) > 1:
            yield tr("{column} differs among the runs, so their code may differ too", column=name)
        if STATES & set(tokens(name)):
            cut = [row for row, value in enumerate(values) if isinstance(value, str) and value.lower() not in DONE]
            if cut:
                yield trn(
                    "{n} row has a {column} that is not finished, and its value counts: {places}",
                    "{n} rows have a {column} that is not finished, and their values count: {places}",
                    len(cut),
                    column=name,
                    places=_places(table, cut),
                )


def _seed(table: ResultsTable, metric: str | None) -> str | None:
    """Return the column that numbers the runs: one called a seed, or else one whose last word is of `SEEDS`."""
    names = [name for name in table.roles if name != metric and not _is_label(name)]
    exact = (name for name in names if {"seed", "seeds", "randomseed"} & set(tokens(name)))
    return next(exact, next((name for name in names if SEEDS & set(tokens(name)[-1:])), None))


def _is_label(name: str) -> bool:
    """Tell whether a column is about the run and not about how it was trained: a path, a time, a host, a name."""
    words = tokens(name)
    return bool(IGNORED & set(words) or (LABELS & set(words[-1:]) and (len(words) == 1 or OF_A_RUN & set(words[:-1]))))


def _metric(table: ResultsTable) -> str:
    numbers = [
        name
        for name in table.roles
        if table.roles[name] in ("metric", "unknown")
        and any(isinstance(value, float) for value in table.columns[name])
        and not SEEDS & set(tokens(name))
    ]
    if not numbers:
        raise UsageError(f"no column of numbers could be judged: the columns are {_listed([*table.roles])}.")
    known = [name for name in numbers if is_higher_better(name) is not None]
    if len(known or numbers) == 1:
        return (known or numbers)[0]
    raise UsageError(f"which column is judged is in doubt: name one with --metric, of {_listed(known or numbers)}.")


def _factor(table: ResultsTable, options: Options, taken: set[str | None]) -> list[str]:
    """Return the columns that tell arms apart; none where nothing varies."""
    if by := options.by:
        if len(by) > 1 and not options.joint:
            raise UsageError(f"--by has {len(by)} columns: add --joint if they change together, or name one of them.")
        return list(by)
    varying = [
        name
        for name in table.roles
        if name not in taken
        and table.roles[name] not in ("metric", "ignored")
        and not _is_label(name)
        and is_higher_better(name) is None
        and len(found := set(table.columns[name])) > 1
        and not any(isinstance(value, str) and value.startswith(_PATHS) for value in found)
    ]
    if len(varying) > 1:
        raise UsageError(
            f"{len(varying)} columns vary: {_listed(varying)}. Name the one that tells arms apart with --by; with "
            "--joint several."
        )
    return varying


def _steps(table: ResultsTable, taken: set[str | None]) -> list[str]:
    """Return the columns that number the steps of a run, such as its epoch and then its step."""
    names = [name for name in table.roles if name not in taken and STEPS & set(tokens(name))]
    further = [name for name in names[1:] if table.roles[name] != "setting" and STEPS & set(tokens(name)[-1:])]
    return [*names[:1], *(name for name in further if is_higher_better(name) is None)]


def _place_in_run(table: ResultsTable, steps: Sequence[str], row: int) -> tuple[float, ...]:
    """Return the steps of a row, by which the rows of a run are ordered: first its epoch, say, and then its step."""
    return tuple(at if isinstance(at := table.columns[step][row], float) else -math.inf for step in steps)


def _last(
    table: ResultsTable,
    arm: str,
    seed: str,
    rows: Sequence[int],
    metric: str,
    steps: Sequence[str],
    notes: list[Text],
) -> float:
    """Return the value of a run: of its last step, or of the one row that it has.

    Raises:
        UsageError: It has several rows there, with unequal values.
    """
    values = table.columns[metric]
    last = max(_place_in_run(table, steps, row) for row in rows)
    rows = [row for row in rows if _place_in_run(table, steps, row) == last]
    if len({repr(_number(values[row])) for row in rows}) > 1:
        there = f" at its last {steps[0]}" if steps else ""
        raise UsageError(
            f"{arm}, seed {seed}, has {len(rows)} rows with unequal values{there} ({_places(table, rows)}): keep one "
            "row a run, or name the column that tells arms apart with --by."
        )
    if len(rows) > 1:
        notes.append(
            tr(
                "{arm}, seed {seed}, is there {n} times with one value ({places}), and counts once",
                arm=arm,
                seed=seed,
                n=len(rows),
                places=_places(table, rows),
            )
        )
    return _number(values[rows[0]])


def _number(value: Value) -> float:
    """Return a value, infinite where it is too large to be recorded."""
    if not isinstance(value, float | bool):
        return math.nan
    return float(value) if not abs(value) > LARGEST_NUMBER else math.copysign(math.inf, value)


def _words(table: ResultsTable, name: str) -> list[str]:
    """Return the level or the seed that a column has in each row."""
    values = table.columns[name]
    if bool in set(map(type, values)):  # True is equal to 1.0, and another level
        return list(map(_word, values))
    words = {value: _word(value) for value in set(values)}
    return [words[value] for value in values]


def _word(value: Value) -> str:
    """Return a level or a seed as a table has it: a whole number without its decimals."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    return "none" if value is None else str(value)


def _rank(item: tuple[str, object]) -> tuple[bool, float]:
    try:
        return False, float(item[0])
    except ValueError:
        return True, 0.0  # the sort is stable: in order of appearance


def _places(table: ResultsTable, rows: Sequence[int]) -> str:
    return ", ".join(table.places[row] for row in rows[:3]) + (", …" if len(rows) > 3 else "")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (", …" if len(names) > MOST_SHOWN else "")
