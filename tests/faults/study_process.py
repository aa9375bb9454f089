"""A program that carries a small study out, to be killed: `study_process.py ROOT ENGINE [FLAGS]`.

It does what `eailab ablate` does, without the drawing: signals, checkpoints, exit codes and messages are the program's.
Checkpoints are written within epochs, whenever that takes next to no time.
The flags: `unchecked` (no look at the room on the disk), `workers`, `host=NAME` (a host that shares the folder with
others), `lease=SECONDS`, `unfenced` (without looking whether a lease is still held).
"""

import os
import sys
from importlib import import_module
from pathlib import Path

from eailab.cli.stopping import asking
from eailab.errors import EailabError
from eailab.recipe.load import Override, load
from eailab.runs import lock
from eailab.runs.checkpoint import Cadence
from eailab.runs.context import RunContext, ignore
from eailab.studies import run
from eailab.studies.design import one_at_a_time
from eailab.studies.factor import factor_from_text
from eailab.studies.plan import plan

PROGRAM = Path(__file__)
LISTENING = "listening\n"
"""What the program says when a signal no longer has its usual effect."""
SMALL = {
    "numpy": ("digits-mlp", {"epochs": 40, "model.hidden": [16], "model.dropout": 0.2}),
    "torch": (
        "resnet18-digits",
        {"epochs": 3, "model.width": 0.0625, "data.limit": 128, "deterministic": True, "threads": 1},
    ),
}
SMALL["hosts"] = SMALL["numpy"]
MODULES = {"numpy": "numpy_mlp", "hosts": "numpy_mlp", "torch": "torch_resnet"}


def study(engine):
    """Two arms in two blocks."""
    name, small = SMALL[engine]
    recipe = load(name, [Override(path, value, "-o") for path, value in small.items()]).recipe
    return one_at_a_time(recipe, [factor_from_text("lr", [0.01, 0.001])], [0, 1])[0]


def main(root, engine, *flags):
    """Return the exit code."""
    import_module(f"eailab.engines.{MODULES[engine]}.engine").REPORT_SECONDS = 0.0
    context = RunContext(Path(root), device="cpu", cadence=Cadence(seconds=0.02))
    for flag in flags:
        match flag.split("="):
            case ["host", name]:  # a machine like any other that shares the folder, wherever this lies
                lock.HERE.name, lock.HERE.is_shared = name, lambda _: True
            case ["lease", seconds]:
                lock.HERE.lease_seconds = float(seconds)
            case ["unfenced"]:
                lock._Lease.check = lambda _: None
    if "unchecked" in flags:
        run.check_disk_space = lambda *_: None
    try:
        with asking(lambda: None, lambda: None) as code:
            sys.stderr.write(LISTENING)
            sys.stderr.flush()
            planned = plan(study(engine), context)
            jobs = 2 if "workers" in flags else 1
            followed = context.followed(ignore, lambda: code() != 0)
            failed = run.train_plans([planned], run.Runner(followed, jobs))
    except EailabError as error:
        sys.stderr.write(f"error: {error}\n")
        return code() or error.exit_code
    return 1 if failed else 0


def forked(said, *arguments):
    """Do what the program does in a process that was forked with everything imported; what it says goes to a file."""
    with open(said, "wb") as file:  # noqa: PTH123 - its descriptor is what counts
        os.dup2(file.fileno(), 2)
    sys.exit(main(*arguments))


def fork(nursery, root, engine, *flags, said=None):
    """Start the program; what it says goes to a file, by default beside the folder."""
    from nursery import begun

    return begun(nursery, forked, str(said or f"{root}.said"), str(root), engine, *flags)


def epochs_of(root):
    """The epochs of every trial, as bytes."""
    return {file.parent.name: file.read_bytes() for file in (root / "trials").glob("*/epochs.jsonl")}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
