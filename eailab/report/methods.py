"""A methods paragraph from a study's plan, and answers to what conferences ask about error bars and compute."""

from collections.abc import Sequence

from eailab.report.costs import ArmCost
from eailab.report.findings import StudyFindings
from eailab.report.tables import decimals, number
from eailab.studies.design import StudyRecord


def methods_paragraph(findings: StudyFindings, record: StudyRecord) -> str:
    """Return how a study was made, as a paper's methods section says it."""
    recipe = record.study.arms[record.study.baseline].recipe
    data = recipe.data
    split = (
        f"with a split that is the same in all blocks (seed {data.split_seed})"
        if data.split == "fixed"
        else "with a split drawn anew for each block"
    )
    blocks, arms = len(findings.blocks), len(findings.arms)
    sentences = [
        f"We trained {recipe.model.name} on {data.name}, {findings.training_images:,} images for training and "
        f"{data.val_fraction:g} of the official training images held out for validation, {split}.",
    ]
    if findings.factor is not None:
        levels = ", ".join(arm.label for arm in findings.arms)
        sentences.append(
            f"One factor was varied, the {findings.spoken_factor} ({levels}; baseline {findings.baseline_arm.label}), "
            f"and every other setting held fixed"
            + (" but for what a level brings with it." if any(arm.brought for arm in findings.arms) else ".")
        )
    sentences.append(
        f"Each of the {arms} arm{'s' * (arms > 1)} was trained in {blocks} block{'s' * (blocks > 1)}; within a block "
        "all arms share split, initial weights, order of the data and augmentation."
    )
    sentences.append(
        f"Training ran for a fixed {recipe.epochs} epochs, of which the last counts and none was chosen; the test "
        "images were read once, after it."
    )
    if findings.comparison is not None:
        sentences.append(
            f"Differences in {findings.measure.title} from the baseline are given with 95% intervals: "
            f"{findings.comparison.method}. An arm is called the same when its simultaneous 90% interval lies within "
            f"±{findings.measure.with_unit(f'{findings.margin:g}')}."
        )
    return " ".join(sentences)


def error_bars_answer(findings: StudyFindings) -> str:
    """Answer whether error bars are reported, what they are of, and how they were computed."""
    comparison = findings.comparison
    if comparison is None or comparison.pooled_sd is None:
        return "No error bars: a single block shows no spread, and nothing is concluded from it."
    sd = findings.measure.with_unit(number(comparison.pooled_sd, decimals(findings)))
    source = "initialisation, order of the data and augmentation"
    if dict(findings.held_fixed).get("data.split") == "per-block":
        source = f"the split, {source}"
    return (
        f"Yes: 95% intervals of differences over {comparison.complete_blocks} complete blocks ({comparison.method}), "
        f"simultaneous over the arms. They show the spread from {source}. A trial's SD within its block is {sd}. "
        f"{sum(arm.count('diverged') for arm in findings.arms)} trials diverged and are counted in the table."
    )


def compute_answer(findings: StudyFindings, costs: Sequence[ArmCost]) -> str:
    """Answer which compute the experiment took."""
    seconds = sum(cost.seconds for cost in costs)
    devices = sorted({device for cost in costs for device in cost.devices})
    if not devices:
        return "Nothing has been trained yet."
    length = f"{seconds / 3600.0:.2g} hours" if seconds >= 3600.0 else f"{seconds:.3g} seconds"
    trials = f"{findings.ended} trial{'s' * (findings.ended != 1)}"
    return (
        f"{trials} took {length} of training in all on {', '.join(devices)}, validation included; data preparation, "
        "restarts and trials outside this report are not counted. Energy was not measured."
    )
