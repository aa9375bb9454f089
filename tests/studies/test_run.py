"""A plan asks the store what is left, and running it trains just that."""

import re
import subprocess
import sys
import traceback

import numpy as np
import pytest
from plans import one_factor, train_plan

from eailab.engines.numpy_mlp.engine import MlpEngine
from eailab.errors import DataError, DeviceError, StudyError, UsageError
from eailab.recipe.canonical import to_yaml
from eailab.recipe.load import Override, load
from eailab.recipe.override import vary
from eailab.runs.context import EpochEnded, RunContext
from eailab.studies.plan import plan
from eailab.studies.storage import read_record, write_record

RECIPE = load("digits-mlp", [Override("epochs", 1, "-o")]).recipe


def study(blocks, levels=(16, 32)):
    return one_factor(RECIPE, "batch-size", list(levels), blocks)


def carry_out(root, blocks):
    planned, events = plan(study(blocks), RunContext(root)), []
    failed = train_plan(planned, RunContext(root, on_event=events.append), 1)
    assert failed == []
    return planned, sum(isinstance(event, EpochEnded) for event in events)


def test_a_second_run_trains_nothing_and_more_blocks_train_only_those(tmp_path):
    planned, trained = carry_out(tmp_path, (0, 1))
    assert (len(planned.todo), trained) == (4, 4)
    planned, trained = carry_out(tmp_path, (0, 1))
    assert (len(planned.todo), trained) == (0, 0)
    planned, trained = carry_out(tmp_path, (0, 1, 2))
    assert (len(planned.trials), len(planned.todo), trained) == (6, 2, 2)


def test_asking_for_fewer_blocks_drops_none(tmp_path):
    """Leaving out blocks that are known would choose among results."""
    carry_out(tmp_path, (0, 1, 2))
    planned, _ = carry_out(tmp_path, (0,))
    assert planned.record.study.blocks == (0, 1, 2)
    assert "choose among results" in planned.notes[0]
    assert read_record(planned.folder).study.blocks == (0, 1, 2)


def test_blocks_that_come_after_a_verdict_are_remarked_upon(tmp_path):
    """Looking again and again finds a difference where none is; going on after a stop is no second look."""
    planned, _ = carry_out(tmp_path, (0, 1))
    assert planned.notes == ()
    grown = plan(study((0, 1, 2)), RunContext(tmp_path))
    assert "judged with 2 blocks" in grown.notes[0]
    write_record(grown.folder, grown.record)
    assert plan(study((0, 1, 2)), RunContext(tmp_path)).notes == ()
    assert plan(study((0, 1)), RunContext(tmp_path)).notes[0].startswith("blocks that were not asked for (2)")


def test_planning_writes_nothing(tmp_path):
    plan(study((0,)), RunContext(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_a_batch_larger_than_the_set_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(DataError, match="batch_size 4096 is larger than the training split of 1149 images"):
        plan(study((0,), (16, 4096)), RunContext(tmp_path / "runs"))


@pytest.mark.parametrize(
    ("recipe", "factor", "levels", "said"),
    [
        ("digits-mlp", "limit", [100, 5000], "data.limit is 5000"),
        ("digits-mlp", "val-fraction", [0.2, 0.9999], "into 0 that train"),
        ("resnet18-digits", "data", ["digits32", "digits"], "too small for model.stem 7x7"),
        ("resnet18-digits", "width", [0.001, 0.25], "leaves the first stage no channel"),
        ("resnet18-digits", "batch-size", [32, 1148], "leaves a batch of one"),
        ("resnet18-digits", "batch-size", [32, 1], "leaves a batch of one"),
        ("digits-mlp-normed", "batch-size", [32, 1], "leaves a batch of one"),
    ],
)
def test_an_arm_that_cannot_be_trained_is_refused_before_the_others_start(tmp_path, recipe, factor, levels, said):
    """Hours of the other arms would end in a study without a comparison."""
    normed = [Override("model.norm", "batch", "-o")] * recipe.endswith("-normed")
    impossible = one_factor(load(recipe.removesuffix("-normed"), normed).recipe, factor, levels, (0,))
    with pytest.raises(UsageError, match=re.escape(said)):
        plan(impossible, RunContext(tmp_path / "runs"))


def test_arms_that_train_the_same_are_named_before_training(tmp_path):
    """All blocks of them would be trained to find a difference of 0."""
    levels = ["constant", "steplr", {"name": "multistep", "milestones": [1]}, "exponential"]
    recipe = load("digits-mlp", [Override("epochs", 2, "-o")]).recipe
    (note,) = plan(one_factor(recipe, "schedule", levels, (0,)), RunContext(tmp_path)).notes
    assert note.startswith(
        "constant and steplr of schedule are one training here, since over 2 epochs their learning rates are equal"
    )
    (note,) = plan(one_factor(recipe, "activation", ["relu", ["relu", "relu"]], (0,)), RunContext(tmp_path)).notes
    assert note.startswith("relu and relu, relu of activation are one training here, since their settings come to the")


def test_two_paths_to_the_same_data_are_no_comparison(tmp_path):
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 255, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    paths = [str(tmp_path / name) for name in ("a.npz", "b.npz")]
    for path in paths:
        np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    with pytest.raises(StudyError, match="are the same data: name each level once"):
        plan(one_factor(RECIPE, "data", paths, (0,)), RunContext(tmp_path / "runs"))


def test_a_plan_of_residual_networks_needs_no_torch(tmp_path):
    """On a cluster's login node it would take seconds, or not be there."""
    program = """
import sys
from pathlib import Path
from eailab.recipe.load import load
from eailab.runs.context import RunContext
from eailab.studies.plan import plan
from eailab.studies.design import single
plan(single(load("resnet18-digits").recipe, 0), RunContext(Path(sys.argv[1])))
sys.exit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_labels_name_the_level_and_the_block(tmp_path):
    assert set(plan(study((0,)), RunContext(tmp_path)).labels.values()) == {
        "batch_size 16, block 0",
        "batch_size 32, block 0",
    }


def test_a_precision_that_the_device_lacks_is_refused_before_the_other_arms_train(tmp_path):
    here, events = RunContext(tmp_path, device="cpu"), []
    planned = plan(one_factor(load("resnet18-digits", []).recipe, "precision", ["fp32", "tf32"], (0,)), here)
    with pytest.raises(DeviceError, match="precision tf32 needs an NVIDIA GPU"):
        train_plan(planned, here.followed(events.append), 1)
    assert events == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train_mlp", "train-mlp --recipe digits-mlp -o epochs=1"),
        ("ablate", "ablate lr 1e-3 1e-2 --recipe digits-mlp --seeds 1 -o epochs=1 --jobs 1"),
        ("ablate", "ablate lr 1e-3 1e-2 --recipe digits-mlp -o epochs=1 --jobs 1 --until-decided --max-trials 6"),
        ("noise", "noise digits-mlp --seeds 2 -o epochs=1 --jobs 1"),
        ("explain", "explain digits-mlp larger.yaml -o epochs=1 --seeds 1 --jobs 1"),
    ],
)
def test_the_loop_is_at_most_six_frames_from_the_command(eailab, tmp_path, monkeypatch, command, words):
    """Whoever looks for what a command does finds the loop: no frame of a library lies between, none is hidden."""
    (tmp_path / "larger.yaml").write_text(to_yaml(vary(RECIPE, "batch_size", 64).recipe))
    stacks = []

    def train_epoch(self, *arguments):
        stacks.append([frame.name for frame in traceback.extract_stack()])
        return original(self, *arguments)

    original = MlpEngine.train_epoch
    monkeypatch.setattr(MlpEngine, "train_epoch", train_epoch)
    assert eailab(*words.replace("larger.yaml", str(tmp_path / "larger.yaml")).split()).code == 0
    for stack in stacks:
        way = stack[stack.index(command) : -1]
        assert way[-1] == "train"
        assert len(way) <= 6, way
    assert stacks
