"""Keep trials that eailab did not run as a study: their values, and a copy of what they were read from.

Such a study has no folders of trials. Next to `study.yaml` is `imported.json`, with the values, and `source/`, with the
files that they were read from, from which `eailab verify` reads them again. Both are named by their SHA-256: the same
source is the same study, and a changed one another.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from eailab.errors import UsageError
from eailab.existing.assign import Options
from eailab.metrics import LARGEST_NUMBER, Metric
from eailab.recipe.own import ImportedRecipe, OwnStudy
from eailab.seeding import LARGEST_BLOCK
from eailab.studies.design import Arm, Study
from eailab.studies.factor import factor_of
from eailab.translation import Text

_SUMMARY = re.compile(
    r"(?P<arm>.*?\S)\s+(?P<mean>[-+]?[\d.]+(?:e[-+]?\d+)?)\s*%?\s*(?:±|\+/-|\+-)\s*(?P<sd>[\d.]+(?:e[-+]?\d+)?)\s*%?"
    r"\s*,?\s*n\s*=\s*(?P<n>\d{1,9})",
    re.IGNORECASE,
)


MOST_RUNS = 100_000
"""Of a published arm, whose runs are numbered though none of them is known."""


def _kept(name: str) -> str:
    path = Path(name)
    if path.anchor or ".." in path.parts or "\0" in name:
        raise ValueError("it does not lie below the study's own copy of the source")
    return name


Kept = Annotated[str, AfterValidator(_kept)]
"""The path of a file or folder below `source/`."""
Number = Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER, allow_inf_nan=False)]
Size = Annotated[float, Field(ge=0.0, le=LARGEST_NUMBER, allow_inf_nan=False)]


@dataclass(frozen=True)
class PublishedArm:
    """The published figures of an arm."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    n: Annotated[int, Field(ge=2, le=MOST_RUNS)]
    """Runs."""
    mean: Number
    sd: Size
    """Over the runs, with divisor `n - 1`."""


@dataclass(frozen=True)
class Note:
    """A sentence on the source of an imported study, with what its translation is made from."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    english: str
    template: str
    values: Mapping[str, str | int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values that do not fit their template, which whoever changes the file may write."""
        for _, name, spec, conversion in Formatter().parse(self.template):
            if name is not None and (spec or conversion or name not in self.values):
                raise ValueError("its values are not those of its template")

    @property
    def text(self) -> Text:
        """Return the sentence, to be translated."""
        return Text(self.english, self.template, self.values)


def note_of(text: Text) -> Note:
    """Return a sentence as it is kept."""
    return Note(str(text), text.template, text.values)


@dataclass(frozen=True)
class ImportRequest:
    """Describe how an imported study is read: from files by some options, or from what was published of its arms."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    options: Options
    paths: tuple[tuple[Kept, ...], ...] = ()
    """Files and folders below `source/`; those of each arm where two sources are compared, else all together."""
    summary: tuple[str, ...] = ()
    """Published arms, such as `A 93.5±0.2 n=5`."""

    def __post_init__(self) -> None:
        """Refuse what gives no values."""
        if bool(self.summary) == any(self.paths):
            raise ValueError("either paths are read, or published arms")


@dataclass(frozen=True)
class Imported:
    """The trials of an imported study, as they were read."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    arms: tuple[Mapping[str, Number | None], ...]
    """The value of each run by its seed, in the metric's recorded unit; None where it is not finite."""
    reader: str
    """What they were read as, such as "CSV"."""
    summaries: tuple[PublishedArm | None, ...]
    """Of each arm; None where its runs are known."""
    asked: ImportRequest
    files: Mapping[Kept, str] = field(default_factory=dict)
    """SHA-256 of each file that they were read from, by its path below `source/`; none of published arms."""
    target: Number | None = None
    """The number that the arms are compared with: the baseline, which then is the last arm, without runs."""
    beat_by: Size = 0.0
    """What an arm has to beat the baseline by to be BETTER, in the unit shown."""
    notes: tuple[Note, ...] = ()
    """What the reader of a report must know of the source, a sentence each."""
    schema_version: Literal[1] = 1

    def __post_init__(self) -> None:
        """Refuse arms that do not belong together."""
        if len(self.arms) != len(self.summaries):
            raise ValueError("not each arm has its place among the summaries")
        if any(one and about is not None for one, about in zip(self.arms, self.summaries, strict=True)):
            raise ValueError("an arm has runs, and was published without them")

    @cached_property
    def text(self) -> str:
        """Return the content of `imported.json`."""
        record = {one.name: getattr(self, one.name) for one in fields(self)}
        return json.dumps(record, allow_nan=False, ensure_ascii=False, default=asdict) + "\n"

    @property
    def runs(self) -> int:
        """Return the most runs of an arm."""
        return max(len(one) if about is None else about.n for one, about in zip(self.arms, self.summaries, strict=True))


@dataclass(frozen=True)
class Question:
    """The question that imported trials are to answer."""

    factor: tuple[str, ...]
    """The columns that tell arms apart."""
    levels: tuple[str, ...]
    """Of each arm."""
    baseline: int
    metric: Metric
    blocked: bool
    """Whether all arms have the same seeds."""
    margin: float
    """In the unit shown."""


def study_of(question: Question, imported: Imported, name: str) -> Study:
    """Return the study that imported trials make.

    Raises:
        UsageError: There are fewer than two arms, or a level or metric that cannot be recorded.
    """
    if len(imported.arms) < 2:
        raise UsageError(
            f"there is one arm, {question.levels[0]}: compare it with a number by --target, with a record by "
            "--against, or name the column that tells arms apart with --by."
        )
    # Name the metric and the factor as recipes have them.
    metric, source = question.metric, sha256(imported.text.encode()).hexdigest()
    unit: Literal["share", "percent", "raw"] = "raw"
    if metric.unit == "%":
        unit = "share" if metric.scale != 1.0 else "percent"
    paths = [f"settings.{re.sub(r'[+×.]', '_', column)}" for column in question.factor]
    factor, arms = factor_of(paths), []
    # Make an arm of each level.
    for level in question.levels:
        values = factor.values_of(level) or dict.fromkeys(paths, level)
        own = {path.partition(".")[2]: one for path, one in values.items()}
        recipe = ImportedRecipe(
            name=name,
            engine="imported",
            settings={
                name: one if isinstance(one, str | bool | int | float) else str(one) for name, one in own.items()
            },
            metric=metric.name,
            goal="max" if metric.higher_is_better else "min",
            unit=unit,
            blocked=question.blocked,
            source=source,
            study=OwnStudy(metric=metric.name, margin=question.margin),
        )
        arms.append(Arm(level, recipe))
    return Study(
        name=name,
        factor=factor,
        arms=tuple(arms),
        baseline=question.baseline,
        blocks=_all_blocks(imported, blocked=question.blocked),
        metric=metric.name,
        margin=question.margin,
    )


def _all_blocks(imported: Imported, *, blocked: bool) -> tuple[int, ...]:
    """Return the seeds where they can number blocks, else numbers from 0."""
    seeds = imported.arms[0] if blocked else {}
    if seeds and all(map(_is_block, seeds)):
        return tuple(map(int, seeds))
    return tuple(range(imported.runs))


def _is_block(seed: str) -> bool:
    if not (seed.isascii() and seed.isdecimal() and len(seed) < 11) or (seed[0] == "0" and seed != "0"):
        return False
    return int(seed) <= LARGEST_BLOCK


def finite_or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return the values with None for those that are not finite."""
    return {seed: value if math.isfinite(value) else None for seed, value in values.items()}


def in_order(arms: Sequence[Mapping[str, float]]) -> tuple[dict[str, float | None], ...]:
    """Return the runs of arms with the same seeds in one order, with None for values that are not finite."""
    seeds = sorted(arms[0], key=int) if all(map(_is_block, arms[0])) else list(arms[0])
    return tuple(finite_or_none({seed: values[seed] for seed in seeds}) for values in arms)


def runs_of(imported: Imported, study: Study, arm: int) -> list[float | None]:
    """Return the value of an arm's run in each block of a study: infinite where it is not finite, None without one."""
    places = {block: at for at, block in enumerate(_all_blocks(imported, blocked=study.arms[arm].recipe.shares_seeds))}
    own = [math.inf if value is None else value for value in imported.arms[arm].values()]
    return [own[at] if (at := places[block]) < len(own) else None for block in study.blocks]


def parse_summary(text: str) -> tuple[str, PublishedArm]:
    """Read what was published of an arm, such as `A 93.5±0.2 n=5`; ± is the SD over runs.

    Raises:
        UsageError: It is not of this form, or its numbers are not those of runs.
    """
    found = _SUMMARY.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        n, mean, sd = int(found["n"]), float(found["mean"]), float(found["sd"])
    except ValueError as error:
        raise UsageError(
            f"--summary {text!r:.80}: expected an arm's name, its mean, ± the SD over its runs and their number, as in "
            "'A 93.5±0.2 n=5'; an SE or an interval is not an SD."
        ) from error
    if not 2 <= n <= MOST_RUNS:
        raise UsageError(f"--summary {text!r:.80}: an SD is that of two runs or more, of {MOST_RUNS:,} at most.")
    if max(abs(mean), sd) > LARGEST_NUMBER:
        raise UsageError(f"--summary {text!r:.80}: expected numbers up to {LARGEST_NUMBER:g}.")
    return found["arm"], PublishedArm(n, mean, sd)


def check(imported: Imported, study: Study, judged: Sequence[Sequence[int]], digest: str) -> None:
    """Refuse values that are not those of a study.

    Args:
        imported: As they lie next to the study.
        study: As it is recorded.
        judged: The blocks of each judgement of it, of which the last is by all runs.
        digest: SHA-256 of their file.

    Raises:
        ValueError: They differ.
    """
    recipes = [arm.recipe for arm in study.arms]
    if any(getattr(recipe, "source", None) != digest for recipe in recipes):
        raise ValueError("its recipes are not those of the values in imported.json")
    if len(imported.arms) != len(recipes) or study.factor is None:
        raise ValueError(f"it does not have the {len(imported.arms)} arms of imported.json")
    blocked, is_held = recipes[0].shares_seeds, imported.target is not None
    if any(recipe.shares_seeds != blocked for recipe in recipes):
        raise ValueError("some of its arms share seeds, and others do not")
    if blocked and (is_held or any(list(one) != list(imported.arms[0]) for one in imported.arms)):
        raise ValueError("its arms share seeds, and those in imported.json do not")
    if is_held and (study.baseline != len(recipes) - 1 or imported.arms[-1] or imported.summaries[-1]):
        raise ValueError("its baseline is not the number that arms are compared with")
    if study.blocks != _all_blocks(imported, blocked=blocked):
        raise ValueError("its blocks are not the runs in imported.json")
    if judged and set(judged[-1]) != set(study.blocks):
        raise ValueError("it was not judged by all runs in imported.json")
