"""Train forty trials on a Ray cluster, kill one of its nodes in the middle, and compare with this machine's bytes."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from eailab.data.table import load as load_data
from eailab.recipe.load import Override, load
from eailab.runs.events import Ended, Failed, Started
from eailab.runs.executors import ray as on_ray
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.courier import Dispatch
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.executors.ray import RayExecutor
from eailab.runs.store import Trial

address, folder = sys.argv[1], Path(sys.argv[2])
recipe = load("digits-mlp", [Override("epochs", 3, "-o"), Override("model.hidden", [8], "-o")]).recipe
trials = [Trial(recipe, block, load_data("digits").fingerprint) for block in range(40)]
ended = []


def raylets():
    """Numbers of the nodes' processes; we are in a namespace of our own, where the second node has the larger one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cmdline").read_bytes().split(b"\0")[0].endswith(b"/raylet"):
                found.append(int(process.name))
    return found


def watch(event):
    """Kill the second node once some trials have ended."""
    if isinstance(event, Failed):
        sys.exit(f"error: {event}")
    if isinstance(event, Ended):
        ended.append(event.trial)
        if len(ended) == 8:
            os.kill(max(raylets()), signal.SIGKILL)
            sys.stdout.write("one node killed\n")


def share_a_gpu():
    """See two trials on the one GPU that the second node says it has; nothing is computed on it."""
    longer = [Trial(recipe.model_copy(update={"epochs": 600}), block, trials[0].data) for block in range(4)]
    at_work, most, free = set(), 0, []

    def count(event):
        nonlocal most
        if isinstance(event, Started):
            at_work.add(event.trial)
            free.append(ray.available_resources().get("GPU", 0.0))
        elif isinstance(event, Ended):
            at_work.remove(event.trial)
        most = max(most, len(at_work))

    ray = on_ray._connect(address)
    on_ray.gpu_share = lambda _: 0.5
    courier = on_ray._RayCourier(ray, on_gpus=True)
    Dispatch(courier, Surroundings(folder / "gpu", device="cpu"), count, lambda: False).run(longer)
    assert most == 2, most
    assert 0.0 in free, free
    sys.stdout.write("two trials on one GPU\n")


share_a_gpu()
far, near = Surroundings(folder / "far", device="cpu"), Surroundings(folder / "near", device="cpu")
RayExecutor(address).run(trials, far, watch, lambda: False)
LocalExecutor(1).run(trials, near, lambda _: None, lambda: False)
for trial in trials:
    a, b = (one.store.folder(trial.fingerprint) for one in (far, near))
    assert a.result() is not None
    for name in ("recipe.yaml", "epochs.jsonl", "model.safetensors", "predictions.npz"):
        assert (a.path / name).read_bytes() == (b.path / name).read_bytes(), name
assert sorted(ended) == sorted(trial.fingerprint for trial in trials)
sys.stdout.write("40 trials, equal bytes\n")
