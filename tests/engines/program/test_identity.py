"""Which files, packages and programs can change a program's result, and what changed between two identities."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from eailab.engines.program import identity, launched
from eailab.engines.program.identity import Identity, changed_while_running, changes, identify, written_while_running
from eailab.errors import UsageError

COMMAND = [sys.executable, "train.py", "--lr", "{lr}"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a program, without git."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "project"
    write(folder, {"train.py": "import json\nfrom models.net import Net\nprint(1)\n", "models/net.py": "Net = 1\n"})
    return folder


def write(folder: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def codes(folder: Path, **settings) -> list[str]:
    return sorted(identify(COMMAND, folder, **settings).code)


@pytest.mark.parametrize(
    ("text", "is_same"),
    [
        ("import json\n# why\n\n\nfrom models.net import Net\nprint( 1 )  # one\n", True),
        ("import json\nfrom models.net import Net\nprint(1)", True),
        ("import json\r\nfrom models.net import (\r\n    Net,\r\n)\r\nprint(1)\r\n", True),
        ("import json\nfrom models.net import Net\nprint(1.0)\n", False),
        ("import json\nfrom models.net import Net\nprint(2)\n", False),
        ("import json\nfrom models.net import Net\nprint(True)\n", False),
        ("import json\nfrom models.net import Net\nif 1:\n    print(1)\n", False),
        ("from models.net import Net\nimport json\nprint(1)\n", False),
    ],
)
def test_of_python_the_syntax_tree_counts(folder, text, is_same):
    """Comments, blank lines and layout do not train again; any change of the program does."""
    before = identify(COMMAND, folder)
    (folder / "train.py").write_text(text, newline="")
    os.utime(folder / "train.py", ns=(1, 1))
    after = identify(COMMAND, folder)
    assert (after == before, after.fingerprint == before.fingerprint) == (is_same, is_same)
    assert changes(before, after) == ([] if is_same else ["train.py has changed"])


def test_of_other_languages_every_byte_counts(folder):
    write(folder, {"run.sh": "python train.py\n", "kernel.cu": "int a;"})
    before = identify(COMMAND, folder)
    write(folder, {"run.sh": "python train.py # a comment\n"})
    assert changes(before, identify(COMMAND, folder)) == ["run.sh has changed"]


def test_python_that_cannot_be_parsed_counts_by_its_bytes(folder):
    write(folder, {"old.py": "print 'Python 2'\n", "new.py": "x = 1\0", "deep.py": "-" * 100_000 + "1"})
    assert len(identify(COMMAND, folder).code) == 5


def test_the_digest_of_a_syntax_tree_is_fixed(folder):
    """It names trials: another version of Python or of eailab must find them again."""
    write(folder, {"train.py": "def f(x: int = 1, *a, k=b'', **m) -> None:\n    return f'{x!r:>{k}}' @ ...\n"})
    assert identify(COMMAND, folder).code["train.py"].startswith("6faea86da7c0ff93")


def test_without_git_the_sources_below_the_folder_are_the_code(folder):
    write(folder, dict.fromkeys(("conf/a.yaml", "a.json", "notes.md", "data.csv", ".hidden/a.py", ".b.py"), "1"))
    write(folder, {"venv/pyvenv.cfg": "", "venv/lib/a.py": "1", "__pycache__/a.py": "1", "node_modules/a.js": "1"})
    write(folder, {"runs/trials/a/config.yaml": "1", "runs2/a.py": "1", "made.py": "1"})
    found = codes(folder, excluded=[folder / "runs", folder / "made.py"])
    assert found == ["a.json", "conf/a.yaml", "models/net.py", "runs2/a.py", "train.py"]


def test_with_git_the_sources_that_it_tracks_or_would_add_are_the_code(folder):
    git(folder, "init", "-q")
    write(folder, {".gitignore": "build/\n", "build/a.py": "1", "new.py": "1", "gone.py": "1", ".ci/a.py": "1"})
    git(folder, "add", "train.py", "gone.py")
    (folder / "gone.py").unlink()
    assert codes(folder) == [".ci/a.py", "models/net.py", "new.py", "train.py"]
    assert sorted(identify(COMMAND, folder / "models").code) == ["net.py"]


def test_a_folder_that_git_ignores_is_walked(folder):
    git(folder.parent, "init", "-q")
    write(folder.parent, {".gitignore": "project/\n"})
    assert codes(folder) == ["models/net.py", "train.py"]


def test_a_repository_inside_is_not_hashed_and_named(folder):
    git(folder, "init", "-q")
    write(folder, {"lib/a.py": "1"})
    git(folder / "lib", "init", "-q")
    git(folder / "lib", "add", "a.py")
    found = identify(COMMAND, folder)
    assert "lib/a.py" not in found.code
    assert any("lib/ is another git repository" in note for note in found.notes)


def test_a_repository_that_git_cannot_read_is_walked_and_said(folder):
    (folder / ".git").mkdir()
    found = identify(COMMAND, folder)
    assert sorted(found.code) == ["models/net.py", "train.py"]
    assert any("git does not list the files" in note for note in found.notes)
    assert identify(COMMAND, folder, code=["."]).notes == found.notes


def test_code_narrows_and_takes_files_of_any_suffix(folder):
    write(folder, {"weights.bin": "1"})
    assert codes(folder, code=["models"]) == ["models/net.py"]
    assert codes(folder, code=["train.py", "weights.bin"]) == ["train.py", "weights.bin"]
    with pytest.raises(
        UsageError, match=r"--code trian\.py: there is no such file or folder; did you mean 'train\.py'"
    ):
        identify(COMMAND, folder, code=["trian.py"])
    write(folder, {"empty/a.txt": "1"})
    with pytest.raises(UsageError, match="--code empty: the folder has no source files"):
        identify(COMMAND, folder, code=["empty"])


def test_recipes_study_files_reports_and_json_of_eailab_are_not_code(folder):
    """Writing one beside the program must not train everything again; the shell begins `--json > file` empty."""
    write(
        folder,
        {
            "train.yaml": "# mine\nname: train\nengine: program\nrun: python train.py\n",
            "study.yaml": "recipe: train.yaml\nfactors:\n  - {factor: lr, levels: [1, 2]}\n",
            "report/report.json": '{\n  "schema_version": 1,\n  "studies": []\n}\n',
            "begun.json": "",
            "result.json": '{"schema_version": 1, "name": "train-lr", "fingerprint": "ff1572aeae", "arms": []}\n',
            "failed.json": '{"schema_version": 1, "error": {"what": "no"}}\n',
            "gate.json": '{"schema_version": 1, "verdict": "WORSE", "study": "gate"}\n',
            "conf.yaml": "name: mine\nlr: 0.1\n",
            "conf.json": '{"schema_version": 1, "lr": 0.1}',
        },
    )
    assert codes(folder) == ["conf.json", "conf.yaml", "models/net.py", "train.py"]
    assert codes(folder, code=["train.yaml"]) == ["train.yaml"]


def test_a_source_that_the_command_names_elsewhere_is_code_too(folder, tmp_path):
    write(tmp_path, {"other/main.py": "import json"})
    command = [sys.executable, "../other/main.py", str(folder / "train.py")]
    assert sorted(identify(command, folder).code) == ["../other/main.py", "models/net.py", "train.py"]


def test_data_count_by_their_content_wherever_they_lie(folder, tmp_path):
    write(tmp_path, {"data/a/1.txt": "1", "data/2.txt": "2"})
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    before = identify(COMMAND, folder, data=["../data", "../data/2.txt"])
    write(tmp_path, {"data/2.txt": "3"})
    assert changes(before, identify(COMMAND, folder, data=["../data", "../data/2.txt"])) == [
        "../data has changed",
        "../data/2.txt has changed",
    ]
    write(tmp_path, {"data/2.txt": "2"})
    assert identify(COMMAND, folder, data=["../data", "../data/2.txt"]) == before
    with pytest.raises(UsageError, match="--data nowhere: there is no such file"):
        identify(COMMAND, folder, data=["nowhere"])


def test_a_file_that_has_not_changed_is_not_read_again(folder, monkeypatch):
    """It is asked before each trial."""
    write(folder, {"data.bin": "1"})
    before = identify(COMMAND, folder, data=["data.bin"])
    monkeypatch.setattr(identity.files, "read", None)
    monkeypatch.setattr(launched.files, "sha256", None)
    monkeypatch.setattr(identity, "_listed_by_git", lambda *_: [])
    monkeypatch.setattr(launched.subprocess, "run", lambda command, **_: pytest.fail(command[0]))
    assert identify(COMMAND, folder, data=["data.bin"]) == before


def test_a_python_is_known_by_its_version_and_the_packages_that_the_code_imports(folder):
    write(
        folder,
        {"train.py": "import numpy as np, json\nfrom yaml import load\nfrom . import models, net\nimport nowhere\n"},
    )
    found = identify(COMMAND, folder)
    version = ".".join(map(str, sys.version_info[:3]))
    assert found.program == {"python": f"CPython {version}", "numpy": np.__version__, "PyYAML": yaml.__version__}
    assert found.notes == ()


def test_a_package_whose_code_lies_elsewhere_is_named(folder, tmp_path):
    write(tmp_path, {"lib/ours/__init__.py": ""})
    write(folder, {"train.py": "import ours\n"})
    found = identify(COMMAND, folder, environment={**os.environ, "PYTHONPATH": str(tmp_path / "lib")})
    assert found.notes == (f"ours is imported from {tmp_path}/lib/ours, which is not hashed: add --code to name it.",)


def test_a_script_with_python_in_its_first_line_is_that_python(folder):
    write(folder, {"tool": f"#!{sys.executable} -u\nprint(1)\n", "env": "#!/usr/bin/env python3\nprint(1)\n"})
    for name in ("tool", "env"):
        (folder / name).chmod(0o755)
        assert identify([f"./{name}"], folder).program.keys() >= {"python"}


def test_behind_a_launcher_a_lock_file_counts_or_nothing_is_known(folder):
    found = identify(["bash", "-c", "python train.py"], folder)
    assert found.program == {}
    assert found.notes == ("what bash starts is not known: it has no lock file here. Its versions are not checked.",)
    write(folder.parent, {"uv.lock": "a"})
    before = identify(["bash", "-c", "python train.py"], folder)
    assert (list(before.program), before.notes) == (["uv.lock"], ())
    write(folder.parent, {"uv.lock": "b"})
    assert changes(before, identify(["bash", "-c", "python train.py"], folder)) == ["uv.lock has changed"]


def test_a_binary_counts_by_its_content(folder):
    write(folder, {"train": "\x7fELF 1"})
    (folder / "train").chmod(0o755)
    before = identify(["./train", "{lr}"], folder)
    write(folder, {"train": "\x7fELF 2"})
    assert changes(before, identify(["./train", "{lr}"], folder)) == ["train has changed"]
    assert identify(["no-such-program"], folder).notes == ("the program no-such-program was not found.",)


def test_a_version_that_changed_is_said_with_both():
    before = Identity({"a.py": "1"}, {}, {"python": "CPython 3.12.1", "torch": "2.10.0"})
    after = Identity({"b.py": "1"}, {}, {"python": "CPython 3.12.1", "torch": "2.11.0", "numpy": "2.0"})
    assert changes(before, after) == [
        "b.py is new",
        "a.py is gone",
        "numpy: not there before, 2.0 now",
        "torch: 2.10.0 before, 2.11.0 now",
    ]


def test_what_appears_while_a_trial_runs_is_not_code_and_an_edit_is(folder):
    """A program writes configurations and generated code; only people change its sources."""
    write(folder, {"state.json": "1"})
    before = identify(COMMAND, folder)
    write(folder, {"state.json": "2", "made.py": "1", "out/config.yaml": "1", "train.py": "print(2)"})
    after = identify(COMMAND, folder)
    assert written_while_running(before, after) == ["made.py", "out/config.yaml", "state.json"]
    assert changed_while_running(before, after) == ["train.py has changed"]


def test_what_a_program_reads_and_what_runs_it_may_not_change_while_it_runs():
    """Nobody knows which of both versions it has used; what only appears was not used from the beginning."""
    before = Identity({"a.py": "1", "b.sh": "1", "c.yaml": "1"}, {"digits.csv": "1"}, {"uv.lock": "1", "numpy": "2.0"})
    after = Identity({"a.py": "1"}, {"digits.csv": "2"}, {"uv.lock": "1", "numpy": "2.1", "Cargo.lock": "1"})
    assert changed_while_running(before, after) == [
        "b.sh is gone",
        "digits.csv has changed",
        "numpy: 2.0 before, 2.1 now",
    ]
    assert written_while_running(before, after) == ["c.yaml"]


def test_git_does_not_look_into_folders_that_are_not_code(folder, monkeypatch):
    """A store of a thousand trials would otherwise be listed three times for each of them."""
    git(folder, "init")
    write(folder, {"runs/trials/a/made.py": "1", "runs-2/b.py": "1", "r[u]ns/c.py": "1", "r[u]ns/d.py": "1"})
    asked, run = [], subprocess.run
    monkeypatch.setattr(identity.subprocess, "run", lambda command, **how: asked.append(command) or run(command, **how))
    excluded = [folder / "runs", folder / "r[u]ns", folder / "missing", folder.parent]
    assert codes(folder, excluded=excluded[:3]) == ["models/net.py", "runs-2/b.py", "train.py"]
    assert asked[0][-3:] == [".", ":(exclude,literal)r[u]ns", ":(exclude,literal)runs"]


def test_a_record_is_read_back(folder):
    found = identify(COMMAND, folder, data=["train.py"])
    assert Identity.read(found.record()) == found
    for broken in ({}, {"code": [], "data": {}, "program": {}}, {"code": {"a": 1}, "data": {}, "program": {}}):
        with pytest.raises(ValueError, match="does not have code, data and program"):
            Identity.read(broken)


def test_a_folder_of_ten_gigabytes_is_read_as_far_as_it_is_code(folder, monkeypatch):
    """Data and large files of settings are left alone, which is said; too much code is refused with what to do."""
    with (folder / "images.npz").open("wb") as sparse:
        sparse.truncate(10 * 2**30)
    with (folder / "annotations.json").open("wb") as sparse:
        sparse.truncate(2**30)
    found = identify(COMMAND, folder)
    assert sorted(found.code) == ["models/net.py", "train.py"]
    assert re.match(
        r"annotations\.json has 1\S* GB and is not hashed: if results depend on it, add --data", found.notes[0]
    )
    with (folder / "large.c").open("wb") as sparse:
        sparse.truncate(10 * 2**30)
    with pytest.raises(
        UsageError, match=r"more than 10,000 files or .*: name the files or folders that matter with --code"
    ):
        identify(COMMAND, folder)
    monkeypatch.setattr(identity, "MOST_ENTRIES", 3)
    with pytest.raises(
        UsageError, match=r"more than 3 files, and git does not say which are code: name .* with --code"
    ):
        identify(COMMAND, folder)
