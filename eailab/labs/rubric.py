"""Read a rubric: what a submission is held to, and what each part is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from eailab import files
from eailab.errors import UsageError
from eailab.labs.folder import TUNED
from eailab.labs.new import LABS, RUBRIC_FILE, folder_of, recipe_of
from eailab.recipe.base import Recipe
from eailab.recipe.describe import Problem, expected, found, nearest
from eailab.recipe.load import load
from eailab.recipe.parts import PRINTABLE, Settings
from eailab.recipe.yaml12 import YamlDocument, parse
from eailab.seeding import LARGEST_BLOCK, is_for_tuning

Worth = Annotated[float, Field(ge=0, le=1000)]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]


class Points(Settings):
    """Hold what each part is worth; 0 leaves its points out and says what was found all the same."""

    report: Worth = 3
    """The report's tables, facts and figures are those of its store."""
    store: Worth = 2
    """Every trial is there and holds to its checksums."""
    design: Worth = 2
    """The comparisons that the rubric asks for, of its recipe."""
    blocks: Worth = 1
    """Enough blocks."""
    plan: Worth = 1
    """The plan that was handed in beforehand."""
    trained_again: Worth = 2
    """Trials of the student's, trained again."""
    claims: Worth = 2
    """What the text concludes is no stronger than the verdicts."""
    gradients: Worth = 3
    """The gradients of submitted layers."""


class AskedFactor(Settings):
    """A comparison that a submission must have."""

    factor: Text
    """As in the study file."""
    levels: list[Any] | None = None
    """Levels that must be among its arms; left out, any."""
    tuned: bool = False
    """Whether the arms are to be tuned first."""

    @property
    def words(self) -> tuple[str, ...]:
        """Return it as a mark of a report names it."""
        return (self.factor, TUNED) if self.tuned else (self.factor,)


class AskedLayer(Settings):
    """Layers whose gradients are checked."""

    code: Text
    """As `eailab gradcheck` takes it: layers.py:Linear."""
    input: Text
    """Shape of the input: "8,64"."""


class RetrainRule(Settings):
    """Trials that are trained once more."""

    trials: Annotated[int, Field(ge=0, le=20)] = 1
    """How many, drawn among the student's own."""
    within: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """How far a value may lie from the student's on another processor, in the unit shown; left out, three SDs of a
    trial within its block."""


class Limits(Settings):
    """Limit what submitted code may take."""

    seconds: Annotated[int, Field(ge=1, le=86_400)] = 600
    """With all that it has started."""
    memory_mb: Annotated[int, Field(ge=256)] = 4096
    """Of each process."""
    file_mb: Annotated[int, Field(ge=1)] = 256
    """Of the largest file that it may write."""


class Rubric(Settings):
    """Hold what a rubric says."""

    title: Text
    """Heads the marks."""
    lab: str | None = None
    """A lab that comes with eailab: the report must have its places."""
    recipe: str | None = None
    """What the baseline must be: a shipped recipe or a path relative to this file; left out, the lab's."""
    factors: Annotated[list[AskedFactor], Field(min_length=1)]
    """Comparisons that there must be."""
    blocks: Annotated[int, Field(ge=1, le=10_000)]
    """Blocks that each must have at least."""
    plan: Text | dict[str, Text] | None = None
    """Name of the plan that was handed in beforehand, for one submission, or for each by its folder's name."""
    claims: list[Text] = Field(default_factory=list)
    """Factors of which the text must have a tagged claim."""
    again: RetrainRule = RetrainRule()
    """Trials to train again."""
    hidden_block: Annotated[int, Field(ge=0, le=LARGEST_BLOCK)] | None = None
    """A block that no student knows; left out, one that is drawn."""
    gradients: list[AskedLayer] = Field(default_factory=list)
    """Submitted layers to check; their code only runs with --run-code."""
    limits: Limits = Limits()
    """Of submitted code."""
    points: Points = Points()
    """What each part is worth."""


PARTS: Mapping[str, type[Settings]] = {
    "points": Points,
    "factors": AskedFactor,
    "again": RetrainRule,
    "limits": Limits,
    "gradients": AskedLayer,
}
"""What stands below the keys of a rubric."""


@dataclass(frozen=True)
class CheckedRubric:
    """A rubric, checked, with the recipe that it names."""

    rubric: Rubric
    recipe: Recipe | None

    def plan_of(self, submission: Path, given: str | None) -> str | None:
        """Return the name of the plan that a submission's author handed in beforehand; None where it is not known."""
        plan = self.rubric.plan
        if given is not None or plan is None:
            return given
        return plan if isinstance(plan, str) else plan.get(submission.resolve().name)


def read_rubric(name: str) -> CheckedRubric:
    """Read a rubric, by its path or as the name of a lab that comes with one.

    Raises:
        UsageError: There is none, or it has problems, each with its place.
    """
    path = Path(name)
    if name in LABS and not path.is_file():
        text, source = files.read(folder_of(name) / RUBRIC_FILE, files.RECIPE), f"{name}/{RUBRIC_FILE}"
    else:
        try:
            text, source = files.read(path, files.RECIPE), name
        except FileNotFoundError as error:
            hint = nearest(name, LABS) or f": give its path, or one of {', '.join(LABS)}."
            raise UsageError(f"there is no rubric {name}{hint}") from error
    document = parse(text, source)
    rubric = _checked(document)
    wrong = []
    if rubric.lab is not None and rubric.lab not in LABS:
        wrong.append(Problem(("lab",), f"there is no lab {rubric.lab!r}: there are {', '.join(LABS)}"))
    if rubric.hidden_block is not None and is_for_tuning(rubric.hidden_block):
        wrong.append(Problem(("hidden_block",), "this block is for tuning: take one below 1000000"))
    recipe = None
    try:
        if rubric.recipe is not None:
            beside = path.parent / rubric.recipe
            recipe = load(beside if beside.is_file() else rubric.recipe).recipe
        elif rubric.lab in LABS:
            recipe = recipe_of(rubric.lab)
    except UsageError as error:
        wrong.append(Problem(("recipe",), str(error)))
    if wrong:
        raise document.error(wrong)
    return CheckedRubric(rubric, recipe)


def _checked(document: YamlDocument) -> Rubric:
    try:
        return Rubric.model_validate(document.value)
    except ValidationError as error:
        problems: dict[tuple[Any, ...], Problem] = {}
        for detail in error.errors(include_url=False):
            steps = [step for step in detail["loc"] if not _is_of_union(step)]
            path = tuple(steps)
            problems[path] = Problem(path, _said(detail, path), at_key=detail["type"] == "extra_forbidden")
        raise document.error(problems.values()) from error


def _is_of_union(step: int | str) -> bool:
    return isinstance(step, str) and ("[" in step or step in ("constrained-str", "str"))


def _said(detail: Mapping[str, Any], path: tuple[int | str, ...]) -> str:
    """Say one of pydantic's errors in plain words."""
    names = [step for step in path if isinstance(step, str)]
    owner = PARTS.get(names[0] if len(path) > 1 and names else "", Rubric)
    match detail["type"]:
        case "extra_forbidden":
            keys = owner.model_fields
            return f"unknown key{nearest(path[-1], keys) or '; the keys here are ' + ', '.join(keys)}"
        case "missing":
            return f"missing: give {names[-1]}"
        case _ if names and names[-1] in owner.model_fields and not isinstance(path[-1], int):
            return f"expected {expected(owner.model_fields[names[-1]])}, found {found(detail['input'])}"
        case _ if path and isinstance(path[-1], int) and names[-1] in PARTS:
            keys = PARTS[names[-1]].model_fields
            return f"expected a mapping with the keys {', '.join(keys)}, found {found(detail['input'])}"
        case _:
            return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
