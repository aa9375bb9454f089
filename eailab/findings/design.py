"""Describe a study's design apart from its arms: the effects of a factorial, bundles, looks and frozen plans."""

from eailab.findings.looks import looks_in_words
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Fact, Table, difference_column
from eailab.findings.tuning import tuning_facts
from eailab.findings.words import interval, setting_as_named, setting_with_value, share, signed
from eailab.stats.contrasts import Effect
from eailab.stats.group_sequential import judgement_levels
from eailab.studies.factor import CROSS, Bundle, read_factor, word
from eailab.translation import COMMA, Text, joined, listed_and, tr, trn

TO_DECIDE = tr("To decide")
"""Name of the fact that says how to go on with a study that left arms open."""


def effects_table(findings: StudyFindings) -> Table | None:
    """Return main effects and interactions with their intervals; None for a study that is not a factorial."""
    effects = findings.effects
    if effects is None:
        return None
    digits = findings.decimals
    return Table(
        columns=(
            Column(tr("effect")),
            Column(tr("against")),
            difference_column(findings.measure),
            Column(tr("95% interval"), is_number=True),
        ),
        rows=tuple(
            (
                joined(_levels(one), CROSS),
                CROSS.join(findings.baseline_levels[factor] for factor in one.factors),
                signed(one.estimate, digits),
                interval(one.interval95, digits),
            )
            for one in effects.effects
        ),
    )


def _levels(effect: Effect) -> list[Text]:
    return [
        setting_with_value(word(factor), level) for factor, level in zip(effect.factors, effect.levels, strict=True)
    ]


def design_facts(findings: StudyFindings) -> list[Fact]:
    """Say what must be known of the design to read the numbers right."""
    return [
        *tuning_facts(findings),
        *_bundle_facts(findings),
        *_effects_facts(findings),
        *_look_facts(findings),
        *_next_facts(findings),
        *_plan_facts(findings),
        *(Fact(tr("Audit, {check}", check=one.name), one.said) for one in findings.audit),
    ]


def _bundle_facts(findings: StudyFindings) -> list[Fact]:
    factors = read_factor(findings.factor).factors if findings.factor else ()
    bundles = [factor for factor in factors if isinstance(factor, Bundle)]
    return [
        Fact(
            tr("Declared bundle"),
            tr(
                "{settings} change together (--joint), so no difference can be attributed to one of them",
                settings=listed_and([setting_as_named(word(path)) for path in bundle.settings]),
            ),
        )
        for bundle in bundles
    ]


def _effects_facts(findings: StudyFindings) -> list[Fact]:
    """Say what the effects mean, and whether one factor at a time would mislead."""
    effects = findings.effects
    if effects is None:
        return [] if findings.effects_withheld is None else [Fact(tr("No effects"), findings.effects_withheld)]
    said = [
        tr("main effect: the mean over all levels of the other factors"),
        tr(
            "interaction: half of what the one factor's effect changes by when the other changes; intervals "
            "simultaneous over all effects, {df:.3g} df",
            df=effects.df,
        ),
    ]
    if effects.guard is not None:
        said.append(
            tr("each by its own values in the complete blocks, since errors are not pooled: {why}", why=effects.guard)
        )
    misleading = [
        Fact(tr("One factor at a time would mislead"), _interaction(one)) for one in effects.effects if one.larger_than
    ]
    return [Fact(tr("Effects"), joined(said)), *misleading]


def _interaction(interaction: Effect) -> Text:
    factors = {factor: setting_as_named(word(factor)) for factor in interaction.factors}
    first = interaction.larger_than[0]
    return tr(
        "the interaction of {levels} is larger than the main effect of {smaller}: what a change of {factor} alone "
        "shows depends on the {other}",
        levels=listed_and(_levels(interaction)),
        smaller=joined((factors[factor] for factor in interaction.larger_than), tr(" and of ")),
        factor=factors[first],
        other=next(named for factor, named in factors.items() if factor != first),
    )


def _look_facts(findings: StudyFindings) -> list[Fact]:
    """Say when a study that is looked at several times may decide, and how strictly."""
    looks = findings.looks
    if looks is None:
        return []
    if not looks.planned:
        said = tr(
            "{made}, after {blocks} blocks, at levels of {levels}: so all judgements together call a difference that "
            "is not there in at most 6% of studies. An arm keeps the first verdict that it gets; the intervals are of "
            "all blocks, at the level of the last judgement",
            made=looks.made,
            blocks=listed_and(map(str, looks.blocks)),
            levels=listed_and(map(share, looks.levels)),
        )
        return [Fact(tr("Judgements"), said)]
    values = {"made": looks.made, "total": len(looks.blocks), "blocks": looks_in_words(looks.blocks)}
    if len(looks.blocks) == 1:
        return [Fact(tr("Looks"), tr("one, after {blocks} blocks, at a level of 5%", **values))]
    said = tr(
        "{made} made of {total} that were fixed in advance, after {blocks} blocks, at levels in proportion to the "
        "blocks ({first} to {last}): so all together call a difference that is not there in at most 5% of studies, "
        "6.5% where spreads differ; an arm that is decided gets no more trials. Each row has the interval at the level "
        "of the look that decided it, else of the last one; differences found early are larger than the truth on "
        "average",
        first=share(looks.levels[0]),
        last=share(looks.levels[-1]),
        **values,
    )
    return [Fact(tr("Looks"), said)]


def _next_facts(findings: StudyFindings) -> list[Fact]:
    """Say how arms that are open can be decided, and what that costs; nothing where no number of blocks is known."""
    blocks = findings.blocks_to_decide
    if blocks is None or not findings.can_look:
        return []
    said = tr(
        "--until-decided --max-trials {trials} looks after each block up to {blocks}: that is another study, and the "
        "two together call a difference that is not there in up to 8% of cases. More --seeds are the next judgement of "
        "this one, held at {level}: at most 6% in all",
        trials=blocks * len(findings.arms),
        blocks=blocks,
        level=share(judgement_levels(1 + (1 if findings.looks is None else findings.looks.made))[-1]),
    )
    return [Fact(TO_DECIDE, said)]


def _plan_facts(findings: StudyFindings) -> list[Fact]:
    """Say what was planned before it was known, and mark all else as post hoc."""
    stands = findings.standing
    if stands is None:
        return []
    lost = [
        Fact(
            tr("Damaged plan"),
            tr("{file} names this study and no longer holds: restore it, or remove it", file=f"plans/{name}"),
        )
        for name in stands.broken
    ]
    if stands.plan is None:
        said = tr("no frozen plan names this study, so what it shows is an idea to test, not a test of one")
        return lost or [Fact(tr("Post hoc"), said)]
    frozen = {"plan": stands.plan.fingerprint, "hypothesis": stands.plan.hypothesis}
    found = [
        *lost,
        Fact(
            tr("Plan"),
            tr(
                'frozen as {plan}; some trials of blocks {blocks} were known then; expected: "{hypothesis}"',
                blocks=joined(map(str, stands.seen), COMMA),
                **frozen,
            )
            if stands.seen
            else tr('frozen as {plan}, before any of its trials; expected: "{hypothesis}"', **frozen),
        ),
    ]
    if stands.post_hoc:
        late = trn(
            "block {blocks} is not in the plan",
            "blocks {blocks} are not in the plan",
            len(stands.post_hoc),
            blocks=joined(map(str, stands.post_hoc), COMMA),
        )
        alone = joined(f"{label} {verdict}" for label, verdict in findings.planned_verdicts)
        said = joined([late, tr("the planned blocks alone say: {verdicts}", verdicts=alone)]) if alone else late
        found.append(Fact(tr("Post hoc"), said))
    return found
