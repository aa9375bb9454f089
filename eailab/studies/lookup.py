"""Find the studies and trials that names mean: the one way from a name to them."""

import difflib
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eailab.errors import UsageError

if TYPE_CHECKING:
    from eailab.runs.store import Store
    from eailab.runs.trial_folder import TrialFolder
from eailab.studies.heads import STEPS_FOLDER, Head, PathHead, Use, heads, path_heads, trial_names, uses

SHOWN = 6
"""Names in a message."""
_PARTS = re.compile(r"([/,×]|(?<![0-9][eE])\+)")


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
                for (arm, block), trial in (*head.trials.items(), *head.tuning.items()):
                    places = [f"{head.labels[arm]}/{block}", *([str(block)] if len(head.arms) == 1 else [])]
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
