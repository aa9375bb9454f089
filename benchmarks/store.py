"""What the store costs: per trial, and with ten thousand trials in it.

Run:  python benchmarks/store.py [--trials 10000]

Everything is measured in the processor's own seconds of one process, so that other work on the machine does not count;
the wait for the disk does not either, and is given beside it. The store is made of synthetic trials of the size of
`digits-mlp`, with 30 epochs each; it lies in a temporary folder, on the disk that TMPDIR names.
"""

import argparse
import json
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from eailab.data.npz import pack_counts
from eailab.data.registry import load as load_data
from eailab.engines.numpy_mlp.engine import MlpEngine
from eailab.engines.spec import PREDICTIONS, WEIGHTS
from eailab.recipe.load import Override, load
from eailab.runs.checkpoint import packed
from eailab.runs.context import RunContext
from eailab.runs.records import Epoch, Result, collect
from eailab.runs.store import summary
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial
from eailab.studies.design import one_at_a_time
from eailab.studies.factor import factor_from_text
from eailab.studies.plan import plan
from eailab.studies.storage import write_record

ARMS = 5


@contextmanager
def measured(into, name):
    """Note the processor's seconds and the clock's."""
    processor, clock = time.process_time(), time.perf_counter()
    yield
    into[name] = {
        "processor_seconds": round(time.process_time() - processor, 3),
        "seconds": round(time.perf_counter() - clock, 3),
    }


def fill(store, trials):
    """Write finished trials of the size of digits-mlp."""
    generator = np.random.default_rng(0)
    weights = {
        f"layers.{n}.{part}": generator.random(shape, np.float32)
        for n, (o, i) in enumerate(((64, 64), (32, 64), (10, 32)))
        for part, shape in (("weight", (o, i)), ("bias", (o,)))
    }
    predictions = {
        "validation": generator.integers(10, size=288).astype(np.uint16),
        "test": generator.integers(10, size=360).astype(np.uint16),
    }
    provenance = collect("cpu", 1, ("numpy",))
    for trial in trials:
        folder = store.folder(trial.fingerprint)
        folder.path.mkdir(parents=True)
        folder.begin(trial, 1)
        lines = [Epoch(n, values(1.0 / n)) for n in range(1, 31)]
        for epoch in lines:
            folder.add_epoch(epoch)
        scores = values(float(generator.random()), "train", "validation", "test")
        result = Result("finished", 30, scores, None, 6570, provenance)
        folder.finish(trial, result, {WEIGHTS.name: packed(weights), PREDICTIONS.name: pack_counts(predictions)})


def values(loss, *splits):
    """Return the scores of some splits; of an epoch if none is named."""
    return {
        f"{split}_{name}": one
        for split in splits or ("train", "validation")
        for name, one in (("loss", loss), ("accuracy", 0.9))
    }


def overhead(root):
    """Return what a real trial costs beside training and evaluating: medians by the processor and the clock."""
    recipe = load("digits-mlp", [Override("epochs", 30, "-o")]).recipe
    work = [0.0, 0.0]
    real = {name: getattr(MlpEngine, name) for name in ("train_epoch", "evaluate")}

    def timed(name):
        def method(*arguments):
            processor, clock = time.process_time(), time.perf_counter()
            try:
                return real[name](*arguments)
            finally:
                work[0] += time.process_time() - processor
                work[1] += time.perf_counter() - clock

        return method

    for name in real:
        setattr(MlpEngine, name, timed(name))
    costs = []
    for block in range(20):
        work[:] = [0.0, 0.0]
        trial = Trial(recipe, block, load_data("digits").fingerprint)
        processor, clock = time.process_time(), time.perf_counter()
        run_trial(trial, RunContext(root))
        costs.append((time.process_time() - processor - work[0], time.perf_counter() - clock - work[1]))
    for name, method in real.items():
        setattr(MlpEngine, name, method)
    processor, clock = np.median(costs, axis=0).round(4).tolist()
    return {"processor_seconds": processor, "seconds": clock}


def main():
    """Measure, print, and write the result beside the other benchmarks'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "store.json")
    asked = parser.parse_args()
    found = {"trials": asked.trials}
    recipe = load("digits-mlp", [Override("epochs", 30, "-o")]).recipe
    levels = [round(0.001 * (1 + n), 3) for n in range(ARMS)]
    (study,) = one_at_a_time(recipe, [factor_from_text("lr", levels)], range(asked.trials // ARMS))
    with tempfile.TemporaryDirectory() as folder:
        found["a_trial_beyond_its_training"] = overhead(Path(folder) / "overhead")
        context = RunContext(Path(folder) / "runs")
        load_data("digits")
        with measured(found, "plan_an_empty_store"):
            planned = plan(study, context)
        with measured(found, "fill"):
            fill(context.store, planned.trials)
        with measured(found, "write_study_yaml"):
            write_record(planned.folder, planned.record)
        with measured(found, "plan_the_full_store"):
            again = plan(study, context)
        if again.todo:
            raise SystemExit("error: finished trials were not found finished")
        with measured(found, "runs_list"):
            listed = len([summary(context.store.folder(name)) for name in context.store.trial_names()])
        files = [file for file in context.runs_dir.rglob("*") if file.is_file()]
        found["files_a_trial"] = round(len(files) / listed, 1)
        found["bytes_a_trial"] = round(sum(file.stat().st_size for file in files) / listed)
    print(json.dumps(found, indent=2))
    asked.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
