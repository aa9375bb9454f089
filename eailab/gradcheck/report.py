"""Hold what a check of gradients has found."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

State = Literal["right", "wrong", "missing"]


@dataclass(frozen=True, kw_only=True)
class GradientCheck:
    """One gradient: what it is of, and how far it is from central differences."""

    __pydantic_config__: ClassVar = {"use_attribute_docstrings": True, "extra": "forbid"}

    name: str
    """The input or parameter that the gradient is of."""
    kind: Literal["input", "parameter"]
    """Which of the two it is."""
    gradient: str | None
    """Where the gradient was found: an attribute, `returned` or `autograd`; null where there is none."""
    shape: list[int]
    """Of the value."""
    state: State
    """`missing`: the output depends on it, and it has no gradient."""
    error: float | None = None
    """Largest relative error of an entry; null where none could be formed."""
    index: list[int] | None = None
    """Of the entry with that error."""
    backward: float | None = None
    """What the backward pass gave there."""
    difference: float | None = None
    """The central difference there."""
    entries: int = 0
    """That were compared one by one; where there are more, all go into slopes along random directions."""
    wrong_entries: int = 0
    """Of those."""
    kinks: int = 0
    """Entries where the output bends, and where either side's slope is right."""
    suspects: list[str] = field(default_factory=list)
    """Which mistake would make this gradient, the likeliest first; empty where none that is known does."""


@dataclass(frozen=True, kw_only=True)
class GradientReport:
    """The findings of a check of all gradients of a layer."""

    __pydantic_config__: ClassVar = {"use_attribute_docstrings": True, "extra": "forbid"}

    schema_version: Literal[1] = 1
    """Raised when a field is renamed, removed or changes its meaning."""
    subject: str
    """What was checked, with the arguments that were chosen for it."""
    passed: bool
    """Whether every gradient is right and nothing else is wrong."""
    inputs: dict[str, list[int]]
    """Shapes of the inputs."""
    output: list[int]
    """Shape of the output."""
    precision: Literal["float64", "float32"]
    """In which the output is computed."""
    tolerance: float
    """Largest relative error that counts as right."""
    checks: list[GradientCheck]
    """One a gradient, inputs first."""
    faults: list[str]
    """What is wrong besides the gradients."""
    notes: list[str]
    """What was chosen, and what cannot be told."""
