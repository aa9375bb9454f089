"""Read folders in which each run has its own: Lightning, Hydra, Hugging Face, W&B, MLflow's mlruns and TensorBoard."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eailab.errors import UsageError
from eailab.existing.readers.common import Run, deleted_runs, json_of, mapping_of, table_of, text_of
from eailab.existing.readers.csv_files import lines_of
from eailab.existing.readers.tensorboard import hparams_and_scalars
from eailab.existing.readers.wandb_log import read_log
from eailab.existing.table import ResultsTable, Value
from eailab.existing.values import flat, value_of
from eailab.plain import plain
from eailab.translation import tr

MOST_FOLDERS = 100_000
_SEED = re.compile(r"(?:^|[_\-,. ])(?:seed|run|rep|fold|s)[_\-=]?(\d+)(?=$|[_\-,. ])", re.IGNORECASE)
_PAIR = re.compile(r"([A-Za-z][\w./]*)=([^,]+)")
_FINISHED = 3  # as mlruns/ numbers the states of runs
_STEPS = ("metrics.csv", "metrics.jsonl", "metrics.json", "results.csv", "results.json")


@dataclass(frozen=True)
class FolderLayout:
    """Describe how one library lays out a run's folder."""

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Path], Run | None]
    """From the run's folder, and the folder that was named; None for a run that its library counts as deleted."""


def read(path: Path) -> ResultsTable:
    """Read every run below a folder, one row each with the last value of each metric.

    Raises:
        UsageError: There is none, or a file cannot be read.
    """
    found = list(_runs(path))
    if not found:
        raise UsageError(
            f"{path} holds no runs that are known: expected folders of {', '.join(one.name for one in LAYOUTS)}, or "
            "name the file of results in it."
        )
    kinds = dict.fromkeys(layout.name for layout, _ in found)
    if len(kinds) > 1:
        raise UsageError(f"{path} holds runs of {' and '.join(kinds)}: name the folder of one of them.")
    read_runs = [layout.read(folder, path) for layout, folder in found]
    runs = [run for run in read_runs if run is not None]
    notes = [tr("{run} has no values of metrics", run=run.place) for run in runs if not run.metrics]
    if deleted := len(found) - len(runs):
        notes.append(deleted_runs(path, deleted))
    return table_of(runs, next(iter(kinds)), notes=notes)


def _runs(path: Path) -> Iterator[tuple[FolderLayout, Path]]:
    for count, (name, folders, _) in enumerate(os.walk(path)):
        if count > MOST_FOLDERS:
            raise UsageError(f"{path} has more than {MOST_FOLDERS:,} folders: name the folder of the runs.")
        folder = Path(name)
        folders[:] = sorted((one for one in folders if not one.startswith(".")), key=_natural)
        if layout := next((one for one in LAYOUTS if one.recognises(folder)), None):
            folders.clear()
            yield layout, folder


def _natural(name: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name) if part]


def _of_files(settings: str) -> Callable[[Path, Path], Run]:
    """Return a reader of a file of settings and the first file of metrics that is there."""

    def read_run(folder: Path, root: Path) -> Run:
        files = [folder / settings, *(folder / name for name in _STEPS if (folder / name).is_file())][:2]
        metrics = _last(_steps(files[1])) if len(files) > 1 else {}
        return Run(dict(flat(mapping_of(files[0]))), metrics, _place(folder, root), tuple(files))

    return read_run


def _steps(path: Path) -> Iterable[dict[str, Value]]:
    text = text_of(path)
    if path.suffix == ".csv":
        names, *rows = [cells for _, cells in lines_of(text, path)] or [[]]
        shown = [plain(name) for name in names]
        for cells in rows:
            yield {name: value_of(cell) for name, cell in zip(shown, cells, strict=False) if name}
        return
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    for line in filter(str.strip, lines):
        content = json_of(line, str(path))
        for one in content if isinstance(content, list) else [content]:
            if not isinstance(one, dict):
                raise UsageError(f"{path} does not hold mappings of names to values, as files of metrics do.")
            yield dict(flat(one))


def _last(steps: Iterable[dict[str, Value]]) -> dict[str, Value]:
    """Return the last value of each column that has one."""
    return {name: value for step in steps for name, value in step.items() if value is not None}


def _state(folder: Path) -> Path | None:
    """Return the state of Hugging Face's trainer: the folder's own, or that of its last checkpoint."""
    if (own := folder / "trainer_state.json").is_file():
        return own
    saved = sorted(folder.glob("checkpoint-*/trainer_state.json"), key=lambda one: _natural(one.parent.name))
    return saved[-1] if saved else None


def _hugging_face(folder: Path, root: Path) -> Run:
    metrics: dict[str, Value] = {}
    files, state, notes = [], _state(folder), []
    if state is not None:
        history = mapping_of(state).get("log_history")
        if not isinstance(history, list) or not all(isinstance(one, dict) for one in history):
            raise UsageError(f"{state} has no log_history, which Hugging Face's trainer writes.")
        metrics |= _last(dict(flat(one)) for one in history)
        files.append(state)
        if state.parent != folder:
            place, last = _place(folder, root), state.parent.name
            notes.append(tr("{run}: its last checkpoint counts, {checkpoint}", run=place, checkpoint=last))
    if (results := folder / "all_results.json").is_file():
        metrics |= dict(flat(mapping_of(results)))
        files.append(results)
    return Run(settings_in_name(folder, root), metrics, _place(folder, root), tuple(files), tuple(notes))


def _wandb(folder: Path, root: Path) -> Run:
    files = (folder / "files/config.yaml", folder / "files/wandb-summary.json")
    if not files[1].is_file():
        return _wandb_offline(folder, root)
    config = {
        name: one["value"] if isinstance(one, dict) and "value" in one else one
        for name, one in (mapping_of(files[0]) if files[0].is_file() else {}).items()
        if name != "wandb_version"
    }
    found = tuple(file for file in files if file.is_file())
    return Run(_of_wandb(config), _of_wandb(mapping_of(files[1])), _place(folder, root), found)


def _wandb_offline(folder: Path, root: Path) -> Run:
    """Read the log that is all that W&B leaves offline: last values, and next to them those of the summary."""
    file, place = min(folder.glob("*.wandb")), _place(folder, root)
    log = read_log(file)
    notes = []
    if log.is_torn:
        notes.append(tr("{run}: its log ends within a record, and what stands before it counts", run=place))
    if log.exit_code is None:
        notes.append(tr("{run} has not finished, and its values count", run=place))
    elif log.exit_code:
        notes.append(tr("{run} is {state}, and its values count", run=place, state="failed"))
    metrics = _of_wandb(log.history) | _of_wandb(log.summary)
    return Run(_of_wandb(log.config), metrics, place, (file,), tuple(notes))


def _of_wandb(content: Mapping[str, Any]) -> dict[str, Value]:
    """Return what a run has set or logged by name, without W&B's own values, histograms and pictures."""
    return dict(
        flat(
            {
                name: content[name]
                for name in sorted(content)
                if not name.startswith("_") and not (isinstance(content[name], dict) and "_type" in content[name])
            }
        )
    )


def _mlruns(folder: Path, root: Path) -> Run | None:
    meta = mapping_of(folder / "meta.yaml")
    if meta.get("lifecycle_stage") == "deleted":
        return None
    cut = tr("{run} has not finished, and its values count", run=_place(folder, root))
    notes = () if meta.get("status") == _FINISHED else (cut,)
    params, metrics = _below(folder / "params"), _below(folder / "metrics")
    last = {}
    for name, file in metrics.items():
        lines = [words for line in text_of(file).splitlines() if len(words := line.split()) >= 2]
        if lines:
            last[name] = value_of(max(lines, key=lambda words: int(words[2]) if len(words) > 2 else 0)[1])
    files = (folder / "meta.yaml", *params.values(), *metrics.values())
    settings = {name: value_of(text_of(file)) for name, file in params.items()}
    return Run(settings, last, _place(folder, root), files, notes)


def _below(folder: Path) -> dict[str, Path]:
    return {one.relative_to(folder).as_posix(): one for one in sorted(folder.rglob("*")) if one.is_file()}


def _tensorboard(folder: Path, root: Path) -> Run:
    settings, scalars = hparams_and_scalars(folder)
    files = tuple(sorted(one for one in folder.iterdir() if "tfevents" in one.name))
    return Run(settings or settings_in_name(folder, root), scalars, _place(folder, root), files)


def settings_in_name(folder: Path, root: Path) -> dict[str, Value]:
    """Return what the names of a run's folders say, where no file does: `adam_seed3`, or `lr=0.1,seed=3`.

    >>> settings_in_name(Path("runs/adam_seed3"), Path("runs"))
    {'method': 'adam', 'seed': 3.0}
    >>> settings_in_name(Path("runs/mlp/lr=0.1,seed=3"), Path("runs"))
    {'method': 'mlp', 'lr': 0.1, 'seed': 3.0}
    """
    found: dict[str, Value] = {}
    pairs: dict[str, Value] = {}
    words = []
    for part in folder.relative_to(root).parts or (folder.name,):
        pairs |= {name: value_of(text) for name, text in _PAIR.findall(part)}
        rest = _PAIR.sub("", part)
        if seed := _SEED.search(rest):
            pairs["seed"] = float(seed[1])
            rest = rest[: seed.start()] + rest[seed.end() :]
        words.append(rest.strip("_-,. "))
    if method := "/".join(filter(None, words)):
        found["method"] = value_of(method)
    return found | pairs


def _place(folder: Path, root: Path) -> str:
    return (Path(root.name) / folder.relative_to(root)).as_posix()


LAYOUTS = (
    FolderLayout("Hydra", lambda folder: (folder / ".hydra/config.yaml").is_file(), _of_files(".hydra/config.yaml")),
    FolderLayout(
        "W&B", lambda folder: (folder / "files/wandb-summary.json").is_file() or any(folder.glob("*.wandb")), _wandb
    ),
    FolderLayout("MLflow", lambda folder: (folder / "meta.yaml").is_file() and (folder / "metrics").is_dir(), _mlruns),
    FolderLayout(
        "Lightning",
        lambda folder: (folder / "hparams.yaml").is_file() and (folder / "metrics.csv").is_file(),
        _of_files("hparams.yaml"),
    ),
    FolderLayout(
        "Hugging Face",
        lambda folder: (folder / "all_results.json").is_file() or _state(folder) is not None,
        _hugging_face,
    ),
    FolderLayout("TensorBoard", lambda folder: any("tfevents" in one.name for one in folder.iterdir()), _tensorboard),
)
"""Tried in this order in each folder; nothing below a run's folder is another run."""
