"""List the recipes, one class an engine, told apart by `engine`; and their settings as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, TypeAdapter

from eailab.recipe.base import ImageRecipe, Recipe
from eailab.recipe.networks import ARGS, AnyNetwork, Foreign
from eailab.recipe.own import FunctionRecipe, ImportedRecipe, ProgramRecipe
from eailab.recipe.parts import Mlp, MlpData, ResNet, ResNetData, Settings


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
    """A recipe of the torch engine: a residual network, a person's own or a library's, on CUDA or on the CPU."""

    example = "resnet18-cifar10"
    small_example = "resnet18-digits"

    engine: Literal["torch-resnet"]
    data: ResNetData
    model: AnyNetwork = ResNet()
    """What is trained: a residual network, a module of torch in a person's own file, or one of timm or torchvision."""
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
        """Return where the settings are of a network whose code is not eailab's."""
        return ARGS if self.has_foreign_network else ""

    @property
    def own_settings(self) -> Mapping[str, Any]:
        """Return what a network is constructed with whose code is not eailab's."""
        return self.model.args if isinstance(self.model, Foreign) else {}


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
        """Return the last word of the path."""
        return self.path.rpartition(".")[2]

    @property
    def is_factor(self) -> bool:
        """Return whether it changes what is trained."""
        return self.path.partition(".")[0] not in NO_FACTORS and self.path not in ("model.code", "model.version")


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
