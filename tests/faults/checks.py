"""What must hold whatever goes wrong; a check returns what did not, so that a test can see it find something too."""

import json
import os
import shutil
import threading
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import numpy as np
from faulty_disk import Crash, FaultyDisk, Platters, left_behind, run, table, tiny_study, value_or_gap
from plans import one_factor, train_plan

from eailab.errors import EailabError, StoppedError, StoreError
from eailab.runs import records
from eailab.runs.checkpoint import Cadence
from eailab.runs.context import EpochEnded, RunContext, SetAside, Started, Waiting
from eailab.runs.lock import LOCAL_NAME
from eailab.runs.store import problems
from eailab.runs.training import run_trial
from eailab.studies import sharing
from eailab.studies.plan import plan
from eailab.studies.storage import read_record

SMALL = ("--recipe", "digits-mlp", "-o", "epochs=2", "-o", "data.limit=64", "-o", "model.hidden=[2]")
SMALL_STUDY = ("batch-size", "16", "32", *SMALL, "--seeds", "2", "--jobs", "1")
"""Two arms in two blocks, with which the commands are tried."""


def count_calls(root, study=None):
    """Run the study on a sound disk; return what it leaves behind and the calls that it makes."""
    disk = FaultyDisk(root)
    with disk.in_force():
        run(root, study)
    return left_behind(root), disk.calls


def unseen_changes(root, calls):
    """Follow a trace of calls, and return the files that lie there otherwise: changed by no call that was watched."""
    platters = Platters()
    for call in calls:
        platters.meet(call)
    followed = {path: None if inode is None else inode.seen for path, inode in platters.seen.items()}
    there = {str(path): path.read_bytes() if path.is_file() else None for path in (root, *root.rglob("*"))}
    return sorted(
        path
        for path in followed.keys() | there.keys()
        if followed.get(path, "none") != there.get(path, "none") and Path(path).name != LOCAL_NAME
    )


def has_found(wrong, sought):
    """Whether a check has found what a test looks for, so that it need not go on; None looks for nothing."""
    return sought is not None and any(sought in one for one in wrong)


def after_crashes(folder, truth, points, study=None, sought=None):
    """Die again and again, then run to the end, and compare all bytes; return what was wrong, and how often it died.

    An attempt that goes on from another makes fewer calls, and may end before the one at which it was to die.

    Args:
        folder: Where to work.
        truth: What an undisturbed study leaves behind.
        points: For each case, the calls at which one attempt after the other dies.
        study: Which; None for the usual one.
        sought: What ends the check as soon as it is found.
    """
    wrong, crashes = [], 0
    for number, case in enumerate(points):
        root = folder / f"crash-{number}"
        for point in case:
            try:
                with FaultyDisk(root, stop_at=point).in_force():
                    run(root, study)
            except Crash:
                crashes += 1
            if value_or_gap(root) not in (None, truth["value"]):
                wrong.append(f"calls {case}: a wrong number after {point}")
            wrong += [f"calls {case}: {one.reason}" for one in problems(RunContext(root).store)]
        wrong += rerun(root, truth, f"calls {case}", study)
        shutil.rmtree(root, ignore_errors=True)
        if has_found(wrong, sought):
            break
    return wrong, crashes


def after_a_full_disk(folder, truth, points, error):
    """Let every call from one on fail; one error must name a path, and the next run must end as if nothing had been."""
    wrong = []
    for point in points:
        root = folder / f"full-{error}-{point}"
        disk = FaultyDisk(root, fail_from=point, error=error)
        try:
            with disk.in_force():
                run(root)
            wrong.append(f"call {point}: nobody noticed")
        except StoreError as said:
            if str(root) not in str(said) or os.strerror(error) not in str(said):
                wrong.append(f"call {point}: {said}")
        except Exception as bug:  # noqa: BLE001 - any other exception is what is looked for
            wrong.append(f"call {point}: {bug!r}")
        wrong += rerun(root, truth, f"call {point}")
        shutil.rmtree(root)
    return wrong


def after_a_power_loss(folder, truth, calls, seed, first=1, sought=None):
    """Lose the power after every call in every way that the platters allow; nothing wrong may be read or come of it.

    Args:
        folder: Where to work.
        truth: What an undisturbed study leaves behind.
        calls: What it calls.
        seed: Of what the platters leave open.
        first: The call after which the power is first lost.
        sought: What ends the check as soon as it is found.
    """
    generator = np.random.default_rng(seed)
    platters, met, wrong, number = Platters(), set(), [], 0
    old_root = calls[0].path
    for moment, call in enumerate(calls, start=1):
        platters.meet(call)
        if moment < first:
            continue
        finished = moment == len(calls)
        for state in platters.states(generator):
            key = hash(tuple(sorted(state.items(), key=lambda item: item[0])))
            if key in met:
                continue
            met.add(key)
            number += 1
            root = folder / f"power-{number}"
            platters.materialise(state, old_root, root)
            value = value_or_gap(root)
            if value not in (None, truth["value"]):
                wrong.append(f"moment {moment}: a wrong number")
            if finished and value is None:
                wrong.append(f"moment {moment}: a finished trial was lost")
            wrong += rerun(root, truth, f"moment {moment}")
            shutil.rmtree(root)
            if has_found(wrong, sought):
                return wrong, number
    return wrong, number


def rerun(root, truth, where, study=None):
    """Run the study again on a sound disk; it must end with the bytes of the truth."""
    try:
        run(root, study)
        found = left_behind(root)
    except Exception as bug:  # noqa: BLE001 - whatever is raised here is a finding
        return [f"{where}: the second run ended with {bug!r}"]
    return [f"{where}: {name} differs" for name in found if found[name] != truth["bytes"][name]]


def after_damage(root, damages, sought=None):
    """Read the store after each damage to one file: what is shown must be the truth, or a gap.

    Args:
        root: A store with a finished study; whole again afterwards.
        damages: Pairs of a file and the bytes to put in its place.
        sought: What ends the check as soon as it is found.

    Returns:
        What did not hold, and how often damage to which file was not noticed, by a table or by a second run.
    """
    wrong, silent = [], Counter()
    truth = table(root)
    for file, damaged in damages:
        whole = file.read_bytes()
        file.write_bytes(damaged)
        shown, finished = None, False
        try:
            shown = table(root)
            finished = value_or_gap(root) is not None
        except StoreError as said:
            if str(file.parent) not in str(said):
                wrong.append(f"{file.name}: {said}")
        except Exception as bug:  # noqa: BLE001
            wrong.append(f"{file.name}: {bug!r}")
        finally:
            file.write_bytes(whole)
        if shown == truth and finished:
            silent[file.name] += 1
        elif shown == truth:
            pass  # the weights: no number of a table comes from them, and the next run trains them again
        elif shown is not None and '"state": "damaged"' not in shown and '"state": "missing"' not in shown:
            wrong.append(f"{file.name}: a wrong number")
        if has_found(wrong, sought):
            break
    return wrong, silent


def stopped(root, epochs=2):
    """Stop the trial of a longer study after some epochs; return the study and the trial's folder."""
    longer, ended = tiny_study(epochs=4), []

    def hear(event):
        ended.extend([event] if isinstance(event, EpochEnded) else [])

    with suppress(StoppedError):
        context = RunContext(root, cadence=Cadence(epochs=1))
        train_plan(plan(longer, context), context.followed(hear, lambda: len(ended) >= epochs), 1)
    (name,) = RunContext(root).store.trial_names()
    return longer, RunContext(root).store.folder(name)


def after_a_damaged_epoch(root, quiet):
    """Damage an epoch of a stopped trial whose checkpoint is whole, and go on; return what was lost, and what said."""
    study, folder = stopped(root)
    flip(folder.epochs_file, 40)
    run(quiet, study)
    said = run(root, study)
    wrong = [] if left_behind(root) == left_behind(quiet) else ["other bytes"]
    (started,) = (event for event in said if isinstance(event, Started))
    wrong += [] if started.resumed == 2 else [f"it went on after epoch {started.resumed}: {started.unused}"]
    return wrong, [event.reason for event in said if isinstance(event, SetAside)]


def after_one_damage(root, truth, name, damage):
    """Damage a file of a finished trial and run again; return what was wrong, and what was said.

    What must hold: the bytes are the same again, the file that was damaged is the one set aside, and it is named.
    """
    (trial,) = (root / "trials").iterdir()
    damage(trial / name)
    is_there = (trial / name).exists()
    said = [event.reason for event in run(root) if isinstance(event, SetAside)]
    wrong = [f"{one} differs" for one, found in left_behind(root).items() if found != truth["bytes"][one]]
    aside = {file.name for file in trial.glob("*.damaged-*")}
    if aside != ({f"{name}.damaged-1"} if is_there else set()):
        wrong.append(f"set aside: {aside}")
    if not any(str(trial / name) in one and "trained again" in one for one in said):
        wrong.append(f"said: {said}")
    return wrong


def damaged_figures_handed_on(eailab, root):
    """Damage a study's figures, and return those that `report` copies, and those that its own command leaves so."""
    (figures,) = root.glob("studies/*/figures")
    whole = {file.name: file.read_bytes() for file in figures.iterdir()}
    for file in figures.iterdir():
        flip_half(file)
    assert eailab("report", "--out", "out").code == 0
    reported = list((root.parent / "out/figures" / figures.parent.name).iterdir())
    assert reported, "a report copies figures"
    copied = [file.name for file in reported if file.read_bytes() != whole[file.name]]
    assert eailab("ablate", *SMALL_STUDY).code == 0
    return copied, [name for name in whole if (figures / name).read_bytes() != whole[name]]


def flip_half(file):
    """Turn over a bit in the middle of a file."""
    flip(file, file.stat().st_size // 2, 4)


def seal_epochs_again(trial, change):
    """Change the text of each epoch of a trial, and let the lines and the result vouch for what stands there then."""
    file, result = trial / "epochs.jsonl", trial / "result.json"
    bodies = [change(line.rpartition(', "crc": "')[0]).encode() for line in file.read_text().splitlines()]
    file.write_bytes(b"".join(b'%s, "crc": "%08x"}\n' % (body, crc32(body)) for body in bodies))
    record = json.loads(result.read_text())
    del record["checksum"]
    record["files"][file.name] = sha256(file.read_bytes()).hexdigest()
    result.write_text(json.dumps(record | {"checksum": records.seal(record)}))


def damage_of_every_kind(root):
    """Damage the trials of the small study, each in another file, and its record."""
    trials = sorted((root / "trials").iterdir())
    for trial, name in zip(
        trials, ("result.json", "epochs.jsonl", "predictions.npz", "model.safetensors"), strict=True
    ):
        flip_half(trial / name)
    flip(trials[0] / "timings.jsonl", 12)
    (study,) = (root / "studies").iterdir()
    shutil.copytree(study, study.with_name("other-0123456789"))
    flip_half(study.with_name("other-0123456789") / "study.yaml")
    flip_half(study / "figures" / "curves.png")
    (root / "plans").mkdir()
    (root / "plans" / "0123456789.yaml").write_text("studies: []")


def changed_by(eailab, root, commands):
    """Run commands one after the other, and return which of them changed anything below a folder, and what."""
    changed = {}
    for command in commands:
        before = tree(root)
        done = eailab(*command)
        assert done.code in (0, 1), done.err
        if after := {name for name in before.keys() | tree(root).keys() if before.get(name) != tree(root).get(name)}:
            changed[command[0]] = after
    return changed


def tree(root):
    """Every file below a folder with its bytes and when it was last written; locks aside, which hold nothing."""
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in root.rglob("*")
        if path.name != LOCAL_NAME
    }


def two_merges_at_once(root):
    """Let two commands with other blocks write one study's record, each just before the other; return its blocks."""
    here, meeting, write = RunContext(root), threading.Barrier(2), sharing.write_record
    recipe = tiny_study().arms[0].recipe
    plans = [plan(one_factor(recipe, "lr", [0.01, 0.001], blocks), here) for blocks in ([0, 1, 2], [0, 3])]

    def write_together(folder, record):
        with suppress(threading.BrokenBarrierError):
            meeting.wait(timeout=0.2)  # in vain, where only one may be here
        write(folder, record)

    def work(planned):
        with sharing.at_work([planned], here.store, print, lambda: False):
            both.wait()

    both = threading.Barrier(3)
    sharing.write_record = write_together
    threads = [threading.Thread(target=work, args=[planned]) for planned in plans]
    try:
        for thread in threads:
            thread.start()
        while both.n_waiting < len(threads):
            threads[0].join(0.01)
        return read_record(plans[0].folder).study.blocks
    finally:
        sharing.write_record = write
        both.wait()
        for thread in threads:
            thread.join()


def flip(file, place, mask=1):
    """Turn bits of one byte of a file over."""
    data = bytearray(file.read_bytes())
    data[place] ^= mask
    file.write_bytes(data)


def two_at_once(root):
    """Let two threads train one trial; return how many of them did."""
    (trial,) = tiny_study().trials([digits()]).values()
    started, errors, both_are_there = [], [], threading.Barrier(2, timeout=60)

    def hear(event):
        if isinstance(event, Started):
            started.append(event)
        if isinstance(event, Started | Waiting):
            with suppress(threading.BrokenBarrierError):  # the other has failed before it came here
                both_are_there.wait()

    def train():
        try:
            run_trial(trial, RunContext(root, on_event=hear))
        except EailabError as error:
            errors.append(error)
            both_are_there.abort()

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(started) + len(errors)


def digits():
    """The fingerprint of the digits."""
    from eailab.data.registry import load

    return load("digits").fingerprint
