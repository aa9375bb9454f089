"""Say how far the verdicts of a study reach: to which images, and next to which other judgements of the same trials."""

from eailab.findings.study import StudyFindings
from eailab.findings.words import confidence, decimals_for, interval
from eailab.metrics import VALIDATION
from eailab.translation import COMMA, Text, capitalized, joined, tr

FEW_IMAGES = 2000
"""Below this many validation images a split of its own for each block is recommended."""


def validated_on(findings: StudyFindings) -> list[Text]:
    """Say of which images the verdicts speak."""
    if findings.validation_images is None or findings.measure.split != VALIDATION:
        return []
    if dict(findings.held_fixed).get("data.split") == "per-block":
        return [tr("of {n:,} validation images, drawn again in each block", n=findings.validation_images)]
    return [tr("of these {n:,} validation images", n=findings.validation_images)]


def for_new_images(findings: StudyFindings) -> Text | None:
    """Give the intervals that hold for other images too, of the arms that have one; None where none has."""
    measure = findings.measure
    known = [(arm.label, arm.new_images) for arm in findings.arms if arm.new_images is not None]
    if not known:
        return None
    digits = decimals_for([one.interval for _, one in known], measure.decimals)
    listed = joined([f"{label} {measure.with_unit(interval(one.interval, digits))}" for label, one in known], COMMA)
    said = tr(
        "over seeds and images together the {confidence} intervals of the differences are {listed}; no verdict rests "
        "on them",
        confidence=confidence(findings.levels),
        listed=listed,
    )
    if measure.split != VALIDATION or known[0][1].images >= FEW_IMAGES:
        return said
    advice = tr(
        "with fewer than {few:,} validation images -o data.split=per-block is recommended, which draws them again in "
        "each block",
        few=FEW_IMAGES,
    )
    return joined([said, advice])


def not_primary(findings: StudyFindings) -> list[Text]:
    """Mark a study that judges by another metric than the one that decides; nothing of others."""
    if findings.is_primary:
        return []
    return [
        tr(
            "{metric} is not the primary metric of these trials, which are judged by {primary} too: let that decide.",
            metric=capitalized(findings.measure.title),
            primary=findings.headline.title,
        )
    ]


def judged_too(findings: StudyFindings) -> Text | None:
    """Name the other studies that compare the same trials, and what they differ in; None where there is none."""
    titles = {metric.name: metric.title for metric in findings.metrics}
    named = []
    for one in findings.related:
        differs = [
            *([tr("by {metric}", metric=titles.get(one.metric, one.metric))] if one.metric else []),
            *([tr("with the arms {arms}", arms=joined(one.arms, COMMA))] if one.arms else []),
            *([tr("against {arm}", arm=one.baseline)] if one.baseline else []),
        ]
        words = joined(differs or [tr("with another margin, or other looks")], COMMA)
        named.append(tr("{study} ({words})", study=one.called, words=words))
    if not named:
        return None
    return tr(
        "also judged in {listed}; each table keeps its 5%, the best of them does not", listed=joined(named, COMMA)
    )
