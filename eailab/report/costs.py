"""What a study cost in time: kept apart from its table, since the same trials take another time on another day."""

from typing import Any

from eailab.report.record import layout
from eailab.runs.store import Store, Timing
from eailab.studies.design import StudyRecord

SCHEMA_VERSION = 1
"""Of `costs.json`."""


def costs_json(store: Store, record: StudyRecord) -> str:
    """Return the text of `costs.json`: for each arm its trials' seconds, images a second, and devices.

    Times are of the epochs that count, validation included; an epoch that was trained twice counts once.
    """
    arms = [
        _arm(
            arm.label,
            [list(store.folder(record.trials[index, block]).timings().values()) for block in record.study.blocks],
        )
        for index, arm in enumerate(record.study.arms)
    ]
    mapping = {"schema_version": SCHEMA_VERSION, "name": record.study.name, "arms": arms}
    return layout(mapping) + "\n"


def _arm(label: str, trials: list[list[Timing]]) -> dict[str, Any]:
    timings = [timing for trial in trials for timing in trial]
    seconds = sum(timing.seconds for timing in timings)
    images = sum(timing.seconds * timing.images_per_second for timing in timings)
    return {
        "label": label,
        "seconds_by_block": [round(sum(timing.seconds for timing in trial), 4) for trial in trials],
        "seconds": round(seconds, 4),
        "images_per_second": round(images / seconds, 1) if seconds > 0.0 else None,
        "devices": sorted({timing.device for timing in timings}),
    }
