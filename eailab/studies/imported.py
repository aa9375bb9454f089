"""Keep trials that eailab did not run as a study: their values, and a copy of what they were read from.

Such a study has no folders of trials. Beside `study.yaml` lie `imported.json`, with the values, and `source/`, with the
files that they were read from, from which `eailab verify` reads them again. Both are named by their SHA-256: the same
source is the same study, and a changed one another.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from eailab import files
from eailab.errors import DamagedError, UsageError
from eailab.metrics import Metric
from eailab.recipe.schema import ImportedRecipe, OwnStudy
from eailab.runs import atomic
from eailab.seeding import LARGEST_BLOCK
from eailab.studies.design import Arm, Study
from eailab.studies.factor import factor_of

VALUES, SOURCE = "imported.json", "source"
"""In the folder of an imported study: the values, and the folder of the files that they were read from."""

_SUMMARY = re.compile(
    r"(?P<arm>.*?\S)\s+(?P<mean>[-+]?[\d.]+(?:e[-+]?\d+)?)\s*%?\s*(?:±|\+/-|\+-)\s*(?P<sd>[\d.]+(?:e[-+]?\d+)?)\s*%?"
    r"\s*,?\s*n\s*=\s*(?P<n>\d{1,9})",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Summary:
    """What was published of an arm."""

    n: int
    """Runs, 2 or more."""
    mean: float
    sd: float
    """Over the runs, with divisor `n - 1`."""


@dataclass(frozen=True)
class Imported:
    """The trials of an imported study, as they were read."""

    arms: tuple[Mapping[str, float | None], ...]
    """The value of each run by its seed, in the metric's recorded unit; None where it is not finite."""
    reader: str
    """What they were read as, such as "CSV"."""
    summaries: tuple[Summary | None, ...]
    """Of each arm; None where its runs are known."""
    target: float | None = None
    """The number that the arms are compared with: the baseline, which then is the last arm, without runs."""
    beat_by: float = 0.0
    """What an arm has to beat the baseline by to be BETTER, in the unit shown."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each file that they were read from, by its path below `source/`; none of values in memory."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """How the files are read: their `paths`, and the options of `assign`; or the `summary` texts."""
    notes: tuple[str, ...] = ()
    """What the reader of a report must know of the source, a sentence each."""

    @cached_property
    def text(self) -> str:
        """The content of `imported.json`."""
        summaries = [None if one is None else asdict(one) for one in self.summaries]
        content = {name: value for name, value in vars(self).items() if name != "summaries"}
        record = {"schema_version": 1, **content, "summaries": summaries}
        return json.dumps(record, allow_nan=False, ensure_ascii=False) + "\n"

    @property
    def runs(self) -> int:
        """The most runs of an arm."""
        return max(len(one) if about is None else about.n for one, about in zip(self.arms, self.summaries, strict=True))


@dataclass(frozen=True)
class Question:
    """What is asked of imported trials."""

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
    metric, source = question.metric, sha256(imported.text.encode()).hexdigest()
    unit: Literal["share", "percent", "raw"] = "raw"
    if metric.unit == "%":
        unit = "share" if metric.scale != 1.0 else "percent"
    paths = [f"settings.{re.sub(r'[+×.]', '_', column)}" for column in question.factor]
    factor, arms = factor_of(paths), []
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
    return re.fullmatch(r"0|[1-9]\d{0,9}", seed) is not None and int(seed) <= LARGEST_BLOCK


def in_order(arms: Sequence[Mapping[str, float]]) -> tuple[dict[str, float | None], ...]:
    """Return the runs of arms with the same seeds in one order, with None for values that are not finite."""
    seeds = sorted(arms[0], key=int) if all(map(_is_block, arms[0])) else list(arms[0])
    return tuple(finite_or_none({seed: values[seed] for seed in seeds}) for values in arms)


def runs_of(imported: Imported, study: Study, arm: int) -> list[float | None]:
    """Return the value of an arm's run in each block of a study: infinite where it is not finite, None without one."""
    places = {block: at for at, block in enumerate(_all_blocks(imported, blocked=study.arms[arm].recipe.shares_seeds))}
    own = [math.inf if value is None else value for value in imported.arms[arm].values()]
    return [own[at] if (at := places[block]) < len(own) else None for block in study.blocks]


def parse_summary(text: str) -> tuple[str, Summary]:
    """Read what was published of an arm, such as `A 93.5±0.2 n=5`; ± is the SD over runs.

    Raises:
        UsageError: It is not of this form, or there are fewer than two runs.
    """
    found = _SUMMARY.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        summary = Summary(int(found["n"]), float(found["mean"]), float(found["sd"]))
    except ValueError as error:
        raise UsageError(
            f"--summary {text!r:.80}: expected an arm's name, its mean, ± the SD over its runs and their number, as in "
            "'A 93.5±0.2 n=5'; an SE or an interval is not an SD."
        ) from error
    if summary.n < 2 or not math.isfinite(summary.mean + summary.sd):
        raise UsageError(f"--summary {text!r:.80}: an SD needs two runs or more.")
    return found["arm"], summary


# --- the files --------------------------------------------------------------------------------------------------------


def kept(paths: Sequence[Path], read: Sequence[Path]) -> tuple[dict[str, Path], list[str]]:
    """Return which files a study keeps, by their paths below `source/`, and what stands there for the given paths.

    Args:
        paths: Files and folders, as a person named them.
        read: All files that were read of these.
    """
    root = Path(os.path.commonpath([path.resolve().parent for path in paths]))
    named = {file.resolve().relative_to(root).as_posix(): file for file in read}
    return named, [path.resolve().relative_to(root).as_posix() for path in paths]


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return sha256(files.read(file, files.IMPORT)).hexdigest()


def write_imported(folder: Path, imported: Imported, sources: Mapping[str, Path]) -> None:
    """Write the values of an imported study, and copies of the files that they were read from.

    Raises:
        StoreError: Something cannot be written.
        UsageError: A file has changed since it was read.
    """
    atomic.make_folder(folder)
    for name, file in sources.items():
        data = files.read(file, files.IMPORT)
        if sha256(data).hexdigest() != imported.files[name]:
            raise UsageError(f"{file} has changed while it was judged: judge it again.")
        atomic.make_folder((folder / SOURCE / name).parent)
        atomic.write_changed(folder / SOURCE / name, data)
    atomic.write_changed(folder / VALUES, imported.text.encode())


def read_imported(folder: Path, digest: str) -> Imported:
    """Read the values of an imported study.

    Raises:
        DamagedError: They are missing, or not those that the study was judged by.
    """
    file = folder / VALUES
    try:
        text = files.read(file, files.IMPORT_VALUES)
    except FileNotFoundError as error:
        raise DamagedError(f"{file} is missing: judge the source again.") from error
    if sha256(text).hexdigest() != digest:
        raise DamagedError(f"{file} differs from the SHA-256 in study.yaml: it is damaged. Judge the source again.")
    try:
        record = json.loads(text)
        if record.pop("schema_version") != 1:
            raise ValueError
        record["summaries"] = tuple(None if one is None else Summary(**one) for one in record["summaries"])
        return Imported(**{**record, "arms": tuple(record["arms"]), "notes": tuple(record["notes"])})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedError(f"{file} is not the values of an imported study.") from error


def problems(folder: Path, imported: Imported) -> Iterator[str]:
    """Yield what the kept source of a study does not say as its values do: changed files, and values read again."""
    for name, digest in imported.files.items():
        file = folder / SOURCE / name
        try:
            if digest_of(file) != digest:
                yield f"{SOURCE}/{name} is not the file that was judged: its SHA-256 differs"
                return
        except FileNotFoundError:
            yield f"{SOURCE}/{name} is missing"
            return
    if "summary" in imported.asked:
        read: Sequence[Any] = [parse_summary(text) for text in imported.asked["summary"]]
        if [summary for _, summary in read] != list(imported.summaries[: len(read)]):
            yield "the summaries do not say what was judged"
    elif imported.files and read_again(folder / SOURCE, imported.asked) != [
        dict(one) for one in imported.arms[: len(imported.arms) - (imported.target is not None)]
    ]:
        yield f"{SOURCE}, read again, does not give the values that were judged"


def read_again(root: Path, asked: Mapping[str, Any]) -> list[dict[str, float | None]]:
    """Return the values of each arm by its seeds, read from files again."""
    from eailab.existing.assign import assign
    from eailab.existing.read import read_table

    found: list[dict[str, float | None]] = []
    for paths in asked["paths"]:
        observations = assign(read_table([root / path for path in paths]), **asked["options"])
        found += [finite_or_none(values) for values in observations.arms.values()]
    return found


def finite_or_none(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return values with None for those that are not finite."""
    return {seed: value if math.isfinite(value) else None for seed, value in values.items()}
