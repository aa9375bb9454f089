"""Train forty trials on a Ray cluster, kill one of its nodes in the middle, and compare with this machine's bytes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from loopback_study import check_against_this_machine, planned, say

from eailab.errors import StoreError
from eailab.runs.context import Ended, Failed, RunContext, Started
from eailab.runs.executors import ray as on_ray
from eailab.runs.executors.cluster import Dispatcher
from eailab.runs.executors.ray import RayExecutor

address, folder = sys.argv[1], Path(sys.argv[2])
study = planned(folder / "far", epochs=3, blocks=10)
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
            say("one node killed")


def share_a_gpu():
    """See two trials on the one GPU that the second node says it has; nothing is computed on it."""
    longer = planned(folder / "gpu", epochs=600, blocks=1).trials
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
    backend = on_ray._RayBackend(ray, on_gpus=True)
    Dispatcher(backend, RunContext(folder / "gpu", device="cpu", on_event=count)).run(longer)
    assert most == 2, most
    assert 0.0 in free, free
    say("two trials on one GPU")


def refuse_a_folder_that_one_node_does_not_have():
    """Before anything is trained there."""
    try:
        RayExecutor(address).run(study.trials, RunContext(folder / "apart"))
    except StoreError as error:
        say(f"refused: {error}")
    else:
        sys.exit("error: a node without the folder was not found out")


def terminate_a_command():
    """Ray takes over what a termination signal does; the command's own answer has to stand."""
    study = ["ablate", "lr", "0.001", "0.01", "--recipe", "digits-mlp", "-o", "epochs=100000"]
    where = ["--on", f"ray://{address}", "--runs", str(folder / "terminated")]
    process = subprocess.Popen([sys.executable, "-m", "eailab", *study, *where], stderr=subprocess.PIPE, text=True)
    while not list(folder.glob("terminated/trials/*/epochs.jsonl")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, (process.returncode, said)
    assert "The same command continues" in said, said
    assert "Traceback" not in said, said
    say("terminated: 143, and it named the command that goes on")


refuse_a_folder_that_one_node_does_not_have()
terminate_a_command()
share_a_gpu()
RayExecutor(address).run(study.trials, RunContext(folder / "far", device="cpu", on_event=watch))
assert sorted(ended) == sorted(trial.fingerprint for trial in study.trials)
check_against_this_machine(study, folder / "near")
