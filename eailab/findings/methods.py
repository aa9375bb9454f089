"""A methods paragraph from a study's plan, and answers to what conferences ask about error bars and compute."""

from collections.abc import Sequence
from dataclasses import dataclass

from eailab.findings.costs import ArmCost, energy_sentence
from eailab.findings.numbers import amount, decimals, number
from eailab.findings.study import StudyFindings
from eailab.studies.design import StudyRecord
from eailab.studies.factor import listed
from eailab.translation import Say, english


@dataclass(frozen=True)
class Answer:
    """What a paper says of one subject."""

    name: str
    sentences: tuple[str, ...]

    def told(self, say: Say = english) -> str:
        """Return the answer in a language."""
        return " ".join(map(say, self.sentences))


def answers(findings: StudyFindings, record: StudyRecord, costs: Sequence[ArmCost]) -> tuple[Answer, ...]:
    """Return what a paper says of how a study was made, of its error bars and of its compute."""
    return (
        Answer("Methods", tuple(methods(findings, record))),
        Answer("Error bars", tuple(error_bars(findings))),
        Answer("Compute", tuple(compute(findings, costs))),
    )


def methods(findings: StudyFindings, record: StudyRecord) -> list[str]:
    """Say how a study was made: data, split, factor, blocks, stopping, statistics."""
    recipe = record.study.arms[record.study.baseline].recipe
    data = recipe.data
    split = (
        f"with a split that is the same in all blocks (seed {data.split_seed})"
        if data.split == "fixed"
        else "with a split drawn anew for each block"
    )
    said = [
        f"We trained {recipe.model.name} on {data.name}, {findings.training_images:,} images for training and "
        f"{data.val_fraction:g} of the official training images held out for validation, {split}.",
    ]
    if findings.factor is not None:
        levels = listed([arm.label for arm in findings.arms])
        brought = any(arm.brought for arm in findings.arms)
        said.append(
            f"The {findings.spoken_factor} was varied ({levels}; baseline {findings.baseline_arm.label}), and every "
            f"other setting held fixed" + (" but for what a level brings with it." if brought else ".")
        )
    arms, blocks = len(findings.arms), f"{len(findings.blocks)} block{'s' * (len(findings.blocks) > 1)}"
    said.append(
        f"Each of the {arms} arms was trained in {blocks}; within a block all arms share split, initial weights, order "
        "of the data and augmentation."
        if arms > 1
        else f"It was trained in {blocks}."
    )
    if findings.looks is not None:
        said.append(
            f"Blocks were added until the arms were decided, at {len(findings.looks.blocks)} looks fixed in advance "
            "that share the 5% of false alarms."
        )
    epochs = " or ".join(map(str, sorted({arm.recipe.epochs for arm in record.study.arms})))
    said.append(
        f"Training ran for a number of epochs fixed in advance ({epochs}), of which the last counts and none was "
        "chosen; the test images were read once, after it."
    )
    if findings.comparison is not None:
        said.append(
            f"Differences in {findings.measure.title} from the baseline are given with 95% intervals: "
            f"{findings.comparison.method}."
        )
        said.append(
            "An arm is called the same when its simultaneous 90% interval lies within "
            f"±{findings.measure.with_unit(f'{findings.margin:g}')}."
        )
    return said


def error_bars(findings: StudyFindings) -> list[str]:
    """Say whether error bars are reported, what they are of, and how they were computed."""
    comparison = findings.comparison
    if comparison is None or comparison.pooled_sd is None:
        return ["No error bars: a single block shows no spread, and nothing is concluded from it."]
    source = "initialisation, order of the data and augmentation"
    if dict(findings.held_fixed).get("data.split") == "per-block":
        source = f"the split, {source}"
    sd = findings.measure.with_unit(number(comparison.pooled_sd, decimals(findings)))
    diverged = sum(arm.count("diverged") for arm in findings.arms)
    return [
        f"Yes: 95% intervals of differences over {comparison.complete_blocks} complete blocks ({comparison.method}), "
        "simultaneous over the arms.",
        f"They show the spread from {source}.",
        f"A trial's SD within its block is {sd}.",
        "No trial diverged."
        if not diverged
        else "1 trial diverged and is counted in the table."
        if diverged == 1
        else f"{diverged} trials diverged and are counted in the table.",
    ]


def compute(findings: StudyFindings, costs: Sequence[ArmCost]) -> list[str]:
    """Say which compute the experiment took."""
    seconds = sum(cost.seconds for cost in costs)
    devices = sorted({device for cost in costs for device in cost.devices})
    timed, epochs = sum(cost.timed for cost in costs), sum(cost.epochs for cost in costs)
    if not epochs:
        return ["Nothing has been trained yet."]
    if timed < epochs:
        took = f": these took {_length(seconds)} on {', '.join(devices)}, validation included" if timed else ""
        return [f"{timed:,} of {epochs:,} epochs are timed{took}.", "What the whole study took is not known."]
    return [
        f"{findings.ended} trial{'s' * (findings.ended != 1)} took {_length(seconds)} of training in all on "
        f"{', '.join(devices)}, validation included; data preparation, restarts and trials outside this report are "
        "not counted.",
        *_energy(costs),
    ]


def _length(seconds: float) -> str:
    return f"{seconds / 3600.0:,.1f} hours" if seconds >= 3600.0 else f"{amount(seconds)} seconds"


def _energy(costs: Sequence[ArmCost]) -> list[str]:
    counted = [cost.joules for cost in costs if cost.joules is not None]
    if not counted or len(counted) < sum(bool(cost.devices) for cost in costs):
        return ["Energy was not measured."]
    return [f"They used {amount(sum(counted) / 3.6e6)} kWh.", energy_sentence(costs)]
