"""Define factors: a setting, a declared bundle of settings that change together, or a crossing; and their levels."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from eailab.errors import StudyError, UsageError
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import write
from eailab.recipe.describe import in_words
from eailab.recipe.factors import resolve
from eailab.recipe.parts import PRINTABLE
from eailab.recipe.yaml12 import parse_value
from eailab.translation import COMMA, LIST, joined

BUNDLE = "+"
"""Joins the settings of a bundle, and the values of one of its levels: `optimizer+lr`, `adam+0.001`."""
CROSS = " × "
"""Joins the factors of a factorial, and the levels of one of its arms."""

LONGEST_LABEL = 80
"""Characters of what a person calls a level."""

BETWEEN_VALUES = re.compile(r"(?<![0-9][eE])\+")  # but not within 1e+3


@dataclass(frozen=True)
class Setting:
    """A factor that is one setting of a recipe."""

    path: str
    """Dotted."""

    @property
    def settings(self) -> tuple[str, ...]:
        """Return the dotted paths of all settings that the factor changes."""
        return (self.path,)

    @property
    def factors(self) -> tuple["Setting", ...]:
        """Return what it crosses: itself alone."""
        return (self,)

    @property
    def word(self) -> str:
        """Return the factor as a column is headed."""
        return self.path.removesuffix(".name").rpartition(".")[2]

    def values_of(self, level: Any) -> dict[str, Any] | None:
        """Return the settings of a level, by dotted path; None where the level has another name of its author's."""
        return {self.path: level}

    def __str__(self) -> str:
        """Return the factor as records have it."""
        return self.path


@dataclass(frozen=True)
class Bundle:
    """A factor of several settings that change together, so that no difference can be attributed to one of them."""

    settings: tuple[str, ...]
    """Dotted paths."""

    @property
    def factors(self) -> tuple["Bundle", ...]:
        """Return what it crosses: itself alone."""
        return (self,)

    @property
    def word(self) -> str:
        """Return the factor as a column is headed."""
        return BUNDLE.join(Setting(path).word for path in self.settings)

    def values_of(self, level: Any) -> dict[str, Any] | None:
        """Return the settings of a level such as `adam+0.001`; None where it has another name of its author's."""
        texts = BETWEEN_VALUES.split(str(level))
        if len(texts) != len(self.settings):
            return None
        try:
            return {path: parse_value(text) for path, text in zip(self.settings, texts, strict=True)}
        except UsageError:
            return None

    def __str__(self) -> str:
        """Return the factor as records have it."""
        return BUNDLE.join(self.settings)


@dataclass(frozen=True)
class Crossing:
    """The factor of a factorial: the combinations of several factors."""

    factors: tuple[Setting | Bundle, ...]

    @property
    def settings(self) -> tuple[str, ...]:
        """Return the dotted paths of all settings that the factor changes."""
        return tuple(path for one in self.factors for path in one.settings)

    @property
    def word(self) -> str:
        """Return the factor as a column is headed."""
        return CROSS.join(one.word for one in self.factors)

    def values_of(self, level: Any) -> dict[str, Any] | None:
        """Return the settings of a combination, as records call it; None where a part has a name of its author's."""
        parts = str(level).split(CROSS)
        if len(parts) != len(self.factors):
            return None
        values: dict[str, Any] = {}
        for one, part in zip(self.factors, parts, strict=True):
            try:
                own = one.values_of(part) if isinstance(one, Bundle) else {one.path: parse_value(part)}
            except UsageError:
                return None
            if own is None:
                return None
            values |= own
        return values

    def __str__(self) -> str:
        """Return the factor as records have it."""
        return CROSS.join(map(str, self.factors))


Factor = Setting | Bundle | Crossing
"""What a study varies."""


def factor_of(paths: Sequence[str]) -> Setting | Bundle:
    """Return the factor that is one setting, or a bundle of several."""
    return Setting(paths[0]) if len(paths) == 1 else Bundle(tuple(paths))


def read_factor(text: str) -> Factor:
    """Return the factor that a record names.

    >>> read_factor("optimizer.name+optimizer.lr × model.stem").settings
    ('optimizer.name', 'optimizer.lr', 'model.stem')
    """
    factors = tuple(factor_of(part.split(BUNDLE)) for part in text.split(CROSS))
    return factors[0] if len(factors) == 1 else Crossing(factors)


@dataclass(frozen=True)
class FactorLevels:
    """A factor and its levels, as they were asked for; nothing is checked against a recipe yet."""

    words: tuple[str, ...]
    """A setting's short name or dotted path; several for a bundle."""
    levels: tuple[tuple[Any, ...], ...]
    """Values, each level with one for every word."""
    baseline: tuple[Any, ...] | None = None
    """The level that the others are compared with; None for the recipe's own, else the first."""
    names: tuple[str, ...] = ()
    """What a person calls the levels; empty for `label` of each."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Return what each level is called in tables and figures."""
        return self.names or tuple(map(label, self.levels))

    @property
    def text(self) -> str:
        """Return the factor as it was typed."""
        return BUNDLE.join(self.words)

    def paths(self, recipe: Recipe) -> tuple[str, ...]:
        """Return the dotted paths of the settings.

        Raises:
            RecipeError: No factor of the recipe's engine has a name, or several have.
            StudyError: A bundle names a setting twice.
        """
        paths = tuple(resolve(word, recipe) for word in self.words)
        if len(set(paths)) < len(paths):
            raise StudyError(f"the bundle {self.text} names a setting twice: name each once.")
        return paths


def factor_from_text(
    text: str, levels: Sequence[Any], baseline: Any | None = None, *, joint: bool = False
) -> FactorLevels:
    """Return the factor that the command line asks for.

    Args:
        text: A setting, or several joined by `+`.
        levels: Values as `parse_value` gives them; of a bundle, texts such as `adam+0.001`, or lists.
        baseline: One of the levels, in the same form.
        joint: Whether a bundle was declared.

    Raises:
        StudyError: A bundle that was not declared, or a level that has not one value for each of its settings.
    """
    words = tuple(text.split(BUNDLE))
    if len(words) > 1 and not joint:
        raise StudyError(
            f"{text} changes {len(words)} settings at once, so no difference could be attributed to one of them: "
            "add --joint to compare the bundle as a whole, or name one setting."
        )
    if len(words) == 1:
        if joint:
            raise StudyError(f"--joint bundles settings, and {text} is one: join several by +, such as optimizer+lr.")
        return FactorLevels(words, tuple((level,) for level in levels), None if baseline is None else (baseline,))
    return FactorLevels(
        words, tuple(_values(level, words) for level in levels), None if baseline is None else _values(baseline, words)
    )


def labelled(factor: FactorLevels, text: str) -> FactorLevels:
    """Return a factor whose levels are called by the texts of `--labels`, such as `small,large`.

    Raises:
        StudyError: There is not one for each level, or one is twice, empty, long or not printable.
        RecipeError: They are not YAML.
    """
    values = parse_value(f"[{text}]")
    labels = [one if isinstance(one, str) else in_words(one) for one in values] if isinstance(values, list) else []
    try:
        check_labels(labels, len(factor.levels))
    except ValueError as error:
        raise StudyError(f"--labels {text}: {error}, as in --labels small,large.") from error
    odd = next((one for one in labels if len(one) > LONGEST_LABEL or not re.search(PRINTABLE, one)), None)
    if odd is not None:
        raise StudyError(f"--labels {text}: a label is a line of 1 to {LONGEST_LABEL} printable characters.")
    return replace(factor, names=tuple(labels))


def check_labels(labels: Sequence[str], levels: int) -> None:
    """Refuse labels that are not one for each level.

    Raises:
        ValueError: With what would be right.
    """
    if len(labels) != levels:
        given = f"{len(labels)} label{'s' * (len(labels) != 1)}"
        raise ValueError(f"{given} for {levels} levels: give one for each, in their order")
    if twice := [one for one in labels if labels.count(one) > 1]:
        raise ValueError(f"the label {twice[0]!r} is there twice: give each level one of its own")


def factor_from_option(text: str, *, joint: bool = False) -> FactorLevels:
    """Return the factor of `--and`, such as `stem=7x7,3x3`.

    Raises:
        StudyError: No name, or no `=`.
        RecipeError: Levels that are not YAML.
    """
    word, equals, levels = text.partition("=")
    if not equals or not word.strip() or not levels.strip():
        raise StudyError(f"--and {text}: write a factor, =, and its levels, such as --and stem=7x7,3x3.")
    values = parse_value(f"[{levels}]")
    assert isinstance(values, list)  # noqa: S101 - the brackets say so
    return factor_from_text(word.strip(), values, joint=joint and BUNDLE in word)


def label(level: tuple[Any, ...]) -> str:
    """Return a level in words.

    >>> label(("adam", 0.001))
    'adam+0.001'
    """
    return BUNDLE.join(map(in_words, level))


def typed(level: tuple[Any, ...]) -> str:
    """Return a level as the command line takes it.

    >>> typed((["relu", "sigmoid"],))
    '[relu, sigmoid]'
    """
    return BUNDLE.join(value if isinstance(value, str) else write(value) for value in level)


def listed(labels: Sequence[str]) -> str:
    """Return labels one after the other, kept apart where one has a comma of its own.

    >>> listed(["relu", "relu, sigmoid"])
    'relu; relu, sigmoid'
    """
    return joined(labels, LIST if any("," in one for one in labels) else COMMA)


def word(factor: str | None) -> str:
    """Return a factor's path as a column is headed; nothing for a single trial.

    >>> word("optimizer.name+optimizer.lr")
    'optimizer+lr'
    >>> word("optimizer.name × schedule.name")
    'optimizer × schedule'
    """
    return read_factor(factor).word if factor else ""


def _values(level: Any, words: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the values of one level of a bundle."""
    if isinstance(level, list | tuple):
        values = tuple(level)
    else:
        values = tuple(parse_value(part) for part in BETWEEN_VALUES.split(str(level)))
    if len(values) != len(words):
        raise StudyError(
            f"the level {label(values)} of the bundle {BUNDLE.join(words)} has {len(values)} "
            f"value{'s' * (len(values) != 1)}: give {len(words)} joined by +, such as adam+0.001 for optimizer+lr."
        )
    return values
