"""Estimate how much a recipe's trials differ by chance alone, and what may be concluded from single runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from eailab.findings.study import study_findings
from eailab.findings.tables import Column, Table
from eailab.findings.trial import FAILED, TrialState, environment_sentences
from eailab.findings.words import decimals_for, measured, number
from eailab.metrics import SPLITS, TEST, VALIDATION, Metric, recorded
from eailab.runs.store import Store
from eailab.stats.power import detectable_difference
from eailab.stats.variance import noise_floor, sampling_error, sd_interval, upper_sd
from eailab.stats.verdict import Interval
from eailab.studies.storage import StudyRecord
from eailab.translation import Text, tr, trn

NORMAL_95 = NormalDist().inv_cdf(0.975)
SQRT_2 = math.sqrt(2.0)
"""A difference of two trials has the SD of one, times this."""

PLANS = (3, 5, 10)
"""Blocks of the studies whose detectable difference is reported."""


@dataclass(frozen=True)
class Detectable:
    """The smallest difference that a study of two arms detects, if its trials spread as these."""

    blocks: int
    difference: float
    """Smallest true difference that is seen with 80% power, by the upper 80% bound of the SD."""


@dataclass(frozen=True)
class Spread:
    """The spread of one recipe's values over blocks."""

    mean: float | None
    low: float | None
    high: float | None
    sd: float | None
    """Divisor `n - 1`; None below two values, as are the numbers that rest on it."""
    sd_interval95: Interval | None
    """From the chi-square distribution, for normal values."""
    noise_below: float | None
    """95% of the differences of two single trials are smaller, if nothing but chance separates them."""
    noise_below_if_sd_known: float | None
    """The same by 1.96 sqrt(2) SD, which takes the SD for exact."""
    detectable: tuple[Detectable, ...]


def spread_of(finished: Sequence[float]) -> Spread:
    """Return how the values of finished trials spread."""
    values = np.array(finished, dtype=np.float64)
    n = len(values)
    sd = float(values.std(ddof=1)) if n >= 2 else None
    return Spread(
        mean=float(values.mean()) if n else None,
        low=float(values.min()) if n else None,
        high=float(values.max()) if n else None,
        sd=sd,
        sd_interval95=sd_interval(sd, n) if sd else None,
        noise_below=None if sd is None else noise_floor(sd, n),
        noise_below_if_sd_known=None if sd is None else NORMAL_95 * SQRT_2 * sd,
        detectable=tuple(Detectable(blocks, detectable_difference(blocks, 2, upper_sd(sd, n - 1))) for blocks in PLANS)
        if sd
        else (),
    )


def spread_decimals(spread: Spread, measure: Metric) -> int:
    """Return how many decimals the values and their spread are shown with."""
    return decimals_for([spread.sd_interval95] if spread.sd_interval95 else [], measure.decimals)


def sd_in_words(spread: Spread, measure: Metric) -> Text:
    """Return the SD with its interval."""
    digits = spread_decimals(spread, measure)
    sd = number(spread.sd, digits)
    if spread.sd is None or spread.sd_interval95 is None:
        return tr("SD {sd}", sd=measure.with_unit(sd))
    low, high = (number(bound, digits) for bound in spread.sd_interval95)
    return tr("SD {sd}, 95% interval {low} to {high} (chi-square)", sd=measure.with_unit(sd), low=low, high=high)


def noise_sentences(spread: Spread, measure: Metric, n: int, total: int) -> list[Text]:
    """Say which differences between two single runs are noise, or why that is not known; `n` trials have a value."""
    digits = spread_decimals(spread, measure)
    if spread.sd is None or spread.noise_below is None or spread.noise_below_if_sd_known is None:
        few = tr("{n} of {total} trials have a value: a spread needs two or more. Run more blocks.", n=n, total=total)
        return [few]
    if spread.sd == 0.0:
        return [tr("All {n} trials have the same value: this many blocks show no noise to measure by.", n=n)]
    return [
        tr(
            "Differences below {amount} between two single runs are noise.",
            amount=measure.with_unit(number(spread.noise_below, digits)),
        ),
        trn(
            "That is {factor:.2f} × √2 × SD: what 95% of the differences of two runs of this one recipe stay below, "
            "by Student's t with {n} degree of freedom, as the SD is estimated from {runs} runs. Were the SD exactly "
            "known, it would be 1.96 × √2 × SD = {known}.",
            "That is {factor:.2f} × √2 × SD: what 95% of the differences of two runs of this one recipe stay below, "
            "by Student's t with {n} degrees of freedom, as the SD is estimated from {runs} runs. Were the SD exactly "
            "known, it would be 1.96 × √2 × SD = {known}.",
            n - 1,
            factor=spread.noise_below / (spread.sd * SQRT_2),
            runs=n,
            known=measure.with_unit(number(spread.noise_below_if_sd_known, digits)),
        ),
        tr(
            "The detectable differences take this SD for that within a block; where arms of a block share luck, a "
            "study sees smaller ones."
        ),
    ]


# --- what `eailab noise` finds ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sampling:
    """The standard error that the choice of a split's images adds to a share of them."""

    metric: Metric
    images: int
    mean: float
    """Of the metric, over the trials."""
    standard_error: float
    """Binomial, of one trial."""


@dataclass(frozen=True)
class Noise(Spread):
    """The spread of one recipe's trials over blocks."""

    name: str
    """Of the recipe."""
    fingerprint: str
    """Of the study."""
    measure: Metric
    blocks: tuple[int, ...]
    values: tuple[float | None, ...]
    """Of the metric, by block; None where there is none."""
    states: tuple[TrialState, ...]
    """Of the trials, by block."""
    sampling: tuple[Sampling, ...]
    """Of the validation and the test set; none when no trial finished."""
    split: str | None
    """`fixed` or `per-block`: whether the spread contains the luck of the split; None without a data set."""
    environments: tuple[str, ...]
    """What trials ran on; more than one is a mixed study."""

    @property
    def metric(self) -> str:
        """Return the name of what it is judged by."""
        return self.measure.name

    @property
    def finished(self) -> list[float]:
        """Return the values that there are."""
        return [value for value in self.values if value is not None]


# --- finding ---------------------------------------------------------------------------------------------------------


def noise_findings(store: Store, record: StudyRecord) -> Noise:
    """Read the trials of a study of one arm, and compute how they spread.

    Raises:
        StoreError: The predictions of a finished trial, which tell how many images there are, cannot be read.
    """
    findings = study_findings(store, record)
    trials = findings.arms[0].trials
    finished = [trial for trial in trials if trial.state == "finished"]
    images = record.study.arms[0].recipe.images
    sampling = []
    shares = [metric for metric in recorded(findings.metrics, VALIDATION, TEST) if metric.is_share]
    if finished and shares and images is not None:
        predictions = store.folder(finished[0].fingerprint).predictions()
        for metric in shares:
            mean = float(np.mean([trial.final[metric.key] for trial in finished if metric.key in trial.final]))
            count = len(predictions[metric.split])
            error = metric.scale * sampling_error(mean / metric.scale, count)
            sampling.append(Sampling(metric, count, mean, error))
    spread = spread_of([trial.value for trial in finished if trial.value is not None])
    return Noise(
        **vars(spread),
        name=findings.arms[0].label,
        fingerprint=findings.fingerprint,
        measure=findings.measure,
        blocks=findings.blocks,
        values=tuple(trial.value for trial in trials),
        states=tuple(trial.state for trial in trials),
        sampling=tuple(sampling),
        split=None if images is None else images.data.split,
        environments=tuple(str(environment) for environment, _ in findings.environments),
    )


# --- statements ------------------------------------------------------------------------------------------------------


def noise_table(found: Noise) -> Table:
    """Return the spread in one row for each number."""
    measure, digits = found.measure, spread_decimals(found, found.measure)

    def amount(value: float | None) -> str:
        return number(value, digits) if value is None else measure.with_unit(number(value, digits))

    def between(bounds: tuple[float | None, float | None]) -> Text:
        return tr("{low} to {high}", low=number(bounds[0], digits), high=number(bounds[1], digits))

    # What the trials show.
    rows: list[tuple[str, str, str]] = [
        (tr("mean"), measured(found.mean, digits, measure), _of_trials(found)),
        (tr("lowest to highest"), between((found.low, found.high)), ""),
        (
            tr("seed-to-seed SD"),
            amount(found.sd),
            tr("95% interval {interval} (chi-square)", interval=between(found.sd_interval95))
            if found.sd_interval95
            else "",
        ),
    ]
    # What it may be compared with.
    rows += [
        (
            tr("{split} sampling", split=SPLITS[one.metric.split]),
            one.metric.with_unit(number(one.standard_error, one.metric.decimals)),
            tr(
                "standard error of {value} on {images:,} images (binomial)",
                value=one.metric.text(one.mean),
                images=one.images,
            ),
        )
        for one in found.sampling
    ]
    rows += [
        (
            tr("detectable, {n} blocks", n=one.blocks),
            amount(one.difference),
            tr("true difference of two arms that a study sees with 80% power, with the SD at its upper 80% bound"),
        )
        for one in found.detectable
    ]
    return Table((Column(tr("quantity")), Column(tr("value"), is_number=True), Column(tr("what it is"))), tuple(rows))


def title(found: Noise) -> Text:
    """Return the question that the study asks."""
    return tr("How much does chance move the {metric} of {recipe}?", metric=found.measure.title, recipe=found.name)


def sentences(found: Noise) -> tuple[Text, ...]:
    """Return what the spread means for a comparison of single runs, and how it was computed."""
    total = len(found.blocks)
    said = noise_sentences(found, found.measure, len(found.finished), total)
    if found.split is not None:
        said.append(
            tr("The split is the same in all blocks: the spread is of initial weights, data order and augmentation.")
            if found.split == "fixed"
            else tr("The split is drawn again in each block: the spread contains the luck of the split.")
        )
    if found.sampling:
        said.append(
            tr(
                "Sampling errors are of the images that happened to be in a set: they are shared by all runs scored on "
                "it, so they cancel in differences between runs, and say how far a score is from that on all such "
                "images."
            )
        )
    counts = {state: found.states.count(state) for state in FAILED}
    for state, failed in FAILED.items():
        if n := counts[state]:
            text = tr("{n} of {total} trials {failed}: the numbers are of the others.", n=n, total=total, failed=failed)
            said.append(text)
    if lost := total - len(found.finished) - sum(counts.values()):
        said.append(tr("{n} of {total} trials have no result: the numbers are interim.", n=lost, total=total))
    return (*said, *environment_sentences(found.environments))


def _of_trials(found: Noise) -> Text:
    n, total = len(found.finished), len(found.blocks)
    return tr("of {n} trials", n=n) if n == total else tr("of {n} of {total} trials", n=n, total=total)
