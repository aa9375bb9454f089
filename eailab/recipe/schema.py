"""Define recipes: one class an engine, told apart by `engine`, of the parts in `parts.py`.

A copy with one field changed is checked again by `override.vary`, never by `model_copy`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import Field, TypeAdapter, ValidationInfo, field_validator, model_validator

from eailab.metrics import NAMES, USUAL
from eailab.recipe.parts import (
    MOST_EPOCHS,
    PRINTABLE,
    AnyNetwork,
    AnySchedule,
    Constant,
    Count,
    Data,
    Fraction,
    Margin,
    Mlp,
    MlpData,
    Module,
    Optimizer,
    ResNet,
    ResNetData,
    Settings,
)
from eailab.recipe.template import IN_BRACES, NAME, PLACES, Template, flat, plain
from eailab.units import parse_seconds

Line = Annotated[str, Field(min_length=1, max_length=10_000, pattern=PRINTABLE)]
Value = Annotated[str, Field(max_length=10_000, pattern=f"(?:{PRINTABLE})|^$")] | bool | int | float


class Study(Settings):
    """How arms of this recipe are compared; no part of what is trained."""

    margin: Margin = 0.25
    """Differences smaller than this do not matter: percentage points of an accuracy, hundredths of a loss."""
    metric: Annotated[str, Field(examples=list(NAMES))] = USUAL
    """What verdicts rest on, after the last epoch; `loss-gap` is validation minus training loss."""


class Recipe(Settings):
    """What recipes of all engines have."""

    example: ClassVar[str | None] = None
    """A shipped recipe of the engine, for hints."""
    small_example: ClassVar[str | None] = None
    """One that trains in seconds, on images that come with eailab."""

    is_offered: ClassVar[bool] = True
    """Whether a person writes such recipes, so that messages name the engine."""

    quiet: ClassVar[frozenset[str]] = frozenset()
    """Settings that reports name only where they are not at their defaults."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
    """What tables and folders call this recipe; no part of its identity."""
    engine: str
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = 1
    """Passes over the training split, or what the engine takes for one."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """CPU threads of a trial; fixed, since sums in another order have other last bits."""
    study: Study = Study()

    def identity(self) -> dict[str, Any]:
        """Return all that can change a trial's result, ready for JSON."""
        return self.model_dump(mode="json")

    @property
    def own_settings(self) -> Mapping[str, Any]:
        """Settings that the recipe's author has named, by name; each is a factor."""
        return {}

    @property
    def own_place(self) -> str:
        """The beginning of the dotted paths of `own_settings`; empty where there cannot be any."""
        return "settings."

    @property
    def started(self) -> str:
        """What trials start that is a person's own, whatever their settings; empty where nothing is."""
        return ""

    @property
    def shares_seeds(self) -> bool:
        """Whether the arms of a block share its seeds; else blocks only number the repeats."""
        return True

    @property
    def images(self) -> "ImageRecipe | None":
        """The recipe itself where it classifies images; None for other engines."""
        return None

    @property
    def data_name(self) -> str | None:
        """The name of its data set; None where it has none."""
        return self.images.data.name if self.images else None


class ImageRecipe(Recipe):
    """What recipes add that train a network to classify the images of a data set."""

    data: Data
    optimizer: Optimizer
    schedule: AnySchedule = Constant()
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)]
    """Passes over the training split."""
    batch_size: Count
    """Images a step; the last step of an epoch may have fewer."""
    label_smoothing: Fraction = 0.0
    """Share of the target's probability that is spread evenly over all classes (Szegedy et al., 2016)."""
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Decay a step of an exponential moving average of the weights, which is then what is evaluated; null for none."""
    model: Mlp | ResNet | Module

    @property
    def has_own_network(self) -> bool:
        """Whether its network is a person's own code."""
        return isinstance(self.model, Module)

    @property
    def images(self) -> "ImageRecipe":
        """The recipe itself."""
        return self


class MlpRecipe(ImageRecipe):
    """A recipe of the numpy engine: an MLP with hand-written gradients."""

    example = "mnist-mlp"
    small_example = "digits-mlp"

    engine: Literal["numpy-mlp"]
    data: MlpData
    model: Mlp = Mlp()
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """BLAS threads of a trial; fixed, since sums in another order have other last bits."""


class ResNetRecipe(ImageRecipe):
    """A recipe of the torch engine: a residual network, or one of a person's own, on CUDA or on the CPU."""

    example = "resnet18-cifar10"
    small_example = "resnet18-digits"

    engine: Literal["torch-resnet"]
    data: ResNetData
    model: AnyNetwork = ResNet()
    """What is trained: a residual network, or a module of torch in a person's own file."""
    mixup: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    """Parameter alpha of mixup's Beta(alpha, alpha) (Zhang et al., 2018); null for none."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Arithmetic of convolutions and products; weights and sums stay in 32 bits."""
    deterministic: bool = False
    """Use only algorithms that give the same bits each time, which may be slower."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    """CPU threads of a trial; fixed, since sums in another order have other last bits."""

    def identity(self) -> dict[str, Any]:
        """Return all that can change a trial's result; where the file of a person's own network lies cannot."""
        whole = super().identity()
        if self.has_own_network:
            del whole["model"]["file"]
        return whole

    @property
    def own_place(self) -> str:
        """Where the settings of a person's own network are."""
        return "model.args." if self.has_own_network else ""

    @property
    def own_settings(self) -> Mapping[str, Any]:
        """What a person's own network is constructed with."""
        return self.model.args if isinstance(self.model, Module) else {}


class OwnStudy(Study):
    """How arms of a person's own training are compared."""

    margin: Margin = 0.0
    """Differences smaller than this do not matter, in the metric's unit; percentage points for a share or percent."""
    metric: str = ""
    """What verdicts rest on: the first of the recipe's metrics."""


SettingName = Annotated[str, Field(pattern=f"^{NAME}$", max_length=100)]
Group = dict[SettingName, Value | dict[SettingName, Value | dict[SettingName, Value]]]
DEEPEST = 4
"""Names that lead to a setting, at most."""


class OwnRecipe(Recipe):
    """What recipes of a person's own training have: its settings, and the metrics that it reports."""

    quiet = frozenset({"epochs", "threads", "settings", "unseeded", "goal", "at"})

    epochs: Literal[1] = 1
    """It runs once, from its beginning to its end; epochs of its own are a setting."""
    settings: dict[SettingName, Value | Group] = Field(default={})
    """Those of the baseline, by name, or in groups: `model: {depth: 3}`; each is a factor, such as `model.depth`."""
    metric: Line | list[Line]
    """What it reports; verdicts rest on the first, others are shown beside it."""
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
        """Whether its runs take a seed."""
        return not self.unseeded

    @property
    def own_settings(self) -> Mapping[str, Value]:
        """The settings, by their dotted names."""
        return flat(self.settings)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what is reported."""
        return tuple(self.metric) if isinstance(self.metric, list) else (self.metric,)


class ProgramRecipe(OwnRecipe):
    """A recipe of a training program: its command, and what it reports."""

    quiet = OwnRecipe.quiet | {
        *("shell", "seed_env", "metrics_file", "metric_regex", "code", "data", "timeout", "checkout"),
    }  # fmt: skip

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
        if not template.uses_seed and not info.data.get("seed_env") and not info.data.get("unseeded"):
            raise ValueError(
                "the command has no {seed}, so every block would be the same run: write {seed} where the program takes "
                "its seed; or, if it reads EAILAB_SEED from its environment, say --seed-env (seed_env: true); or, if "
                "its runs are independent without a seed, --unseeded (unseeded: true)"
            )
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
        """The command, before it is filled in."""
        return self.run

    @property
    def template(self) -> Template:
        """The command."""
        return Template(self.run, self.shell)


class FunctionRecipe(OwnRecipe):
    """A recipe of a training function of Python, and what it returns."""

    engine: Literal["function"]
    function: Annotated[str, Field(pattern=r"^[\w.]+:[\w.<>]+$", max_length=500)]
    """Its module and name, such as `project.training:train`; called with the settings and `seed`."""

    @property
    def started(self) -> str:
        """Its module and name."""
        return self.function

    def identity(self) -> dict[str, Any]:
        """Return the function, its settings and how its metrics are read."""
        return {
            **self.model_dump(mode="json", include={"engine", "function", "settings", "threads", "unit", "at"}),
            "metric": list(self.metrics),
        }


class ImportedRecipe(Recipe):
    """What is known of trials that eailab did not run: the level of their arm, and what was measured."""

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
        """The level of the arm."""
        return self.settings

    @property
    def shares_seeds(self) -> bool:
        """Whether all arms have the same seeds."""
        return self.blocked


def engine_name(kind: type[Recipe]) -> str:
    """Return the engine that a class of recipes is for."""
    return str(get_args(kind.model_fields["engine"].annotation)[0])


RECIPES: dict[str, type[Recipe]] = {
    engine_name(kind): kind for kind in (MlpRecipe, ResNetRecipe, ProgramRecipe, FunctionRecipe, ImportedRecipe)
}
"""The class of each engine's recipes, by the engine's name; `engines.registry.register` adds others."""


def offered() -> list[str]:
    """Return the engines for which a person writes recipes."""
    return [name for name, kind in RECIPES.items() if kind.is_offered]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a recipe's file, for editors."""
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "eailab recipe"}
    every: Any = Union[tuple(RECIPES[name] for name in offered())]  # noqa: UP007 - as many as there are
    tagged: Any = Annotated[every, Field(discriminator="engine")]
    return title | dict(TypeAdapter(tagged).json_schema())


# --- the schema as a table --------------------------------------------------------------------------------------------


NO_FACTORS = ("name", "engine", "study")
"""Top-level keys that are not part of what is trained."""


@dataclass(frozen=True)
class Setting:
    """One setting of an engine's recipes."""

    path: str
    owners: tuple[type[Settings], ...]
    """The class that has it; in a part with variants, each variant that has it."""

    @property
    def leaf(self) -> str:
        """The last word of the path."""
        return self.path.rpartition(".")[2]

    @property
    def is_factor(self) -> bool:
        """Whether it changes what is trained."""
        return self.path.partition(".")[0] not in NO_FACTORS and self.path != "model.code"


def members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union without `None` and `Annotated`, or the type itself alone."""
    if get_origin(annotation) is Annotated:
        return members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(one for member in get_args(annotation) for one in members(member) if one is not type(None))
    return (annotation,)


def is_settings(one: Any) -> bool:
    """Return whether a type is a class of settings."""
    return isinstance(one, type) and issubclass(one, Settings)


def parts(model: type[Settings], key: str) -> tuple[type[Settings], ...]:
    """Return the classes of settings that may stand at a key: several for variants, none for a plain value."""
    return tuple(one for one in members(model.model_fields[key].annotation) if is_settings(one))


def variant_names(part: type[Settings]) -> tuple[str, ...]:
    """Return the values of `name` that a class of settings stands for; none where `name` is free."""
    field = part.model_fields.get("name")
    return tuple(str(one) for one in get_args(field.annotation)) if field else ()


@cache
def settings(engine: str) -> dict[str, Setting]:
    """Return every setting of an engine's recipes by its dotted path, in the order of the schema."""
    table: dict[str, Setting] = {}

    def walk(model: type[Settings], prefix: str) -> None:
        for key in model.model_fields:
            path = f"{prefix}{key}"
            below = parts(model, key)
            for part in below:
                walk(part, f"{path}.")
            if not below:
                owners = table[path].owners if path in table else ()
                table[path] = Setting(path, (*owners, model))

    walk(RECIPES[engine], "")
    return table


@cache
def variants(engine: str) -> dict[str, dict[str, type[Settings]]]:
    """Return the classes of each part with a choice of `name`, by the part's path (such as `data.augment`) and name."""
    table: dict[str, dict[str, type[Settings]]] = {}
    for setting in settings(engine).values():
        part, _, leaf = setting.path.rpartition(".")
        choices = {name: owner for owner in setting.owners for name in variant_names(owner)} if leaf == "name" else {}
        if part and choices:
            table[part] = choices
    return table
