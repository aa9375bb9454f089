"""Define recipes of a person's own training: a program, a function of Python, or trials that are imported."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from eailab.recipe.base import Recipe, StudySettings
from eailab.recipe.parts import PRINTABLE, Margin
from eailab.recipe.template import IN_BRACES, NAME, PLACES, Template, flat, plain
from eailab.units import parse_seconds

Line = Annotated[str, Field(min_length=1, max_length=10_000, pattern=PRINTABLE)]
Value = Annotated[str, Field(max_length=10_000, pattern=f"(?:{PRINTABLE})|^$")] | bool | int | float


class OwnStudy(StudySettings):
    """The comparison of the arms of a person's own training."""

    margin: Margin = 0.0
    """Differences smaller than this do not matter, in the metric's unit; percentage points for a share or percent."""
    metric: str = ""
    """What verdicts rest on: the first of the recipe's metrics."""


SettingName = Annotated[str, Field(pattern=f"^{NAME}$", max_length=100)]
Group = dict[SettingName, Value | dict[SettingName, Value | dict[SettingName, Value]]]
DEEPEST = 4
"""Names that lead to a setting, at most."""


class OwnRecipe(Recipe):
    """Hold what recipes of a person's own training have: its settings, and the metrics that it reports."""

    quiet = frozenset({"epochs", "threads", "settings", "unseeded", "goal", "at"})

    epochs: Literal[1] = 1
    """It runs once, from its beginning to its end; epochs of its own are a setting."""
    settings: dict[SettingName, Value | Group] = Field(default={})
    """Those of the baseline, by name, or in groups: `model: {depth: 3}`; each is a factor, such as `model.depth`."""
    metric: Line | list[Line]
    """What it reports; verdicts rest on the first, others are shown next to it."""
    goal: Literal["max", "min"] | None = None
    """Which values of the first metric are better; null where its name says it, as `loss` and `acc` do."""
    unit: Literal["share", "percent", "raw"] = "raw"
    """What the metrics are: shares from 0 to 1, percent, or numbers in a unit of their own."""
    unseeded: bool = False
    """Whether its runs are independent of the block's number."""
    at: str = "last"
    """Which of the values that are reported step by step counts: the last, the best, or that of a step."""
    study: OwnStudy = OwnStudy()

    @model_validator(mode="before")
    @classmethod
    def _judged_by_the_first_metric(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("study", {}), Mapping):
            return value
        metrics = value.get("metric")
        first = metrics[0] if isinstance(metrics, list) and metrics else metrics
        study = {**value.get("study", {})}
        return {**value, "study": {**study, "metric": study.get("metric") or first or ""}}

    @field_validator("settings", mode="before")
    @classmethod
    def _are_values_of_one_line(cls, value: Any) -> Any:
        for name, one in flat(value).items() if isinstance(value, Mapping) else ():
            if str(name).count(".") >= DEEPEST:
                raise ValueError(f"{name} lies in {DEEPEST} groups of settings, and {DEEPEST - 1} are the most")
            if not isinstance(one, str | int | float):
                raise ValueError(f"{name} is {one!r:.60}: a value is a text, a number, true or false")
            if isinstance(one, str) and one and not re.match(PRINTABLE, one):
                raise ValueError(
                    f"{name} is {one!r}: a value may not have control characters, such as NUL or a line break"
                )
        return value

    @field_validator("settings")
    @classmethod
    def _names_differ(cls, value: dict[str, Any]) -> dict[str, Any]:
        seen: dict[str, str] = {}
        for name in flat(value):
            if name in PLACES:
                raise ValueError(f"{name} cannot be a setting: {{{name}}} has a meaning of its own in the command")
            if (other := seen.setdefault(plain(name), name)) != name:
                raise ValueError(f"{other} and {name} would be one name: rename one of them")
        return value

    @property
    def shares_seeds(self) -> bool:
        """Return whether its runs take a seed."""
        return not self.unseeded

    @property
    def own_settings(self) -> Mapping[str, Value]:
        """Return the settings, by their dotted names."""
        return flat(self.settings)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the names of what is reported."""
        return tuple(self.metric) if isinstance(self.metric, list) else (self.metric,)


class ProgramRecipe(OwnRecipe):
    """A recipe of a training program: its command, and what it reports."""

    quiet = OwnRecipe.quiet | {
        *("shell", "seed_env", "metrics_file", "metric_regex", "code", "data", "timeout", "checkout"),
    }  # fmt: skip

    leaves_files = True
    engine: Literal["program"]
    threads: Literal[1] = 1
    """As many as the program takes; a setting of its own may say how many."""
    shell: bool = False
    """Whether `sh` runs the command, rather than eailab itself."""
    seed_env: bool = False
    """Whether the program takes its seed from `EAILAB_SEED` in its environment, by its author's word."""
    run: Line
    """The command, with a placeholder for each setting and `{seed}`; see the guide for the others."""
    metrics_file: Line | None = None
    """A file that the program leaves, such as `{out}/metrics.json`: JSON, JSON lines or CSV."""
    metric_regex: Line | None = None
    """Pattern of a line of output with the value of the first metric in its group."""
    code: list[Line] = Field(default=[])
    """Files and folders whose change makes other trials; empty for the sources below the working folder."""
    data: list[Line] = Field(default=[])
    """Files and folders of data, which are part of a trial's identity by their content."""
    timeout: str | None = None
    """Time after which the program is ended, such as 30m; null for none."""
    checkout: Line | None = None
    """Folder in which the program starts, such as a checkout of one revision of it; null for the current one."""

    @field_validator("run")
    @classmethod
    def _is_a_command(cls, value: str, info: ValidationInfo) -> str:
        template = Template(value, bool(info.data.get("shell")))
        if "settings" in info.data:
            template.check(list(flat(info.data["settings"])))
        return value

    @field_validator("timeout")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None and parse_seconds(value) is None:
            raise ValueError(f"{value} is not a time: write one with its unit, such as 90s, 30m or 2h")
        return value

    def identity(self) -> dict[str, Any]:
        """Return the command, filled in but for the seed and the trial's own folder, and how its metrics are read."""
        command = self.template.fill(self.own_settings, IN_BRACES)
        return {
            "engine": self.engine,
            "argv": list(command.argv),
            "environment": dict(command.environment),
            "settings": self.settings if "params" in self.template.placeholders else {},
            **self.model_dump(mode="json", include={"unit", "metrics_file", "metric_regex", "at"}),
            "metric": list(self.metrics),
            **({} if self.checkout is None else {"checkout": self.checkout}),
        }

    @property
    def started(self) -> str:
        """Return the command, before it is filled in."""
        return self.run

    @property
    def shows_seed(self) -> bool:
        """Return whether its command has a seed, or its author says that it takes one, or needs none."""
        return self.template.uses_seed or self.seed_env or self.unseeded

    @property
    def limit_seconds(self) -> float | None:
        """Return the time after which the program is ended; None for none."""
        return None if self.timeout is None else parse_seconds(self.timeout)

    @property
    def template(self) -> Template:
        """Return the command."""
        return Template(self.run, self.shell)


class FunctionRecipe(OwnRecipe):
    """A recipe of a training function of Python, and what it returns."""

    engine: Literal["function"]
    function: Annotated[str, Field(pattern=r"^[\w.]+:[\w.<>]+$", max_length=500)]
    """Its module and name, such as `project.training:train`; called with the settings and `seed`."""

    @property
    def started(self) -> str:
        """Return its module and name."""
        return self.function

    def identity(self) -> dict[str, Any]:
        """Return the function, its settings and how its metrics are read."""
        return {
            **self.model_dump(mode="json", include={"engine", "function", "settings", "threads", "unit", "at"}),
            "metric": list(self.metrics),
        }


class ImportedRecipe(Recipe):
    """Hold what is known of trials that eailab did not run: the level of their arm, and what was measured."""

    is_offered = False

    engine: Literal["imported"]
    epochs: Literal[1] = 1
    """Not known."""
    threads: Literal[1] = 1
    """Not known."""
    settings: dict[Annotated[str, Field(min_length=1, max_length=1000)], Value]
    """The columns that tell arms apart, with the level of this arm."""
    metric: Line
    """The column of the metric."""
    goal: Literal["max", "min"]
    """Which values are better."""
    unit: Literal["share", "percent", "raw"] = "raw"
    """What the values are: shares from 0 to 1, percent, or numbers in a unit of their own."""
    blocked: bool = True
    """Whether all arms have the same seeds, by their author's word."""
    source: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the values as they were read."""
    study: OwnStudy = OwnStudy()

    @property
    def own_settings(self) -> Mapping[str, Value]:
        """Return the level of the arm."""
        return self.settings

    @property
    def shares_seeds(self) -> bool:
        """Return whether all arms have the same seeds."""
        return self.blocked
