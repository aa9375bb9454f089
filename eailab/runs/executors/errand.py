"""One trial in a process of its own, on whatever machine: it is told the store's folder and a name, and leaves a code.

Run by the executors of several machines, as
`python -m eailab.runs.executors.errand RUNS NAME DEVICE CADENCE [DATA_DIR]`.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from eailab.engines.base import DeviceName
from eailab.errors import EailabError, StoppedError, UsageError
from eailab.runs.cadence import Cadence
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.local import Outcome, attempt

CODES = {"none": 0, "trial": 1, "usage": 2, "store": 74, "memory": 76}
"""Exit codes by what went wrong; any other is a death. Only executors see them."""

STOPPED = 143


@dataclass(frozen=True)
class Return:
    """What comes back from an errand; it may be late, come twice, or never."""

    name: str
    code: int
    """The exit code of the errand; negative for a signal."""
    reason: str
    """What it said last."""


def command(surroundings: Surroundings, name: str) -> list[str]:
    """Return the command that trains a trial, without a path that only this machine has but for the two folders."""
    cadence = surroundings.cadence
    often = f"{cadence.epochs}" if cadence.epochs is not None else f"{cadence.seconds}s"
    data = [] if surroundings.data_dir is None else [str(surroundings.data_dir.absolute())]
    return [str(surroundings.runs_dir.absolute()), name, surroundings.device, often, *data]


def run(arguments: list[str]) -> Return:
    """Run an errand in a fresh process of this machine, and wait for it; its process dies with ours."""
    program = [sys.executable, "-m", "eailab.runs.executors.errand", *arguments]
    done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    return Return(arguments[1], done.returncode, done.stderr.strip()[-4000:])


def main(runs_dir: str, name: str, device: str, often: str, data_dir: str | None = None) -> int:
    """Train one trial of a store; return the exit code."""
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGUSR2", signal.SIGTERM)):
        signal.signal(number, stop)
    parent = os.getppid()
    cadence = Cadence(seconds=float(often[:-1])) if often.endswith("s") else Cadence(epochs=int(often))
    known: dict[str, DeviceName] = {"auto": "auto", "cpu": "cpu", "cuda": "cuda"}
    surroundings = Surroundings(Path(runs_dir), Path(data_dir) if data_dir else None, known[device], cadence)
    try:
        trial = surroundings.store.folder(name).ordered()
        # an orphan would train on where nobody waits for it: its courier sends the trial elsewhere
        outcome = attempt(trial, surroundings, lambda _: None, lambda: stopped or os.getppid() != parent)
    except StoppedError:
        return STOPPED
    except EailabError as error:
        outcome = Outcome("trial", str(error), error.exit_code)
    return _say(outcome)


def _say(outcome: Outcome) -> int:
    sys.stderr.write(outcome.reason)
    usage = outcome.problem == "trial" and outcome.exit_code == UsageError.exit_code
    return CODES["usage" if usage else outcome.problem]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
