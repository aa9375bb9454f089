"""Compare two trials side by side: what was asked, what they ran on, what came out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eailab.engines.registry import metrics_of
from eailab.errors import StoreError
from eailab.findings.costs import with_timed
from eailab.findings.tables import Column, Table
from eailab.findings.words import NOTHING, written
from eailab.metrics import Metric
from eailab.recipe.canonical import flatten
from eailab.runs.store import SHORT_NAME
from eailab.runs.trial_folder import TrialFolder
from eailab.studies.heads import heads, trial_names, uses


@dataclass(frozen=True)
class DiffLine:
    """One thing of two trials."""

    part: str
    """`recipe`, `trial`, `environment` or `result`."""
    name: str
    first: str
    second: str

    @property
    def differs(self) -> bool:
        """Return whether the two say different things."""
        return self.first != self.second


@dataclass(frozen=True)
class Difference:
    """All that two trials say, line by line."""

    names: tuple[str, str]
    """Fingerprints."""
    lines: tuple[DiffLine, ...]
    called: tuple[str, str]
    """By study, arm and block where they have such names."""

    def table(self, *, everything: bool = False) -> Table:
        """Return the lines that differ, and all results; or every line."""
        shown = [line for line in self.lines if everything or line.differs or line.part == "result"]
        return Table(
            columns=(Column("part"), Column("what"), *(Column(name) for name in self.called), Column("")),
            rows=tuple(
                (line.part, line.name, line.first, line.second, "differs" if line.differs else "") for line in shown
            ),
        )


def diff(first: TrialFolder, second: TrialFolder) -> Difference:
    """Set two finished or diverged trials side by side.

    Raises:
        StoreError: One of them has no result, or is damaged.
    """
    parts = [_parts(folder) for folder in (first, second)]
    lines = []
    for part in parts[0]:
        ours, theirs = parts[0][part], parts[1][part]
        names = dict.fromkeys((*ours, *theirs))
        lines += [DiffLine(part, name, ours.get(name, NOTHING), theirs.get(name, NOTHING)) for name in names]
    return Difference((first.path.name, second.path.name), tuple(lines), (_called(first), _called(second)))


def _called(folder: TrialFolder) -> str:
    """Return a trial's name in its own store, or the beginning of its fingerprint."""
    own = folder.path.resolve()
    return trial_names(uses(heads(own.parents[1]))).get(own.name, own.name[:SHORT_NAME])


def _parts(folder: TrialFolder) -> dict[str, dict[str, str]]:
    """Return what a trial says, in text, by part and name."""
    if folder.result() is None or (record := folder.record()) is None:
        raise StoreError(f"{folder.path.name} has no result yet: run its study's command again to finish it.")
    provenance = record["provenance"]
    seconds, timed = folder.seconds(record["epochs"])
    recipe = folder.recipe()
    return {
        "recipe": {path: written(value) for path, value in flatten(recipe).items()},
        "trial": {
            name: str(record[name]) for name in ("block", "data", "engine", "engine_version", "parameters", "epochs")
        },
        "environment": {
            **{f"{name} version": str(version) for name, version in provenance["packages"].items()},
            **{
                name: str(value)
                for name, value in provenance.items()
                if name not in ("packages", "finished") and not isinstance(value, dict | list)
            },
        },
        "result": {
            "status": record["status"],
            **_metrics(record["metrics"], metrics_of(recipe)),
            "seconds": with_timed(f"{seconds:.3g}", timed, record["epochs"]),
        },
    }


def _metrics(values: Mapping[str, Any], metrics: Sequence[Metric]) -> dict[str, str]:
    said, known = {}, {metric.key: metric for metric in metrics}
    for name, value in values.items():
        if value is None:
            said[name] = NOTHING
        elif (metric := known.get(name)) and metric.unit:
            said[f"{name} ({metric.unit})"] = f"{metric.scale * value:.{metric.decimals}f}"
        else:
            said[name] = f"{value:.6g}"
    return said
