"""The public API: train recipes and compare their settings from Python, as the commands do.

Everything raises `eailab.EailabError`, whose message says what was found, what would be right and what to do next:
`UsageError` for arguments that do not fit, `StoreError` for a folder that cannot be read or written, `TrialFailedError`
for trials that ended without a result. What is finished in the runs folder is not trained again, so a call that was
interrupted goes on when it is repeated.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eailab.engines.base import DeviceName
    from eailab.findings.noise import Noise
    from eailab.findings.study import StudyFindings
    from eailab.recipe.schema import Recipe
    from eailab.runs.context import Event, RunContext
    from eailab.studies.design import Study
    from eailab.studies.storage import Plan

RECIPE = "digits-mlp"
"""Small, and its data come with eailab."""


@dataclass(frozen=True)
class StudyResult:
    """A study of a runs folder, with what its trials show so far; `str` gives the command's table."""

    folder: Path
    """Of the study, with its tables, figures and page."""
    findings: "StudyFindings"
    """Everything that reports say, as typed values."""

    def __str__(self) -> str:
        from rich.console import Console

        from eailab.report.terminal import print_study

        text = io.StringIO()
        print_study(self.findings, Console(file=text, width=100_000, highlight=False))
        return text.getvalue()

    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each arm, in the table's order.

        Keys: `arm`; `is_baseline`; `trials`, those with a value; `mean`, in the metric's unit (percent for accuracies,
        nats for losses); `difference` from the baseline and its simultaneous 95% `interval` (low, high), in percentage
        points or nats; `verdict`, "BETTER", "WORSE", "SAME", "UNDECIDED" or "SCREEN". None where there is no value, as
        for the differences of the baseline.
        """
        rows = []
        for arm in self.findings.arms:
            found = arm.against_baseline
            compared = None if arm.is_baseline else found
            rows.append(
                {
                    "arm": arm.label,
                    "is_baseline": arm.is_baseline,
                    "trials": len(arm.finished),
                    "mean": None if found is None else found.mean,
                    "difference": None if compared is None else compared.difference,
                    "interval": None if compared is None else compared.interval95,
                    "verdict": None if compared is None or compared.verdict is None else compared.verdict.value,
                }
            )
        return rows

    def values(self) -> "NDArray[np.float64]":
        """Return the metric of each trial, float64 [blocks, arms], in its unit; NaN where a trial has no value."""
        import numpy as np

        columns = [[np.nan if one.value is None else one.value for one in arm.trials] for arm in self.findings.arms]
        return np.array(columns, dtype=np.float64).T

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `table.json`; see docs/report-json.md."""
        from eailab.report.json_report import as_mapping

        return as_mapping(self.findings)


@dataclass(frozen=True)
class TrialResult:
    """A single training."""

    folder: Path
    """Of the trial, with its weights, predictions, epochs and curves."""
    findings: "StudyFindings"
    """Of the study that has this one trial."""
    metrics: Mapping[str, float | None]
    """As `result.json` has them, such as `test_accuracy` from 0 to 1 and `validation_loss` in nats."""

    def __str__(self) -> str:
        return str(StudyResult(self.folder, self.findings))


def ablate(
    factor: str,
    levels: Sequence[Any],
    *,
    recipe: str | Path = RECIPE,
    seeds: int | Sequence[int] = 5,
    baseline: Any = None,
    joint: bool = False,
    hold: Literal["epochs", "updates"] = "epochs",
    settings: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
    data_dir: str | Path | None = None,
    device: "DeviceName" = "auto",
    jobs: int | None = 1,
    on_event: "Callable[[Event], None] | None" = None,
) -> StudyResult:
    """Compare the levels of one factor, all else held as in the recipe, in several blocks of seeds.

    `ablate("lr", [1e-3, 1e-2], seeds=2).rows()[1]["verdict"]` is a word such as "BETTER".

    Args:
        factor: A field of the recipe, such as "batch-size"; with `joint`, several joined by +, such as "optimizer+lr".
        levels: Its values, two or more; of a bundle, a list of values each.
        recipe: What all arms share: a recipe's name or path.
        seeds: Number of blocks, or the blocks themselves.
        baseline: The level that the others are compared with; None for the recipe's own, else the first.
        joint: Whether the factor is a bundle of settings that change together.
        hold: What stays when a level changes the number of updates of an epoch.
        settings: Fields of the recipe to set, as `-o` does: `{"epochs": 3, "study.margin": 1.0}`.
        runs: Folder of trials and studies.
        data_dir: Folder of downloaded data sets; None for the usual one.
        device: Where the torch engine trains; auto is CUDA where there is one.
        jobs: Trials side by side, 1 in this process; None for as many as fit, each in a process of its own, for which
            a script needs the usual `if __name__ == "__main__":`.
        on_event: Called with what happens in the trials (`eailab.runs.context`).

    Returns:
        The study; its tables, figures and page are written into its folder.

    Raises:
        UsageError: The recipe, factor, levels or blocks do not fit.
        TrialFailedError: A trial ended without a result; what has finished is kept.
    """
    from eailab.studies.design import one_at_a_time
    from eailab.studies.factor import factor_from_text

    asked = factor_from_text(factor, list(levels), baseline, joint=joint)
    (study,) = one_at_a_time(_loaded(recipe, settings), [asked], _blocks(seeds), hold)
    context = _context(runs, data_dir, device, on_event)
    folder, findings = _run(study, context, jobs)
    return StudyResult(folder, findings)


def train(
    recipe: str | Path = RECIPE,
    *,
    block: int = 0,
    settings: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
    data_dir: str | Path | None = None,
    device: "DeviceName" = "auto",
    on_event: "Callable[[Event], None] | None" = None,
) -> TrialResult:
    """Train one recipe once, with the seeds of one block, in this process; see `ablate` for the arguments.

    Raises:
        UsageError: The recipe or a setting does not fit.
        TrialFailedError: The trial ended without a result.
    """
    from eailab.studies.design import single

    context = _context(runs, data_dir, device, on_event)
    _, findings = _run(single(_loaded(recipe, settings), block), context, 1)
    folder = context.store.folder(findings.arms[0].trials[0].fingerprint)
    record = folder.record() or {"metrics": {}}
    return TrialResult(folder.path, findings, record["metrics"])


def noise(
    recipe: str | Path = RECIPE,
    *,
    seeds: int | Sequence[int] = 10,
    settings: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
    data_dir: str | Path | None = None,
    device: "DeviceName" = "auto",
    jobs: int | None = 1,
    on_event: "Callable[[Event], None] | None" = None,
) -> "Noise":
    """Train one recipe in two blocks or more, and measure how far single runs of it differ by chance.

    See `ablate` for the arguments.

    Returns:
        Mean, standard deviation with its interval, and what differences they make detectable, in the metric's unit.

    Raises:
        UsageError: The recipe or a setting does not fit, or there are fewer than two blocks.
        TrialFailedError: A trial ended without a result; what has finished is kept.
    """
    from eailab.findings.noise import noise_findings
    from eailab.report.write import write_noise
    from eailab.studies.design import repeated
    from eailab.studies.run import Runner, run_studies
    from eailab.studies.sharing import entered

    runner = Runner(_context(runs, data_dir, device, on_event), jobs)

    def publish(plans: "Sequence[Plan]") -> "Noise":
        store = runner.context.store
        with entered(plans[0], store, runner.note) as record:
            found = noise_findings(store, record)
            write_noise(found, plans[0].folder)
        return found

    return run_studies([repeated(_loaded(recipe, settings), _blocks(seeds))], runner, publish)


def open_study(name: str, *, runs: str | Path = "runs") -> StudyResult:
    """Return a study of a runs folder with what its trials show now; nothing is trained or written.

    Args:
        name: The study's name, its folder's, or the beginning of one.
        runs: Folder of trials and studies.

    Raises:
        UsageError: There is no such folder or study, or several are meant.
        StoreError: The study cannot be read.
    """
    from eailab.errors import UsageError
    from eailab.findings.study import study_findings
    from eailab.studies.heads import PathHead, heads
    from eailab.studies.lookup import existing, one_study
    from eailab.studies.storage import read_record

    store = existing(_folder(runs))
    head = one_study(heads(store.root), name, store.root)
    if isinstance(head, PathHead):
        raise UsageError(
            f"{name} is a path ablation: open one of its steps, {', '.join(x.called for x in head.steps)}."
        )
    return StudyResult(head.folder, study_findings(store, read_record(head.folder)))


# --- parts -----------------------------------------------------------------------------------------------------------


def _run(study: "Study", context: "RunContext", jobs: int | None) -> "tuple[Path, StudyFindings]":
    """Train what is left of a study, write its files, and return its folder and what they say."""
    from eailab.report.figure_files import undrawn, write_trial_curves
    from eailab.report.write import write_plans
    from eailab.studies.run import Runner, run_studies

    runner = Runner(context, jobs)

    def publish(plans: "Sequence[Plan]") -> "tuple[Path, StudyFindings]":
        for folder, label in undrawn(plans, context.store).items():
            write_trial_curves(folder, label)
        (report,), _ = write_plans(plans, context, runner.note)
        return plans[0].folder, report.findings

    return run_studies([study], runner, publish)


def _loaded(recipe: str | Path, settings: Mapping[str, Any] | None) -> "Recipe":
    from eailab.recipe.load import Override, load

    changes = [Override(path.replace("-", "_"), value, "settings") for path, value in (settings or {}).items()]
    return load(str(recipe), changes).recipe


def _blocks(seeds: int | Sequence[int]) -> tuple[int, ...]:
    from eailab.studies.plan import parse_blocks

    if isinstance(seeds, int):
        return parse_blocks(str(seeds))
    return tuple(seeds) if len(seeds) == 1 else parse_blocks(",".join(map(str, seeds)))


def _context(
    runs: str | Path, data_dir: str | Path | None, device: "DeviceName", on_event: "Callable[[Event], None] | None"
) -> "RunContext":
    from eailab.runs.context import RunContext, ignore

    data = None if data_dir is None else _folder(data_dir)
    return RunContext(_folder(runs), data, device, on_event=on_event or ignore)


def _folder(path: str | Path) -> Path:
    from eailab.files import expanded

    return expanded(Path(path))
