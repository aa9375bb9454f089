"""Describe what some plans would train, and what they can show: for `--dry-run`."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import isnan
from pathlib import Path
from typing import Any

from eailab.data.registry import shape_of
from eailab.engines.registry import engine_of
from eailab.engines.summary import NetworkSummary
from eailab.errors import UsageError
from eailab.findings.networks import summary_of
from eailab.findings.tables import Column, Table
from eailab.findings.words import NOTHING
from eailab.plain import blocks_in_words, counted
from eailab.recipe.base import ImageRecipe
from eailab.recipe.override import changes_in_words
from eailab.runs.store import Store
from eailab.studies.design import Study
from eailab.studies.forecast import Cost, Forecast, SpreadEstimate, detects, recipe_key
from eailab.studies.storage import Plan
from eailab.units import duration, size

HEADINGS = ("arm", "differs from the baseline", "blocks finished", "blocks to train", "a trial")


@dataclass(frozen=True)
class PlannedArm:
    """One arm of a plan."""

    label: str
    is_baseline: bool
    differs: Mapping[str, str]
    """Every setting that is not the baseline's, in words, by its path."""
    updates: float
    """The change of updates against the baseline, as a share of them."""
    finished: tuple[int, ...]
    """Blocks that need no training."""
    new: tuple[int, ...]
    trials: tuple[str, ...]
    """Fingerprints, block by block."""
    cost: Cost | None
    """Of a trial; None when nothing is left of the arm."""
    network: NetworkSummary | None
    """None of one that no data set's images go into, or when nothing is left of the arm."""

    @property
    def parameters(self) -> int | None:
        """Return the trained parameters of its network; None where not counted, or nothing is left of the arm."""
        return None if self.cost is None else self.cost.probe.parameters


@dataclass(frozen=True)
class PlannedStudy:
    """A plan with its costs and what it can show."""

    plan: Plan
    arms: tuple[PlannedArm, ...]
    noise: SpreadEstimate | None
    commands: Mapping[str, str]
    """What each trial that is left starts, by what it is called; empty where trials start nothing."""

    @classmethod
    def of(
        cls, planned: Plan, cost: Forecast, noise: SpreadEstimate | None, store: Store, data_dir: Path | None
    ) -> "PlannedStudy":
        """Put together what is known of a plan; networks whose code is not eailab's are run for it."""
        study, record = planned.record.study, planned.record
        todo = {trial.fingerprint for trial in planned.todo}
        arms = []
        for index, arm in enumerate(study.arms):
            trials = tuple(record.trials[index, block] for block in study.blocks)
            new = tuple(block for block, trial in zip(study.blocks, trials, strict=True) if trial in todo)
            arms.append(
                PlannedArm(
                    label=arm.label,
                    is_baseline=index == study.baseline,
                    differs=changes_in_words(study.arms[study.baseline].recipe, arm.recipe),
                    updates=record.updates_change(index),
                    finished=tuple(block for block in study.blocks if block not in new),
                    new=new,
                    trials=trials,
                    cost=cost.costs.get(recipe_key(arm.recipe)) if new else None,
                    network=_network(arm.recipe.images, data_dir) if new else None,
                )
            )
        return cls(planned, tuple(arms), noise, _commands(planned, store))

    @property
    def title(self) -> str:
        """Return what the study is called, and how large it is."""
        study = self.plan.record.study
        extent = f"{counted(len(study.arms), 'arm')} in {counted(len(study.blocks), 'block')}"
        return f"{study.name}: {extent}, {counted(len(self.plan.trials), 'trial')}"

    def table(self) -> Table:
        """Return a row for each arm."""
        varied = _variants(self.plan.record.study)
        rows = []
        for arm in self.arms:
            said = [text for path, text in arm.differs.items() if not _comes_with_a_variant(path, varied, arm.differs)]
            said += [f"updates {arm.updates:+.0%}"] if arm.updates else []
            rows.append(
                (
                    f"{arm.label} (baseline)" if arm.is_baseline else arm.label,
                    "; ".join(said) or NOTHING,
                    blocks_in_words(arm.finished),
                    blocks_in_words(arm.new),
                    _trial_time(arm.cost),
                )
            )
        return Table(tuple(map(Column, HEADINGS)), tuple(rows))

    def sizes(self) -> list[str]:
        """Say how many parameters are trained and what an image costs, once where all arms are alike."""
        parameters = {arm.label: arm.parameters for arm in self.arms if arm.parameters is not None}
        multiply_adds = {arm.label: arm.network.multiply_adds for arm in self.arms if arm.network is not None}
        said = {"parameters": _by_arm(parameters), "multiply-adds an image": _by_arm(multiply_adds)}
        return [f"{what}: {counts}" for what, counts in said.items() if counts]

    def networks(self) -> dict[str, NetworkSummary]:
        """Return the networks of the arms, each once, by the arms that have it."""
        found: list[tuple[list[str], NetworkSummary]] = []
        for arm in self.arms:
            if arm.network is None:
                continue
            alike = next((labels for labels, one in found if one.layers == arm.network.layers), None)
            if alike is None:
                found.append(([arm.label], arm.network))
            else:
                alike.append(arm.label)
        return {", ".join(labels): network for labels, network in found}

    def detectable(self) -> str:
        """Describe the smallest difference that the plan detects with 80% power."""
        one = detects(self.plan, 1.0)
        if one is None:
            return "nothing: one block gives no verdict"
        study, noise = self.plan.record.study, self.noise

        def amount(value: float) -> str:
            return study.measure.with_unit(f"{value:.2g}")

        if noise is not None:
            return (
                f"differences of {amount(one * noise.planned_sd)} or more with 80% power; "
                f"SD of a trial {amount(noise.sd)}, {noise.source}{noise.bound(study.measure)}"
            )
        cases = "; ".join(f"{amount(one * sd)} if it is {amount(sd)}" for sd in study.measure.usual_sds)
        return (
            f"with 80% power, differences of {one:.2f} times the SD of a trial within its block, "
            f"which no trial of these arms shows yet{': ' if cases else ''}{cases} (`eailab noise` measures it)"
        )

    def mapping(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        study, noise = self.plan.record.study, self.noise
        return {
            "name": study.name,
            "fingerprint": study.fingerprint,
            "factor": None if study.factor is None else str(study.factor),
            "blocks": list(study.blocks),
            "arms": [
                {
                    "label": arm.label,
                    "is_baseline": arm.is_baseline,
                    "differs": list(arm.differs.values()),
                    "finished": list(arm.finished),
                    "to_train": list(arm.new),
                    "trials": list(arm.trials),
                    "parameters": arm.parameters,
                    "network": None if arm.network is None else asdict(arm.network),
                    "seconds": None if arm.cost is None or isnan(arm.cost.seconds) else round(arm.cost.seconds, 3),
                    "seconds_from": None if arm.cost is None else arm.cost.source,
                }
                for arm in self.arms
            ],
            **({"commands": dict(self.commands)} if self.commands else {}),
            "sd": None if noise is None else noise.sd,
            "sd_from": None if noise is None else noise.source,
            "sd_upper": None if noise is None else noise.planned_sd,
            "detectable": None if noise is None else detects(self.plan, noise.planned_sd),
        }


def _network(recipe: ImageRecipe | None, data_dir: Path | None) -> NetworkSummary | None:
    """Return a network that the dry run has tried; None also of one that runs on two images and not on one."""
    if recipe is not None:
        with suppress(UsageError):
            return summary_of(recipe, *shape_of(recipe.data.name, data_dir))
    return None


def _by_arm(counts: Mapping[str, int]) -> str:
    """Write a number of each arm, or the one that all have; empty where none is known."""
    if len(set(counts.values())) < 2:
        return next((f"{count:,}" for count in counts.values()), "")
    return "; ".join(f"{label} {count:,}" for label, count in counts.items())


@dataclass(frozen=True)
class PlannedSearch:
    """The tuning of one arm."""

    arm: str
    settings: tuple[str, ...]
    values: tuple[str, ...]
    trainings: int
    """Without values that are added at an end."""
    most: int


@dataclass(frozen=True)
class PlannedTuning:
    """The trainings of `--tune` before any arms are compared, and the comparison of the winners after them."""

    arms: tuple[PlannedSearch, ...]
    blocks: int
    """In which the values are trained."""
    cost: Forecast
    """Of the trainings that are left, without values that are added at an end."""
    trials_after: int
    """In which the winners are compared; with `is_alone` at most, with `is_again` at least."""
    most_after: int
    """At most; more where the arms are tuned again, since a value that wins in any block is trained in all."""
    is_alone: bool
    """Whether the arms as the recipe has them are not compared too."""
    carry: int
    """How many of an arm's best values are compared by the best of them."""
    is_again: bool
    """Whether the arms are tuned again for each block of the comparison."""

    def lines(self) -> list[str]:
        """Describe it, a line each."""
        again = ", again for each block of the comparison" if self.is_again else ""
        said = [
            f"tuning {one.arm}: {', '.join(one.settings)} from {len(one.values)} values in "
            f"{counted(self.blocks, 'block')} of its own{again}, {counted(one.trainings, 'training')}; "
            f"at most {one.most} where the best is at an end"
            for one in self.arms
        ]
        costs = [f"tuning {line}" for line in cost_lines(self.cost)]
        trials = counted(self.trials_after, "trial")
        if self.is_again:
            trials += f", or up to {self.most_after} where other values win in other blocks"
        if self.carry > 1:
            trials += f", the best {self.carry} values of each arm"
        after = (
            f"then the winners alone are compared, in {trials} at most, in place of these arms:"
            if self.is_alone
            else f"then the winners are compared in {trials}, and the arms as the recipe has them next to them:"
        )
        return [*said, *costs, after]

    def mapping(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "arms": [asdict(one) for one in self.arms],
            "blocks": self.blocks,
            "left": self.cost.mapping(),
            "trials_after": self.trials_after,
            "most_after": self.most_after,
        }


def cost_lines(cost: Forecast) -> list[str]:
    """Describe what is left to train and what it costs."""
    if not cost.trials:
        return ["to train: nothing, every trial is finished"]
    side = f", {cost.jobs} side by side" if cost.jobs > 1 else ""
    shared = cost.jobs > 1 and cost.gpu_bytes is not None
    sharing = ", if trials that share the GPU did not slow each other down" if shared else ""
    lines = [
        f"to train: {counted(cost.trials, 'trial')}{side}, on {' and '.join(cost.devices)}",
        f"time:     {'' if isnan(cost.seconds) else 'about '}{_seconds(cost.seconds)}{sharing}",
    ]
    if cost.memory_bytes is not None:
        gpu = "" if cost.gpu_bytes is None else f", and {size(cost.gpu_bytes)} on the GPU"
        lines.append(f"memory:   about {size(cost.memory_bytes)} at once{gpu}")
    return [*lines, f"disk:     about {size(cost.disk_bytes)}"]


def _variants(study: Study) -> set[str]:
    return {setting.removesuffix(".name") for setting in (study.factor.settings if study.factor else ())}


def _comes_with_a_variant(path: str, varied: set[str], differs: Mapping[str, str]) -> bool:
    """Return whether a setting is brought or dropped by a factor that names a variant, which has been said."""
    part, _, leaf = path.rpartition(".")
    return part in varied and leaf != "name" and path not in varied and f"{part}.name" in differs


def _commands(planned: Plan, store: Store) -> dict[str, str]:
    found = {}
    for trial in planned.todo:
        folder = store.folder(trial.fingerprint).path
        command = engine_of(trial.recipe).command_line(trial.recipe, trial.block, folder)
        if command is not None:
            found[planned.labels[trial.fingerprint]] = command
    return found


def _trial_time(cost: Cost | None) -> str:
    if cost is None:
        return NOTHING
    return cost.source if isnan(cost.seconds) else f"{_seconds(cost.seconds)} ({cost.source})"


def _seconds(seconds: float) -> str:
    """Write a time, that of quick trials with its fractions."""
    if isnan(seconds):
        return "not known, since it has not run yet: --try runs it once, and keeps its time"
    return f"{seconds:.2g} s" if seconds < 10.0 else duration(seconds)
