"""What a study's design has to tell beside its arms: the effects of a factorial, and that a bundle is one."""

from eailab.findings.numbers import decimals, interval, signed
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Fact, Table
from eailab.stats.factorial import Effect, Factorial
from eailab.studies.factor import BUNDLE, CROSS, settings_of, word


def effects_table(findings: StudyFindings) -> Table | None:
    """Return main effects and interactions with their intervals; None for a study that is no factorial."""
    effects = findings.effects
    if effects is None:
        return None
    measure, digits = findings.measure, decimals(findings)
    unit = f" ({measure.difference_unit})" if measure.difference_unit else ""
    return Table(
        columns=(
            Column("effect"),
            Column("against"),
            Column(f"difference{unit}", is_number=True, narrow=measure.with_unit("diff.")),
            Column("95% interval", is_number=True),
        ),
        rows=tuple(
            (
                CROSS.join(f"{word(f)} {level}" for f, level in zip(one.factors, one.levels, strict=True)),
                CROSS.join(findings.baseline_levels[factor] for factor in one.factors),
                signed(one.estimate, digits),
                interval(one.interval95, digits),
            )
            for one in effects.effects
        ),
    )


def design_facts(findings: StudyFindings) -> list[Fact]:
    """Say what must be known of the design to read the numbers right."""
    return [*_bundle_facts(findings), *_effects_facts(findings), *_look_facts(findings), *_plan_facts(findings)]


def _bundle_facts(findings: StudyFindings) -> list[Fact]:
    bundles = [factor for factor in (findings.factor or "").split(CROSS) if BUNDLE in factor]
    return [
        Fact(
            "Declared bundle",
            f"{' and '.join(word(path) for path in settings_of(bundle))} change together (--joint), "
            "so no difference can be laid to one of them",
        )
        for bundle in bundles
    ]


def _effects_facts(findings: StudyFindings) -> list[Fact]:
    """Say what the effects mean, and whether one factor at a time would mislead."""
    effects = findings.effects
    if effects is None:
        return [] if findings.effects_withheld is None else [Fact("No effects", findings.effects_withheld)]
    said = (
        "main effect: the mean over all levels of the other factors; interaction: half of what the one factor's effect "
        f"changes by when the other changes; Student's t, {effects.df} df, each interval for itself"
    )
    if findings.comparison is not None and findings.comparison.guard is not None:
        said += "; errors are pooled here although the arms' spreads may differ, so take these intervals as a guide"
    return [Fact("Effects", said), *_misleading(effects)]


def _misleading(effects: Factorial) -> list[Fact]:
    return [Fact("One factor at a time would mislead", _sentence(one)) for one in effects.effects if one.larger_than]


def _sentence(interaction: Effect) -> str:
    levels = " and ".join(
        f"{word(factor)} {level}" for factor, level in zip(interaction.factors, interaction.levels, strict=True)
    )
    smaller = " and of ".join(map(word, interaction.larger_than))
    first = interaction.larger_than[0]
    other = next(factor for factor in interaction.factors if factor != first)
    return (
        f"the interaction of {levels} is larger than the main effect of {smaller}: "
        f"what a change of {word(first)} alone shows depends on the {word(other)}"
    )


def _look_facts(findings: StudyFindings) -> list[Fact]:
    """Say when a study that looks several times may decide, and how strictly."""
    looks = findings.looks
    if looks is None:
        return []
    levels = ", ".join(map(_share, looks.levels))
    return [
        Fact(
            "Looks",
            f"{looks.made} made; fixed in advance after {_listed(looks.blocks)} blocks, at levels of {levels} "
            "(5% split by O'Brien and Fleming's boundary); an arm that is decided gets no more trials. "
            "The intervals are those of a single look, so go by the verdicts",
        )
    ]


def _plan_facts(findings: StudyFindings) -> list[Fact]:
    """Say what was planned before it was known, and mark all else as post hoc."""
    stands = findings.standing
    if stands is None:
        return []
    lost = [
        Fact("Damaged plan", f"plans/{name} names this study and no longer holds: restore it, or remove it")
        for name in stands.broken
    ]
    if stands.plan is None:
        said = "no frozen plan names this study, so what it shows is an idea to test, not a test of one"
        return lost or [Fact("Post hoc", said)]
    seen = f"; some trials of blocks {_listed(stands.seen)} were known then"
    known = seen if stands.seen else ", before any of its trials"
    found = [*lost, Fact("Plan", f'frozen as {stands.plan.fingerprint}{known}; expected: "{stands.plan.hypothesis}"')]
    if stands.post_hoc:
        which = _listed(stands.post_hoc)
        late = f"block {which} is" if len(stands.post_hoc) == 1 else f"blocks {which} are"
        alone = "; ".join(f"{label} {verdict}" for label, verdict in findings.planned_verdicts)
        found.append(
            Fact(
                "Post hoc",
                f"{late} not in the plan" + (f"; the planned blocks alone say: {alone}" if alone else ""),
            )
        )
    return found


def _share(level: float) -> str:
    """Return a level in percent, to two decimals or to its first digit, so that a small one is not called none.

    >>> _share(0.0215), _share(0.00003)
    ('2.15%', '0.003%')
    """
    return f"{level:.2%}" if level >= 1e-4 else f"{100.0 * level:.1g}%"


def _listed(blocks: tuple[int, ...]) -> str:
    return ", ".join(map(str, blocks))
