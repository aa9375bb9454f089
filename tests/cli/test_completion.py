"""A shell is offered what may stand at the cursor, quickly, and never an error."""

import os
import shutil
import subprocess
import sys
from typing import get_args

import pytest

from eailab.cli import completion
from eailab.recipe.catalogue import shipped
from eailab.report.formats import EXPORTS, FORMATS
from eailab.runs.store import State


@pytest.fixture
def offered(eailab, monkeypatch):
    """What a shell is offered for the last word of a command line."""

    def ask(*words, program="fish"):
        monkeypatch.setenv("_EAILAB_COMPLETE", f"complete_{program}")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", " ".join(["eailab", *words]))
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        monkeypatch.setenv("COMP_WORDS", " ".join(["eailab", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        done = eailab()
        monkeypatch.delenv("_EAILAB_COMPLETE")
        return [line.split("\t")[0] for line in done.out.splitlines() if line]

    return ask


MINE = "name: 我的\nrecipe: digits-mlp\nblocks: 1\nfactors: [{factor: activation, levels: [relu, [relu, sigmoid]]}]\n"


@pytest.fixture
def study(eailab, made_once, tmp_path):
    command = ("ablate", "--study", "mine.yaml", "-o", "epochs=1", "-o", "data.limit=64", "--jobs", "1")
    made_once(tmp_path, command, files=(("mine.yaml", MINE),))


def test_commands_recipes_factors_and_levels_are_offered(offered, tmp_path):
    (tmp_path / "mine.yaml").touch()
    assert offered("ru") == ["runs"]
    assert {"list", "show", "rm"} <= set(offered("studies", ""))
    assert set(offered("noise", "digits")) == {"digits-mlp"}
    assert set(offered("train-mlp", "--recipe", "")) >= {*shipped(), "mine.yaml"}
    assert {"batch-size", "stem", "activation", "lr"} <= set(offered("ablate", ""))
    assert "stem" not in offered("ablate", "--recipe", "digits-mlp", "")
    assert offered("ablate", "optimizer+bat") == ["optimizer+batch-size"]
    assert offered("ablate", "optimizer", "adam", "") == ["sgd", "adamw"]
    assert offered("ablate", "deterministic", "") == ["true", "false"]
    assert offered("ablate", "nothing", "") == []
    assert offered("ablate", "--study", "lab-task2") == ["lab-task2-medium", "lab-task2-small", "lab-task2"]
    assert offered("report", "--lang", "") == ["en", "zh-TW"]
    assert offered("report", "--format", "m") == ["markdown"]
    assert offered("runs", "list", "--state", "d") == ["diverged", "damaged"]


def test_studies_and_trials_are_offered_by_name(offered, study):
    assert offered("studies", "show", "") == ["我的-activation"]
    assert set(offered("runs", "show", "")) == {"relu/0", "relu, sigmoid/0"}
    assert "我的-activation/relu/0" in offered("predict", "我的")
    assert set(offered("runs", "show", "", program="bash")) == {"relu/0", r"relu,\ sigmoid/0"}
    assert offered("runs", "show", "--runs", "nowhere", "") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_name_with_a_blank_arrives_in_bash_as_one_word(study, tmp_path):
    program = tmp_path / "bin" / "eailab"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m eailab "$@"\n')
    program.chmod(0o755)
    script = (
        'export PATH="$PWD/bin:$PATH"\n'
        "_eailab_completion() { local IFS=$'\\n'\n"
        'COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD '
        "_EAILAB_COMPLETE=complete_bash $1 ) ); }\n"
        "COMP_WORDS=(eailab runs show relu,); COMP_CWORD=3; _eailab_completion eailab\n"
        'eval "set -- ${COMPREPLY[0]}"; echo "$#: $1"\n'
    )
    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == "1: relu, sigmoid/0\n", run.stderr


def test_the_lists_are_those_of_the_modules_that_are_slow_to_import():
    assert set(completion.formats(None, "")) == set(FORMATS)
    assert set(completion.exports(None, "")) == set(EXPORTS)
    assert set(completion.STATES) == set(get_args(State))


@pytest.mark.parametrize("words", ["ablate op", "runs show x", "report x", "report --lang e", "noise d"])
def test_nothing_heavy_is_imported(tmp_path, words):
    """A shell waits for the answer at each press of the key."""
    code = (
        "import sys\nsys.argv = ['eailab']\nfrom eailab.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('numpy', 'torch', 'scipy', 'matplotlib') if name in sys.modules])\n"
    )
    asked = {
        "_EAILAB_COMPLETE": "complete_bash",
        "COMP_WORDS": f"eailab {words}",
        "COMP_CWORD": str(words.count(" ") + 1),
    }
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines()[-1] == "[]"
