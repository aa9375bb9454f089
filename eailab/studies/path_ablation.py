"""Plan the way from one recipe to another, setting by setting, and the studies that measure its steps.

Path ablation (Fawcett & Hoos, 2016, "Analysing differences between algorithm configurations through ablation", Journal
of Heuristics 22): from the first recipe on, the one remaining setting with the largest measured gain is changed, until
the second recipe is reached. Here a step is a study in blocks, its baseline the recipe reached so far.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from eailab.data.registry import SOURCES, load
from eailab.data.split import training_size
from eailab.engines.registry import images_of, metric_of
from eailab.errors import RecipeError, StudyError, UsageError
from eailab.files import folder_name, path_name
from eailab.metrics import Metric
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import NO_IDENTITY, canonical, digest, write
from eailab.recipe.factors import resolve
from eailab.recipe.networks import ARGS, Foreign, typed
from eailab.recipe.override import KEPT, OF_CODE, differences, vary, vary_together
from eailab.recipe.schema import variants
from eailab.recipe.validate import value_at
from eailab.studies.design import Arm, Study, by_content
from eailab.studies.factor import BUNDLE, Setting

Order = Literal["gain", "listed"]
"""By measured gain, or as the settings stand in a recipe."""


@dataclass(frozen=True)
class Change:
    """The change of one setting, or of one part with variants, by a move, in words."""

    field: str
    """Dotted path of the setting, or of the part that becomes another variant."""
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.field} {self.before} -> {self.after}"


@dataclass(frozen=True)
class Move:
    """One setting, or several that only make a valid recipe together, brought from the first recipe to the second."""

    settings: Mapping[str, object]
    """As `vary_together` takes them."""
    changes: tuple[Change, ...]

    @property
    def label(self) -> str:
        """Return the move in words."""
        return ", ".join(map(str, self.changes))

    def __add__(self, other: "Move") -> "Move":
        """Return both moves as one."""
        return Move({**self.settings, **other.settings}, self.changes + other.changes)


def moves(
    start: Recipe,
    end: Recipe,
    fits: Callable[[Recipe], bool] = lambda _: True,
    bundles: Sequence[str] = (),
    names: tuple[str, str] | None = None,
) -> tuple[Move, ...]:
    """Return what leads from one recipe to another, in the order in which the settings stand in a recipe.

    A part that becomes another variant (adam, sgd) is one move with the variant's own settings; settings that mean the
    same in both variants, such as `lr`, are moves of their own, as all other settings are. Where a move makes no valid
    recipe without another (`nesterov` without `momentum`), the two are one.

    Args:
        start: The first recipe.
        end: The second.
        fits: Whether the data can be trained on by a recipe.
        bundles: Settings that are to move together, each such as `optimizer+lr`.
        names: What messages call the two; their own names where it is None.

    Raises:
        StudyError: The recipes are of different engines, train the same, or train on different data; or a bundle names
            fewer than two of their differences.
        RecipeError: A bundle names no setting.
    """
    asked = single_changes(start, end, names)
    for bundle in bundles:
        asked = _bundled(start, asked, bundle)
    return _joined_where_needed(start, asked, fits)


def single_changes(start: Recipe, end: Recipe, names: tuple[str, str] | None = None) -> list[Move]:
    """Return the moves from one recipe to another, none joined with another; see `moves`."""
    one, other = names or (start.name, end.name)
    if start.engine != end.engine:
        raise StudyError(
            f"the recipes {one} and {other} are of different engines ({start.engine} and {end.engine}), "
            "which have different settings: choose two recipes of one engine."
        )
    if canonical(start) == canonical(end):
        raise StudyError(f"the recipes {one} and {other} train the same: there is no difference to explain.")
    if start.data_name != end.data_name:
        raise StudyError(
            f"the recipes {one} and {other} train on different data ({start.data_name} and {end.data_name}), "
            "whose scores do not compare: choose two recipes for one data set."
        )
    plain_start, plain_end = start.model_dump(), end.model_dump()
    by_field: dict[str, Move] = {}
    for path, (before, after) in differences(start, end).items():
        if path.partition(".")[0] in NO_IDENTITY:
            continue
        part = _part_of(start.engine, path, plain_start, plain_end)
        if part is None:
            by_field[path] = Move({path: after}, (Change(path, write(before), write(after)),))
        elif part not in by_field:
            by_field[part] = _switch(part, start, end)
    return list(by_field.values())


def _bundled(start: Recipe, alone: list[Move], bundle: str) -> list[Move]:
    """Join the moves that a bundle names, at the place of the first."""
    fields = {resolve(word, start).removesuffix(".name") for word in bundle.split(BUNDLE)}
    members = [move for move in alone if fields & {change.field.removesuffix(".name") for change in move.changes}]
    if len(members) < 2:
        differing = ", ".join(change.field for move in alone for change in move.changes)
        raise StudyError(
            f"--joint {bundle}: name two or more settings in which the recipes differ, joined by {BUNDLE}. "
            f"They differ in {differing}."
        )
    whole = reduce(Move.__add__, members)
    return [whole if move is members[0] else move for move in alone if move not in members[1:]]


def _part_of(engine: str, path: str, start: Mapping[str, Any], end: Mapping[str, Any]) -> str | None:
    """Return the part that a setting moves with; None for a setting that moves alone."""
    steps = path.split(".")
    parents = (".".join(steps[:length]) for length in range(len(steps) - 1, 0, -1))
    part = next((parent for parent in parents if parent in variants(engine)), None)
    if part is None:
        return None
    one, other = (value_at(plain, tuple(part.split("."))) for plain in (start, end))
    leaf = path.removeprefix(f"{part}.")
    if leaf in KEPT and leaf in one and leaf in other:
        return None
    # A network of other code, or that takes other arguments, is another variant too.
    choices = variants(engine)[part]
    is_same = (
        choices[one["name"]] is choices[other["name"]]
        and all(one.get(key) == other.get(key) for key in OF_CODE)
        and one.get("args", {}).keys() == other.get("args", {}).keys()
    )
    return None if is_same else part


def _switch(part: str, start: Recipe, end: Recipe) -> Move:
    """Return the move of a part to another variant, with the settings that the first has not."""
    move = _by_settings(part, start, end)
    (change,) = move.changes
    before, after = (_network(part, recipe) for recipe in (start, end))
    return Move(move.settings, (Change(part, before or change.before, after or change.after),))


def _by_settings(part: str, start: Recipe, end: Recipe) -> Move:
    one, other = (value_at(recipe.model_dump(), tuple(part.split("."))) for recipe in (start, end))
    own = {key: value for key, value in other.items() if not (key in KEPT and key in one)}
    brought = ", ".join(f"{key} {write(value)}" for key, value in own.items() if key != "name")
    after = f"{other['name']} ({brought})" if brought else str(other["name"])
    return Move({part: own}, (Change(part, str(one["name"]), after),))


def moves_as_stored(start: Recipe, end: Recipe) -> list[Move]:
    """Return the moves of `single_changes`, and the one to a network of another's code as stored paths may label it.

    Paths that were stored in November 2026 list its settings, and then its arguments once more.
    """
    alone = single_changes(start, end)
    model = None if end.images is None else end.images.model
    if _network("model", start) is not None or not isinstance(model, Foreign):
        return alone
    move = _by_settings("model", start, end)
    arguments = [Change(f"{ARGS}{name}", "null", write(value)) for name, value in model.args.items()]
    return [*alone, Move(move.settings, (*move.changes, *arguments))]


def _network(part: str, recipe: Recipe) -> str | None:
    """Return a part as a person types it, if it is a network whose code is not eailab's."""
    model = recipe.images.model if part == "model" and recipe.images is not None else None
    return typed(model) if isinstance(model, Foreign) else None


def _joined_where_needed(start: Recipe, alone: list[Move], fits: Callable[[Recipe], bool]) -> tuple[Move, ...]:
    """Join moves until each makes a valid recipe from the start, or all are one.

    What makes recipes invalid are pairs of settings, so that moves that are possible from the start are possible in
    every order.
    """

    def possible(move: Move) -> bool:
        try:
            return fits(vary_together(start, move.settings).recipe)
        except RecipeError:
            return False

    joined = alone
    while len(joined) > 1 and (blocked := next((move for move in joined if not possible(move)), None)) is not None:
        others = [move for move in joined if move is not blocked]
        partner = next((move for move in others if possible(blocked + move)), others[0])
        pair = [blocked, partner] if joined.index(blocked) < joined.index(partner) else [partner, blocked]
        joined = [pair[0] + pair[1] if move is pair[0] else move for move in joined if move is not pair[1]]
    return tuple(joined)


@dataclass(frozen=True)
class PathAblation:
    """Two recipes, the moves between them, and how they are measured."""

    start: Recipe
    end: Recipe
    names: tuple[str, str]
    """What the two are called."""
    moves: tuple[Move, ...]
    order: Order
    blocks: tuple[int, ...]
    metric: str
    margin: float
    data: Mapping[str, str] = field(default_factory=dict)
    """As `Study.data`."""

    @property
    def measure(self) -> Metric:
        """Return what its recipes are compared by, as the engine declares it."""
        return metric_of(self.end, self.metric)

    @property
    def fingerprint(self) -> str:
        """Return ten hexadecimal digits over all but the names and the blocks, so that adding blocks keeps the path."""
        return digest(
            {
                "ends": [canonical(end, by_content(self.data)) for end in (self.start, self.end)],
                "moves": [move.label for move in self.moves],
                "order": self.order,
                "metric": self.metric,
            }
        )[:10]

    @property
    def folder_name(self) -> str:
        """Return the names, made safe for any file system, and the fingerprint."""
        return folder_name(path_name(self.names), self.fingerprint)

    @property
    def most_arms(self) -> int:
        """Return the arms that the whole path trains, both ends too; by gain, each step tries all that is left."""
        steps = len(self.moves)
        return steps + 1 if self.order == "listed" else steps * (steps + 1) // 2 + 1

    def folder(self, studies: Path) -> Path:
        """Return where the path lies, or is to lie; one that an earlier version named by the path of its data stays."""
        by_path = studies / replace(self, data={}).folder_name
        return by_path if by_path.exists() else studies / self.folder_name

    def ends(self) -> Study:
        """Return the study that compares the two recipes, which no choice on the way has touched."""
        first, second = self.names
        return self._study("recipe", (Arm(first, self.start), Arm(second, self.end)))

    def step(self, taken: Sequence[Move]) -> Study:
        """Return the study of the next step: the recipe reached so far, against each move that may come next.

        Args:
            taken: The moves made so far, in their order; not yet all.
        """
        candidates = self.candidates(taken)
        reached = self._after(taken)
        arms = (Arm("before", reached), *(Arm(move.label, self._after([*taken, move])) for move in candidates))
        return self._study(f"step {len(taken) + 1}", arms)

    def candidates(self, taken: Sequence[Move]) -> tuple[Move, ...]:
        """Return the moves that may come next, in the order of the arms of `step`, whose baseline they follow."""
        left = tuple(move for move in self.moves if move not in taken)
        return left[:1] if self.order == "listed" else left

    def _after(self, taken: Sequence[Move]) -> Recipe:
        return reduce(lambda recipe, move: vary_together(recipe, move.settings).recipe, taken, self.start)

    def _study(self, factor: str, arms: tuple[Arm, ...]) -> Study:
        return Study(
            name=f"{path_name(self.names)} {factor}",
            factor=Setting(factor),
            arms=arms,
            baseline=0,
            blocks=self.blocks,
            metric=self.metric,
            margin=self.margin,
        )


def on_the_same_images(start: Recipe, end: Recipe, data_dir: Path | None) -> tuple[Recipe, dict[str, str]]:
    """Return the second recipe, by the first one's path where both lead to the same images, and `PathAblation.data`.

    Raises:
        DataError: The data are missing, or cannot be read.
    """
    names = {one.data_name for one in (start, end)} - SOURCES.keys()
    own = {name: load(name, data_dir).fingerprint for name in names if name is not None}
    if start.data_name in own and own[start.data_name] == own.get(end.data_name or ""):
        end = vary(end, "data.name", start.data_name).recipe
    return end, own


def path_between(
    start: Recipe,
    end: Recipe,
    names: tuple[str, str],
    blocks: Sequence[int],
    order: Order,
    fits: Callable[[Recipe], bool] = lambda _: True,
    bundles: Sequence[str] = (),
    data: Mapping[str, str] = MappingProxyType({}),
) -> PathAblation:
    """Return the path ablation between two recipes, by `moves`; the first one's `study` says how it is measured.

    Raises:
        StudyError: See `moves`.
        RecipeError: See `moves`.
    """
    return PathAblation(
        start=start,
        end=end,
        names=names,
        moves=moves(start, end, fits, bundles, names),
        order=order,
        blocks=tuple(blocks),
        metric=start.study.metric,
        margin=start.study.margin,
        data=data,
    )


def fits(recipe: Recipe, data_dir: Path | None) -> bool:
    """Return whether a recipe can be trained on its data, and its batches are no larger than the training split."""
    if (asked := recipe.images) is None:
        return True
    images = load(asked.data.name, data_dir).train
    try:
        size = training_size(len(images), asked.data)
        images_of(asked).check_fit(asked, (size, *images.pixels.shape[1:]))
    except UsageError:
        return False
    return asked.batch_size <= size
