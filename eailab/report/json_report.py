"""Render findings as JSON for programs: every number, unrounded, in bytes that depend on the trials alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from eailab.findings.ablation import ablations
from eailab.findings.arm import ArmFindings
from eailab.findings.costs import ArmCost
from eailab.findings.noise import Noise
from eailab.findings.path import PathFindings
from eailab.findings.study import StudyFindings
from eailab.findings.trial import TrialFindings
from eailab.metrics import NO_SPLIT, SPLITS, TRAIN, VALIDATION, Metric, recorded
from eailab.plain import layout
from eailab.report.document import Document
from eailab.stats.model import ArmResult
from eailab.stats.verdict import SINGLE_LOOK

SCHEMA_VERSION = 1
"""Of `table.json`: raised when a field is renamed, removed or changes its meaning; also when figures are to be drawn in
another way, since a study's figures are redrawn when this file changes."""

COSTS_VERSION = 1
"""Of `costs.json`."""

NOISE_VERSION = 1
"""Of `noise.json`."""

WATERFALL_VERSION = 1
"""Of `waterfall.json`."""


def render(document: Document) -> str:
    """Return a document's numbers as JSON, in English whatever its language."""
    return layout(document.data()) + "\n"


def as_json(findings: StudyFindings) -> str:
    """Return the text of `table.json`.

    It holds no time, date, host or path; numbers are as Python's `repr` writes them, and null where there is none.
    """
    return layout(as_mapping(findings)) + "\n"


def as_mapping(findings: StudyFindings) -> dict[str, Any]:
    """Return all of a study's findings as plain values, in a fixed order."""
    comparison = findings.comparison
    mapping = {
        # What the study is.
        "schema_version": SCHEMA_VERSION,
        "name": findings.name,
        "fingerprint": findings.fingerprint,
        "state": findings.state,
        "factor": findings.factor,
        "baseline": findings.baseline_arm.label,
        "blocks": findings.blocks,
        "metric": findings.metric,
        "unit": findings.measure.unit_name,
        "difference_unit": findings.measure.difference_unit_name,
        "margin": findings.margin,
        # What it has found.
        "arms": [_arm(arm, findings) for arm in findings.arms],
        "comparison": None
        if comparison is None
        else {name: value for name, value in asdict(comparison).items() if name not in ("arms", "baseline", "margin")},
        "trend": None if findings.trend is None else asdict(findings.trend),
        "effects": None if findings.effects is None else asdict(findings.effects),
        "effects_withheld": findings.effects_withheld,
        "looks": _looks(findings),
        # How it was planned and tuned, and by what else it is judged.
        "plan": None
        if findings.standing is None or findings.standing.plan is None
        else findings.standing.plan.fingerprint,
        "damaged_plans": [] if findings.standing is None else findings.standing.broken,
        "post_hoc": [] if findings.standing is None else findings.standing.post_hoc,
        "planned_verdicts": dict(findings.planned_verdicts),
        **({} if findings.tuning is None else {"tuning": asdict(findings.tuning)}),
        **({"carried": [asdict(one) for one in findings.carried]} if findings.carried else {}),
        **({"tuning": None} if findings.is_tuning_lost else {}),
        **({"audit": [asdict(check) for check in findings.audit]} if findings.audit else {}),
        **({"labels": dict(findings.names)} if findings.names else {}),
        **({"related": [asdict(one) for one in findings.related]} if findings.related else {}),
        **({} if findings.is_primary else {"primary_metric": findings.headline.name}),
        # What it rests on.
        "updates_held": findings.updates_held,
        "training_images": findings.training_images,
        "environments": [{**asdict(environment), "trials": count} for environment, count in findings.environments],
        "held_fixed": dict(findings.held_fixed),
    }
    return dict(as_plain(mapping))


def _looks(findings: StudyFindings) -> dict[str, Any] | None:
    """Return the looks at a study as plain values; None of one that was judged once."""
    if (looks := findings.looks) is None:
        return None
    decisions = [None if one is None else asdict(one) for one in looks.decisions]
    return {
        "blocks": looks.blocks,
        "levels": looks.levels,
        "made": looks.made,
        "over": looks.over,
        "decisions": decisions,
        "planned": looks.planned,
    }


def report_mapping(
    studies: Sequence[StudyFindings], unreadable: Sequence[str], paths: Sequence[PathFindings] = ()
) -> dict[str, Any]:
    """Return the findings of studies and path ablations, and why others could not be read, as plain values."""
    mapping = {
        "schema_version": SCHEMA_VERSION,
        "studies": [as_mapping(findings) for findings in studies],
        "unreadable": list(unreadable),
    }
    groups = [[findings.folder_name for findings in one.studies] for one in ablations(studies)]
    return (
        mapping
        | ({"ablations": groups} if groups else {})
        | ({"paths": [path_mapping(found) for found in paths]} if paths else {})
    )


def costs_json(name: str, arms: tuple[ArmCost, ...], tuning: tuple[ArmCost, ...]) -> str:
    """Return the text of `costs.json`: for each arm its trials' seconds, images a second, devices; so of its tuning."""
    mapping = {"schema_version": COSTS_VERSION, "name": name, "arms": [asdict(arm) for arm in arms]}
    mapping |= {"tuning": [asdict(arm) for arm in tuning]} if tuning else {}
    return layout(as_plain(mapping)) + "\n"


def noise_mapping(found: Noise) -> dict[str, Any]:
    """Return a noise study's findings as plain values."""
    measure = found.measure
    units = {"unit": measure.unit_name, "difference_unit": measure.difference_unit_name}
    fields = _by_name(found)
    fields["sampling"] = [
        {
            "split": one.metric.split,
            "images": one.images,
            one.metric.quantity: one.mean,
            "standard_error": one.standard_error,
        }
        for one in found.sampling
    ]
    first = {name: fields[name] for name in ("name", "fingerprint", "metric", "blocks", "values", "states")}
    return dict(as_plain({"schema_version": NOISE_VERSION, **first, **fields, **units}))


def path_mapping(found: PathFindings) -> dict[str, Any]:
    """Return a path ablation's findings as plain values."""
    measure = found.measure
    return dict(
        as_plain(
            {
                "schema_version": WATERFALL_VERSION,
                **_by_name(found),
                "unit": measure.unit_name,
                "difference_unit": measure.difference_unit_name,
                "steps": [{**asdict(step), "may_be_noise": step.may_be_noise} for step in found.steps],
            }
        )
    )


def _by_name(found: Noise | PathFindings) -> dict[str, Any]:
    """Return findings as a mapping, their metric by its name."""
    named = {"measure": ("metric", found.metric)}
    return dict(named.get(key, (key, value)) for key, value in asdict(found).items())


def _arm(arm: ArmFindings, findings: StudyFindings) -> dict[str, Any]:
    test = findings.test_metric
    return {
        "label": arm.label,
        "is_baseline": arm.is_baseline,
        **(_result(arm.against_baseline, findings) if arm.against_baseline else {}),
        **({} if test is None else {test.key: arm.test}),
        "failure_bound": arm.failure_bound,
        **({} if arm.new_images is None else {"new_images": asdict(arm.new_images)}),
        "updates": arm.updates,
        "updates_change": arm.updates_change,
        "learning_rates": arm.learning_rates,
        "brought": arm.brought,
        "damage": arm.damage,
        "notes": arm.notes,
        "by_block": [
            {"block": trial.block, "state": trial.state, "value": trial.value}
            if findings.imported
            else _trial(trial, findings.metrics)
            for trial in arm.trials
        ],
    }


def _result(result: ArmResult, findings: StudyFindings) -> dict[str, Any]:
    """Return an arm's result by name; level and interval of its verdict where that is not of one look at 5%."""
    single = ("level", "interval") if findings.looks is None and result.level == SINGLE_LOOK else ()
    return {name: value for name, value in asdict(result).items() if name not in single}


def _trial(trial: TrialFindings, metrics: Sequence[Metric]) -> dict[str, Any]:
    own = [one for one in recorded(metrics) if one.key in trial.final]
    final: dict[str, dict[str, float]] = {
        split: {one.quantity: trial.final[one.key] for one in own if one.split == split} for split in SPLITS
    }
    if all(one.split == NO_SPLIT for one in metrics):
        final = {"scores": {one.quantity: trial.final[one.key] for one in own}}
    return {
        "block": trial.block,
        "fingerprint": trial.fingerprint,
        "state": trial.state,
        "reason": trial.reason,
        "value": trial.value,
        **{split: values or None for split, values in final.items()},
        "parameters": trial.parameters,
        "curves": {
            "epochs": trial.curves.epochs,
            **{one.key: trial.curves.values.get(one.key, ()) for one in recorded(metrics, TRAIN, VALIDATION)},
        },
    }


def as_plain(value: Any) -> Any:
    """Turn findings into mappings, tuples into lists, enumerations into values, and what JSON lacks into null."""
    if isinstance(value, float):  # most are numbers
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        return str(value)
    if is_dataclass(value):
        value = vars(value)
    if isinstance(value, Mapping):
        return {key: as_plain(item) for key, item in value.items()}
    return [as_plain(item) for item in value] if isinstance(value, list | tuple) else value
