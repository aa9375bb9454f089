"""Choose nuisance settings for each arm of a comparison at equal budget, on blocks that the comparison never uses.

Successive halving (Jamieson & Talwalkar, 2016): all values are trained in the first tuning block, the better half of
them in the second, and so on, two in the last. Where an arm's best value lies at an end of its list, every arm is given
one more value, at most twice. Nothing here trains: `Scores` come from whoever does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, log
from typing import Any

from eailab.errors import RecipeError, UsageError
from eailab.recipe.base import Recipe
from eailab.recipe.factors import level_of, resolve
from eailab.recipe.load import parse_given
from eailab.recipe.override import vary_together
from eailab.seeding import TUNING_BLOCKS
from eailab.studies.factor import typed

VALUES = 6
"""How many values a range stands for."""
MOST_EXTENSIONS = 2
RANGE = ".."

Point = tuple[Any, ...]
"""A value for each tuned setting."""


@dataclass(frozen=True)
class Training:
    """One training of a value; two of one value differ in their block."""

    point: Point
    block: int


Scores = Mapping[Training, float]
"""Higher is better; minus infinity for a trial that diverged or has no value."""


@dataclass(frozen=True)
class Space:
    """The values that are tried for one arm."""

    paths: tuple[str, ...]
    """Dotted paths of the tuned settings."""
    points: tuple[Point, ...]
    """In rising order, where there is one setting."""
    is_whole: bool = False
    """Whether there is one setting, of whole numbers."""

    @property
    def has_ends(self) -> bool:
        """Return whether values can lie beyond those tried: of one setting whose values are all numbers above 0."""
        return len(self.paths) == 1 and all(type(value) in (int, float) and value > 0 for (value,) in self.points)


@dataclass(frozen=True)
class Choice:
    """The outcome of the tuning of one arm."""

    winner: Point
    runner_up: Point | None
    gap: float | None
    """Between their means over the tuning blocks; None without a runner-up, or where one of them diverged."""
    at_edge: bool
    """Whether the winner is the smallest or largest value that was tried, so that a better one may lie beyond."""


# --- what is asked for -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TuneOption:
    """One `--tune`: a setting, its values as typed, and the arm that they are for."""

    text: str
    arm: str | None
    word: str
    values: str


def asked(text: str) -> TuneOption:
    """Read `--tune`: `lr=1e-4..1e-1`, `lr=1e-4,1e-3`, or for one arm `sgd:lr=1e-3..1`.

    Raises:
        UsageError: It is none of these.
    """
    name, equals, values = text.partition("=")
    arm, colon, word = name.rpartition(":")
    if not equals or not word.strip() or not values.strip() or (colon and not arm.strip()):
        raise UsageError(
            f"--tune {text}: write a setting, =, and a range or values, such as --tune lr=1e-4..1e-1 or "
            "--tune sgd:lr=1e-3,1e-2,1e-1."
        )
    return TuneOption(text, arm.strip() or None, word.strip(), values.strip())


def spaces(options: Sequence[TuneOption], arms: Mapping[str, Recipe], factor: Sequence[str]) -> dict[str, Space]:
    """Return what is tried for each arm; an arm's own `--tune` of a setting stands in place of the common one.

    Args:
        options: As they were given; one or more.
        arms: Recipe of each arm by its label.
        factor: Dotted paths of the settings that the comparison varies.

    Raises:
        UsageError: No such arm, a setting twice, the factor itself, or values that are too few or not of the setting.
        RecipeError: An arm lacks the setting, or a value is not one of it.
    """
    if unknown := [one for one in options if one.arm is not None and one.arm not in arms]:
        raise UsageError(f"--tune {unknown[0].text}: {unknown[0].arm} is not an arm; the arms are {', '.join(arms)}.")
    keys = [(one.arm, one.word) for one in options]
    if twice := [one for one in options if keys.count((one.arm, one.word)) > 1]:
        raise UsageError(f"--tune {twice[0].text}: {twice[0].word} is tuned twice: name it once for each arm.")
    found = {}
    for label, recipe in arms.items():
        own = {one.word: one for one in options if one.arm is None}
        own |= {one.word: one for one in options if one.arm == label}
        paths = {resolve(word, recipe): one for word, one in own.items()}
        if varied := [one for path, one in paths.items() if path in factor]:
            raise UsageError(f"--tune {varied[0].text}: {varied[0].word} is what is compared, so it cannot be tuned.")
        found[label] = _space(recipe, paths, label)
    return found


def budget(space: Space, blocks: int, *, everything: bool = False) -> int:
    """Return the number of trainings of an arm, without the values that are added at an end."""
    return sum(kept(len(space.points), number, blocks, everything=everything) for number in range(blocks))


def _space(recipe: Recipe, paths: Mapping[str, TuneOption], label: str) -> Space:
    """Return the points of an arm, each checked against its recipe; none where nothing is tuned."""
    if not paths:
        return Space((), ())

    grids = [_values(one, may_be_whole=type(level_of(recipe, path)) is int) for path, one in paths.items()]
    points = tuple((value,) for value in grids[0]) if len(grids) == 1 else _spread(grids)
    is_whole = len(paths) == 1 and all(type(value) is int for value in (level_of(recipe, *paths), *grids[0]))
    space = Space(tuple(paths), points, is_whole)
    for point in points:
        try:
            with_point(recipe, space, point)
        except RecipeError as error:
            said = ", ".join(one.text for one in paths.values())
            raise UsageError(
                f"--tune {said}: the arm {label} cannot have {typed(point)}, and all arms are tuned alike: {error}"
            ) from error
    return space


def _values(one: TuneOption, *, may_be_whole: bool) -> list[Any]:
    """Return a setting's values, rising where they are numbers; a range between whole ones is whole if it may be."""
    low, is_range, high = one.values.partition(RANGE)
    if is_range:
        ends: list[Any] = [parse_given(text, f"--tune {one.text}") for text in (low, high)]
        if high.startswith(".") or not all(type(end) in (int, float) and abs(end) < inf for end in ends):
            raise UsageError(f"--tune {one.text}: a range has two numbers, such as {one.word}=1e-4..1e-1.")
        if not 0 < ends[0] < ends[1]:
            raise UsageError(
                f"--tune {one.text}: a range rises from a number above 0, since its values have equal ratios; write "
                f"other values one by one, such as {one.word}=0,0.5,0.9."
            )
        ratio = (ends[1] / ends[0]) ** (1 / (VALUES - 1))
        values: list[Any] = [float(f"{ends[0] * ratio**number:.3g}") for number in range(VALUES)]
        if may_be_whole and all(type(end) is int for end in ends):
            values = [round(value) for value in values]
    else:
        parsed = parse_given(f"[{one.values}]", f"--tune {one.text}")
        values = parsed if isinstance(parsed, list) else [parsed]
    values = list(map(_fixed, values))
    values = [value for index, value in enumerate(values) if value not in values[:index]]
    if len(values) < 2:
        raise UsageError(f"--tune {one.text}: there is one value to choose from: give two or more.")
    return sorted(values) if all(type(value) in (int, float) for value in values) else values


def _fixed(value: Any) -> Any:
    """Return a value that cannot change, as those are that trainings are known by."""
    return tuple(map(_fixed, value)) if isinstance(value, list) else value


def _as_read(value: Any) -> Any:
    """Return a value as a file has it; see `_fixed`."""
    return list(map(_as_read, value)) if isinstance(value, tuple) else value


def _spread(grids: Sequence[Sequence[Any]]) -> tuple[Point, ...]:
    """Return points over several settings: each takes the values of its list in a low-discrepancy order (Halton)."""
    wanted = max(VALUES, *map(len, grids))
    bases = (2, 3, 5, 7, 11, 13)
    if len(grids) > len(bases):
        raise UsageError(f"{len(grids)} settings are tuned at once: tune {len(bases)} at most.")
    points: list[Point] = []
    for index in range(1, 64 * wanted):
        point = tuple(
            grid[int(_radical_inverse(index, base) * len(grid))] for grid, base in zip(grids, bases, strict=False)
        )
        if point not in points:
            points.append(point)
        if len(points) == wanted:
            break
    return tuple(points)


def _radical_inverse(index: int, base: int) -> float:
    """Return the digits of a number, mirrored behind the point.

    >>> [_radical_inverse(index, 2) for index in (1, 2, 3)]
    [0.5, 0.25, 0.75]
    """
    result, share = 0.0, 1.0
    while index:
        index, digit = divmod(index, base)
        share /= base
        result += digit * share
    return result


# --- the procedure ---------------------------------------------------------------------------------------------------


def kept(values: int, number: int, blocks: int, *, everything: bool = False) -> int:
    """Return how many of some values are trained in a tuning block.

    >>> [kept(6, number, 3) for number in range(3)]
    [6, 3, 2]
    """
    if everything or number == 0:
        return values
    if number == blocks - 1:
        return min(2, values)
    return max(min(2, values), -(-values // (1 << number)))


def tune(
    searched: Mapping[str, Space],
    blocks: int,
    train: Callable[[Mapping[str, Sequence[Training]]], Mapping[str, Scores]],
    *,
    first: int = TUNING_BLOCKS,
    everything: bool = False,
    valid: Callable[[str, Point], bool] = lambda _arm, _point: True,
) -> dict[str, Choice]:
    """Choose a point for each arm.

    Args:
        searched: What is tried for each arm.
        blocks: Number of tuning blocks.
        train: Called with the trainings of each arm that come next; returns their scores.
        first: The first tuning block, which the others follow.
        everything: Train every value in every block.
        valid: Whether an arm can have a point that is not in its list.

    Returns:
        The choice by arm. Equal values are ordered as their list is, so that the smaller wins.
    """
    every = range(first, first + blocks)
    points = {arm: list(space.points) for arm, space in searched.items()}
    scores: dict[str, dict[Training, float]] = {arm: {} for arm in searched}

    def run(wanted: Mapping[str, Sequence[Training]]) -> None:
        for arm, found in train(wanted).items():
            scores[arm] |= found

    def ranked(arm: str) -> list[tuple[Point, float]]:
        """Return the points that have come furthest, best first."""
        by_point = {
            point: [scores[arm][at] for block in every if (at := Training(point, block)) in scores[arm]]
            for point in points[arm]
        }
        most = max(map(len, by_point.values()))
        means = [(point, sum(found) / len(found)) for point, found in by_point.items() if len(found) == most]
        return sorted(means, key=lambda one: -one[1])

    # Halving: what was best so far goes on.
    for number, block in enumerate(every):
        going_on = {arm: [point for point, _ in ranked(arm)] if number else list(points[arm]) for arm in searched}
        run(
            {
                arm: [
                    Training(point, block)
                    for point in left[: kept(len(points[arm]), number, blocks, everything=everything)]
                ]
                for arm, left in going_on.items()
            }
        )

    # One more value for every arm, while the best of one lies at an end.
    for _ in range(MOST_EXTENSIONS):
        best = {arm: ranked(arm)[0][0] for arm in searched}
        if not any(best[arm] in (points[arm][0], points[arm][-1]) for arm in searched if searched[arm].has_ends):
            break
        further = {arm: _beyond(searched[arm], points[arm], best[arm], partial(valid, arm)) for arm in searched}
        if any(point is None for point in further.values()):
            break
        for arm, point in further.items():
            assert point is not None  # noqa: S101 - checked above
            points[arm] = sorted([*points[arm], point])
        run({arm: [Training(point, block) for block in every] for arm, point in further.items() if point is not None})

    return {arm: _choice(ranked(arm), points[arm], searched[arm]) for arm in searched}


def _beyond(space: Space, points: Sequence[Point], best: Point, valid: Callable[[Point], bool]) -> Point | None:
    """Return the value beyond the end that is nearer to the best, at that end's ratio; None where there can be none.

    A whole number goes on to the nearest one.
    """
    if not space.has_ends or len(points) < 2:
        return None
    (value,), (low,), (high,) = best, points[0], points[-1]
    is_low = log(value / low) < log(high / value) + 1e-9  # of equal distances the low end
    end, (neighbour,) = (low, points[1]) if is_low else (high, points[-2])
    further = end * (end / neighbour)
    point = (round(further) if space.is_whole else float(f"{further:.3g}"),)
    return point if point[0] > 0 and point not in points and valid(point) else None


def _choice(ranked: Sequence[tuple[Point, float]], points: Sequence[Point], space: Space) -> Choice:
    (winner, best), *others = ranked
    runner_up, second = others[0] if others else (None, -inf)
    gap = best - second if runner_up is not None and min(best, second) > -inf else None
    return Choice(winner, runner_up, gap, space.has_ends and winner in (points[0], points[-1]))


def equal_budgets(searched: Mapping[str, Space]) -> bool:
    """Return whether every arm is tuned over the same settings and as many values."""
    return len({(frozenset(space.paths), len(space.points)) for space in searched.values()}) == 1


def with_point(recipe: Recipe, space: Space, point: Point) -> Recipe:
    """Return a recipe with a point's values.

    Raises:
        RecipeError: It cannot have them.
    """
    return vary_together(recipe, dict(zip(space.paths, map(_as_read, point), strict=True))).recipe


def can_have(recipe: Recipe, space: Space, point: Point) -> bool:
    """Return whether a recipe can have a point's values."""
    try:
        with_point(recipe, space, point)
    except RecipeError:
        return False
    return True
