"""Report metrics from a training program to the eailab command that started it."""

import json
import os
import sys
from collections.abc import Mapping
from typing import SupportsFloat


def log(
    values: Mapping[str, SupportsFloat] | None = None,
    /,
    *,
    step: int | None = None,
    epoch: int | None = None,
    **metrics: SupportsFloat,
) -> None:
    """Report metrics: `eailab.log(epoch=3, val_acc=0.914)`. Started without eailab, the program prints them instead.

    Several processes may report at once: each call writes one line.

    Args:
        values: Metrics whose names are not names of Python: `{"val/acc": 0.914}`.
        step: Number of the step that they were measured after, if there are several.
        epoch: Number of the epoch, if there are several.
        metrics: Numbers by name; anything that `float` takes, such as a tensor of one element.
    """
    record: dict[str, float] = {name: count for name, count in (("epoch", epoch), ("step", step)) if count is not None}
    record |= {name: float(value) for name, value in {**(values or {}), **metrics}.items()}
    if not (path := os.environ.get("EAILAB_METRICS")):
        sys.stdout.write(" ".join(f"{name}={value}" for name, value in record.items()) + "\n")
        return
    # one write to the end of the file, so that lines of several processes do not mix
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, (json.dumps(record) + "\n").encode())
    finally:
        os.close(file)
