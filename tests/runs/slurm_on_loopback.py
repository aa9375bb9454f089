"""Train twenty trials as Slurm jobs; push one off its node, kill the other node, compare with this machine's bytes."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from loopback_study import check_against_this_machine, planned, say

from eailab.runs.context import Ended, Failed, RunContext, TriedAgain
from eailab.runs.executors.slurm import SlurmExecutor

folder = Path(sys.argv[1])
study = planned(folder / "far", epochs=100, blocks=5)
ended = []


def slurm(*words):
    """Run one of Slurm's commands, and return what it prints."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def kill_node(name):
    """Kill a node's daemon and all that runs there, as a loss of power would."""
    jobs = slurm("squeue", "--noheader", f"--nodelist={name}", "--format=%A").split()
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            title = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            where = (process / "environ").read_bytes().split(b"\0")
            is_step = any(title.startswith(f"slurmstepd: [{job}.") for job in jobs)
            if title == f"slurmd -N {name}" or is_step or f"SLURMD_NODENAME={name}".encode() in where:
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
    say(f"{name} killed with {len(jobs)} jobs, {killed} processes")


def watch(event):
    """Let an urgent job push ours off one node once some trials have ended; later kill the other node."""
    if isinstance(event, Failed):
        sys.exit(f"error: {event}")
    if isinstance(event, TriedAgain):
        say(event.reason)
    if isinstance(event, Ended):
        ended.append(event.trial)
        if len(ended) == 2:
            urgent = ["sbatch", "--partition=urgent", "--nodelist=n1", "--output=/dev/null", "--wrap=sleep 1"]
            say(slurm(*urgent).strip())
        if len(ended) == 8:
            kill_node("n2")


SlurmExecutor(worth_seconds=5.0).run(study.trials, RunContext(folder / "far", device="cpu", on_event=watch))
assert sorted(ended) == sorted(trial.fingerprint for trial in study.trials)
logs = "".join(file.read_text() for file in (folder / "far" / ".slurm").glob("*_log.out"))
assert "Requeued job" in logs, "the job that was pushed off was not put back into the queue"
assert logs.count("Caught signal SIGUSR2") == logs.count("Requeued job")
check_against_this_machine(study, folder / "near")
