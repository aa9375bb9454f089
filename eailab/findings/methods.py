"""Compose a methods paragraph from a study's plan, and answers to what conferences ask about error bars and compute."""

from collections.abc import Sequence

from eailab.findings.costs import ArmCost, energy_sentence
from eailab.findings.looks import looks_in_words
from eailab.findings.noise import sd_in_words, spread_of
from eailab.findings.statements import imported_sentences
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Fact
from eailab.findings.tuning import tuning_sentences
from eailab.findings.words import (
    amount,
    confidence,
    data_in_words,
    model_in_words,
    number,
    setting_in_words,
    share,
    value_in_words,
)
from eailab.recipe.base import ImageRecipe
from eailab.recipe.override import model_word
from eailab.studies.design import Arm
from eailab.studies.factor import label, listed, read_factor, word
from eailab.studies.storage import StudyRecord
from eailab.translation import BETWEEN_SENTENCES, COMMA, OR, Text, joined, listed_and, tr, trn

NAMED = (
    *("model.hidden", "model.activation", "model.stem", "optimizer.name", "optimizer.lr", "optimizer.weight_decay"),
    *("schedule.name", "batch_size", "data.augment.name"),
)
"""Settings that a paper names, in its order."""
COMPUTE = tr("Compute")
"""Name of the fact that says what a study took."""
NOT_NAMED = ("none", 0.0)
"""Values of what is not used."""


def answers(findings: StudyFindings, record: StudyRecord, costs: Sequence[ArmCost]) -> tuple[Fact, ...]:
    """Return what a paper says of how a study was made, of its error bars and of its compute."""
    return (
        Fact(tr("Methods"), joined(methods(findings, record), BETWEEN_SENTENCES)),
        Fact(tr("Error bars"), joined(error_bars(findings), BETWEEN_SENTENCES)),
        Fact(COMPUTE, joined(compute(findings, costs), BETWEEN_SENTENCES)),
    )


def methods(findings: StudyFindings, record: StudyRecord) -> list[Text]:
    """Say how a study was made: data, split, factor, blocks, stopping, statistics."""
    # Data, factor and blocks.
    images = record.study.arms[record.study.baseline].recipe.images
    said = [] if images is None else [_data(findings, images, record)]
    if findings.imported is not None:
        said += _imported(findings)
    else:
        said += [
            *([] if findings.factor is None else [_factor(findings, record)]),
            _seeds(findings, has_images=images is not None),
        ]
        if findings.is_unfinished:
            said.append(
                trn(
                    "{n} of {total} trials has a result so far.",
                    "{n} of {total} trials have a result so far.",
                    findings.ended,
                    total=findings.planned,
                )
            )

    if findings.tuning is not None:
        said += tuning_sentences(findings, findings.tuning)

    # When it stopped.
    if findings.looks is not None and not findings.looks.planned:
        said.append(
            tr(
                "The study was judged after {blocks} blocks, at levels of {levels}, so that all judgements together "
                "call a difference that is not there in at most 6% of studies; an arm kept the first verdict it got.",
                blocks=listed_and(map(str, findings.looks.blocks)),
                levels=listed_and(map(share, findings.looks.levels)),
            )
        )
    elif findings.looks is not None:
        said.append(
            tr(
                "Blocks were added until the arms were decided, at looks fixed in advance after {blocks} blocks, at "
                "levels in proportion to the blocks that keep the false alarms of all looks together at 5%.",
                blocks=looks_in_words(findings.looks.blocks),
            )
        )
    lengths = sorted({arm.recipe.epochs for arm in record.study.arms})
    epochs = joined(map(str, lengths), OR)
    if findings.imported is not None:
        pass  # how they were trained is not known
    elif findings.counted is not None:
        said.append(tr("What counts of each run is {counted}.", counted=findings.counted))
    else:
        said.append(
            trn(
                "Every trial ran for {epochs} epoch, a number fixed in advance.",
                "Every trial ran for {epochs} epochs, a number fixed in advance, of which the last counts.",
                lengths[-1],
                epochs=epochs,
            )
            if images is None
            else trn(
                "Every trial ran for {epochs} epoch, a number fixed in advance; the test images were read once, after "
                "it.",
                "Every trial ran for {epochs} epochs, a number fixed in advance, of which the last counts; the test "
                "images were read once, after it.",
                lengths[-1],
                epochs=epochs,
            )
        )

    # Statistics.
    if findings.comparison is not None:
        said.append(
            tr(
                "Differences in {metric} from the baseline are given with {confidence} intervals: {method}.",
                confidence=confidence(findings.levels),
                metric=findings.measure.title,
                method=findings.comparison.method,
            )
        )
    if findings.comparison is not None and findings.margin:
        said.append(
            tr(
                "An arm is called the same when its simultaneous {confidence} interval lies within ±{margin}.",
                confidence=confidence([2.0 * level for level in findings.levels]),
                margin=findings.measure.with_unit(f"{findings.margin:g}"),
            )
        )
    return said


def _seeds(findings: StudyFindings, *, has_images: bool) -> Text:
    """Say how often each arm was trained, and what its blocks share."""
    arms, blocks = len(findings.arms), len(findings.blocks)
    if dict(findings.held_fixed).get("unseeded"):
        return tr("Each arm was run {n} times without a seed; blocks only number the repeats.", n=blocks)
    if arms > 1 and not has_images:
        return trn(
            "Each of the {arms} arms was trained in {n} block; within a block all arms share their seeds.",
            "Each of the {arms} arms was trained in {n} blocks; within a block all arms share their seeds.",
            blocks,
            arms=arms,
        )
    if arms > 1 and any(path.startswith("model.") for path in read_factor(findings.factor or "").settings):
        return trn(
            "Each of the {arms} arms was trained in {n} block; within a block all arms share split, order of the "
            "data, augmentation and the seed of their initial weights.",
            "Each of the {arms} arms was trained in {n} blocks; within a block all arms share split, order of the "
            "data, augmentation and the seed of their initial weights.",
            blocks,
            arms=arms,
        )
    if arms > 1:
        return trn(
            "Each of the {arms} arms was trained in {n} block; within a block all arms share split, initial "
            "weights, order of the data and augmentation.",
            "Each of the {arms} arms was trained in {n} blocks; within a block all arms share split, initial "
            "weights, order of the data and augmentation.",
            blocks,
            arms=arms,
        )
    return trn("It was trained in {n} block.", "It was trained in {n} blocks.", blocks)


def _imported(findings: StudyFindings) -> list[Text]:
    """Say what is known of trials that eailab did not run."""
    comparison = findings.comparison
    said = [
        *imported_sentences(findings),
        tr(
            "The {factor} was varied ({levels}; baseline {baseline}).",
            factor=findings.spoken_factor,
            levels=listed([arm.label for arm in findings.arms]),
            baseline=findings.baseline_arm.label,
        ),
    ]
    if comparison is not None and comparison.is_blocked:
        said.append(
            trn(
                "All arms have the same {n} seed, which makes a block.",
                "All arms have the same {n} seeds, each of which makes a block.",
                len(findings.blocks),
            )
        )
    elif comparison is not None:
        numbers = (f"{arm.label} {found.trials}" for arm, found in zip(findings.arms, comparison.arms, strict=True))
        said.append(tr("Runs are not paired by seed; their numbers are {numbers}.", numbers=joined(numbers, COMMA)))
    return said


def _data(findings: StudyFindings, recipe: ImageRecipe, record: StudyRecord) -> Text:
    models = dict.fromkeys(model_in_words(model_word(arm.recipe)) for arm in record.study.arms)
    values: dict[str, object] = {
        "model": listed_and(models),
        "data": data_in_words(recipe.data.name),
        "seed": recipe.data.split_seed,
    }
    is_same = recipe.data.split == "fixed"
    if findings.training_images is None or findings.validation_images is None or findings.test_images is None:
        if is_same:
            return tr("We trained {model} on {data}, with the same split in every block (seed {seed}).", **values)
        return tr("We trained {model} on {data}, with a new split in every block.", **values)
    values |= {
        "training": findings.training_images,
        "validation": findings.validation_images,
        "test": findings.test_images,
    }
    if is_same:
        return tr(
            "We trained {model} on {data}: {training:,} images for training, {validation:,} for validation and "
            "{test:,} for testing, with the same split in every block (seed {seed}).",
            **values,
        )
    return tr(
        "We trained {model} on {data}: {training:,} images for training, {validation:,} for validation and {test:,} "
        "for testing, with a new split in every block.",
        **values,
    )


def _factor(findings: StudyFindings, record: StudyRecord) -> Text:
    # Several arms of the record may be compared as one.
    labels = [arm.label for arm in findings.arms] if findings.carried else list(map(_with_level, record.study.arms))
    values = {"factor": findings.spoken_factor, "levels": listed(labels), "baseline": findings.baseline_arm.label}
    if any(arm.brought for arm in findings.arms):
        said = tr(
            "We varied the {factor} ({levels}; baseline {baseline}) and held every other setting fixed, except for "
            "what a level brings with it",
            **values,
        )
    else:
        said = tr("We varied the {factor} ({levels}; baseline {baseline}) and held every other setting fixed", **values)
    fixed = _named_settings(findings)
    return tr("{said}: {fixed}.", said=said, fixed=joined(fixed)) if fixed else tr("{said}.", said=said)


def _with_level(arm: Arm) -> str:
    """Return what an arm is called, with its level where a person has called it otherwise."""
    level = label((arm.level,))
    return arm.label if arm.label == level or not arm.name else tr("{arm} ({level})", arm=arm.label, level=level)


def _named_settings(findings: StudyFindings) -> list[Text]:
    """Return the settings that a paper names, of those that all arms share."""
    settings = dict(findings.held_fixed)
    return [
        tr("{setting} {value}", setting=setting_in_words(word(path)), value=value_in_words(settings[path]))
        for path in NAMED
        if path in settings and settings[path] not in NOT_NAMED
    ]


def error_bars(findings: StudyFindings) -> list[Text]:
    """Say whether error bars are reported, what they are of, and how they were computed."""
    comparison = findings.comparison
    if findings.factor is None and (spread := spread_of(findings.arms[0].values)).sd is not None:
        n = len(findings.arms[0].values)
        return [tr("{sd}, over {n} blocks of the one recipe.", sd=sd_in_words(spread, findings.measure), n=n)]
    if comparison is None or comparison.pooled_sd is None:
        return [tr("No error bars: a single block shows no spread, and nothing is concluded from it.")]
    sd = findings.measure.with_unit(number(comparison.pooled_sd, findings.decimals))
    diverged, collapsed, late = (
        sum(arm.count(state) for arm in findings.arms) for state in ("diverged", "collapsed", "timed-out")
    )
    if not comparison.is_blocked:
        said = tr(
            "{confidence} intervals of differences from the baseline, simultaneous over the arms.",
            confidence=confidence(findings.levels),
        )
        return [said, tr("A run's SD within its arm is {sd}.", sd=sd), *_collapse(collapsed), *_late(late)]
    return [
        tr(
            "{confidence} intervals of differences from the baseline over {n} complete blocks, simultaneous over the "
            "arms.",
            confidence=confidence(findings.levels),
            n=comparison.complete_blocks,
        ),
        _sources_of_spread(findings),
        tr("A trial's SD within its block is {sd}.", sd=sd),
        trn(
            "{n} trial diverged and is counted in the table.",
            "{n} trials diverged and are counted in the table.",
            diverged,
        )
        if diverged
        else tr("No trial diverged."),
        *_collapse(collapsed),
        *_late(late),
    ]


def _collapse(collapsed: int) -> list[Text]:
    """Say how many trials ended at chance, and what the intervals make of them."""
    if not collapsed:
        return []
    return [
        trn(
            "{n} trial collapsed, that is ended near chance: it counts as failed, and no interval contains it unless "
            "that is said.",
            "{n} trials collapsed, that is ended near chance: they count as failed, and no interval contains them "
            "unless that is said.",
            collapsed,
        )
    ]


def _late(timed_out: int) -> list[Text]:
    """Say how many trials were ended at their time limit."""
    if not timed_out:
        return []
    return [
        trn(
            "{n} trial timed out: it counts as failed, and no interval contains it.",
            "{n} trials timed out: they count as failed, and no interval contains them.",
            timed_out,
        )
    ]


def _sources_of_spread(findings: StudyFindings) -> Text:
    if findings.training_images is None:
        return tr("The error bars show the spread from the seeds.")
    if dict(findings.held_fixed).get("data.split") == "per-block":
        return tr("The error bars show the spread from the split, initialisation, order of the data and augmentation.")
    return tr("The error bars show the spread from initialisation, order of the data and augmentation.")


def compute(findings: StudyFindings, costs: Sequence[ArmCost]) -> list[Text]:
    """Say which compute the experiment took."""
    devices = ", ".join(sorted({device for cost in costs for device in cost.devices}))
    timed, epochs = sum(cost.timed for cost in costs), sum(cost.epochs for cost in costs)
    has_data = findings.training_images is not None
    if findings.imported is not None:
        return [tr("Not known, since eailab did not run the trials.")]
    if not epochs:
        return [tr("Nothing has been trained yet.")]
    values = {"time": _length(sum(cost.seconds for cost in costs)), "devices": devices}
    # Say what is known where some epochs were not timed.
    if timed < epochs:
        counts = {"timed": timed, "epochs": epochs}
        if not timed:
            some = trn(
                "{timed:,} of {n:,} epoch is timed.", "{timed:,} of {n:,} epochs are timed.", epochs, timed=timed
            )
        elif has_data:
            some = tr(
                "{timed:,} of {epochs:,} epochs are timed: these took {time} on {devices}, validation included.",
                **counts,
                **values,
            )
        else:
            some = tr("{timed:,} of {epochs:,} epochs are timed: these took {time} on {devices}.", **counts, **values)
        return [some, tr("What the whole study took is not known.")]
    # Say what all trials took.
    return [
        trn(
            "{n} trial took {time} in all on {devices}; restarts and trials outside this report are not counted.",
            "{n} trials took {time} in all on {devices}; restarts and trials outside this report are not counted.",
            findings.ended,
            **values,
        )
        if not has_data
        else trn(
            "{n} trial took {time} of training in all on {devices}, validation included; data preparation, restarts "
            "and trials outside this report are not counted.",
            "{n} trials took {time} of training in all on {devices}, validation included; data preparation, restarts "
            "and trials outside this report are not counted.",
            findings.ended,
            **values,
        ),
        *_energy(costs),
    ]


def _length(seconds: float) -> Text:
    if seconds >= 3600.0:
        return tr("{hours:,.1f} hours", hours=seconds / 3600.0)
    return tr("{seconds} seconds", seconds=amount(seconds))


def _energy(costs: Sequence[ArmCost]) -> list[Text]:
    counted = [cost.joules for cost in costs if cost.joules is not None]
    if not counted or len(counted) < sum(bool(cost.devices) for cost in costs):
        return [tr("Energy was not measured.")]
    return [tr("They used {energy} kWh.", energy=amount(sum(counted) / 3.6e6)), energy_sentence(costs)]
