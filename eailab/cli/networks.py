"""`eailab predict` and `eailab export`: what a finished trial's network sees, and the network for other software."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eailab.cli.options import RUNS_DIR, AsJson, DataDir, RunsDir, TrialName
from eailab.cli.output import echo, echo_json, say_note
from eailab.plain import plain

if TYPE_CHECKING:
    from eailab.inference.export import ExportCheck


def predict(
    trial: TrialName,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Files of the size that it was trained on.")],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes to name.")] = 3,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Name the likeliest classes of images, with probabilities.

    Example: eailab predict 16/0 seven.png
    """
    from eailab.inference.predict import find_finished
    from eailab.inference.predict import predict as classify
    from eailab.runs.store import Store

    predictions = classify(find_finished(Store(runs), trial), images, top, data_dir)
    for note in predictions.notes:
        say_note(note)
    if as_json:
        echo_json({"images": [{**asdict(one), "image": str(one.image)} for one in predictions.images]})
        return

    for one in predictions.images:
        likeliest = ", ".join(f"{plain(name)} {share:.1%}" for name, share in one.classes)
        echo(f"{plain(str(one.image))}: {likeliest}", hang=2)


def export(
    trial: TrialName,
    to: Annotated[
        Literal["safetensors", "onnx", "torch-export"],
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="safetensors: the weights alone; onnx or torch-export: the network, from pixels to logits.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A new file, or a folder [default: RUNS/exports].", show_default=False),
    ] = None,
    images: Annotated[
        int, typer.Option(min=1, metavar="N", help="Test images, at most, that the file is compared with ours on.")
    ] = 256,
    runs: RunsDir = RUNS_DIR,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a finished trial's network to a file for other software, checked against ours before it is written.

    Example: eailab export 16/0 --to onnx
    """
    from eailab.inference.export import export as write
    from eailab.runs.store import Store

    exported = write(Store(runs), trial, to, out, images, data_dir)
    if as_json:
        echo_json({**asdict(exported), "file": str(exported.file)})
        return
    echo(exported.file)
    echo(f"  contains: {exported.holds}", hang=2)
    echo(f"  pixels: {exported.pixels}", hang=2)
    echo(f"  check: {_told(exported.check)}", hang=2)


def _told(check: "ExportCheck") -> str:
    logits = f"logits differ from ours by at most {check.largest_difference:.1e}, where the largest is "
    logits = f"{logits}{check.largest_logit:.3g}" if check.largest_difference else "logits equal ours to the bit"
    recorded = "" if check.as_recorded is None else f", {check.as_recorded} as the trial recorded"
    return f"run by {check.by} on {check.images} {check.which}: {logits}; {check.same_class} classes agree{recorded}"
