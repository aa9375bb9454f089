"""A study for machines on loopback, and what this machine alone makes of it; used by the scripts for Ray and Slurm."""

import sys

from eailab.recipe.load import Override, load
from eailab.report.formats import FORMATS
from eailab.report.json_report import as_json
from eailab.report.study_report import Report, load_study
from eailab.runs.context import RunContext
from eailab.runs.executors.local import LocalExecutor
from eailab.studies.design import one_at_a_time
from eailab.studies.factor import factor_from_text
from eailab.studies.plan import plan
from eailab.studies.storage import write_record

FILES = ("recipe.yaml", "epochs.jsonl", "model.safetensors", "predictions.npz")


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def planned(folder, epochs, blocks):
    """Plan four arms in some blocks."""
    recipe = load("digits-mlp", [Override("epochs", epochs, "-o"), Override("model.hidden", [8], "-o")]).recipe
    factor = factor_from_text("lr", [0.0003, 0.001, 0.003, 0.01])
    (study,) = one_at_a_time(recipe, [factor], range(blocks))
    return plan(study, RunContext(folder, device="cpu"))


def tables(one):
    """Return a study's tables, as they are published."""
    write_record(one.folder, one.record)
    told = load_study(RunContext(one.folder.parents[1]).store, one.folder, None)
    return FORMATS["markdown"].text(Report("study", "en", (told,))), as_json(told.findings)


def check_against_this_machine(far, folder):
    """Train a study here too, and compare its tables and the files of its trials, byte for byte."""
    near = plan(far.record.study, RunContext(folder, device="cpu"))
    LocalExecutor(1).run(near.trials, RunContext(folder, device="cpu"))
    stores = [RunContext(one.folder.parents[1]).store for one in (far, near)]
    for trial in near.trials:
        a, b = (store.folder(trial.fingerprint) for store in stores)
        assert a.result() is not None
        for name in FILES:
            assert (a.path / name).read_bytes() == (b.path / name).read_bytes(), name
    assert tables(far) == tables(near)
    say(f"{len(near.trials)} trials, equal bytes, equal tables")
