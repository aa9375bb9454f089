"""Say in sentences what a study has found: its answer, its state, and what its table rests on."""

import math
from itertools import groupby

from eailab.findings.arm import ArmFindings
from eailab.findings.limits import for_new_images, judged_too, not_primary, validated_on
from eailab.findings.noise import noise_sentences, sd_in_words, spread_decimals, spread_of
from eailab.findings.study import Settings, StudyFindings
from eailab.findings.tables import STATES, Fact
from eailab.findings.trial import FAILED, TrialFindings
from eailab.findings.tuning import tuning_alerts
from eailab.findings.words import confidence, interval, number, setting_as_named, setting_with_value, signed, written
from eailab.metrics import NO_SPLIT, TEST, VALIDATION, Metric, by_quantity
from eailab.stats.contrasts import Trend
from eailab.stats.model import Comparison
from eailab.stats.verdict import Verdict
from eailab.studies.imported import Imported
from eailab.translation import BETWEEN_SENTENCES, COMMA, OR, Text, joined, tr, trn

HELD_FIXED = tr("Held fixed")
SETTINGS = (HELD_FIXED, tr("Settings"))
"""Names of the fact that lists settings: of a study with a factor, and of one without."""

MOST_NAMES = 3
"""Files of a source that are named."""
SHOWN_DIGITS = 12
"""Of a SHA-256."""

LACK_OF_FIT = 0.05
"""A trend whose lack of fit has a smaller p-value is said not to be a line."""


def headlines(findings: StudyFindings) -> tuple[Text, ...]:
    """Return what the study says: a sentence for each arm but the baseline, or for each trial of a single arm."""
    if findings.factor is None:
        trials = findings.arms[0].trials
        if len(trials) == 1:
            return (_trial_headline(trials[0], findings),)
        by_block = [tr("block {block}: {said}", block=one.block, said=_trial_headline(one, findings)) for one in trials]
        return (*_noise(findings)[:1], *by_block)
    return tuple(
        joined([_arm_headline(arm, findings), *arm.only_here, *arm.damage])
        for arm in findings.arms
        if not arm.is_baseline and arm.against_baseline is not None
    )


def _noise(findings: StudyFindings) -> list[Text]:
    """Say what several blocks of one recipe show of noise; nothing before two have a value."""
    values = findings.arms[0].values
    if findings.factor is not None or len(values) < 2:
        return []
    return noise_sentences(spread_of(values), findings.measure, len(values), findings.planned)


def _trial_headline(trial: TrialFindings, findings: StudyFindings) -> Text:
    by_split = by_quantity(findings.metrics, TEST, VALIDATION)[findings.headline.quantity]
    places = (TEST, VALIDATION, NO_SPLIT)
    ends = [metric for place in places if (metric := by_split.get(place)) and metric.key in trial.final]
    if ends:
        said = (tr("{metric} {value}", metric=one.title, value=one.text(trial.final[one.key])) for one in ends)
        return joined(said, COMMA)
    if trial.reason is not None:
        return tr("{state}: {reason}", state=STATES[trial.state], reason=trial.reason)
    if trial.curves.epochs:
        return trn("not finished: {n} epoch so far", "not finished: {n} epochs so far", len(trial.curves.epochs))
    return tr("not started")


def _arm_headline(arm: ArmFindings, findings: StudyFindings) -> Text:
    result, measure, digits = arm.against_baseline, findings.measure, findings.decimals
    if result is None or result.difference is None:
        for state, failed in FAILED.items():
            if n := arm.count(state):
                return tr("{arm}: {n} of {total} {failed}", arm=arm.label, n=n, total=len(arm.trials), failed=failed)
        return tr("{arm}: nothing to compare yet", arm=arm.label)
    size = measure.with_unit(signed(result.difference, digits))
    if result.interval is not None:
        size += f" {interval(result.interval, digits)}"
    values = {"arm": arm.label, "baseline": findings.baseline_arm.label, "size": size}
    match result.verdict:
        case Verdict.BETTER:
            return tr("{arm}: BETTER than {baseline}, {size}", **values)
        case Verdict.WORSE:
            return tr("{arm}: WORSE than {baseline}, {size}", **values)
        case Verdict.SAME:
            margin = measure.with_unit(f"{findings.margin:g}")
            return tr("{arm}: SAME as {baseline} within ±{margin}, {size}", margin=margin, **values)
        case Verdict.UNDECIDED if result.withheld:  # for a reason that stands in the note of the arm
            return tr("{arm}: UNDECIDED against {baseline}, {size}", **values)
        case Verdict.UNDECIDED:
            return (
                tr("{arm}: UNDECIDED against {baseline}, {size}: not enough blocks to tell", **values)
                if findings.is_blocked
                else tr("{arm}: UNDECIDED against {baseline}, {size}: not enough runs to tell", **values)
            )
        case _:
            return (
                tr("{arm}: SCREEN only, {size} against {baseline}: one shared block gives no verdict", **values)
                if findings.is_blocked
                else tr("{arm}: SCREEN only, {size} against {baseline}: one run gives no verdict", **values)
            )


def state_sentences(findings: StudyFindings) -> tuple[Text, ...]:
    """Return what the reader must know first of a study that is unfinished, damaged, imported or tuned unequally."""
    said, damaged = [*imported_sentences(findings), *tuning_alerts(findings), *not_primary(findings)], findings.damaged
    if damaged:
        said.append(
            trn(
                "{n} trial is damaged ({trials}) and left out of every number and verdict, until the study's own "
                "command trains it again.",
                "{n} trials are damaged ({trials}) and left out of every number and verdict, until the study's own "
                "command trains them again.",
                len(damaged),
                trials=joined(damaged, COMMA),
            )
        )
    if findings.is_unfinished:
        said.append(
            tr(
                "{n} of {total} trials have a result: the study is running, was interrupted, or has trials that "
                "failed, and every number is interim.",
                n=findings.ended,
                total=findings.planned,
            )
        )
    return tuple(said)


def imported_sentences(findings: StudyFindings) -> list[Text]:
    """Say that eailab did not run the trials of an imported study, and what their source is; nothing of others."""
    imported = findings.imported
    if imported is None:
        return []
    return [
        tr(
            "eailab did not run these trials: their values come from {source}. That the arms differ in {factor} alone "
            "is their author's word.",
            source=source_in_words(imported),
            factor=findings.spoken_factor,
        )
    ]


def source_in_words(imported: Imported) -> Text:
    """Return what trials that eailab did not run were read from, and as what."""
    named = [name for names in imported.asked.paths for name in names]
    more = ["…"] if len(named) > MOST_NAMES else []
    return joined([*named[:MOST_NAMES], *more, Text(imported.reader)], COMMA)


def _imported_facts(findings: StudyFindings) -> list[Fact]:
    """Say what an imported study was read from, and what was found odd there."""
    imported = findings.imported
    if imported is None:
        return []
    files = [
        tr("{file} (SHA-256 {digest}…)", file=name, digest=digest[:SHOWN_DIGITS])
        for name, digest in list(imported.files.items())[:MOST_NAMES]
    ]
    if more := len(imported.files) - len(files):
        files.append(trn("{n} more file", "{n} more files", more))
    found = [Fact(tr("Source"), joined(files) if files else Text(imported.reader))]
    if imported.beat_by:
        by = findings.measure.with_unit(f"{imported.beat_by:g}")
        found.append(Fact(tr("To beat"), tr("an arm is BETTER only where it is better by more than {by}", by=by)))
    return found + [Fact(tr("In the source"), note.text) for note in imported.notes]


def facts(findings: StudyFindings) -> tuple[Fact, ...]:
    """Return what the table rests on: blocks, metric, method, device, versions, and what was held fixed."""
    return (
        *_imported_facts(findings),
        Fact(tr("Blocks"), _blocks(findings)),
        *(_comparison_facts(findings, findings.comparison) if findings.comparison else ()),
        *([Fact(tr("The same trials"), related)] if (related := judged_too(findings)) else []),
        *_noise_facts(findings),
        *([Fact(tr("Failures"), failures)] if (failures := _failures(findings)) else []),
        *([Fact(tr("Collapsed"), _collapsed())] if any(arm.count("collapsed") for arm in findings.arms) else []),
        *([Fact(tr("Sizes"), sizes)] if (sizes := _sizes(findings)) else []),
        Fact(tr("Device and versions"), _environments(findings)),
        *(
            Fact(
                tr("{arm}, block {block}", arm=arm.label, block=trial.block),
                tr("{state}: {reason}", state=STATES[trial.state], reason=trial.reason),
            )
            for arm in findings.arms
            for trial in arm.trials
            if trial.reason is not None
        ),
        *([] if findings.imported else [Fact(SETTINGS[not findings.factor], settings_in_words(findings.held_fixed))]),
    )


def _noise_facts(findings: StudyFindings) -> list[Fact]:
    values = findings.arms[0].values
    said = _noise(findings)
    if not said:
        return []
    spread, measure = spread_of(values), findings.measure
    digits = spread_decimals(spread, measure)
    sd = tr("{metric}: {sd}", metric=measure.title, sd=sd_in_words(spread, measure))
    seen = [
        tr("{amount} with {n} blocks", amount=measure.with_unit(number(one.difference, digits)), n=one.blocks)
        for one in spread.detectable
    ]
    facts = [Fact(tr("Seed-to-seed spread"), sd)]
    if seen:
        facts.append(Fact(tr("Noise"), joined(said[1:], BETWEEN_SENTENCES)))
        facts.append(Fact(tr("Detectable with 80% power"), joined([*seen, tr("with the SD at its upper 80% bound")])))
    return facts


def _metric(measure: Metric, counted: Text | None = None) -> Text:
    """Say when a metric is taken, in which unit, and which way is better where that is not plain."""
    unit = measure.unit_words
    if counted is not None:
        said = tr("{metric}, {counted}", metric=measure.title, counted=counted)
        said = tr("{said}, in {unit}", said=said, unit=unit) if unit else said
    elif unit:
        said = tr("{metric} after the last epoch, in {unit}", metric=measure.title, unit=unit)
    else:
        said = tr("{metric} after the last epoch", metric=measure.title)
    if measure.difference_unit:
        words, short = measure.difference_words, measure.difference_unit
        said = tr("{said}; differences in {differences} ({short})", said=said, differences=words, short=short)
    return said if measure.higher_is_better else tr("{said}; lower is better", said=said)


def _comparison_facts(findings: StudyFindings, comparison: Comparison) -> list[Fact]:
    measure = findings.measure
    margin = measure.with_unit(f"{findings.margin:g}")
    found = [
        Fact(tr("Metric"), joined([_metric(measure, findings.counted), *validated_on(findings)])),
        Fact(
            tr("Intervals"),
            tr("{confidence}, {method}", confidence=confidence(findings.levels), method=comparison.method),
        ),
        Fact(
            tr("Margin"),
            tr("differences within ±{margin} do not matter", margin=margin)
            if findings.margin
            else tr("none: every difference matters, and no arm is called the same"),
        ),
    ]
    if measure.split == TEST:
        caution = tr("verdicts rest on the test set, which then is not an independent check")
        found.append(Fact(tr("Caution"), caution))
    if widened := for_new_images(findings):
        found.append(Fact(tr("New images"), widened))
    if comparison.guard:
        found.append(Fact(tr("Errors not pooled"), comparison.guard))
    if precision := _precision(findings, comparison):
        found.append(Fact(tr("Precision"), joined(precision)))
    if findings.trend is not None:
        found.append(Fact(tr("Trend"), _trend(findings.trend, findings)))
    if findings.updates_held:
        found.append(Fact(tr("Updates held"), joined(findings.updates_held)))
    return found + [Fact(tr("Note"), note) for note in comparison.notes]


def _precision(findings: StudyFindings, comparison: Comparison) -> list[Text]:
    digits = findings.decimals

    def amount(value: float) -> str:
        return findings.measure.with_unit(number(value, digits))

    said = []
    if comparison.pooled_sd is not None:
        sd = amount(comparison.pooled_sd)
        said.append(
            tr("SD of a trial within its block {amount}", amount=sd)
            if comparison.is_blocked
            else tr("SD of a run within its arm {amount}", amount=sd)
        )
    if comparison.correlation is not None:
        said.append(tr("correlation between arms {value:.2f}", value=comparison.correlation))
    if comparison.detectable is not None and math.isfinite(comparison.detectable):
        detectable = amount(comparison.detectable)
        said.append(
            tr(
                "smallest difference detectable with 80% power {amount}, with the SD at its upper 80% bound",
                amount=detectable,
            )
        )
    return said


def _trend(trend: Trend, findings: StudyFindings) -> Text:
    digits = findings.decimals
    slope = f"{findings.measure.with_unit(signed(trend.slope, digits))} {interval(trend.interval95, digits)}"
    said = [
        tr(
            "{slope} per doubling of the {factor}, over {n} complete blocks",
            slope=slope,
            factor=findings.spoken_factor,
            n=trend.blocks,
        )
    ]
    said.append(tr("a question of its own, with its own 5%"))
    if trend.lack_of_fit_p is None:
        said.append(tr("whether a line fits is not tested where errors are not pooled, so look at the arms too"))
    elif trend.lack_of_fit_p < LACK_OF_FIT:
        said.append(tr("a line does not fit (p = {p:.2g}), so read the arms one by one", p=trend.lack_of_fit_p))
    return joined(said)


def _blocks(findings: StudyFindings) -> Text:
    if findings.is_blocked:
        return blocks_in_words(findings.blocks)
    return tr("none: seeds are not known, or not the same in all arms, so runs are only numbered")


def blocks_in_words(blocks: tuple[int, ...]) -> Text:
    """Return how many blocks there are, and their numbers."""
    first, last = blocks[0], blocks[-1]
    if len(blocks) == 1:
        return tr("1 (number {block})", block=first)
    if len(blocks) == last + 1 - first:  # they rise
        return tr("{n} ({first} to {last})", n=len(blocks), first=first, last=last)
    return tr("{n} ({blocks})", n=len(blocks), blocks=joined(map(str, blocks), COMMA))


def _failures(findings: StudyFindings) -> Text:
    """Say how many trials failed, and how many still may, of all arms together where they are alike."""
    alike: dict[Text, list[str]] = {}
    for arm in findings.arms:
        if (bound := arm.failure_bound) is None:
            alike.setdefault(tr("none has a result yet"), []).append(arm.label)
            continue
        values = {"n": arm.ended, "bound": f"{bound:.0%}"}
        said = (
            tr("{failed} of {n} failed; up to {bound} may", failed=arm.failed, **values)
            if arm.failed
            else tr("none of {n} failed; up to {bound} may", **values)
        )
        alike.setdefault(said, []).append(arm.label)
    if len(alike) == 1:
        [(said, arms)] = alike.items()
        return tr("in each arm {said}", said=said) if len(arms) > 1 else said
    by_arm = (tr("{arms}: {said}.", arms=joined(arms, COMMA), said=said) for said, arms in alike.items())
    return joined(by_arm, BETWEEN_SENTENCES)


def _collapsed() -> Text:
    """Say which trials count as collapsed, and what becomes of them."""
    return tr(
        "trained to their end, but at chance, that is within sampling error of it or a tenth of what the best arm "
        "gained; they count as failed, and numbers are of the others unless it is said that they are counted too"
    )


def _sizes(findings: StudyFindings) -> Text:
    images, said = findings.training_images, list[Text]()
    if images is not None:
        said.append(tr("{n:,} training images", n=images))
    if parameters := sorted({t.parameters for arm in findings.arms for t in arm.trials if t.parameters is not None}):
        counts = joined((f"{count:,}" for count in parameters), OR)
        said.append(tr("{counts} trained parameters", counts=counts))
    return joined(said, COMMA)


def _environments(findings: StudyFindings) -> str:
    if findings.imported is not None:
        return tr("not known, since eailab did not run the trials")
    if not findings.environments:
        return tr("no trial has ended yet")
    if len(findings.environments) == 1:
        return str(findings.environments[0][0])
    counted = (
        trn("{n} trial on {environment}", "{n} trials on {environment}", n, environment=str(environment))
        for environment, n in findings.environments
    )
    return tr("MIXED, which may change results: {listed}", listed=joined(counted, tr("; and ")))


def settings_in_words(settings: Settings) -> Text:
    """Write settings part by part, a variant by its name: `optimizer adam (lr 0.001); epochs 30`."""
    parts = []
    for part, members in groupby(settings, key=lambda item: item[0].partition(".")[0]):
        inside = {path.removeprefix(part).removeprefix("."): written(value) for path, value in members}
        name = inside.pop("name", None) or inside.pop("", None)
        rest = joined((setting_with_value(path.removesuffix(".name"), value) for path, value in inside.items()), COMMA)
        said = setting_as_named(part) if name is None else setting_with_value(part, name)
        parts.append(tr("{part} ({settings})", part=said, settings=rest) if inside else said)
    return joined(parts)
