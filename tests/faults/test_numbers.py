"""Numbers that cannot be are refused before anything trains, or damage the one trial that has them."""

import json
import shutil
import tracemalloc
from hashlib import sha256
from zlib import crc32

import numpy as np
import pytest
from checks import digits
from faulty_disk import tiny_study

from eailab.engines.numpy_mlp.augment import deform
from eailab.errors import DamagedError, RecipeError, StudyError
from eailab.findings.statements import blocks_in_words
from eailab.recipe.load import load, parse_override
from eailab.recipe.parts import Deform
from eailab.runs import records
from eailab.runs.context import RunContext
from eailab.runs.trial import Trial
from eailab.seeding import LARGEST_BLOCK, stream
from eailab.studies.design import repeated
from eailab.studies.storage import CHECKSUM, read_record


@pytest.fixture
def copy(sound, folder):
    """A copy of the finished study, to be tampered with."""
    shutil.copytree(sound.root, folder / "runs")
    return folder / "runs"


def test_one_largest_block_holds_for_studies_and_for_workers_of_a_cluster(tmp_path):
    """A seed of ten digits, such as the time of day, trained here and failed on Ray's and Slurm's workers."""
    recipe = tiny_study().arms[0].recipe
    assert repeated(recipe, (0, LARGEST_BLOCK)).blocks == (0, 2147483647)
    for block in (LARGEST_BLOCK + 1, -1):
        with pytest.raises(StudyError, match=f"{block} is not a block: give whole numbers from 0 to 2147483647"):
            repeated(recipe, (0, block))
    trial = Trial(recipe, LARGEST_BLOCK, digits())
    folder = RunContext(tmp_path).store.folder(trial.fingerprint)
    folder.path.mkdir(parents=True)
    folder.order(trial)
    assert folder.ordered().block == LARGEST_BLOCK


@pytest.mark.parametrize(
    "arguments", [("--seeds", "0,2147483648"), ("--seeds", "9" * 5000), ("--margin", "1e308"), ("--margin", "1e999")]
)
def test_a_number_that_cannot_be_is_refused_before_anything_trains(eailab, tmp_path, arguments):
    ended = eailab("ablate", "lr", "0.1", "0.2", "--recipe", "digits-mlp", *arguments)
    assert ended.code == 2
    assert ended.err.count("error:") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_seed_above_the_largest_is_refused_before_anything_trains(eailab, tmp_path):
    ended = eailab("train-mlp", "--recipe", "digits-mlp", "--seed", 2**31)
    assert (ended.code, list(tmp_path.iterdir())) == (2, [])


def test_blocks_far_apart_cost_nothing_to_name():
    tracemalloc.start()
    assert blocks_in_words((0, 1764335000)) == "2 (0, 1764335000)"
    assert blocks_in_words((3, 4, 5)) == "3 (3 to 5)"
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train_loss", "1e999"),
        ("train_loss", "1.7e308"),
        ("train_accuracy", "1.5"),
        ("epochs", "1000000000000"),
        ("epochs", "true"),
        ("parameters", "-1"),
        ("block", "4294967296"),
        ("cores", '"two"'),
    ],
)
def test_a_number_that_cannot_be_damages_the_one_trial(copy, field, value):
    """Sealed again, so that only the number itself is wrong."""
    store = RunContext(copy).store
    folder = store.folder(store.trial_names()[0])
    record = json.loads(folder.result_file.read_text())
    del record["checksum"]
    inside = next(part for part in (record, record["metrics"], record["provenance"]) if field in part)
    inside[field] = json.loads(value)
    seal = sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    folder.result_file.write_text(json.dumps(record | {"checksum": seal}).replace("Infinity", "1e999"))
    with pytest.raises(DamagedError, match=r"result\.json"):
        folder.record()


@pytest.mark.parametrize("seconds", ["1e999", "1.7e308", "-1", "true", "1e9999999"])
def test_a_time_that_cannot_be_is_not_counted(copy, seconds):
    store = RunContext(copy).store
    folder = store.folder(store.trial_names()[0])
    line = folder.timings_file.read_bytes().splitlines()[0]
    body = json.dumps(records.unsealed(line) | {"seconds": 12345})[:-1].replace("12345", seconds).encode()
    folder.timings_file.write_bytes(b'%s, "crc": "%08x"}\n' % (body, crc32(body)))
    assert folder.timings() == {}


def test_a_stored_study_with_an_impossible_block_is_damaged(copy):
    (file,) = copy.glob("studies/*/study.yaml")
    body = file.read_text().rpartition(CHECKSUM)[0].replace("blocks:\n- 0", "blocks:\n- 2147483648")
    file.write_text(f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n")
    with pytest.raises(DamagedError, match="2147483648 is not a block"):
        read_record(file.parent)


@pytest.mark.parametrize(
    "setting",
    ["data.augment.shift=1e308", "data.augment.elastic=4097", "lr=1e39", "weight_decay=1e308", "optimizer.lr=1e999"],
)
def test_a_setting_that_no_32_bits_can_hold_is_refused(setting):
    """A recipe is not trusted: displacements that overflowed to what is no number read memory beside the image."""
    with pytest.raises(RecipeError, match=setting.partition("=")[0].rpartition(".")[2]):
        load("digits-mlp", [parse_override("data.augment=deform"), parse_override(setting)])


def test_the_largest_displacements_read_no_memory_beside_the_image():
    settings = Deform(shift=4096.0, elastic=4096.0, scale=0.999, shear=0.999, rotation=180.0, nodes=64)
    pixels = np.full((3, 8, 8, 1), 255, np.uint8)
    out = np.empty_like(pixels)
    deform(pixels, settings, stream(0, "augment"), out)
    assert out.max() <= 255
