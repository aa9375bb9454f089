"""Audit programs by their first runs: whether the seed and the factor reach them, and what else differs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import stdev
from typing import Literal

import numpy as np

from eailab.engines.named_metrics import tokens
from eailab.engines.program.evidence import Evidence, same_number
from eailab.errors import StudyError
from eailab.metrics import Metric
from eailab.stats.model import correlation_between_arms
from eailab.translation import Text, joined, tr

State = Literal["passed", "warning", "failed", "not checked"]
STATES: dict[State, Text] = {
    "passed": tr("passed"),
    "warning": tr("warning"),
    "failed": tr("failed"),
    "not checked": tr("not checked"),
}
Found = tuple[State, Text]
"""What a check has found."""
SHOWN = 6
"""Settings that are listed of those that differ."""


@dataclass(frozen=True)
class Check:
    """One line of the checklist."""

    name: str
    state: State
    text: Text

    @property
    def said(self) -> Text:
        """Return its state and its text."""
        return tr("{state}: {text}", state=STATES[self.state], text=self.text)


def audit(
    runs: Sequence[Evidence],
    repeat: Evidence | None,
    metric: Metric,
    factor: Mapping[str, Sequence[str]],
    baseline: str,
    values: Sequence[Sequence[float | None]],
    unseen: Sequence[str] = (),
    *,
    takes_seeds: bool = True,
    leaves_files: bool = True,
) -> list[Check]:
    """Return the checks of a study's runs.

    Args:
        runs: Finished ones of the first blocks, in the order of blocks.
        repeat: The first run of the baseline once more, with the same seed.
        metric: What the study is judged by.
        factor: Each varied setting and its levels, as they are filled in; empty where arms are commands.
        baseline: The label of the baseline.
        values: Of the metric in all blocks, a row for each block, by arm; None where there is none.
        unseen: Labels of arms whose command shows no seed: their seeds must differ too.
        takes_seeds: Whether its author says that it takes seeds; else its runs are to differ by themselves.
        leaves_files: Whether a configuration can lie next to its runs; else there is nothing to compare.
    """
    own = [run for run in runs if run.arm == baseline]
    others = [[run for run in runs if run.arm == label] for label in unseen if label != baseline]
    seeds = [
        _two_seeds(own, repeat, metric, takes_seeds=takes_seeds),
        *(_two_seeds(of_arm, None, metric, takes_seeds=takes_seeds) for of_arm in others),
    ]
    found = {
        tr("the same seed twice"): _same_seed(own[0] if own else None, repeat, metric),
        tr("different seeds"): next((one for one in seeds if one[0] == "failed"), seeds[0]),
        tr("different arms"): _arms(runs, factor),
        **({tr("other settings"): _settings(runs, factor, baseline)} if leaves_files else {}),
        tr("correlation of blocks"): _blocks(values),
    }
    return [Check(name, *one) for name, one in found.items()]


def raise_ignored_seed(checks: Sequence[Check], said: str | None = None) -> None:
    """Refuse a program whose runs are all the same run.

    The message is the text of the check, which names options of the command line, or what is `said` in its place.

    Raises:
        StudyError: Two seeds gave the same numbers.
    """
    for check in checks:
        if check.state == "failed":
            raise StudyError(said or check.text)


def _same_seed(first: Evidence | None, repeat: Evidence | None, metric: Metric) -> Found:
    if first is None or repeat is None:
        return "not checked", tr("the baseline was not run twice with one seed")
    before, after = (metric.value(run.values) for run in (first, repeat))
    assert before is not None  # noqa: S101 - a finished run has its metrics
    assert after is not None  # noqa: S101
    if before != after:
        return "passed", tr(
            "seed {seed} twice gave {before} and {after}: runs of one seed differ by {difference}",
            seed=first.block,
            before=metric.text(before),
            after=metric.text(after),
            difference=metric.with_unit(f"{abs(after - before):.3g}"),
        )
    if differ := _differing([first, repeat]):
        return "passed", tr(
            "seed {seed} twice gave the same {metric}, but not the same {others}",
            seed=first.block,
            metric=metric.title,
            others=_listed(differ),
        )
    return "passed", tr("seed {seed} twice gave the same numbers to the last digit", seed=first.block)


def _two_seeds(own: Sequence[Evidence], repeat: Evidence | None, metric: Metric, *, takes_seeds: bool) -> Found:
    count = len(own)
    if count < 2:
        return "not checked", tr("the baseline has run with one seed only")

    # All numbers are equal: the seed does not reach the program.
    differing = _differing(own)
    if not differing and not takes_seeds:
        return "failed", tr(
            "{count} runs of your program gave the same numbers to the last digit, so that they are not "
            "independent runs without a seed, as --unseeded says. If it takes no chance, one run is enough: add "
            "--no-audit; if it takes a seed, write {{seed}} in the command in place of --unseeded.",
            count=count,
        )
    if not differing:
        return "failed", tr(
            "your program ignores its seed: {count} seeds gave the same numbers to the last digit, so that several "
            "blocks would be one run several times. Write {{seed}} in the command where the program takes its "
            "seed, or let it read EAILAB_SEED from its environment; for a program without chance of which one run "
            "is enough, add --no-audit; for independent runs without a seed, --unseeded.",
            count=count,
        )

    # One seed differs as much as several do: nothing can be told.
    values = [value for run in own if (value := metric.value(run.values)) is not None]
    again, before = (None if run is None else metric.value(run.values) for run in (repeat, own[0]))
    if again is not None and before is not None and again != before and abs(again - before) / sqrt(2) >= stdev(values):
        return "warning", tr(
            "runs of one seed differ as much as runs of {count} seeds: whether the program ignores its seed "
            "cannot be known",
            count=count,
        )

    # The seeds differ: in the metric, or in other numbers only.
    if len(set(values)) == 1:
        return "passed", tr(
            "{count} seeds gave the same {metric}, but not the same {others}",
            count=count,
            metric=metric.title,
            others=_listed(differing),
        )
    spread = metric.with_unit(f"{max(values) - min(values):.3g}")
    return "passed", tr("{count} seeds gave different values, {spread} apart", count=count, spread=spread)


def _arms(runs: Sequence[Evidence], factor: Collection[str]) -> Found:
    by_arm = _by_arm(runs)
    if len(by_arm) < 2:
        return "not checked", tr("one arm has run")
    for one, other in combinations(by_arm, 2):
        shared = by_arm[one].keys() & by_arm[other].keys()
        if shared and not any(_differing([by_arm[one][block], by_arm[other][block]], factor) for block in shared):
            return "warning", tr(
                "{factor} seems to have no effect: {one} and {other} gave the same numbers to the last digit",
                factor=" × ".join(factor) or tr("the command"),
                one=one,
                other=other,
            )
    return "passed", tr("every arm gave numbers of its own")


def _settings(runs: Sequence[Evidence], factor: Mapping[str, Sequence[str]], baseline: str) -> Found:
    by_arm = _by_arm(runs)
    if not any(run.settings for run in runs):
        return "not checked", tr("the program leaves no configuration file in {{out}}")
    found: dict[str, Text] = {}
    for arm in by_arm:
        for block in by_arm[arm].keys() & by_arm.get(baseline, {}).keys():
            theirs, ours = by_arm[arm][block].settings, by_arm[baseline][block].settings
            for key in sorted(theirs.keys() | ours.keys()):
                if theirs.get(key) != ours.get(key) and not _is_factor(key, ours.get(key), theirs.get(key), factor):
                    said = tr(
                        "{key} ({ours} in {baseline}, {theirs} in {arm})",
                        key=key,
                        ours=ours.get(key, tr("none")),
                        theirs=theirs.get(key, tr("none")),
                        baseline=baseline,
                        arm=arm,
                    )
                    found.setdefault(key, said)
    if not found:
        return "passed", tr("configuration files differ in the factor alone")
    shown = joined(list(found.values())[:SHOWN])
    if not factor:
        return "passed", tr("the commands differ in: {shown}", shown=shown)
    return "warning", tr("{factor} is not all that differs: {shown}", factor=" × ".join(factor), shown=shown)


def _is_factor(key: str, ours: str | None, theirs: str | None, factor: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a setting of a configuration file is one that is varied, by its name or by its values."""
    for name, levels in factor.items():
        words = tokens(name)
        known = {same_number(level) for level in levels}
        if tokens(key)[-len(words) :] == words or {ours, theirs} <= known:
            return True
    return False


def _blocks(values: Sequence[Sequence[float | None]]) -> Found:
    table = np.array(values, dtype=float)  # None becomes nan
    correlation = correlation_between_arms(table) if len(table) else None
    if correlation is None:
        return "not checked", tr("too few blocks are complete")
    return "passed", tr(
        "{value} between arms: what seeds have in common is taken out of differences", value=f"{correlation:.2f}"
    )


def _by_arm(runs: Sequence[Evidence]) -> dict[str, dict[int, Evidence]]:
    found: dict[str, dict[int, Evidence]] = {}
    for run in runs:
        found.setdefault(run.arm, {})[run.block] = run
    return found


def _differing(runs: Sequence[Evidence], factor: Collection[str] = ()) -> list[str]:
    """Return the names of numbers that differ between runs, without those of the factor itself."""
    varied = {tokens(name) for name in factor}
    names = dict.fromkeys(name for run in runs for name in run.numbers)
    found = [name for name in names if len({run.numbers.get(name) for run in runs}) > 1 and tokens(name) not in varied]
    keys = [key for key in runs[0].values if len({run.values[key] for run in runs}) > 1]
    return [*keys, *(name for name in found if name not in keys)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN])
