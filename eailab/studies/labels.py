"""Call the levels of finished studies otherwise in a report: what was asked for, and the studies with these names."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from eailab.errors import UsageError
from eailab.recipe.describe import nearest
from eailab.recipe.parts import PRINTABLE
from eailab.studies.design import FactorialAxis, Study
from eailab.studies.factor import BUNDLE, CROSS, LONGEST_LABEL, factor_of, label, listed
from eailab.studies.lookup import same_label
from eailab.studies.storage import StudyRecord
from eailab.studies.tuning_file import TunedArm, Tuning

Names = Mapping[str, str]
"""What a report calls the arms of a study, by their own labels; of tuned arms also by what they were called before."""

OPTION = "--label"
EXAMPLE = f"such as {OPTION} 16=small"


@dataclass(frozen=True)
class Named:
    """A study of a report, whose levels may be called otherwise."""

    folder: str
    record: StudyRecord
    tuning: Tuning | None

    @property
    def study(self) -> Study:
        """Return the study as the store has it."""
        return self.record.study

    @property
    def befores(self) -> tuple[TunedArm, ...]:
        """Return its tuned arms; none where it is not tuned."""
        return () if self.tuning is None else self.tuning.arms


@dataclass(frozen=True)
class _Level:
    """A place where a report says a level."""

    at: Named
    factor: str
    """As a column is headed."""
    label: str
    typed: str
    """Its value in words, which a person may have called otherwise."""
    axis: int | None = None
    """Of a factorial: which of its factors has the level; None for an arm."""


def names_for(asked: Sequence[str], studies: Sequence[Named]) -> dict[str, dict[str, str]]:
    """Return what each study's arms are to be called, by its folder, as texts such as `16=small` ask for.

    Where several factors have the level, a text is such as `lr:0.001=usual`.

    Raises:
        UsageError: A text without a name, a level that no study has or several factors have, or a name that is another
            level's.
    """
    levels = [level for one in studies for level in _levels(one)]
    chosen: dict[tuple[str, str, int | None], str] = {}
    for text in asked:
        meant, name = _meant(text, levels)
        if len(name) > LONGEST_LABEL or not re.search(PRINTABLE, name) or CROSS.strip() in name:
            raise UsageError(
                f"{OPTION} {text:.200}: a label is a line of 1 to {LONGEST_LABEL} printable characters without "
                f"{CROSS.strip()}."
            )
        chosen |= {(level.at.folder, level.label, level.axis): name for level in meant}
    return {one.folder: dict(_names(one, chosen)) for one in studies if any(place[0] == one.folder for place in chosen)}


def _levels(one: Named) -> Iterator[_Level]:
    """Yield the levels of a study: of its arms, of each factor of a factorial, and of arms before they were tuned."""
    study = one.study
    if study.factor is None:
        return
    for arm in study.arms:
        yield _Level(one, study.factor.word, arm.label, label((arm.level,)))
    for number, axis in enumerate(study.axes):
        for said in axis.levels:
            yield _Level(one, axis.factor.word, said, said, number)
    known = {arm.label for arm in study.arms}
    tuned = {path for arm in one.befores for path in arm.settings}
    own = factor_of([path for path in study.factor.settings if path not in tuned] or study.factor.settings)
    for was in dict.fromkeys(arm.before for arm in one.befores):
        if was not in known:
            yield _Level(one, own.word, was, was)


def _meant(text: str, levels: Sequence[_Level]) -> tuple[list[_Level], str]:
    """Return the levels that a text calls otherwise, and the name."""
    places = [match.start() for match in re.finditer("=", text)]
    if not places or not all(part.strip() for part in (text[: places[0]], text[places[-1] + 1 :])):
        raise UsageError(f"{OPTION} {text:.200}: write a level, =, and what it is to be called, {EXAMPLE}.")
    for place in reversed(places):
        said, name = text[:place].strip(), text[place + 1 :].strip()
        if found := [one for one in levels if _is(one, said)]:
            break
        factor, _, level = said.partition(":")
        if found := [one for one in levels if _is_of(one, factor) and _is(one, level.strip())]:
            break
    else:
        said = text[: places[0]].strip()
        known = list(dict.fromkeys(said for one in levels for said in (one.label, one.typed)))
        shown = dict.fromkeys(one.label if one.typed == one.label else f"{one.label} ({one.typed})" for one in levels)
        raise UsageError(
            f"{OPTION} {text:.200}: no study of the report has a level {said!r:.80}{nearest(said, known)}. Its levels "
            f"are {listed(list(shown)) or 'none'}."
        )
    if len(factors := list(dict.fromkeys(one.factor for one in found))) > 1:
        raise UsageError(
            f"{OPTION} {text:.200}: {said} is a level of {' and of '.join(factors)}: write which one is meant, "
            f"such as {OPTION} '{factors[0]}:{text:.200}'."
        )
    return found, name


def _is(level: _Level, said: str) -> bool:
    return same_label(level.label, said) or same_label(level.typed, said)


def _is_of(level: _Level, factor: str) -> bool:
    """Return whether a factor is called so: by its word, or the dotted path of its one setting."""
    said = factor.strip().replace("-", "_")
    return said == level.factor or any(
        said == str(one) and one.word == level.factor
        for one in (() if level.at.study.factor is None else (level.at.study.factor, *level.at.study.factor.factors))
    )


def _names(one: Named, chosen: Mapping[tuple[str, str, int | None], str]) -> Iterator[tuple[str, str]]:
    """Yield each arm's label that is called otherwise, and the name."""
    study, folder = one.study, one.folder
    combinations = list(product(*(axis.levels for axis in study.axes))) if study.axes else [()] * len(study.arms)
    before = {label: arm.before for arm in one.befores for label in arm.labels}
    for arm, levels in zip(study.arms, combinations, strict=True):
        own, was = arm.label, before.get(arm.label, arm.label)
        if (name := chosen.get((folder, own, None))) is not None:
            yield own, name
        elif (name := chosen.get((folder, was, None))) is not None and own.startswith(f"{was}{BUNDLE}"):
            yield own, f"{name}{own.removeprefix(was)}"
        elif any((folder, level, number) in chosen for number, level in enumerate(levels)):
            yield own, CROSS.join(chosen.get((folder, level, number), level) for number, level in enumerate(levels))
    for was in before.values():
        if (name := chosen.get((folder, was, None))) is not None:
            yield was, name


def asked_for(one: Named, names: Names) -> Iterator[str]:
    """Yield the texts that `names_for` makes these names of, such as `lr:0.001=usual`."""
    of_tuned = {label: names[arm.before] for arm in one.befores if arm.before in names for label in arm.labels}
    count = len(one.study.axes)
    for level in _levels(one):
        if level.axis is not None:
            parts = [(own.split(CROSS), name.split(CROSS)) for own, name in names.items()]
            found = {
                name[level.axis]
                for own, name in parts
                if len(own) == len(name) == count and own[level.axis] == level.label
            } - {level.label}
        else:
            name = names.get(level.label)
            is_whole = count == 0 or CROSS not in (name or "")
            is_own = level.label not in of_tuned or not (name or "").startswith(f"{of_tuned[level.label]}{BUNDLE}")
            found = {name} if name is not None and is_whole and is_own else set()
        for name in sorted(found):
            yield f"{level.factor}:{level.label}={name}"


# --- the studies with these names ------------------------------------------------------------------------------------


def renamed(record: StudyRecord, names: Names) -> StudyRecord:
    """Return a record whose arms are called otherwise.

    Raises:
        UsageError: A name is another level's, or of none.
    """
    if not names:
        return record
    study = record.study
    arms = tuple(replace(arm, name=names[arm.label]) if arm.label in names else arm for arm in study.arms)
    for own, name in names.items():
        if len(name) > LONGEST_LABEL * (len(study.axes) + 2) or not re.search(PRINTABLE, name):
            raise UsageError(f"{name!r:.80} is not a label: one is a line of printable characters.")
        if name in {*names, *(arm.label for arm in study.arms)} - {own}:
            raise UsageError(f"{own} cannot be called {name}, which another level is called: choose another label.")
    shown = [arm.label for arm in arms]
    _refuse_two(shown)
    axes = tuple(_axis(study, number, shown) for number in range(len(study.axes)))
    return replace(record, study=replace(study, arms=arms, axes=axes))


def _axis(study: Study, number: int, shown: Sequence[str]) -> FactorialAxis:
    """Return a factor of a factorial with its levels as all arms are called that name them.

    A combination that has a name of its own names no level.
    """
    axis, levels = study.axes[number], []
    combinations = list(product(*(one.levels for one in study.axes)))
    for level in axis.levels:
        named = {
            parts[number]
            for said, combination in zip(shown, combinations, strict=True)
            if combination[number] == level and len(parts := said.split(CROSS)) == len(study.axes)
        }
        levels.append(named.pop() if len(named) == 1 else level)
    return replace(axis, levels=tuple(levels))


def renamed_tuning(tuning: Tuning | None, names: Names) -> Tuning | None:
    """Return how arms were tuned, the arms called otherwise."""
    if tuning is None or not names:
        return tuning
    arms = tuple(
        replace(
            arm,
            label=names.get(arm.label, arm.label),
            before=names.get(arm.before, arm.before),
            carried=tuple(replace(one, label=names.get(one.label, one.label)) for one in arm.carried),
        )
        for arm in tuning.arms
    )
    _refuse_two([arm.before for arm in arms])
    return replace(tuning, arms=arms)


def _refuse_two(shown: Sequence[str]) -> None:
    if twice := [one for one in shown if shown.count(one) > 1]:
        raise UsageError(f"two levels cannot both be called {twice[0]}: give each a label of its own.")
