"""What a study is asked to vary: one setting, or a declared bundle of settings that move together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eailab.errors import StudyError
from eailab.recipe.describe import in_words
from eailab.recipe.factors import resolve
from eailab.recipe.schema import Recipe
from eailab.recipe.yaml12 import parse_value, write

BUNDLE = "+"
"""Joins the settings of a bundle, and the values of one of its levels: `optimizer+lr`, `adam+0.001`."""
CROSS = " × "
"""Joins the factors of a factorial, and the levels of one of its arms."""

BETWEEN_VALUES = re.compile(r"(?<![0-9][eE])\+")  # but not within 1e+3


@dataclass(frozen=True)
class Factor:
    """A factor and its levels, as they were asked for; nothing is checked against a recipe yet."""

    words: tuple[str, ...]
    """A setting's short name or dotted path; several for a bundle."""
    levels: tuple[tuple[Any, ...], ...]
    """Values, each level with one for every word."""
    baseline: tuple[Any, ...] | None = None
    """The level that the others are compared with; None for the recipe's own, else the first."""
    names: tuple[str, ...] = ()
    """What a study file calls the levels; empty for `label` of each."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What each level is called in tables and figures."""
        return self.names or tuple(map(label, self.levels))

    @property
    def text(self) -> str:
        """The factor as it was typed."""
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


def factor_from_text(text: str, levels: Sequence[Any], baseline: Any | None = None, *, joint: bool = False) -> Factor:
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
            f"{text} changes {len(words)} settings at once, so no difference could be laid to one of them: "
            "add --joint to compare the bundle as a whole, or name one setting."
        )
    if len(words) == 1:
        if joint:
            raise StudyError(f"--joint bundles settings, and {text} is one: join several by +, such as optimizer+lr.")
        return Factor(words, tuple((level,) for level in levels), None if baseline is None else (baseline,))
    return Factor(
        words,
        tuple(_values(level, words) for level in levels),
        None if baseline is None else _values(baseline, words),
    )


def factor_from_option(text: str, *, joint: bool = False) -> Factor:
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
    return ("; " if any("," in one for one in labels) else ", ").join(labels)


def joined(paths: Sequence[str]) -> str:
    """Return the path of a factor; that of a bundle names all its settings."""
    return BUNDLE.join(paths)


def crossed(factors: Sequence[str]) -> str:
    """Return the path of a factorial, or the label of one of its arms."""
    return CROSS.join(factors)


def settings_of(factor: str) -> list[str]:
    """Return the dotted paths of all settings that a factor's path names.

    >>> settings_of("optimizer.name+optimizer.lr × model.stem")
    ['optimizer.name', 'optimizer.lr', 'model.stem']
    """
    return [path for one in factor.split(CROSS) for path in one.split(BUNDLE)]


def word(factor: str | None) -> str:
    """Return a factor as a column is headed; nothing for a single trial.

    >>> word("optimizer.name+optimizer.lr")
    'optimizer+lr'
    >>> word("optimizer.name × schedule.name")
    'optimizer × schedule'
    """
    return CROSS.join(BUNDLE.join(_leaf(path) for path in one.split(BUNDLE)) for one in (factor or "").split(CROSS))


def _leaf(path: str) -> str:
    return path.removesuffix(".name").rpartition(".")[2]


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
