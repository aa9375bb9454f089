"""List what a store has: its trials, each with study, arm and block, one of them in full; and its studies."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, get_args

from eailab.engines.registry import headline_of, metrics_of
from eailab.errors import EailabError, StoreError, UsageError
from eailab.plain import counted
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import NO_IDENTITY, to_yaml
from eailab.recipe.load import load
from eailab.recipe.override import changes_in_words, data_word, model_word
from eailab.runs.store import SHORT_NAME, State, Store, TrialSummary, summary
from eailab.runs.trial_folder import TrialFolder
from eailab.studies.factor import listed as labels_listed
from eailab.studies.heads import STEPS, STUDIES, Head, PathHead, Use, heads, path_heads, trial_names, uses
from eailab.studies.lookup import same_label, studies_called

TRIAL_HEADINGS = ("trial", "study", "arm", "block", "state", "score", "finished")


@dataclass(frozen=True)
class TrialFilter:
    """Choose which trials to list; None for all."""

    study: str | None = None
    arm: str | None = None
    block: int | None = None
    state: str | None = None
    recipe: str | None = None


@dataclass(frozen=True)
class Listed:
    """A trial in a list."""

    called: str
    """The shortest name that no other trial has."""
    summary: TrialSummary
    uses: tuple[Use, ...]
    """Where it stands in studies; first where it was looked for."""
    score: str
    """The last value of its study's metric; nothing while there is none."""

    @property
    def finished(self) -> str:
        """Return when it ended, in the time of this machine; nothing while it has not."""
        if self.summary.result is None:
            return ""
        try:
            ended = datetime.fromisoformat(self.summary.result.provenance["finished"])
        except (ValueError, TypeError):  # a file may hold anything
            return "?"
        return f"{ended.astimezone():%Y-%m-%d %H:%M}"

    @property
    def title(self) -> str:
        """Return what its curves are called: the first study that has it, or its recipe, and its arm and block."""
        if not self.uses:
            return f"{self.summary.recipe}, block {self.summary.block}"
        first = self.uses[0]
        arm = "" if first.head.factor is None else f" {first.head.arms[first.arm]}"
        return f"{first.head.name}{arm}, block {first.block}"

    @property
    def cells(self) -> tuple[str, ...]:
        """Return what a line says of it, as `TRIAL_HEADINGS` has it."""
        about = self.summary
        study, arm, block = about.recipe, "", "?" if about.block is None else str(about.block)
        if self.uses:
            first = self.uses[0]
            study, arm, block = first.head.name, first.label, str(first.block)
            study += f" +{len(self.uses) - 1}" * (len(self.uses) > 1)
        so_far = "" if about.state in ("finished", "damaged") else f" {about.epochs}/{about.planned or '?'}"
        return about.name[:SHORT_NAME], study, arm, block, about.state + so_far, self.score, self.finished

    def mapping(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        about = asdict(self.summary)
        result = about.pop("result")
        places = [
            {"study": one.head.name, "folder": one.head.called, "arm": one.label, "block": one.block}
            for one in self.uses
        ]
        finished = None if result is None else result["provenance"]["finished"]
        return {**about, "called": self.called, "uses": places, "score": self.score or None, "finished": finished}


def listed(store: Store, wanted: TrialFilter = TrialFilter(), among: Collection[str] | None = None) -> list[Listed]:
    """Return the trials of a store that are wanted, by study, arm and block; those of no study come last.

    Args:
        store: Where they lie.
        wanted: Of a study that no trial of the store has, its name is a mistake; of all else it fits none.
        among: Fingerprints; None for all.

    Raises:
        UsageError: There is no such study or state.
        StoreError: The system does not let us look.
    """
    if wanted.state is not None and wanted.state not in get_args(State):
        raise UsageError(f"there is no state {wanted.state}: choose from {', '.join(get_args(State))}.")
    found = heads(store.root)
    asked = found if wanted.study is None else studies_called(found, wanted.study, store.root)
    folders = {head.called for head in asked}
    table = uses(found)
    names = trial_names(table)
    lines = []
    for name in store.trial_names() if among is None else among:
        places = table.get(name, [])
        fitting = [one for one in places if one.head.called in folders and _is_wanted(one, wanted)]
        if not fitting and (wanted.study, wanted.arm) != (None, None):
            continue
        folder = store.folder(name)
        about = summary(folder)
        at = fitting[0].block if fitting else about.block
        if wanted.block in (None, at) and wanted.state in (None, about.state) and wanted.recipe in (None, about.recipe):
            ordered = (*fitting, *(one for one in places if one not in fitting))
            score = _score(folder, about, ordered)
            lines.append(Listed(names.get(name, name[:SHORT_NAME]), about, ordered, score))
    return sorted(lines, key=_place)


def _score(folder: TrialFolder, about: TrialSummary, uses: Sequence[Use]) -> str:
    """Write the last value of the metric of a trial's first study, or of its headline."""
    if about.result is None:
        return ""
    try:
        recipe = folder.recipe()
    except StoreError:  # `eailab runs show` says why
        return ""
    asked = uses[0].head.metric if uses else ""
    metric = next((one for one in metrics_of(recipe) if one.name == asked), headline_of(recipe))
    value = metric.value(about.result.values)
    return "" if value is None else metric.text(value)


def _is_wanted(use: Use, wanted: TrialFilter) -> bool:
    return wanted.arm is None or same_label(use.label, wanted.arm)


def _place(one: Listed) -> tuple[Any, ...]:
    if not one.uses:
        return True, one.summary.recipe, one.summary.block or 0, one.summary.name
    first = one.uses[0]
    return False, first.head.called, first.arm, first.block, one.summary.name


# --- one trial -------------------------------------------------------------------------------------------------------


def described(one: Listed) -> list[tuple[str, str]]:
    """Return what a trial is, line by line: its name, where it stands in studies, and how it differs from baselines."""
    about = one.summary
    lines = [("trial", about.name), ("called", one.called)]
    for use in one.uses:
        head = use.head
        arm = "" if head.factor is None else f", arm {use.label}"
        tuning = " (tuning)" if use.is_of_tuning else ""
        lines.append(("study", f"{head.called}{arm}, block {use.block}{tuning}"))
        if head.factor is not None and not use.is_of_tuning:
            lines.append(("baseline", _from_baseline(use)))
    lines += [
        ("state", about.state),
        ("recipe", about.recipe),
        ("block", "?" if about.block is None else str(about.block)),
        ("epochs", f"{about.epochs} of {'?' if about.planned is None else about.planned}"),
    ]
    return [*lines, ("problem", about.problem)] if about.problem else lines


def _from_baseline(use: Use) -> str:
    """Say in which settings a trial's arm differs from its study's baseline."""
    head = use.head
    if use.arm == head.baseline:
        return "this arm"
    try:
        from eailab.studies.storage import read_record

        arms = read_record(head.folder).study.arms
    except StoreError as error:
        return f"cannot be compared with: {error}"
    changes = changes_in_words(arms[head.baseline].recipe, arms[use.arm].recipe)
    differing = [said for path, said in changes.items() if path.partition(".")[0] not in NO_IDENTITY]
    return f"{head.arms[head.baseline]}; from it to this arm: {'; '.join(differing)}"


def recipe_lines(folder: TrialFolder) -> list[str]:
    """Return a trial's recipe with every default written out.

    One that cannot be read is said to be so, since the rest of the trial may be looked at for that very reason.
    """
    try:
        return to_yaml(load(str(folder.recipe_file)).recipe).splitlines()
    except EailabError as error:
        return [f"cannot be read: {error}"]


# --- studies ---------------------------------------------------------------------------------------------------------

STUDY_HEADINGS = ("study", "factor", "levels", "model", "data", "blocks", "finished", "folder")


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
        """Return what a line says of it, as `STUDY_HEADINGS` has it."""
        if self.problem is not None:
            return self.name, *["?"] * 6, self.folder
        done = f"{self.finished}/{self.trials}" if self.trials else "-"
        levels = labels_listed(self.levels)
        return self.name, self.factor or "-", levels, self.model, self.data or "-", str(self.blocks), done, self.folder

    def mapping(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self)


def listed_studies(store: Store) -> list[ListedStudy]:
    """Return the studies of a store, by folder.

    Raises:
        StoreError: The system does not let us look.
    """
    present = set(store.trial_names())
    known: list[Head | PathHead] = [*heads(store.root, STUDIES), *path_heads(heads(store.root, STEPS))]
    return sorted((_listed_study(store, head, present) for head in known), key=lambda one: one.folder)


def _listed_study(store: Store, head: Head | PathHead, present: set[str]) -> ListedStudy:
    try:
        factor, levels, recipes, blocks = _path_asks(head) if isinstance(head, PathHead) else _study_asks(head)
    except StoreError as error:
        return ListedStudy(head.name, "", (), "", "", 0, 0, 0, head.called, str(error))
    trials = set(head.trials.values())
    if isinstance(head, Head) and head.is_imported:
        return ListedStudy(head.name, factor, levels, "imported", "-", len(blocks), 0, 0, head.called)
    return ListedStudy(
        name=head.name,
        factor=factor,
        levels=levels,
        model=labels_listed(list(dict.fromkeys(model_word(one) for one in recipes))),
        data=labels_listed(list(dict.fromkeys(map(data_word, recipes)))),
        blocks=len(blocks),
        trials=len(trials),
        finished=sum(store.folder(name).result_file.is_file() for name in trials & present),
        folder=head.called,
    )


def _study_asks(head: Head) -> tuple[str, tuple[str, ...], list[Recipe], tuple[int, ...]]:
    """Return a study's factor, levels, recipes and blocks."""
    from eailab.studies.storage import read_record

    study = read_record(head.folder).study
    recipes = [arm.recipe for arm in study.arms]
    return (study.factor.word, head.arms, recipes, study.blocks) if study.factor else ("", (), recipes, study.blocks)


def _path_asks(head: PathHead) -> tuple[str, tuple[str, ...], list[Recipe], tuple[int, ...]]:
    """Return the same of a path ablation, whose levels are its two recipes."""
    from eailab.studies.path_run import read_path_ablation

    found = read_path_ablation(head.folder)
    of = "" if found.is_finished else f"{len(found.taken)} of "
    factor = f"path of {of}{counted(len(found.path.moves), 'step')}"
    return factor, found.path.names, [found.path.start, found.path.end], found.path.blocks
