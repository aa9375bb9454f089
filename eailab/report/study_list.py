"""The studies of a store in a list: what each asks, of which model and data, and how far it has come."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from eailab.errors import StoreError
from eailab.plain import counted
from eailab.recipe.naming import data_word
from eailab.runs.store import Store
from eailab.studies.factor import listed as labels_listed
from eailab.studies.lookup import STEPS, STUDIES, Head, PathHead, heads, path_heads
from eailab.studies.path_run import read_path_ablation
from eailab.studies.record import read_record

HEADINGS = ("study", "factor", "levels", "model", "data", "blocks", "finished", "folder")


@dataclass(frozen=True)
class ListedStudy:
    """A study in a list."""

    name: str
    """Its own, which several may have."""
    factor: str
    levels: tuple[str, ...]
    model: str
    data: str
    blocks: int
    trials: int
    finished: int
    """Trials with a result."""
    folder: str
    """Its name below `studies/`."""
    problem: str | None = None
    """Why it cannot be read."""

    @property
    def cells(self) -> tuple[str, ...]:
        """What a line says of it, as `HEADINGS` has it."""
        if self.problem is not None:
            return self.name, *["?"] * 6, self.folder
        done = f"{self.finished}/{self.trials}"
        levels = labels_listed(self.levels)
        return self.name, self.factor or "-", levels, self.model, self.data, str(self.blocks), done, self.folder

    def mapping(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self)


def listed_studies(store: Store) -> list[ListedStudy]:
    """Return the studies of a store, by folder.

    Raises:
        StoreError: The system does not let us look.
    """
    present = set(store.trial_names())
    studies = [_listed(store, head, present) for head in heads(store.root, STUDIES)]
    paths = [_listed_path(store, path, present) for path in path_heads(heads(store.root, STEPS))]
    return sorted([*studies, *paths], key=lambda one: one.folder)


def _listed_path(store: Store, path: PathHead, present: set[str]) -> ListedStudy:
    """Return a path ablation's line: its levels are its two recipes."""
    try:
        found = read_path_ablation(path.folder)
    except StoreError as error:
        return ListedStudy(path.name, "", (), "", "", 0, 0, 0, path.called, str(error))
    steps = counted(len(found.path.moves), "step")
    of = "" if found.is_finished else f"{len(found.taken)} of "
    ends = [found.path.start, found.path.end]
    trials = set(path.trials.values())
    return ListedStudy(
        name=path.name,
        factor=f"path of {of}{steps}",
        levels=found.path.names,
        model=labels_listed(list(dict.fromkeys(one.model.name for one in ends))),
        data=labels_listed(list(dict.fromkeys(map(data_word, ends)))),
        blocks=len(found.path.blocks),
        trials=len(trials),
        finished=_finished(store, trials & present),
        folder=path.called,
    )


def _finished(store: Store, trials: Iterable[str]) -> int:
    return sum(store.folder(name).result_file.is_file() for name in trials)


def _listed(store: Store, head: Head, present: set[str]) -> ListedStudy:
    try:
        study = read_record(head.folder).study
    except StoreError as error:
        return ListedStudy(head.name, "", (), "", "", 0, 0, 0, head.called, str(error))
    recipes = [arm.recipe for arm in study.arms]
    trials = set(head.trials.values())
    return ListedStudy(
        name=head.name,
        factor=study.factor.word if study.factor else "",
        levels=head.arms if study.factor else (),
        model=labels_listed(list(dict.fromkeys(one.model.name for one in recipes))),
        data=labels_listed(list(dict.fromkeys(map(data_word, recipes)))),
        blocks=len(study.blocks),
        trials=len(trials),
        finished=_finished(store, trials & present),
        folder=head.called,
    )
