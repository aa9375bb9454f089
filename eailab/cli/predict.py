"""`eailab predict`: what a finished trial's network sees in images."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from eailab.cli.options import RUNS_DIR, AsJson, RunsDir
from eailab.cli.output import echo


def predict(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="The beginning of its name in runs/trials, or a path.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Files of the size that it was trained on.")],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes to name.")] = 3,
    runs: RunsDir = RUNS_DIR,
    as_json: AsJson = False,
) -> None:
    """Name the likeliest classes of images, with probabilities.

    Example: eailab predict 067a111c seven.png
    """
    from eailab.inference.predict import predict as classify
    from eailab.inference.trained import find_trial
    from eailab.runs.store import Store

    predictions = classify(find_trial(Store(runs), trial), images, top)
    if as_json:
        echo(json.dumps([asdict(one) for one in predictions], indent=2, default=str))
        return
    from eailab.plain import plain

    for one in predictions:
        likeliest = ", ".join(f"{plain(name)} {share:.1%}" for name, share in one.classes)
        echo(f"{plain(str(one.image))}: {likeliest}")
