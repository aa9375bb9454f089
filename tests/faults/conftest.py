"""The short form of the fault suite runs in CI; `EAILAB_FAULTS=long` (see benchmarks/soak.py) runs the long one."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from blank_figures import blank_figures

sys.path.insert(0, str(Path(__file__).parent))  # the harness is two modules beside this file

from checks import SMALL_STUDY, count_calls, value_or_gap

from eailab.runs.atomic import append_bytes

__all__ = ["blank_figures"]


@dataclass(frozen=True)
class Sound:
    """What the study leaves behind where nothing goes wrong."""

    root: Path
    truth: dict
    calls: list


@pytest.fixture(scope="session")
def long():
    """Whether the long form was asked for."""
    return os.environ.get("EAILAB_FAULTS") == "long"


@pytest.fixture
def tally():
    """Keep what a test counted in the file that `EAILAB_FAULTS_TALLY` names, a line each; nowhere without one."""

    def keep(what, **counts):
        if file := os.environ.get("EAILAB_FAULTS_TALLY"):
            append_bytes(Path(file), json.dumps({"what": what, **counts}).encode() + b"\n")

    return keep


@pytest.fixture(scope="session")
def workplace(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="session")
def sound(workplace):
    """The study, run without a fault."""
    root = workplace / "sound"
    found, calls = count_calls(root)
    return Sound(root, {"bytes": found, "value": value_or_gap(root)}, calls)


@pytest.fixture
def folder(workplace, request):
    """An empty folder for one test."""
    path = workplace / request.node.name.translate(str.maketrans("[]/ ", "----"))
    path.mkdir()
    return path


@pytest.fixture
def small_store(eailab, made_once, tmp_path):
    """What `eailab ablate` leaves of the small study, as `runs` in the folder that `eailab` runs in; to be damaged."""
    made_once(tmp_path, ("ablate", *SMALL_STUDY), draws=True)
    return tmp_path / "runs"
