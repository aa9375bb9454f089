"""`eailab predict`: what a finished trial's network sees in images."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from eailab.cli.options import RUNS_DIR, AsJson, DataDir, RunsDir, TrialName
from eailab.cli.output import echo, echo_json


def predict(
    trial: TrialName,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files of the size that it was trained on.")],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes to name.")] = 3,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Name the likeliest classes of images, with probabilities.

    Example: eailab predict 16/0 seven.png
    """
    from eailab.inference.predict import predict as classify
    from eailab.inference.trained import find_finished
    from eailab.runs.store import Store

    predictions = classify(find_finished(Store(runs), trial), images, top, data_dir)
    for note in predictions.notes:
        echo(f"note: {note}", err=True)
    if as_json:
        echo_json({"images": [{**asdict(one), "image": str(one.image)} for one in predictions.images]})
        return
    from eailab.plain import plain

    for one in predictions.images:
        likeliest = ", ".join(f"{plain(name)} {share:.1%}" for name, share in one.classes)
        echo(f"{plain(str(one.image))}: {likeliest}", hang=2)
