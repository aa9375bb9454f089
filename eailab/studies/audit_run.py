"""Choose and repeat the trials that an audit of a program looks at: the first block, and one of the baseline again."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from eailab.engines.program.evidence import Evidence
from eailab.engines.registry import engine_of
from eailab.errors import DamagedError
from eailab.runs.context import Event, RunContext
from eailab.runs.executors import executor_for
from eailab.runs.store import Store
from eailab.runs.training import result_for
from eailab.runs.trial_folder import TrialFolder
from eailab.studies.audit import Check, audit
from eailab.studies.design import Study
from eailab.studies.storage import Plan, StudyRecord

AUDITS = "audits"
"""In the runs folder: a store of the runs that were made again, each under the name of the trial that it repeats."""
LOOKED_AT = 5
"""Blocks whose output is read: a report of a thousand trials does not read a thousand outputs again."""
ATTEMPTS = 2
"""At the run that is made again: one that something else has ended would leave the same seed unchecked."""
SETTING = "settings."
"""Of a program's recipe, before the name of a setting."""


def is_of_program(study: Study) -> bool:
    """Return whether the trials of a study run a program of a person's own."""
    return engine_of(study.arms[study.baseline].recipe).evidence is not None


def audited_first(plans: Iterable[Plan]) -> set[str]:
    """Return the names of the trials that an audit looks at before the others run."""
    names = set[str]()
    for record in (planned.record for planned in _audited(plans)):
        first, *more = record.study.blocks
        keys = [(arm, first) for arm in range(len(record.study.arms))]
        twice = {record.study.baseline, *unseen(record.study)}
        keys += [(arm, block) for block in more[:1] for arm in sorted(twice)]
        names |= {record.trials[key] for key in keys}
    return names


def unseen(study: Study) -> list[int]:
    """Return the arms whose command shows no seed, so that only two runs tell whether they take one."""
    return [index for index, arm in enumerate(study.arms) if not arm.recipe.shows_seed]


def checked_first(plans: Iterable[Plan], context: RunContext, *, are_new: bool) -> list[Check]:
    """Run the baseline's first trial again, and return what the first trials show.

    Args:
        plans: Of which the first trials have been run.
        context: Of the trials in training.
        are_new: Whether one of these was run just now; where not, and nothing is run again, only failures are
            returned: the same command a second time is refused as the first was.

    Raises:
        StoppedError: `context.should_stop` said so.
    """
    checks = list[Check]()
    for planned in _audited(plans):
        if repeat(planned, context) or are_new:
            checks += checks_of(context.store, planned.record)
        else:
            study = planned.record.study
            seen = replace(study, blocks=study.blocks[:LOOKED_AT])
            checks += [
                one for one in checks_of(context.store, replace(planned.record, study=seen)) if one.state == "failed"
            ]
    return checks


def _audited(plans: Iterable[Plan]) -> list[Plan]:
    return [planned for planned in plans if planned.is_recorded and is_of_program(planned.record.study)]


def repeat(planned: Plan, context: RunContext) -> bool:
    """Run the first trial of the baseline again, in a store of its own; return whether that was done just now.

    A trial that was repeated is left alone, and so are one without values and those of a program without a seed.

    Raises:
        StoppedError: `context.should_stop` said so.
    """
    study = planned.record.study
    name = planned.record.trials[study.baseline, study.blocks[0]]
    elsewhere = replace(context, runs_dir=context.runs_dir / AUDITS, on_event=_ignored)
    has_no_seed = not study.arms[study.baseline].recipe.shares_seeds
    trial = next(one for one in planned.trials if one.fingerprint == name)
    first = context.store.folder(name).result()
    has_values = first is not None and first.status == "finished"
    if has_no_seed or not has_values or result_for(trial, elsewhere.store.folder(name)) is not None:
        return False
    for _ in range(ATTEMPTS):
        executor_for(elsewhere.on, 1).run([trial], elsewhere)
        if result_for(trial, elsewhere.store.folder(name)) is not None:
            break
    return True


def checks_of(store: Store, record: StudyRecord) -> list[Check]:
    """Return the checks of a program's study, from its finished trials and the one that was run again."""
    study = record.study
    arms = range(len(study.arms))
    folders = {key: store.folder(name) for key, name in record.trials.items() if key[1] in study.blocks}
    metrics = {key: _metrics(folder) for key, folder in folders.items()}
    runs = [
        found
        for block in study.blocks[:LOOKED_AT]
        for index in arms
        if (found := _evidence(study, index, block, folders[index, block], metrics[index, block])) is not None
    ]
    values = [[study.measure.value(metrics[index, block] or {}) for index in arms] for block in study.blocks]
    first = (study.baseline, study.blocks[0])
    again = Store(store.root / AUDITS).folder(record.trials[first])
    repeated = _evidence(study, *first, again, _metrics(again))
    others = [study.arms[index].label for index in unseen(study)]
    baseline = study.arms[study.baseline]
    return audit(
        runs,
        repeated,
        study.measure,
        _factor(study),
        baseline.label,
        values,
        others,
        takes_seeds=baseline.recipe.shares_seeds,
        leaves_files=baseline.recipe.leaves_files,
    )


def _ignored(event: Event) -> None:
    """Ignore the events of a trial that runs again: it is not one of the study's."""


def _metrics(folder: TrialFolder) -> Mapping[str, float] | None:
    """Return the values of a trial; None of one that has not finished, or has failed."""
    found: Mapping[str, Any] | None = None
    with suppress(DamagedError):
        found = folder.record()
    return found["metrics"] if found is not None and found["status"] == "finished" else None


def _evidence(
    study: Study, index: int, block: int, folder: TrialFolder, metrics: Mapping[str, float] | None
) -> Evidence | None:
    """Return what a run with these metrics has left; None where it has none."""
    arm = study.arms[index]
    evidence = engine_of(arm.recipe).evidence
    if metrics is None or evidence is None:
        return None
    return evidence(arm.recipe, arm.label, block, metrics, folder.path)


def _factor(study: Study) -> dict[str, list[str]]:
    """Return each varied setting of a program and its levels; none where whole commands vary."""
    paths = [path for one in study.factor.factors for path in one.settings] if study.factor else []
    names = [path.removeprefix(SETTING) for path in paths if path.startswith(SETTING)]
    return {name: [str(arm.recipe.own_settings[name]) for arm in study.arms] for name in names}
