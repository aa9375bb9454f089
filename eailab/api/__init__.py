"""Train recipes and compare their settings from Python, as the commands do: the public API.

Everything raises `eailab.EailabError`, whose message says what was found, what would be right and what to do next:
`UsageError` for arguments that do not fit, `StoreError` for a folder that cannot be read or written, `TrialFailedError`
for trials that ended without a result. What is finished in the runs folder is not trained again, so a call that was
interrupted goes on when it is repeated.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from eailab.api.arguments import block_of, blocks_of, one_of, refuse_given
from eailab.api.study import ArmResult, Figure, StudyResult, Table, TrialResult, train_study

if TYPE_CHECKING:
    from eailab.api.running import Session
    from eailab.engines.base import DeviceName
    from eailab.findings.noise import Noise
    from eailab.recipe.base import Recipe
    from eailab.runs.context import Event
    from eailab.studies.factor import FactorLevels
    from eailab.studies.storage import Plan

__all__ = [
    "ArmResult",
    "Figure",
    "StudyResult",
    "Table",
    "TrialResult",
    "ablate",
    "judge",
    "noise",
    "open_study",
    "train",
]

RECIPE = "digits-mlp"
"""Small, and its data come with eailab."""


def ablate(
    *what: Any,
    recipe: str | Path = RECIPE,
    seeds: int | Sequence[int] = 5,
    baseline: Any = None,
    joint: bool = False,
    hold: Literal["epochs", "updates"] = "epochs",
    settings: Mapping[str, Any] | None = None,
    metric: str | Sequence[str] | None = None,
    goal: Literal["max", "min"] | None = None,
    unit: Literal["share", "percent", "raw"] = "raw",
    at: str = "last",
    margin: float | None = None,
    unseeded: bool = False,
    tune: Mapping[str, Any] | None = None,
    tune_blocks: int | None = None,
    tune_all: bool = False,
    tune_unequal: bool = False,
    carry: int | None = None,
    tune_again: bool = False,
    audit: bool = True,
    runs: str | Path = "runs",
    data_dir: str | Path | None = None,
    device: "DeviceName" = "auto",
    jobs: int | None = 1,
    on_event: "Callable[[Event], None] | None" = None,
) -> StudyResult:
    """Compare the levels of one factor, all else held equal, in several blocks of seeds.

    `ablate("lr", [1e-3, 1e-2], recipe="digits-mlp")` varies a recipe. `ablate(train, "lr", [1e-3, 1e-2],
    metric="val_acc")` varies a parameter of a function of yours, which is called as `train(lr=0.001, seed=0)` and
    returns a number or a mapping of metrics, or yields a mapping an epoch.

    `ablate("optimizer", ["adam", "sgd"], tune={"lr": "1e-4..1e-1", "sgd:lr": "1e-3..1"})` first chooses the learning
    rate of each arm from six values, on blocks of its own, and compares the winners; `study.untuned` compares the arms
    as the recipe has them.

    A function's trials are known by its code: the syntax tree of its module and of the modules of yours that it
    imports; in a notebook, its source and the functions, classes and constants that it uses. Where that changes they
    are trained again, and a note says what has changed; another names what cannot be followed.

    Args:
        what: The function, if there is one; the factor, such as "batch-size"; its levels, two or more. With `joint`
            the factor is several joined by +, such as "optimizer+lr", and each level a list of values.
        recipe: What all arms share: a recipe's name or path.
        seeds: Number of blocks, or the blocks themselves.
        baseline: The level that the others are compared with; None for the recipe's own, else the first.
        joint: Whether the factor is a bundle of settings that change together.
        hold: What stays when a level changes the number of updates of an epoch.
        settings: Fields of the recipe to set, as `-o` does: `{"epochs": 3, "study.margin": 1.0}`; other parameters of
            the function, whose defaults that are plain values are settings too.
        metric: What verdicts rest on: of a recipe, one that its engine has; of a function, the name in its mappings,
            and further ones that are shown next to it.
        goal: Which values of a function's metric are better; None where its name says it, as `loss` and `acc` do.
        unit: What a function's metric is: a share from 0 to 1, percent, or a number in a unit of its own.
        at: Which of the values that a function yields counts: "last", "best", or an epoch.
        margin: Differences smaller than this do not matter; None for the recipe's own.
        unseeded: Whether a function takes no seed, and its runs are independent.
        tune: Settings that are chosen for each arm before the arms are compared, each with a range of six values such
            as "1e-4..1e-1", or a list; `"sgd:lr"` is of one arm. Several are tuned together.
        tune_blocks: Blocks that the tuning trains in, which the comparison never uses; None for 3.
        tune_all: Train every value in every tuning block, in place of dropping the worse half after each.
        tune_unequal: Let arms differ in what is tuned, which the report then says first.
        carry: With 2, the best two values of each arm are trained in the blocks of the comparison, and the better of
            them stands for the arm; None for 1.
        tune_again: Tune again for each block of the comparison, so that the intervals are of tuning too.
        audit: Whether to check first that seed and factor reach a function, by one more run.
        runs: Folder of trials and studies.
        data_dir: Folder of downloaded data sets; None for the usual one.
        device: Where the torch engine trains; auto is CUDA where there is one.
        jobs: Trials side by side, 1 in this process; more, each in a process of its own, for which a script needs the
            usual `if __name__ == "__main__":`, and a function a module that can be imported; None for as many as fit.
        on_event: Called with what happens in the trials (`eailab.runs.context`).

    Returns:
        The study; its tables, figures and page are written into its folder.

    Raises:
        UsageError: The function, recipe, factor, levels or blocks do not fit.
        TrialFailedError: A trial ended without a result; what has finished is kept.
        StoppedError: An interrupt; what has finished is kept, and the same call goes on.
    """
    from eailab.api.tuning import request_of
    from eailab.errors import UsageError
    from eailab.recipe.canonical import built_in
    from eailab.studies.design import one_at_a_time
    from eailab.studies.factor import factor_from_text

    function = what[0] if what and callable(what[0]) else None
    words = what if function is None else what[1:]
    if len(words) != 2 or not isinstance(words[0], str) or isinstance(words[1], str):
        raise UsageError(
            'name a factor and its levels, as in ablate("lr", [1e-3, 1e-4]), and a function of yours before them, as '
            'in ablate(train, "lr", [1e-3, 1e-4], metric="val_acc").'
        )
    one_of("hold", hold, Literal["epochs", "updates"])
    asked = factor_from_text(words[0], built_in(list(words[1])), built_in(baseline), joint=joint)
    if function is not None:
        refuse_given({"recipe": recipe, "hold": hold}, {"recipe": RECIPE, "hold": "epochs"}, "a recipe")
    fields = {"goal": goal, "unit": unit, "at": at, "unseeded": unseeded}
    base = _recipe_of(function or recipe, settings or {}, metric, fields, jobs, asked, margin)
    (study,) = one_at_a_time(base, [asked], blocks_of(seeds), hold)
    session = _session(runs, data_dir, device, on_event, jobs, audits=audit)
    how = {"tune_blocks": tune_blocks, "carry": carry}
    how |= {"tune_all": tune_all, "tune_unequal": tune_unequal, "tune_again": tune_again}
    return train_study(study, session, request_of(tune, how))


def train(
    recipe: Callable[..., Any] | str | Path = RECIPE,
    *,
    block: int = 0,
    settings: Mapping[str, Any] | None = None,
    metric: str | Sequence[str] | None = None,
    goal: Literal["max", "min"] | None = None,
    unit: Literal["share", "percent", "raw"] = "raw",
    at: str = "last",
    unseeded: bool = False,
    runs: str | Path = "runs",
    data_dir: str | Path | None = None,
    device: "DeviceName" = "auto",
    on_event: "Callable[[Event], None] | None" = None,
) -> TrialResult:
    """Train a recipe once, or call a function of yours, with the seeds of one block, in this process.

    `train("digits-mlp", block=3)` trains a recipe. `train(own, settings={"lr": 0.1}, metric="val_acc")` calls
    `own(lr=0.1, seed=0)`, whose curves are shown where it yields. See `ablate` for the arguments.

    Raises:
        UsageError: The recipe, function or a setting does not fit.
        TrialFailedError: The trial ended without a result.
    """
    from eailab.studies.design import single

    fields = {"goal": goal, "unit": unit, "at": at, "unseeded": unseeded}
    session = _session(runs, data_dir, device, on_event, 1, audits=False)
    study = single(_recipe_of(recipe, settings or {}, metric, fields, 1), block_of(block))
    findings = train_study(study, session).findings
    folder = session.context.store.folder(findings.arms[0].trials[0].fingerprint)
    record = folder.record() or {"metrics": {}}
    return TrialResult(folder.path, findings, record["metrics"])


def noise(
    recipe: Callable[..., Any] | str | Path = RECIPE,
    *,
    seeds: int | Sequence[int] = 10,
    settings: Mapping[str, Any] | None = None,
    metric: str | Sequence[str] | None = None,
    goal: Literal["max", "min"] | None = None,
    unit: Literal["share", "percent", "raw"] = "raw",
    at: str = "last",
    unseeded: bool = False,
    audit: bool = True,
    runs: str | Path = "runs",
    data_dir: str | Path | None = None,
    device: "DeviceName" = "auto",
    jobs: int | None = 1,
    on_event: "Callable[[Event], None] | None" = None,
) -> "Noise":
    """Train one recipe, or call a function of yours, in two blocks or more, and measure how far runs differ by chance.

    See `ablate` for the arguments.

    Returns:
        Mean, standard deviation with its interval, and what differences they make detectable, in the metric's unit.

    Raises:
        UsageError: The recipe, function or a setting does not fit, or there are fewer than two blocks.
        TrialFailedError: A trial ended without a result; what has finished is kept.
    """
    from eailab.findings.noise import noise_findings
    from eailab.report.write import write_noise
    from eailab.studies.design import repeated
    from eailab.studies.run import run_studies
    from eailab.studies.sharing import entered

    fields = {"goal": goal, "unit": unit, "at": at, "unseeded": unseeded}
    base = _recipe_of(recipe, settings or {}, metric, fields, jobs)
    runner = _session(runs, data_dir, device, on_event, jobs, audits=audit)

    def publish(plans: "Sequence[Plan]") -> "Noise":
        store = runner.context.store
        with entered(plans[0], store, runner.note) as record:
            found = noise_findings(store, record)
            write_noise(found, plans[0].folder)
        return found

    return run_studies([repeated(base, blocks_of(seeds))], runner, publish)


def judge(
    data: Any,
    *,
    arm: str | Sequence[str] | None = None,
    seed: str | None = None,
    metric: str | None = None,
    baseline: str | None = None,
    joint: bool = False,
    goal: Literal["max", "min"] | None = None,
    unit: Literal["share", "percent", "raw"] = "raw",
    margin: float = 0.0,
    target: float | None = None,
    beat_by: float = 0.0,
    runs: str | Path = "runs",
) -> StudyResult:
    """Judge results that exist already, as `eailab judge` does.

    Args:
        data: A DataFrame, or a mapping of columns: names to values, a row a run.
        arm: The column that tells arms apart, or with `joint` several; None to find it.
        seed: The column of the seeds; None where there is none, or to find it.
        metric: The column that the verdict rests on; None to find it.
        baseline: The arm that the others are compared with; None for the first.
        joint: Whether several columns change together, as one arm.
        goal: Which values are better; None where the metric's name says it.
        unit: What the values are.
        margin: Differences within it do not matter.
        target: A number that the arms are compared with, in place of a baseline.
        beat_by: What an arm has to be better by to be BETTER.
        runs: Folder of trials and studies, into which the study and a copy of the data are written.

    Raises:
        UsageError: The data have no columns or not these, or make no comparison.
        StoreError: The folder cannot be written.
    """
    from tempfile import TemporaryDirectory

    from eailab.api.study import write_columns
    from eailab.existing.assign import Options
    from eailab.report import judging

    session = _session(runs, None, "auto", None, 1)
    with TemporaryDirectory(prefix="eailab-judge-") as folder:
        file = Path(folder) / "data.csv"
        write_columns(data, file)
        by = (arm,) if isinstance(arm, str) else tuple(arm or ())
        read = judging.of_files([file], Options(by, seed, metric, baseline, joint, goal, unit))
        terms = judging.Terms(margin, target, beat_by)
        found = judging.judge(read, session.context.store, terms, session.note)
    return StudyResult(found.path, found.findings, session)


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

    session = _session(runs, None, "auto", None, 1)
    store = existing(session.context.runs_dir)
    head = one_study(heads(store.root), name, store.root)
    if isinstance(head, PathHead):
        raise UsageError(
            f"{name} is a path ablation: open one of its steps, {', '.join(x.called for x in head.steps)}."
        )
    return StudyResult(head.folder, study_findings(store, read_record(head.folder), widen=True), session)


# --- parts -----------------------------------------------------------------------------------------------------------


def _recipe_of(
    what: Callable[..., Any] | str | Path,
    settings: Mapping[str, Any],
    metric: str | Sequence[str] | None,
    fields: Mapping[str, Any],
    jobs: int | None,
    asked: "FactorLevels | None" = None,
    margin: float | None = None,
) -> "Recipe":
    """Return the recipe of a training function, with the fields that only such recipes have, or one by its name."""
    from eailab.api.function import recipe_of_function
    from eailab.recipe.canonical import built_in
    from eailab.recipe.load import SETTINGS, Override, load

    settings, margin = built_in(settings), built_in(margin)
    if callable(what):
        own = {} if margin is None else {"study.margin": margin}
        return recipe_of_function(what, asked, {**settings, **own}, metric, fields, jobs)
    refuse_given(fields, {"goal": None, "unit": "raw", "at": "last", "unseeded": False}, "a function of yours")
    changes = [Override(path.replace("-", "_"), value, SETTINGS) for path, value in settings.items()]
    arguments = {"margin": margin, "metric": metric}
    changes += [Override(f"study.{name}", value, name) for name, value in arguments.items() if value is not None]
    return load(str(what), changes).recipe


def _session(
    runs: str | Path,
    data_dir: str | Path | None,
    device: "DeviceName",
    on_event: "Callable[[Event], None] | None",
    jobs: int | None,
    *,
    audits: bool = True,
) -> "Session":
    from eailab.api.running import Session
    from eailab.engines.base import DeviceName
    from eailab.errors import UsageError
    from eailab.runs.context import RunContext, ignore

    one_of("device", device, DeviceName)
    if jobs is not None and (type(jobs) is not int or jobs < 1):
        raise UsageError(f"jobs={jobs!r}: give a number of trials side by side, 1 or more, or None for as many as fit.")
    data = None if data_dir is None else _folder(data_dir)
    return Session(RunContext(_folder(runs), data, device, on_event=on_event or ignore), jobs, audits=audits)


def _folder(path: str | Path) -> Path:
    from eailab.files import expanded

    return expanded(Path(path))
