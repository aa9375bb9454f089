"""What the studies and trials of a store are called, and the one way from a name to them.

Only the heads of studies' records are read, without recipes and without numpy, so that a shell may ask at each key.
"""

import difflib
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from eailab.errors import StoreError, UsageError
from eailab.files import STUDY, read
from eailab.studies.factor import label

if TYPE_CHECKING:
    from eailab.runs.store import Store
    from eailab.runs.trial_folder import TrialFolder
    from eailab.studies.record import StudyRecord

STEPS_FOLDER, ENDS = "steps", "ends"
"""Within a path ablation's folder: its studies, by step, and the one that compares its two recipes."""
STUDIES = "studies/*/study.yaml"
STEPS = f"studies/*/{STEPS_FOLDER}/*/study.yaml"
"""Where the records of studies, and of the steps of path ablations, lie in a runs folder."""

SHOWN = 6
"""Names in a message."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Of YAML: libyaml, where it is there, reads ten times as fast."""
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, yaml.YAMLError)
"""Raised where a record holds other things than it should."""

_OTHER = re.compile(
    r"^(?:  recipe:\n(?:(?: {4}.*)?\n)+"
    r"|  (?:brought|updates):.*\n(?:  (?:- |  ).*\n)*"
    r"|(?:blocks|looks|axes|data|schema_version|fingerprint|margin|hold|training_images):.*\n(?:(?:- |  ).*\n)*)",
    re.MULTILINE,
)
"""What a head lacks of a record, which takes nine tenths of the time to read."""
_PARTS = re.compile(r"([/,×]|(?<![0-9][eE])\+)")


@dataclass(frozen=True)
class Head:
    """A study, as far as finding it and its trials goes."""

    folder: Path
    name: str
    """The study's own, which several studies may have."""
    factor: str | None
    """Dotted path of the varied field; None where there is one arm."""
    baseline: int
    metric: str
    arms: tuple[str, ...]
    """Labels."""
    trials: Mapping[tuple[int, int], str]
    """Fingerprint of each trial by arm index and block."""
    has_labels: bool = False
    """Whether a study file labels the arms; such a label says nothing without its study."""

    @property
    def called(self) -> str:
        """The name that no other study of the store has: its folder's, with the path's before a step's."""
        folder = self.folder
        return "/".join(folder.parts[-3:]) if folder.parent.name == STEPS_FOLDER else folder.name

    @property
    def names(self) -> tuple[str, ...]:
        """All that the study is called."""
        own = (self.called,) if "/" in self.called else (self.called.rpartition("-")[0], self.called)
        return self.name, *own


@dataclass(frozen=True)
class Use:
    """A trial as a study has it."""

    head: Head
    arm: int
    block: int

    @property
    def names(self) -> tuple[str, ...]:
        """All that the trial is called: `ARM/BLOCK`, `STUDY/ARM/BLOCK`, and where there is one arm `STUDY/BLOCK`."""
        place = f"{self.head.arms[self.arm]}/{self.block}"
        studies = [f"{name}/" for name in self.head.names]
        alone = [f"{study}{self.block}" for study in studies] if len(self.head.arms) == 1 else []
        return (place, *(f"{study}{place}" for study in studies), *alone)

    @property
    def shown(self) -> tuple[str, str, str]:
        """What tables call the trial, from the shortest name to the one that no other trial has; "" for none."""
        head, place = self.head, f"{self.head.arms[self.arm]}/{self.block}"
        if len(head.arms) == 1:
            return f"{head.name}/{self.block}", f"{head.name}/{place}", f"{head.called}/{self.block}"
        return "" if head.has_labels else place, f"{head.name}/{place}", f"{head.called}/{place}"

    @property
    def lasting(self) -> str:
        """The name that stays the trial's alone, whatever else is trained."""
        return self.shown[-1]


@dataclass(frozen=True)
class PathHead:
    """A path ablation, as far as finding it and its trials goes."""

    folder: Path
    steps: tuple[Head, ...]
    """Its studies: the two ends, and each step that was reached."""

    @property
    def called(self) -> str:
        """The name that no other study of the store has."""
        return self.folder.name

    @property
    def name(self) -> str:
        """Its own, which several may have."""
        return self.called.rpartition("-")[0]

    @property
    def names(self) -> tuple[str, ...]:
        """All that it is called."""
        return self.name, self.called

    @property
    def trials(self) -> Mapping[tuple[int, int, int], str]:
        """Fingerprint of each trial by study, arm index and block."""
        return {(at, *key): trial for at, head in enumerate(self.steps) for key, trial in head.trials.items()}


def heads(runs: Path, *patterns: str) -> list[Head]:
    """Return the heads of the studies of a runs folder, by folder; one that cannot be read has its folder's name.

    Args:
        runs: The folder.
        patterns: `STUDIES`, `STEPS`; both where none is given.
    """
    return [_head(file) for pattern in patterns or (STUDIES, STEPS) for file in sorted(runs.glob(pattern))]


def check_baseline(index: object, count: int) -> None:
    """Raise ValueError unless this is the index of one of so many."""
    if type(index) is not int or not 0 <= index < count:
        raise ValueError(f"its baseline, {index!r:.60}, is not the place of one of {count}")


def _head(file: Path) -> Head:
    try:
        mapping: Any = yaml.load(_OTHER.sub("", read(file, STUDY).decode()), LOADER)  # noqa: S506 - both are safe
        arms = mapping["arms"]
        check_baseline(mapping["baseline"], len(arms))
        return Head(
            folder=file.parent,
            name=str(mapping["name"]),
            factor=mapping["factor"],
            baseline=mapping["baseline"],
            metric=str(mapping["metric"]),
            arms=tuple(str(arm.get("label") or label((arm["level"],))) for arm in arms),
            trials={
                (index, int(block)): str(trial)
                for index, arm in enumerate(arms)
                for block, trial in arm["trials"].items()
            },
            has_labels=any("label" in arm for arm in arms),
        )
    except (OSError, StoreError, *UNREADABLE):
        return Head(file.parent, file.parent.name.rpartition("-")[0], None, 0, "", (), {})


def head_of(record: "StudyRecord") -> Head:
    """Return the head of a study that has been read."""
    study = record.study
    labels = tuple(arm.label for arm in study.arms)
    return Head(
        folder=Path(study.folder_name),
        name=study.name,
        factor=None if study.factor is None else str(study.factor),
        baseline=study.baseline,
        metric=study.metric,
        arms=labels,
        trials=record.trials,
        has_labels=any(arm.name for arm in study.arms),
    )


def path_heads(found: Iterable[Head]) -> list[PathHead]:
    """Return the path ablations that some steps belong to, by folder."""
    steps: dict[Path, list[Head]] = defaultdict(list)
    for head in found:
        if head.folder.parent.name == STEPS_FOLDER:
            steps[head.folder.parents[1]].append(head)
    return [PathHead(folder, tuple(steps[folder])) for folder in sorted(steps)]


def uses(found: Iterable[Head]) -> dict[str, list[Use]]:
    """Return where each trial stands in studies, by its fingerprint."""
    table: dict[str, list[Use]] = defaultdict(list)
    for head in found:
        for (arm, block), trial in head.trials.items():
            table[trial].append(Use(head, arm, block))
    return dict(table)


def trial_names(table: Mapping[str, Sequence[Use]]) -> dict[str, str]:
    """Return the shortest name of each trial that no other trial has, by its fingerprint."""
    meant: dict[str, set[str]] = defaultdict(set)
    for trial, places in table.items():
        for place in places:
            for name in place.names:
                meant[name].add(trial)
    return {
        trial: next(place.shown[at] for at in range(3) for place in places if len(meant.get(place.shown[at], ())) == 1)
        for trial, places in table.items()
    }


# --- from a name -----------------------------------------------------------------------------------------------------


def studies_called(found: Sequence[Head], text: str, where: object) -> list[Head]:
    """Return the studies of a name; a path ablation's name is that of all its studies. See `one_study`.

    Args:
        found: Studies and steps of path ablations that may be meant.
        text: Several studies may have one name of their own; the beginning of a name has to be of one study.
        where: What a message calls the place that was looked in.

    Raises:
        UsageError: There is none, or several begin like this; the message has the nearest names.
    """
    fitting = called(found, text, where)
    return [head for one in fitting for head in (one.steps if isinstance(one, PathHead) else (one,))]


def one_study(found: Sequence[Head], text: str, where: object) -> Head | PathHead:
    """Return the one study, or path ablation, of a name: its own, its folder's, or the beginning of one.

    Raises:
        UsageError: There is none, or there are several.
    """
    fitting = called(found, text, where)
    if len(fitting) > 1:
        names = _listed(one.called for one in fitting)
        raise UsageError(f"{text} may be {len(fitting)} studies of {where}: {names}. Write one of these names.")
    return fitting[0]


def called(found: Sequence[Head], text: str, where: object) -> list[Head | PathHead]:
    """Return the studies and path ablations of a name; see `studies_called`."""
    paths = path_heads(found)
    steps = [head for path in paths for head in path.steps]
    known: list[Head | PathHead] = [*(head for head in found if head.folder.parent.name != STEPS_FOLDER), *paths]
    if exact := [one for one in known if text in one.names] or [one for one in steps if text in one.names]:
        return list(exact)
    if begun := [one for one in known if text and any(name.startswith(text) for name in one.names)]:
        if len(begun) == 1:
            return begun
        names = _listed(one.called for one in begun)
        raise UsageError(f"{len(begun)} studies in {where} begin with {text}: {names}. Write one of these names.")
    uses = Counter(one.name for one in known)
    near = _nearest(text, [one.name if uses[one.name] == 1 else one.called for one in known])
    raise UsageError(
        f"there is no study {text} in {where}. " + (f"Nearest: {_listed(near)}." if near else "It has none.")
    )


def _nearest(text: str, names: Iterable[str]) -> list[str]:
    """Return names, those that are most like a text first."""

    def unlike(name: str) -> tuple[bool, float, str]:
        one, other = text.casefold(), name.casefold()
        return not one or one not in other, -difflib.SequenceMatcher(None, one, other).ratio(), name

    return sorted(set(names), key=unlike)


def existing(runs: Path) -> "Store":
    """Return the store of a folder that is only read.

    Raises:
        UsageError: There is no such folder.
    """
    from eailab.runs.store import Store

    if not runs.is_dir():
        raise UsageError(
            f"there is no folder {runs}: name the one that has your trials with --runs, or train something, such as "
            "`eailab ablate batch-size 16 32 64 --recipe digits-mlp`."
        )
    return Store(runs)


def find_trial(store: "Store", text: str) -> "TrialFolder":
    """Return the trial that a text names; see `find_fingerprint`. The path of a trial's folder names it too.

    Raises:
        UsageError: No trial, or several, are meant.
    """
    from eailab.runs.trial_folder import TrialFolder

    path = Path(text)
    if text and any((path / name).is_file() for name in ("result.json", "recipe.yaml")):
        return TrialFolder(path)
    return existing(store.root).folder(find_fingerprint(heads(store.root), store.trial_names(), text, store.root))


def find_fingerprint(found: Sequence[Head], among: Collection[str], text: str, where: object) -> str:
    """Return the fingerprint of the trial that a text names: the beginning of one, or `[STUDY/]ARM/BLOCK`.

    Args:
        found: Studies that may be meant.
        among: Fingerprints that may be meant.
        text: STUDY as for `studies_called`; ARM as tables have it, or as it was typed.
        where: What a message calls the place that was looked in.

    Raises:
        UsageError: No trial, or several, are meant; the message says which names there are.
    """
    fitting = {name for name in among if text and name.startswith(text)}
    table = uses(found)
    if not fitting:
        fitting = {trial for trial, places in table.items() if _fits(places, text)} or _by_beginning(found, text)
        planned, fitting = fitting, fitting & set(among)
        if planned and not fitting:
            raise UsageError(f"the trial {text} is not trained yet: its study's command trains it.")
    if len(fitting) == 1:
        return fitting.pop()
    names = trial_names(table)
    called = sorted(names.get(trial, trial) for trial in fitting)
    if called:
        raise UsageError(f"{text} may be {len(called)} trials of {where}: {_listed(called)}. Write one of these names.")
    known = [names.get(trial, trial) for trial in among]
    such = f", such as {_listed(near)}" if (near := _nearest(text, known)[:3]) else ""
    raise UsageError(
        f"no trial of {where} is called {text!r:.80}: write [STUDY/]ARM/BLOCK or the beginning of a fingerprint, as "
        f"`eailab runs list` shows them{such}."
    )


def _fits(places: Sequence[Use], text: str) -> bool:
    return _plain(text) in {_plain(name) for place in places for name in place.names}


def _by_beginning(found: Sequence[Head], text: str) -> set[str]:
    """Return the trials whose study's name begins with the first part of a text, and whose place is the rest."""
    fitting = set()
    for slash in re.finditer("/", text):
        begin, rest = text[: slash.start()], _plain(text[slash.end() :])
        for head in found:
            if begin and any(name.startswith(begin) for name in head.names):
                for (arm, block), trial in head.trials.items():
                    places = [f"{head.arms[arm]}/{block}", *([str(block)] if len(head.arms) == 1 else [])]
                    fitting |= {trial for place in places if _plain(place) == rest}
    return fitting


def same_label(label: str, typed: str) -> bool:
    """Return whether a text means an arm of this label."""
    return _plain(label) == _plain(typed)


def _plain(name: str) -> str:
    """Return a name in the one way of many to write it: `1e-3` is `0.001`, `[relu,sigmoid]` is `relu, sigmoid`.

    >>> _plain("adam+1e-3 x steplr/0") == _plain("adam+0.001 × steplr/0")
    True
    """
    return "".join(_number(part.strip()) for part in _PARTS.split(re.sub(r"[\[\]]", "", name.replace(" x ", " × "))))


def _number(text: str) -> str:
    try:
        return repr(float(text))
    except ValueError:
        return text


def _listed(names: Iterable[str]) -> str:
    every = list(map(shlex.quote, names))
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more
