"""What a study says in sentences: its answer, its state, and what its table rests on."""

import math
from itertools import groupby

from eailab.findings.arm import ArmFindings
from eailab.findings.numbers import decimals, interval, number, signed, written
from eailab.findings.study import Settings, StudyFindings
from eailab.findings.tables import Fact
from eailab.findings.trial import TrialFindings
from eailab.stats.trend import Trend
from eailab.stats.verdict import Verdict

LACK_OF_FIT = 0.05
"""A trend whose lack of fit has a smaller p-value is said not to be a line."""


def headlines(findings: StudyFindings) -> tuple[str, ...]:
    """Return what the study says: a sentence for each arm but the baseline, or for each trial of a single arm."""
    if findings.factor is None:
        trials = findings.arms[0].trials
        if len(trials) == 1:
            return (_single_headline(trials[0]),)
        return tuple(f"block {trial.block}: {_single_headline(trial)}" for trial in trials)
    baseline, digits = findings.baseline_arm.label, decimals(findings)
    return tuple(
        "; ".join([f"{arm.label}: {_verdict_in_words(arm, baseline, findings, digits)}", *arm.damage])
        for arm in findings.arms
        if not arm.is_baseline and arm.against_baseline is not None
    )


def state_sentences(findings: StudyFindings) -> tuple[str, ...]:
    """Return what the reader of an unfinished or damaged study must know first; nothing of a complete one."""
    said, damaged = [], findings.damaged
    if damaged:
        are, them = ("trial is", "it") if len(damaged) == 1 else ("trials are", "them")
        said.append(
            f"{len(damaged)} {are} damaged ({', '.join(damaged)}) and left out of every number and verdict, until the "
            f"study's own command trains {them} again."
        )
    if findings.ended + len(damaged) < findings.planned:
        said.append(
            f"{findings.ended} of {findings.planned} trials have ended: the study is running, was interrupted, or "
            "has trials that failed, and every number is interim."
        )
    return tuple(said)


def facts(findings: StudyFindings) -> tuple[Fact, ...]:
    """Return what the table rests on: blocks, metric, method, device, versions, and what was held fixed."""
    parameters = sorted({t.parameters for arm in findings.arms for t in arm.trials if t.parameters is not None})
    found = [
        Fact("Blocks", _blocks(findings.blocks)),
        *(_comparison_facts(findings) if findings.comparison else ()),
    ]
    sizes = [f"{findings.training_images:,} training images"]
    if parameters:
        sizes.append(f"{' or '.join(f'{count:,}' for count in parameters)} trained parameters")
    found.append(Fact("Sizes", ", ".join(sizes)))
    found.append(Fact("Device and versions", _environments(findings)))
    for arm in findings.arms:
        found += [
            Fact(f"{arm.label}, block {trial.block}", f"{trial.state}: {trial.reason}")
            for trial in arm.trials
            if trial.reason is not None
        ]
    name = "Held fixed" if findings.factor else "Settings"
    return (*found, Fact(name, _settings_sentence(findings.held_fixed)))


def _comparison_facts(findings: StudyFindings) -> list[Fact]:
    comparison, measure = findings.comparison, findings.measure
    assert comparison is not None  # noqa: S101 - asked by the caller
    digits = decimals(findings)

    def amount(value: float) -> str:
        return measure.with_unit(number(value, digits))

    scale = "in percent; differences in percentage points (pp)" if measure.unit else "in nats; lower is better"
    found = [
        Fact("Metric", f"{measure.title} after the last epoch, {scale}"),
        Fact("Intervals", f"95%, {comparison.method}"),
        Fact("Margin", f"differences within ±{measure.with_unit(f'{findings.margin:g}')} do not matter"),
    ]
    if findings.metric == "test-accuracy":
        found.append(Fact("Caution", "verdicts rest on the test set, which then is no independent check"))
    if comparison.guard:
        found.append(Fact("Errors not pooled", comparison.guard))
    precision = []
    if comparison.pooled_sd is not None:
        precision.append(f"SD of a trial within its block {amount(comparison.pooled_sd)}")
    if comparison.correlation is not None:
        precision.append(f"correlation between arms {comparison.correlation:.2f}")
    if comparison.detectable is not None and math.isfinite(comparison.detectable):
        precision.append(f"smallest difference detectable with 80% power {amount(comparison.detectable)}")
    if precision:
        found.append(Fact("Precision", "; ".join(precision)))
    if findings.trend is not None:
        found.append(Fact("Trend", _trend_sentence(findings.trend, findings, digits)))
    if findings.updates_held:
        found.append(Fact("Updates held", "; ".join(findings.updates_held)))
    return found + [Fact("Note", note) for note in comparison.notes]


def _trend_sentence(trend: Trend, findings: StudyFindings, digits: int) -> str:
    slope = f"{findings.measure.with_unit(signed(trend.slope, digits))} {interval(trend.interval95, digits)}"
    said = f"{slope} per doubling of the {findings.spoken_factor}, over {trend.blocks} complete blocks"
    if trend.lack_of_fit_p is None:
        said += "; whether a line fits is not tested where errors are not pooled, so look at the arms too"
    elif trend.lack_of_fit_p < LACK_OF_FIT:
        said += f"; a line does not fit (p = {trend.lack_of_fit_p:.2g}), so read the arms one by one"
    return said


def _single_headline(trial: TrialFindings) -> str:
    if trial.test is not None and trial.validation is not None:
        return f"test accuracy {trial.test.accuracy:.2f}%, validation accuracy {trial.validation.accuracy:.2f}%"
    if trial.reason is not None:
        return f"{trial.state}: {trial.reason}"
    done = len(trial.curves.epochs)
    return f"not finished: {done} epoch{'' if done == 1 else 's'} so far" if done else "not started"


def _verdict_in_words(arm: ArmFindings, baseline: str, findings: StudyFindings, digits: int) -> str:
    result, diverged = arm.against_baseline, arm.count("diverged")
    if result is None or result.difference is None:
        return f"{diverged} of {len(arm.trials)} diverged" if diverged else "nothing to compare yet"
    measure = findings.measure
    size = measure.with_unit(signed(result.difference, digits))
    if result.interval95 is not None:
        size += f" {interval(result.interval95, digits)}"
    match result.verdict:
        case Verdict.BETTER:
            return f"BETTER than {baseline}, {size}"
        case Verdict.WORSE:
            return f"WORSE than {baseline}, {size}"
        case Verdict.SAME:
            return f"SAME as {baseline} within ±{measure.with_unit(f'{findings.margin:g}')}, {size}"
        case Verdict.UNDECIDED:
            return f"UNDECIDED against {baseline}, {size}: these blocks cannot tell"
        case _:
            return f"SCREEN only, {size} against {baseline}: one shared block gives no verdict"


def _blocks(blocks: tuple[int, ...]) -> str:
    if len(blocks) == 1:
        return f"1 (number {blocks[0]})"
    is_range = len(blocks) == blocks[-1] + 1 - blocks[0]  # they rise
    return f"{len(blocks)} ({f'{blocks[0]} to {blocks[-1]}' if is_range else ', '.join(map(str, blocks))})"


def _environments(findings: StudyFindings) -> str:
    if not findings.environments:
        return "no trial has ended yet"
    if len(findings.environments) == 1:
        return str(findings.environments[0][0])
    listed = "; and ".join(f"{count} trials on {environment}" for environment, count in findings.environments)
    return f"MIXED, which may change results: {listed}"


def _settings_sentence(settings: Settings) -> str:
    """Write settings part by part, a variant by its name: `optimizer adam (lr 0.001); epochs 30`."""
    parts = []
    for part, members in groupby(settings, key=lambda item: item[0].partition(".")[0]):
        inside = {path.removeprefix(part).removeprefix("."): written(value) for path, value in members}
        name = inside.pop("name", None) or inside.pop("", None)
        rest = ", ".join(f"{path.removesuffix('.name')} {value}" for path, value in inside.items())
        parts.append(part + (f" {name}" if name else "") + (f" ({rest})" if rest else ""))
    return "; ".join(parts)
