"""Compute learning rates for both engines: every rate of a trial is known before its first step.

A schedule is a pure function from the step's number to a factor on the recipe's learning rate; a new one is its
settings class in `recipe/optimization.py`, one function here, and one line of `SCHEDULES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eailab.engines.spec import entry
from eailab.recipe.base import ImageRecipe
from eailab.recipe.optimization import AnySchedule, Constant, Cosine, Exponential, Lambda, MultiStep, OneCycle, StepLR

Factors = NDArray[np.float64]

MOST_STEPS = 5_000_000
"""Of a trial whose rates are computed for a reader."""


@dataclass(frozen=True)
class Clock:
    """Hold when each step of a trial happens."""

    epochs: int
    steps_per_epoch: int

    @property
    def step(self) -> NDArray[np.int64]:
        """`[T]`, the number of each step, from 0."""
        return np.arange(self.epochs * self.steps_per_epoch, dtype=np.int64)

    @property
    def epoch(self) -> NDArray[np.int64]:
        """`[T]`, the epoch of each step, from 0."""
        return self.step // self.steps_per_epoch


def constant(_: Constant, clock: Clock) -> Factors:
    """Return 1 throughout."""
    return np.ones(len(clock.step))


def _power(gamma: float, count: NDArray[np.integer[Any]]) -> Factors:
    """Return `gamma` to each count; one above 1 may become infinite, with which the trial diverges."""
    with np.errstate(over="ignore"):
        factors: Factors = np.power(gamma, count, dtype=np.float64)
    return factors


def steplr(settings: StepLR, clock: Clock) -> Factors:
    """Return `gamma` to the number of whole `step_size` epochs passed."""
    return _power(settings.gamma, clock.epoch // settings.step_size)


def multistep(settings: MultiStep, clock: Clock) -> Factors:
    """Return `gamma` to the number of milestones passed."""
    passed = np.searchsorted(np.asarray(settings.milestones), clock.epoch, side="right")
    return _power(settings.gamma, passed)


def exponential(settings: Exponential, clock: Clock) -> Factors:
    """Return `gamma` to the number of epochs passed."""
    return _power(settings.gamma, clock.epoch)


FORMULAS: dict[str, Callable[[NDArray[np.float64], int], Factors]] = {
    "inverse-sqrt": lambda epoch, _: 1.0 / np.sqrt(1.0 + epoch),
    "inverse": lambda epoch, _: 1.0 / (1.0 + epoch),
    "linear": lambda epoch, epochs: 1.0 - epoch / epochs,
    "poly2": lambda epoch, epochs: (1.0 - epoch / epochs) ** 2,
}


def named_lambda(settings: Lambda, clock: Clock) -> Factors:
    """Evaluate a formula of the epoch's number."""
    return FORMULAS[settings.formula](clock.epoch.astype(np.float64), clock.epochs)


def cosine(settings: Cosine, clock: Clock) -> Factors:
    """Return half a cosine wave from 1 to `final` (Loshchilov & Hutter, 2017, eq. 5), a point a step."""
    progress = clock.step / max(len(clock.step), 1)
    return settings.final + (1.0 - settings.final) * 0.5 * (1.0 + np.cos(np.pi * progress))


def onecycle(settings: OneCycle, clock: Clock) -> Factors:
    """Return two half cosine waves, 1/start_divisor to 1 to 1/(start_divisor final_divisor) (Smith & Topin, 2018).

    Equal to torch's `OneCycleLR(max_lr=lr, pct_start=peak)`, whose momentum is left alone.
    """
    steps = len(clock.step)
    start, end = 1.0 / settings.start_divisor, 1.0 / (settings.start_divisor * settings.final_divisor)
    turn = settings.peak * steps - 1.0
    rise = np.clip(clock.step / turn, 0.0, 1.0) if turn > 0.0 else np.ones(steps)
    fall = np.clip((clock.step - turn) / (steps - 1.0 - turn), 0.0, 1.0)
    up = 1.0 + (start - 1.0) * 0.5 * (1.0 + np.cos(np.pi * rise))
    down = end + (1.0 - end) * 0.5 * (1.0 + np.cos(np.pi * fall))
    return np.where(clock.step <= turn, up, down)


SCHEDULES: dict[type[Any], Callable[[Any, Clock], Factors]] = {
    Constant: constant,
    StepLR: steplr,
    MultiStep: multistep,
    Exponential: exponential,
    Lambda: named_lambda,
    Cosine: cosine,
    OneCycle: onecycle,
}


def learning_rates(settings: AnySchedule, lr: float, epochs: int, steps_per_epoch: int) -> Factors:
    """Return the learning rate of every step of a trial; a last partial batch of an epoch is a step too.

    Returns:
        `[epochs * steps_per_epoch]`, in the order of the steps. Step `t` (from 0) of a warm-up of `w` steps has the
        factor `(t + 1) / w` on top of the schedule's own, whose clock does not wait for the warm-up's end.
    """
    clock = Clock(epochs, steps_per_epoch)
    factors = entry(SCHEDULES, settings, "schedule", "eailab")(settings, clock)
    warmup_steps = settings.warmup_epochs * steps_per_epoch
    if warmup_steps > 0.0:
        factors = factors * np.minimum(1.0, (clock.step + 1) / warmup_steps)
    return lr * factors


def rates_by_epoch(recipe: ImageRecipe, updates: int) -> tuple[float, ...]:
    """Return the learning rate of the last step of each epoch of a trial; none where no such steps are known.

    `updates` are its steps in all; none are returned of more than `MOST_STEPS`, or of fewer than its epochs.
    """
    if not recipe.epochs <= updates <= MOST_STEPS:
        return ()
    an_epoch = updates // recipe.epochs
    rates = learning_rates(recipe.schedule, recipe.optimizer.lr, recipe.epochs, an_epoch)
    return tuple(rates[an_epoch - 1 :: an_epoch].tolist())
