"""A study's record holds what a study can say, whoever sealed it."""

import math
from hashlib import sha256

import pytest
import yaml
from plans import one_factor

from eailab.errors import DamagedError
from eailab.recipe.load import Override, load
from eailab.runs.context import RunContext
from eailab.studies.heads import heads
from eailab.studies.plan import plan
from eailab.studies.storage import CHECKSUM, read_record, write_record


@pytest.fixture(scope="module")
def mapping(tmp_path_factory):
    root = tmp_path_factory.mktemp("record")
    study = one_factor(load("digits-mlp", [Override("epochs", 1, "-o")]).recipe, "lr", [0.01, 0.001], [0, 1])
    planned = plan(study, RunContext(root))
    write_record(planned.folder, planned.record)
    assert read_record(planned.folder) == planned.record
    return yaml.safe_load((planned.folder / "study.yaml").read_text())


def sealed(root, mapping):
    """Write a record with its seal, and return its folder."""
    body = yaml.safe_dump(mapping, sort_keys=False)
    folder = root / "studies" / "a-0123456789"
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(f"{body}{CHECKSUM}{sha256(body.encode()).hexdigest()}\n")
    return folder


WRONG = [
    ("name", 2),
    ("metric", "validation"),
    ("metric", math.nan),
    ("baseline", -1e308),
    ("baseline", 10**30),
    ("baseline", -1),
    ("baseline", math.inf),
    ("blocks", [0, math.nan]),
    ("blocks", [0, 1.0]),
    ("looks", [True]),
    ("judged", 3),
    ("judged", [3]),
    ("judged", [[0, 7]]),
    ("judged", [[0, 0]]),
    ("judged", [[1, 0]]),
    ("judged", [[0, 1], [0, 1]]),
    ("judged", [[0], [1]]),
    ("judged", [[True]]),
    ("judged", [["0"]]),
    ("judged", [[{}]]),
    ("margin", math.nan),
    ("margin", "1"),
    ("hold", []),
    ("training_images", math.inf),
    ("training_images", 10**30),
]


@pytest.mark.parametrize(("key", "value"), WRONG, ids=str)
def test_a_value_that_no_study_has_makes_its_record_damaged(tmp_path, mapping, key, value):
    folder = sealed(tmp_path, mapping | {key: value})
    with pytest.raises(DamagedError, match="cannot be read as a study"):
        read_record(folder)
    (head,) = heads(tmp_path)
    assert head.name in ("a", str(value), "digits-mlp-lr")


@pytest.mark.parametrize(("key", "value"), [("updates", 0.5), ("trials", {"0": 1, "1": []}), ("brought", [1])], ids=str)
def test_a_value_that_no_arm_has_makes_its_record_damaged(tmp_path, mapping, key, value):
    one, other = mapping["arms"]
    folder = sealed(tmp_path, mapping | {"arms": [one, other | {key: value}]})
    with pytest.raises(DamagedError, match="is found where"):
        read_record(folder)
