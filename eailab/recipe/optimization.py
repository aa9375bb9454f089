"""Define optimizers and schedules of the learning rate, one frozen, strict model each."""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from eailab.recipe.parts import Count, Fraction, NotNegative, Penalty, Positive, Rate, Settings

# --- optimizers -----------------------------------------------------------------------------------------------------

Betas = Annotated[list[Fraction], Field(min_length=2, max_length=2)]


class Sgd(Settings):
    """Stochastic gradient descent, as torch defines it."""

    moments: ClassVar[int] = 1
    """Numbers that it remembers for each parameter, at most."""

    name: Literal["sgd"] = "sgd"
    lr: Rate = 0.01
    """Learning rate, before the schedule."""
    momentum: Fraction = 0.9
    """Share of the last step that is kept."""
    nesterov: bool = False
    """Look ahead along the momentum (Sutskever et al., 2013)."""
    weight_decay: Penalty = 5e-4
    """L2 penalty, added to the gradient."""

    @field_validator("nesterov")
    @classmethod
    def _needs_momentum(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("momentum") == 0.0:
            raise ValueError("nesterov needs a momentum above 0: set momentum, or nesterov: false")
        return value


class Adam(Settings):
    """Adam (Kingma & Ba, 2015); weight decay is added to the gradient."""

    moments: ClassVar[int] = 2

    name: Literal["adam"] = "adam"
    lr: Rate = 0.001
    """Learning rate, before the schedule."""
    betas: Betas = Field(default=[0.9, 0.999])
    """Decay of the running means of the gradient and of its square."""
    weight_decay: Penalty = 0.0
    """L2 penalty, added to the gradient."""


class AdamW(Settings):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""

    moments: ClassVar[int] = 2

    name: Literal["adamw"] = "adamw"
    lr: Rate = 0.001
    """Learning rate, before the schedule."""
    betas: Betas = Field(default=[0.9, 0.999])
    """Decay of the running means of the gradient and of its square."""
    weight_decay: Penalty = 0.01
    """Share of each weight taken away a step, times the learning rate."""


Optimizer: TypeAlias = Annotated[Sgd | Adam | AdamW, Field(discriminator="name")]

# --- schedules ------------------------------------------------------------------------------------------------------


class Schedule(Settings):
    """Hold what all schedules share: a linear rise at the start multiplies the schedule's own factor."""

    warmup_epochs: NotNegative = 0.0
    """Length of the linear rise of the learning rate from 0, in epochs; fractions are allowed."""


class Constant(Schedule):
    """The learning rate stays."""

    name: Literal["constant"] = "constant"


class StepLR(Schedule):
    """Multiply by `gamma` after every `step_size` epochs."""

    name: Literal["steplr"] = "steplr"
    step_size: Count = 20
    """Epochs between two reductions."""
    gamma: Positive = 0.1
    """Factor of each reduction."""


class MultiStep(Schedule):
    """Multiply by `gamma` after each epoch of a list."""

    name: Literal["multistep"] = "multistep"
    milestones: Annotated[list[Count], Field(min_length=1, max_length=1000)] = Field(default=[75, 120])
    """Epochs after which the learning rate is reduced, rising."""
    gamma: Positive = 0.1
    """Factor of each reduction."""

    @field_validator("milestones")
    @classmethod
    def _rising(cls, value: list[int]) -> list[int]:
        if any(a >= b for a, b in pairwise(value)):
            raise ValueError("milestones must rise: write each epoch once, in order")
        return value


class Exponential(Schedule):
    """Multiply by `gamma` after every epoch."""

    name: Literal["exponential"] = "exponential"
    gamma: Annotated[float, Field(gt=0.0, le=1.0)] = 0.95
    """Factor of each epoch."""


class Lambda(Schedule):
    """A named formula of the epoch `e` (from 0), out of `E` epochs."""

    name: Literal["lambda"] = "lambda"
    formula: Literal["inverse-sqrt", "inverse", "linear", "poly2"] = "inverse-sqrt"
    """`inverse-sqrt`: 1/sqrt(1+e). `inverse`: 1/(1+e). `linear`: 1-e/E. `poly2`: (1-e/E)^2."""


class Cosine(Schedule):
    """Half a cosine wave over the whole trial, step by step (Loshchilov & Hutter, 2017, without restarts)."""

    name: Literal["cosine"] = "cosine"
    final: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Factor that the wave ends at."""


class OneCycle(Schedule):
    """Up to the recipe's learning rate and down again, step by step, both along cosines (Smith & Topin, 2018)."""

    name: Literal["onecycle"] = "onecycle"
    peak: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of the steps that the rise takes."""
    start_divisor: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 25.0
    """The rise starts at the learning rate divided by this."""
    final_divisor: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 1e4
    """The fall ends at the start divided by this."""


AnySchedule: TypeAlias = Annotated[
    Constant | StepLR | MultiStep | Exponential | Lambda | Cosine | OneCycle, Field(discriminator="name")
]
