"""Lies that are sealed again, each with what finds it: these tests hold SECURITY.md to what it says of them."""

import json
import re
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import yaml
from plans import one_factor, train_plan

from eailab.recipe.load import load, parse_override
from eailab.report.verify import verify
from eailab.report.write import write_study
from eailab.runs import checkpoint, records
from eailab.runs import store as trials
from eailab.runs.context import RunContext
from eailab.runs.retrain import retrain
from eailab.runs.trial import Trial
from eailab.studies import admin
from eailab.studies.plan import plan
from eailab.studies.storage import CHECKSUM, read_record


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A finished study of two optimizers in three blocks, to be copied."""
    root = tmp_path_factory.mktemp("honest")
    changes = [parse_override(text) for text in ("epochs=2", "data.limit=64", "model.hidden=[8]")]
    made = one_factor(load("digits-mlp", changes).recipe, "optimizer", ["adam", "sgd"], range(3))
    context = RunContext(root)
    assert train_plan(plan(made, context), context, 1) == []
    return root


@pytest.fixture
def store(honest, tmp_path):
    shutil.copytree(honest, tmp_path / "runs")
    return RunContext(tmp_path / "runs").store


def folder_of(store) -> Path:
    (folder,) = store.study_folders()
    return folder


def liar(store):
    """The folder of the trial that is lied about: sgd in block 0."""
    return store.folder(read_record(folder_of(store)).trials[1, 0])


# --- the tools of a liar ---------------------------------------------------------------------------------------------


def seal_result(folder, change):
    record = json.loads(folder.result_file.read_text())
    del record["checksum"]
    change(record)
    for name in record["files"]:
        record["files"][name] = sha256((folder.path / name).read_bytes()).hexdigest()
    record["checksum"] = records.seal(record)
    folder.result_file.write_text(json.dumps(record))


def seal_epochs(folder, change):
    lines = [records.unsealed(line) for line in folder.epochs_file.read_bytes().splitlines()]
    change(lines)
    folder.epochs_file.write_bytes(b"".join(map(records.sealed_line, lines)))


def seal_study(store, change):
    file = folder_of(store) / "study.yaml"
    mapping = yaml.safe_load(file.read_text())
    change(mapping)
    body = yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, width=120)
    file.write_text(f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n")


def predict(folder, change):
    found = folder.predictions()
    change(found)
    np.savez_compressed(folder.predictions_file, **found)


def in_metrics(**changes):
    return lambda store: seal_result(liar(store), lambda record: record["metrics"].update(changes))


def in_result(**changes):
    return lambda store: seal_result(liar(store), lambda record: record.update(changes))


def in_arm(**changes):
    return lambda store: seal_study(store, lambda study: study["arms"][1].update(changes))


def swap_labels(store):
    def swap(study):
        one, other = study["arms"]
        one["level"], other["level"] = other["level"], one["level"]

    seal_study(store, swap)


def drop_a_block(store):
    def drop(study):
        study["blocks"].remove(1)
        for arm in study["arms"]:
            del arm["trials"]["1"]

    seal_study(store, drop)


def drop_a_block_and_its_trials(store):
    gone = [name for (_, block), name in read_record(folder_of(store)).trials.items() if block == 1]
    drop_a_block(store)
    for name in gone:
        shutil.rmtree(store.folder(name).path)


def name_another_trial(store):
    seal_study(store, lambda study: study["arms"][1]["trials"].update({"0": "0" * 20}))


def both_scores(store, **changes):
    """The last epoch and the result say the same."""
    seal_epochs(liar(store), lambda lines: lines[-1].update(changes))
    in_metrics(**changes)(store)


def forge_an_epoch(store):
    seal_epochs(liar(store), lambda lines: lines.insert(1, lines[0] | {"epoch": 2}))
    seal_epochs(liar(store), lambda lines: lines[-1].update(epoch=3))
    in_result(epochs=3)(store)


def change_an_earlier_epoch(store):
    seal_epochs(liar(store), lambda lines: lines[0].update(train_loss=0.1))
    in_result()(store)


def raise_the_accuracy(store):
    """By one image, which is a whole number of them."""
    count = len(liar(store).predictions()["test"])
    before = json.loads(liar(store).result_file.read_text())["metrics"]["test_accuracy"]
    in_metrics(test_accuracy=(round(before * count) + 1) / count)(store)


def forge_predictions_that_fit(store):
    """Two images trade their predictions where both are right, or both wrong: the accuracy stays."""
    from eailab.data.registry import load as load_data

    labels = load_data("digits").test.labels

    def change(found):
        wrong = np.flatnonzero(found["test"] != labels)[0]
        found["test"][wrong] = next(c for c in range(10) if c not in (labels[wrong], found["test"][wrong]))

    predict(liar(store), change)
    in_result()(store)


def forge_weights(store):
    arrays, facts = checkpoint.load(liar(store).weights_file)
    checkpoint.save(liar(store).weights_file, {name: array * 0.5 for name, array in arrays.items()}, **facts)
    in_result()(store)


def other_block(store):
    in_result(block=7)(store)


def lie_about_the_device(store):
    def change(record):
        record["provenance"] |= {"device": "NVIDIA H100", "host": "elsewhere"}

    seal_result(liar(store), change)


def lie_about_time(store):
    folder = liar(store)
    lines = [records.unsealed(line) for line in folder.timings_file.read_bytes().splitlines()]
    folder.timings_file.write_bytes(b"".join(records.sealed_line(line | {"seconds": 0.001}) for line in lines))


LIES = {
    "the label of an arm, or its text": (swap_labels, "RV"),
    "the settings that a level brings": (in_arm(brought=["optimizer sgd brings momentum 0.5"]), "RV"),
    "the updates of an arm": (in_arm(updates=1), "RV"),
    "the training images of a study": (lambda store: seal_study(store, lambda s: s.update(training_images=9)), "RV"),
    "the share of the largest class": (lambda store: seal_study(store, lambda s: s.update(largest_class=0.5)), "V"),
    "a block dropped from a study, its trials left": (drop_a_block, "RV"),
    "another trial in the place of an arm's": (name_another_trial, "RV"),
    "the block, data or recipe of a trial": (other_block, "RV"),
    "more or fewer epochs than the recipe's": (forge_an_epoch, "RV"),
    "final scores that the last epoch does not have": (in_metrics(validation_loss=0.01), "RV"),
    "an accuracy of no whole number of images": (in_metrics(test_accuracy=0.98765), "RV"),
    "the number of parameters": (in_result(parameters=1), "RV"),
    "an accuracy that the predictions do not have": (raise_the_accuracy, "V"),
    "a loss, in the result and the last epoch": (lambda store: both_scores(store, validation_loss=0.01), "T"),
    "scores of an earlier epoch": (
        lambda s: (seal_epochs(liar(s), lambda e: e[0].update(train_loss=0.1)), in_result()(s)),
        "T",
    ),
    "predictions with the same accuracy": (forge_predictions_that_fit, "T"),
    "weights of the same shapes": (forge_weights, "T"),
    "a block dropped together with its trials": (drop_a_block_and_its_trials, ""),
    "device, host, versions and date of a trial": (lie_about_the_device, ""),
    "seconds and energy": (lie_about_time, ""),
}
"""By what SECURITY.md calls them: how to tell them, and whether `runs verify` (R), `verify` (V) or only `--retrain` (T)
finds them."""


def found_by(store):
    """Return what finds a lie in a store whose report the liar has made again."""
    folder = folder_of(store)
    record = read_record(folder)
    renamed = folder.with_name(record.study.folder_name)
    folder.rename(renamed)
    found = "R" if [*trials.problems(store), *admin.problems(store)] else ""
    write_study(store, renamed)
    if not verify(renamed / "report.html", store).holds:
        found += "V"
    if not found:
        result = liar(store).record()
        trial = Trial(record.study.arms[1].recipe, 0, result["data"])
        found += "T" if retrain(trial, RunContext(store.root)).differences else ""
    return found


def test_nothing_is_found_in_an_honest_store(store):
    assert found_by(store) == ""


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_by_what_security_md_says(store, lie):
    tell, expected = LIES[lie]
    tell(store)
    assert found_by(store) == expected


def test_security_md_lists_every_lie():
    text = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (yes|-) \| (yes|-) \| (yes|-) \|$", text, re.MULTILINE)
    listed = {
        name: "".join(mark for mark, said in zip("RVT", marks, strict=True) if said == "yes") for name, *marks in rows
    }
    assert listed == {lie: expected for lie, (_, expected) in LIES.items()}
