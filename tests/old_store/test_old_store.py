"""A store of an earlier version is read, reported with the same numbers, and gone on with."""

import json
import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STORE = Path(__file__).with_name("store-0.1.zip")
BY_THE_RULE = re.compile(
    r"/(interval\d+/\d|p|p_adjusted|p_same|verdict|withheld|detectable|blocks_needed|guard|critical_value)$"
    r"|/(comparison|effects)/df$|^/effects/misleads$|^/trend/|^/looks/levels/"
)
"""What depends on the rule for unequal spread, on the effects that an interval holds for, and on the looks' levels."""
JUDGED_BY_THE_RULE_NOW = {"digits-mlp-batch-size", "digits-mlp-lr", "digits-mlp-optimizer × schedule"}
"""Studies of three arms or more whose intervals or p-values the moderated rule changed."""
PLANNED = re.compile(r"/(detectable|blocks_needed)$")
"""Numbers for planning, which have another rule now: the SD's upper bound, and chances of a verdict."""

COMMON = "--recipe digits-mlp -o model.hidden=[6] -o epochs=3"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    with zipfile.ZipFile(STORE) as archive:
        archive.extractall(tmp_path / "runs")
    return tmp_path / "runs"


def tables(runs: Path) -> dict[str, Any]:
    """Each study's published table, by the study's fingerprint."""
    read = [json.loads(file.read_text()) for file in sorted(runs.glob("studies/*/table.json"))]
    return {table["fingerprint"]: table for table in read}


def numbers(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every number, verdict and missing value of a table, with its place; wording may improve, these may not change."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from numbers(part, f"{place}/{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from numbers(part, f"{place}/{index}")
    elif not isinstance(value, str) or place.endswith(("verdict", "state")):
        yield place, value


def test_its_report_has_the_same_numbers(eailab, runs, tmp_path):
    """Crossed, joint, with looks, planned, diverged, of both engines, and a single trial.

    What was measured never changes; what follows from the rule of the verdicts changed with that rule.
    """
    before = tables(runs)
    assert len(before) == 9
    done = eailab("report", "--format", "json", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    after = {
        study["fingerprint"]: study for study in json.loads((tmp_path / "out" / "report.json").read_text())["studies"]
    }
    for fingerprint, table in before.items():
        now = dict(numbers(after[fingerprint]))
        for place, value in numbers(table):
            if PLANNED.search(place) or (table["name"] in JUDGED_BY_THE_RULE_NOW and BY_THE_RULE.search(place)):
                continue
            assert place in now, (table["name"], place)
            expected = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            assert now[place] == expected or place == "/schema_version", (table["name"], place)


@pytest.mark.parametrize(
    "command",
    [
        f"ablate batch-size 16 32 64 {COMMON} --seeds 3",
        f"ablate optimizer adam sgd --and sched=constant,cosine --cross {COMMON} --seeds 3",
        f"ablate lr 1e-3 1e-2 {COMMON} -o model.init=he --until-decided --max-trials 16",
        f"train-mlp {COMMON} --lr 0.002 --seed 7",
    ],
)
def test_its_commands_go_on_without_training_again(eailab, runs, command):
    """The trials keep their bytes, and the study keeps its folder."""
    trials = {file: file.read_bytes() for file in runs.glob("trials/*/*") if file.suffix in {".json", ".jsonl", ".npz"}}
    studies = {folder.name for folder in runs.glob("studies/*")}
    done = eailab(*shlex.split(command))
    assert done.code == 0, done.err
    assert {folder.name for folder in runs.glob("studies/*")} >= studies
    assert len(list(runs.glob("trials/*"))) == len({file.parent for file in trials})
    assert all(file.read_bytes() == content for file, content in trials.items())


def test_it_holds_and_can_be_extended(eailab, runs):
    """`runs verify` finds nothing, and a further block trains what no study has yet."""
    assert eailab("runs", "verify").code == 0
    before = len(list(runs.glob("trials/*")))
    done = eailab(*shlex.split(f"ablate batch-size 16 32 64 {COMMON} --seeds 4 --jobs 1"))
    assert done.code == 0, done.err
    assert len(list(runs.glob("trials/*"))) == before + 2  # the baseline of the study with looks has block 3 already
