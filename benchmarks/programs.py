"""What eailab costs a trial of a person's own program, beyond the program itself.

Run:  python benchmarks/programs.py [--trials 1000] [--json FILE]

The program, `echo`, does nothing, and reports one number. A study of many trials and one of four run in a git
repository of 200 Python files, whose store lies within it and is not ignored; so does the program alone, as often. What
the studies differ by, for each further trial and less the program, is the cost: the start of the command and its first
audit do not count, and all that grows with the trials does, the tables and figures of the report too. Seconds of the
processor are those of eailab and of all that it starts; seconds of the clock also wait for the disk, to which each
trial is flushed several times. The disk is that of TMPDIR; how long it takes to flush a file is measured beside it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from eailab.runs import atomic
from eailab.runs.records import collect

FILES = 200
FEW = 4
SOURCE = "import os\n\n" + "".join(f"def f{n}(x):\n    return x + {n}\n\n" for n in range(40))


def taken(work: Callable[[], object]) -> dict[str, float]:
    """Return the seconds that a piece of work takes, of the clock, and of the processor in the processes it starts."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return {
        "seconds": ended - began,
        "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def study(trials: int, folder: Path) -> None:
    """Run a study of two arms."""
    asked = ["ablate", "lr", "1", "2", "--run", "echo val_loss {lr}.{seed}", "--metric", "val_loss", "-q"]
    command = [sys.executable, "-m", "eailab", *asked, "--seeds", str(trials // 2), "--runs", f"runs-{trials}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def alone(trials: int) -> None:
    """Run the program without eailab."""
    for number in range(trials):
        subprocess.run(["echo", f"val_loss 1.{number}"], check=True, capture_output=True)


def flushes(folder: Path, count: int = 100) -> float:
    """Return the seconds that it takes to write a file for good."""
    began = time.perf_counter()
    for number in range(count):
        atomic.write_bytes(folder / f"flushed-{number}", b"1")
    return (time.perf_counter() - began) / count


def measure(trials: int) -> dict[str, float]:
    """Return the cost of a trial, and what is measured beside it."""
    for name in ("PYTHONDONTWRITEBYTECODE", "OPENBLAS_CORETYPE"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(FILES):
            (folder / f"module_{number}.py").write_text(f"{SOURCE}print({number})\n", encoding="utf-8")
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        study(FEW, folder)  # Python's bytecode is made, and files are read from the disk
        few = taken(lambda: study(FEW + 2, folder))
        many = taken(lambda: study(trials + FEW + 2, folder))
        program = taken(lambda: alone(trials))
        written = flushes(folder)
    cost = {key: (many[key] - few[key] - program[key]) / trials for key in many}
    return {**{f"{key}_a_trial": value for key, value in cost.items()}, "seconds_to_write_a_file": written}


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure(options.trials)
    for what, seconds in found.items():
        print(f"{what}: {1000 * seconds:.1f} ms")
    if options.json:
        machine = {key: value for key, value in collect("cpu", 1, ("numpy",)).items() if key != "host"}
        record = {"trials": options.trials, **found, "load": os.getloadavg()[0], "machine": machine}
        options.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
