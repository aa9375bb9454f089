"""Changes one value of one file of a valid store, seals it again, and lets every command that reads meet it.

What must hold: no command ends with a traceback or writes to the store, and where a verdict has changed, some command
says that something is wrong. `python tests/faults/mutations.py 3000 --processes 100` tries many; the suite tries a few.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile
from zlib import crc32

import numpy as np
import yaml
from PIL import Image
from typer.testing import CliRunner

from eailab.cli import app as program
from eailab.errors import StoppedError
from eailab.recipe.canonical import digest
from eailab.runs import checkpoint, records
from eailab.runs.checkpoint import Cadence
from eailab.runs.context import EpochEnded, RunContext
from eailab.runs.store import Store
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial
from eailab.studies.storage import CHECKSUM

SEED = 14
SMALL = ["--recipe", "digits-mlp", "-o", "epochs=2", "-o", "data.limit=64", "-o", "model.hidden=[4]"]
STUDY = ["ablate", "lr", "0.01", "0.001", *SMALL, "--seeds", "3", "--jobs", "1"]
FORMATS = [word for name in ("markdown", "html", "csv", "json") for word in ("--format", name)]
DRAWN = ["--format", "latex"]
"""A format whose figures are drawn for each report, which takes longer than all else: every fourth change meets it."""
RESULTS = "optimizer,seed,loss\nadam,1,0.5\nadam,2,0.625\nsgd,1,0.25\nsgd,2,nan\n"
WEIGHTS = "weights.safetensors"
NUMBERS = [0, 1, -1, 2, 0.5, 1e-320, 1e308, -1e308, 2**31 - 1, 2**31, 2**63, 10**12, 10**30, float("inf"), float("nan")]
OTHERS = [None, True, "", "7", "nan", "\x1b[31m", "../../x", "a\u202eb", "\ud800", "x" * 5000, [], {}, [[]], {"a": 1}]


# --- a valid store, and the commands that read it --------------------------------------------------------------------


def run(*arguments):
    """Run a command in this process; return its exit code, output and errors, or the traceback that ended it."""
    sys.argv = ["eailab", *map(str, arguments)]
    with CliRunner().isolation() as (out, err, *_), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            program.main()
            code, trace = 0, ""
        except SystemExit as end:
            code, trace = end.code or 0, ""
        except BaseException:  # noqa: BLE001 - whatever ends a command is what is looked for
            code, trace = 1, traceback.format_exc()
        said = out.getvalue().decode(errors="replace"), err.getvalue().decode(errors="replace") + trace
    return code, *said


def start(*arguments):
    """Run a command as a process of its own; return the same."""
    ended = subprocess.run(
        [sys.executable, "-m", "eailab", *map(str, arguments)],
        capture_output=True, check=False, timeout=120, env=os.environ | {"COLUMNS": "100"},
    )  # fmt: skip
    return ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace")


def make(root):
    """Fill a folder with a study, its plan, an imported study, a report, a trial that was stopped and an image."""
    with contextlib.chdir(root):
        frozen = [*STUDY, "--freeze", "-m", "a smaller rate is worse"]
        Path("results.csv").write_text(RESULTS)
        for command in (frozen, STUDY, ["judge", "results.csv"], ["report", "--out", "told", *FORMATS]):
            code, _, said = run(*command)
            assert code == 0, said
        store = Store(Path("runs"))
        finished = store.folder(store.trial_names()[0])
        trial = Trial(finished.recipe(), 9, finished.record()["data"])
        seen = []
        with contextlib.suppress(StoppedError):
            context = RunContext(store.root, cadence=Cadence(epochs=1))
            hear = lambda event: seen.append(event) if isinstance(event, EpochEnded) else None  # noqa: E731
            run_trial(trial, context.followed(hear, lambda: bool(seen)))
        assert (store.folder(trial.fingerprint).path / "checkpoint.safetensors").exists()
        Image.fromarray(np.zeros((8, 8), np.uint8)).save("seven.png")
        other = finished.recipe_file.read_text().replace("lr: 0.01", "lr: 0.05").replace("lr: 0.001", "lr: 0.05")
        Path("other.yaml").write_text(other)


def reading(name, other, formats=(*FORMATS, *DRAWN)):
    """Return every command that reads, about a trial and another one."""
    return [
        ["report", "--out", "out", *formats],
        ["runs", "verify"],
        ["verify", "told/report.html"],
        ["verify", "told/report.json"],
        ["runs", "list"],
        ["runs", "show", name],
        ["diff", name, other],
        ["predict", name, "seven.png"],
        ["export", name, "--to", "safetensors", "--out", f"out/{WEIGHTS}"],
        [*STUDY, "-n"],
        ["explain", "digits-mlp", "other.yaml", "--order", "listed", *SMALL[2:], "-n"],
    ]


# --- one value changed -----------------------------------------------------------------------------------------------


def places(value, path=()):
    """Yield the path of everything in a value of JSON or YAML."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


def changed(value, chance):
    """Change one thing in a value of JSON or YAML, and say which and how."""
    path = chance.choice([place for place in places(value) if place])
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    old, key = parent[path[-1]], path[-1]
    how = chance.randrange(10)
    if how == 0:
        del parent[key]
        return f"without {path}"
    if how == 1 and isinstance(parent, list):
        parent.insert(chance.randrange(len(parent) + 1), old)
        return f"{path} twice"
    if how == 2 and isinstance(parent, dict):
        parent[f"{key}{chance.choice(['', ' ', '2'])}x"] = parent.pop(key)
        return f"{path} renamed"
    if how <= 5 and isinstance(old, int | float) and not isinstance(old, bool):
        new = chance.choice([old + 1, old - 1, old * 2, -old, old / 2, float(old), old * 1.01])
    elif how <= 8:
        new = chance.choice(NUMBERS)
    else:
        new = chance.choice(OTHERS)
    parent[key] = new
    return f"{path}: {old!r:.40} -> {new!r:.40}"


def changed_arrays(arrays, chance):
    """Change one array among several in place, and say which and how."""
    name = chance.choice(sorted(arrays))
    array = arrays[name]
    way = chance.choice(["value", "shape", "cut", "type", "missing", "other", "empty", "turned"])
    if way == "value" and array.size:
        flat = array.reshape(-1).copy()
        flat[chance.randrange(flat.size)] = chance.choice(
            [0, 1, 9, 200, np.nan, np.inf, 1e38][: 7 if flat.dtype.kind == "f" else 4]
        )
        arrays[name] = flat.reshape(array.shape)
    elif way == "shape":
        arrays[name] = array[..., np.newaxis] if chance.random() < 0.5 else array.reshape(1, *array.shape)
    elif way == "cut":
        arrays[name] = array[: len(array) // 2] if array.ndim else array.reshape(1)
    elif way == "type":
        arrays[name] = array.astype(chance.choice([np.float64, np.int64, np.bool_, np.float16, np.uint8]))
    elif way == "missing":
        del arrays[name]
    elif way == "other":
        arrays[f"{name}2"] = array
    elif way == "empty":
        arrays[name] = array[:0] if array.ndim else array
    else:
        arrays[name] = array.T
    return f"{name}: {way}"


# --- files, changed and sealed again ---------------------------------------------------------------------------------


def json_file(file, chance):
    """Change a file of JSON that has no seal."""
    value = json.loads(file.read_text())
    said = changed(value, chance)
    file.write_text(json.dumps(value, indent=2))
    return said


def result(file, chance):
    """Change `result.json`."""
    record = json.loads(file.read_text())
    del record["checksum"]
    said = changed(record, chance)
    file.write_text(json.dumps(record | {"checksum": sealed(record)}))
    return said


def lines(file, chance):
    """Change a line of `epochs.jsonl` or `timings.jsonl`, or their order."""
    found = [records.unsealed(line) for line in file.read_bytes().splitlines()]
    said = changed(found, chance) if chance.random() < 0.8 else "lines in another order"
    if said.startswith("lines"):
        chance.shuffle(found)
    bodies = [json.dumps(one)[: -1 if isinstance(one, dict) else None].encode() for one in found]
    file.write_bytes(b"".join(b'%s, "crc": "%08x"}\n' % (body, crc32(body)) for body in bodies))
    return said


def recipe(file, chance):
    """Change a trial's recipe."""
    head = "".join(line for line in file.read_text().splitlines(keepends=True) if line.startswith("#"))
    value = yaml.safe_load(file.read_text())
    said = changed(value, chance)
    file.write_text(head + dumped(value))
    return said


def study(file, chance):
    """Change `study.yaml`."""
    value = yaml.safe_load(file.read_text())
    said = changed(value, chance)
    body = dumped(value)
    file.write_text(f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n")
    return said


def imported(file, chance):
    """Change `imported.json`, and let the record and the recipes of its study vouch for it."""
    value = json.loads(file.read_text())
    said = changed(value, chance)
    file.write_text(json.dumps(value))
    seal = sha256(file.read_bytes()).hexdigest()
    record = file.with_name("study.yaml")
    value = yaml.safe_load(record.read_text())
    value["imported"] = seal
    for arm in value["arms"]:
        arm["recipe"]["source"] = seal
    body = dumped(value)
    record.write_text(f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n")
    return said


def frozen_plan(file, chance):
    """Change a frozen plan, and name its file after what it then says."""
    value = yaml.safe_load(file.read_text())
    said = changed(value, chance)
    with contextlib.suppress(ValueError, TypeError):  # what has no fingerprint keeps its name
        content = {key: inner for key, inner in value.items() if key != "frozen"}
        file.unlink()
        file = file.with_name(f"{digest(content)[:10]}.yaml")
    file.write_text(dumped(value))
    return said


def predictions(file, chance):
    """Change the predictions, their header or their compression."""
    with np.load(file) as found:
        arrays = dict(found)
    way = chance.randrange(6)
    if way == 0:
        data = bytearray(file.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        return "a bit flipped"
    if way == 1:
        np.savez(file, **arrays)
        file.write_bytes(file.read_bytes().replace(b"(180,), }", b"(9**9,),}").replace(b"(360,), }", b"(99999,),}"))
        return "a header that lies"
    said = changed_arrays(arrays, chance)
    np.savez_compressed(file, **arrays)
    if way == 2 and arrays:
        with ZipFile(file, "a") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(archive.namelist()[0], b"")
        said += ", and a member twice"
    return said


def tensors(file, chance):
    """Change the weights or the facts of a safetensors file."""
    arrays, facts = checkpoint.load(file)
    if chance.random() < 0.5:
        said = changed_arrays(arrays, chance)
    else:
        name = chance.choice(sorted(facts))
        with contextlib.suppress(ValueError):
            inner = {name: json.loads(facts[name])}
            said, facts[name] = changed(inner, chance), json.dumps(inner.get(name))
            checkpoint.save(file, arrays, **facts)
            return said
        facts[name] = chance.choice(["", "-1", "1e999", "nan", "9" * 30, "x" * 5000])
        said = f"{name}: {facts[name]:.20}"
    checkpoint.save(file, arrays, **facts)
    return said


KINDS = {
    "study.yaml": study,
    "imported.json": imported,
    "table.json": json_file,
    "costs.json": json_file,
    "plans/*.yaml": frozen_plan,
    "recipe.yaml": recipe,
    "trial.json": json_file,
    "epochs.jsonl": lines,
    "timings.jsonl": lines,
    "result.json": result,
    "predictions.npz": predictions,
    "model.safetensors": tensors,
    "checkpoint.safetensors": tensors,
}
"""How each kind of file is changed."""


def sealed(record):
    """Return the seal of a record; JSON's words for what is no number are taken too."""
    return sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def dumped(value):
    """Return YAML, whatever a value holds."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120).encode(errors="replace").decode()


def seal_again(folder):
    """Let a trial's result vouch for its files as they are now."""
    file = folder / "result.json"
    record = json.loads(file.read_text())
    del record["checksum"]
    record["files"] = {name: sha256((folder / name).read_bytes()).hexdigest() for name in record["files"]}
    file.write_text(json.dumps(record | {"checksum": sealed(record)}))


# --- what came of it -------------------------------------------------------------------------------------------------


@dataclass
class Found:
    """What many changes have shown."""

    mutations: int = 0
    commands: int = 0
    processes: int = 0
    """How many of these were processes of their own too."""
    noticed: int = 0
    """Changes of which some command said that something was wrong."""
    verdicts_changed: int = 0
    """Of these, how many changed a verdict or a number of the report."""
    tracebacks: list = field(default_factory=list)
    unexplained: list = field(default_factory=list)
    """Changes of a verdict that neither `report` nor `runs verify` explained."""
    written: list = field(default_factory=list)
    """Changes after which a reading command wrote to the store."""
    by_kind: dict = field(default_factory=dict)


def contents(root):
    """Return every file below a folder with its bytes."""
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def says_why(code, out, err):
    """Return whether a command says that something in the store is wrong."""
    return code != 0 or "left out" in err or "damaged" in out


def verdicts(out):
    """Return what a report says of each study's arms."""
    file = out / "report.json"
    if not file.exists():
        return None
    studies = json.loads(file.read_text())["studies"]
    return [[(arm["label"], arm.get("verdict")) for arm in one["arms"]] for one in studies]


def mutate(root, number, found, processes=False):
    """Change one value of the store in a folder, let every command read it, and put the store back.

    Args:
        root: The folder.
        number: Of the change.
        found: What many changes have shown.
        processes: Whether two of the commands, in turn, are processes of their own too, which must end in the same way.
    """
    chance = random.Random(SEED * 10**6 + number)  # noqa: S311 - no secret
    kind = sorted(KINDS)[number % len(KINDS)]
    files = sorted((root / "runs").glob(kind if "/" in kind else f"*/*/{kind}"))
    file = chance.choice(files)
    before = contents(root / "runs")
    names = sorted({path.parent.name for path in before if path.parent.parent.name == "trials"})
    finished = [name for name in names if root / "runs" / "trials" / name / "predictions.npz" in before]
    name = file.parent.name if file.parent.name in finished else chance.choice(finished)
    said = f"{number}: {kind}, {KINDS[kind](file, chance)}"
    if kind in ("recipe.yaml", "epochs.jsonl", "predictions.npz", "model.safetensors") and name == file.parent.name:
        seal_again(file.parent)
    changed_store = contents(root / "runs")
    shutil.rmtree(root / "out", ignore_errors=True)
    found.mutations += 1
    found.by_kind[kind] = found.by_kind.get(kind, 0) + 1
    noticed = explained = False
    formats = FORMATS if number % 4 else (*FORMATS, *DRAWN)
    commands = reading(name, next(one for one in finished if one != name), formats)
    for place, command in enumerate(commands):
        code, out, err = run(*command)
        found.commands += 1
        if processes and (place - 2 * number) % len(commands) < 2:
            found.processes += 1
            (root / "out" / WEIGHTS).unlink(missing_ok=True)  # `export` overwrites nothing
            alone, _, traced = start(*command)
            err += traced if alone == code else f"{traced}\nTraceback: exit {alone} as a process, not {code}"
        if "Traceback" in out + err:
            found.tracebacks.append(f"{said}; {' '.join(command[:2])}: {err.strip().splitlines()[-1]:.300}\n{err}")
        noticed |= says_why(code, out, err)
        explained |= says_why(code, out, err) and command[0] in ("report", "runs")
    found.noticed += noticed
    if verdicts(root / "out") != verdicts(root / "told"):
        found.verdicts_changed += 1
        if not explained:
            found.unexplained.append(said)
    if contents(root / "runs") != changed_store:
        found.written.append(said)
    put_back(root / "runs", before)


def put_back(root, before):
    """Let a folder hold what it held."""
    for path in contents(root).keys() - before.keys():
        path.unlink()
    for path, data in before.items():
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


def siege(mutations, processes=0, first=0, hear=lambda found: None):
    """Try many changes, the first of them by processes too, and return what was found."""
    found = Found()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root)
        with contextlib.chdir(root):
            names = [path.parent.name for path in sorted(root.glob("runs/trials/*/result.json"))]
            for command in reading(*names[:2]):
                assert not says_why(*run(*command)), command
            for number in range(first, first + mutations):
                mutate(root, number, found, number < first + processes)
                hear(found)
    return found


def tell(found):
    """Write how far it is now and then, and what was found."""
    if found.mutations % 50 == 0:
        faults = [*found.tracebacks, *found.unexplained, *found.written]
        sys.stderr.write("\n  ".join([f"{found.mutations} changes, {len(faults)} faults", *faults]) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mutations", type=int)
    parser.add_argument("--processes", type=int, default=0, help="how many of them meet processes too")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    asked = parser.parse_args()
    sys.stdout.write(json.dumps(asdict(siege(asked.mutations, asked.processes, asked.first, tell)), indent=1) + "\n")
