"""eailab: controlled deep-learning experiments.

The functions do what the commands of the same names do, and share their runs folder::

    import eailab

    study = eailab.ablate("batch-size", [16, 32, 64], recipe="digits-mlp", seeds=5)
    print(study)                # the command's table
    study["16"].verdict         # also .difference, .interval, .values; study.table has all arms
    study.values()              # float64 [blocks, arms]

    def train(lr, seed):        # a function of your own: returns a number or a mapping, or yields one an epoch
        ...
        return {"val_acc": 0.914}

    eailab.ablate(train, "lr", [1e-3, 1e-4], seeds=5, metric="val_acc")

In a notebook a study shows its table and intervals.

In a training program of your own, `eailab.log(val_acc=0.914)` reports a metric to the command that started it.

All are imported when they are first used, so that `import eailab` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eailab.api import ArmResult, StudyResult, TrialResult, ablate, judge, noise, open_study, train
    from eailab.errors import EailabError
    from eailab.log_metrics import log

__version__ = "0.1.0"

__all__ = [
    "ArmResult",
    "EailabError",
    "StudyResult",
    "TrialResult",
    "__version__",
    "ablate",
    "judge",
    "log",
    "noise",
    "open_study",
    "train",
]
_HOMES = {"EailabError": "eailab.errors", "log": "eailab.log_metrics"}
"""Modules of what is not in `eailab.api`."""


def __getattr__(name: str) -> Any:
    """Import what is public when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'eailab' has no attribute {name!r}: there are {', '.join(__all__)}.")
    return getattr(import_module(_HOMES.get(name, "eailab.api")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
