"""One reader for every file: what is not a plain file of a sensible size is refused by name, and nothing waits."""

import ast
import os
import socket
from pathlib import Path

import pytest

from eailab import files
from eailab.errors import DamagedError, RecipeError, StoreError

PACKAGE = Path(files.__file__).parent

OPENING = {"open", "read_text", "read_bytes", "fdopen", "safe_open", "load_file", "fromfile", "memmap", "loadtxt"} | {
    "genfromtxt", "imread", "connect", "ZipFile", "TarFile", "mmap",
}  # fmt: skip
"""Calls that read a file, or may, by their last name."""

LOADING = {"np.load", "numpy.load", "json.load", "pickle.load", "torch.load", "yaml.load", "export.load"} | {
    "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "Unpickler.load",
}  # fmt: skip

EXCEPTIONS = {
    "existing/readers/mlflow.py": {"sqlite3.connect": "a plain file, and to read only"},
    "files.py": {"os.open": "the reader", "open": "the reader", "file.open": "a new file, to write"},
    "cli/app.py": {"Path.open": "the null device, to write"},
    "cli/output.py": {"Path.read_text": "the system's"},
    "cli/recipes.py": {"file.read_text": "comes with the package"},
    "data/published.py": {"joinpath.open": "comes with the package", "np.load": "comes with the package"},
    "data/fetch.py": {"tarfile.open": "bytes with their published checksum"},
    "data/npz.py": dict.fromkeys(("zipfile.ZipFile", "archive.open"), "a file that the reader has opened"),
    "data/image_files.py": {"Image.open": "a file that the reader has opened"},
    "engines/program/trial_files.py": {"path.open": "a new file, to write"},
    "engines/program/watchdog.py": {".read_bytes": "the system's", "stat.read_bytes": "the system's"},
    "extras.py": {".read_text": "comes with the package"},
    "inference/formats.py": {"export.load": "bytes that we have just made"},
    "log_metrics.py": {"os.open": "to write"},
    "recipe/catalogue.py": {"file.read_text": "comes with the package", "file.read_bytes": "comes with the package"},
    "report/exports/mlflow.py": {"file.open": "to write"},
    "labs/limited.py": {"shutil.copytree": "links stay links, and pipes are refused"},
    "labs/new.py": dict.fromkeys(("one.read_text", "joinpath.read_text"), "comes with the package"),
    "labs/report_check.py": {"Image.open": "bytes that the reader has read"},
    "report/lab.py": {"joinpath.read_text": "comes with the package"},
    "translation.py": {"joinpath.read_text": "comes with the package"},
    "runs/atomic.py": {"os.open": "to write"},
    "runs/executors/attempts.py": {"counters.read_text": "the system's"},
    "runs/lock.py": {"Path.read_text": "the system's", "table.read_text": "the system's", "os.open": "to lock"},
    "runs/probe.py": {"Path.read_text": "the system's"},
    "runs/records.py": {"open": "the system's"},
    "runs/machine.py": {"file.read_text": "the system's"},
    "studies/storage.py": {"yaml.load": "text that the reader has read"},
    "studies/heads.py": {"yaml.load": "text that the reader has read"},
}
"""What opens a file by itself, and why it may."""


@pytest.mark.parametrize("own", [True, False])
def test_what_is_not_a_plain_file_is_refused_at_once_and_by_name(tmp_path, own):
    """A pipe never ends, a device never stops, and a link in a runs folder leads out of it."""
    kind = files.Kind(10, folders=0) if own else files.Kind(10, refusal=RecipeError)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
        for name in ("folder", "pipe", "socket", "link"):
            called = "device" if name == "link" and not own else name
            with pytest.raises(kind.refusal, match=rf"/{name} is a {called}"):
                files.read(tmp_path / name, kind)


def test_a_file_that_a_person_names_may_be_a_link_and_one_of_a_store_may_not(tmp_path):
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    assert files.read(tmp_path / "link", files.Kind(10, refusal=RecipeError)) == b"text"
    with pytest.raises(DamagedError, match="link is a link"):
        files.read(tmp_path / "link", files.Kind(10, folders=0))


def test_no_folder_of_a_store_may_be_a_link_and_the_store_itself_may(tmp_path):
    """Many keep their runs on another disk, behind a link."""
    (tmp_path / "disk" / "a" / "b").mkdir(parents=True)
    (tmp_path / "disk" / "a" / "b" / "file").write_bytes(b"text")
    (tmp_path / "runs").symlink_to("disk")
    (tmp_path / "disk" / "link").symlink_to("a")
    kind = files.Kind(10, folders=2)
    assert files.read(tmp_path / "runs" / "a" / "b" / "file", kind) == b"text"
    with pytest.raises(StoreError, match="runs/link is a link") as found:
        files.read(tmp_path / "runs" / "link" / "b" / "file", kind)
    assert not isinstance(found.value, DamagedError)  # what is damaged is set aside, and this is not ours


def test_a_file_of_40_gigabytes_is_refused_without_memory_for_it(tmp_path):
    file = tmp_path / "result.json"
    with file.open("wb") as sparse:
        sparse.truncate(40 * files.GB)
    for reading in (files.read, files.sha256):
        with pytest.raises(DamagedError, match=r"result\.json has 42,949,672,960 bytes, and .* at most 10"):
            reading(file, files.Kind(10, folders=0))


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "a\ud800b"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name):
    with pytest.raises(RecipeError, match="cannot be"):
        files.read(tmp_path / name, files.RECIPE)


def test_a_missing_file_is_missing_and_a_checksum_is_of_the_content(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    for name in ("none", "file/below"):
        with pytest.raises(FileNotFoundError):
            files.read(tmp_path / name, files.RESULT)
    assert files.sha256(tmp_path / "file", files.RESULT).startswith("ba7816bf8f01cfea")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux lists a process's open files")
def test_no_file_is_left_open(tmp_path):
    """A report reads thousands."""
    (tmp_path / "file").write_bytes(b"x" * 20)
    before = set(Path("/proc/self/fd").iterdir())
    files.read(tmp_path / "file", files.RESULT)
    for path, kind in ((tmp_path / "file", files.Kind(10)), (tmp_path, files.RESULT)):
        with pytest.raises(DamagedError):
            files.read(path, kind)
    assert set(Path("/proc/self/fd").iterdir()) <= before


def name_of(call):
    """The last two names of what is called, such as `np.load`."""
    function, names = call.func, []
    while isinstance(function, ast.Attribute | ast.Call):
        if isinstance(function, ast.Attribute):
            names.append(function.attr)
        function = function.value if isinstance(function, ast.Attribute) else function.func
    names.append(getattr(function, "id", ""))
    return ".".join(reversed(names[:2]))


def openings(source):
    """What in a module opens a file by itself."""
    names = [name_of(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {name for name in names if name in LOADING or name.rpartition(".")[2] in OPENING}


def test_nothing_else_in_the_package_opens_a_file():
    """Whatever opens a file by itself follows a stranger's links; what is not listed here uses `eailab.files`."""
    found = {file.relative_to(PACKAGE).as_posix(): openings(file.read_text()) for file in PACKAGE.rglob("*.py")}
    assert {module: names for module, names in found.items() if names} == {
        module: set(names) for module, names in EXCEPTIONS.items()
    }


def test_the_search_for_openings_finds_them():
    text = "open(a)\nPath(a).open()\nnp.load(a)\na.b.read_text()\njson.load(a)\njson.loads(a)\nfiles.opened(a, k)\n"
    assert openings(text) == {"open", "Path.open", "np.load", "b.read_text", "json.load"}
