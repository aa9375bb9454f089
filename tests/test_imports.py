"""The packages of eailab import one way only, and quick commands stay quick by construction."""

import ast
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "eailab"
ORDER = [
    "log_metrics",
    "errors",
    "files",
    "plain",
    "units",
    "translation",
    "extras",
    "metrics",
    "seeding",
    "own_code",
    "recipe",
    "stats",
    "data",
    "gradcheck",
    "engines",
    "existing",
    "runs",
    "studies",
    "findings",
    "inference",
    "report",
    "labs",
    "api",
    "cli",
]
HEAVY = ("numpy", "torch", "torchvision", "matplotlib", "scipy", "pydantic", "yaml")


@dataclass(frozen=True)
class Import:
    """An import by a file, of a module or of a name that may be a module."""

    module: str
    name: str = ""
    at_top: bool = True
    for_types: bool = False
    """Whether it stands below `if TYPE_CHECKING`."""

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}".removesuffix(".")


def imports(source: str) -> list[Import]:
    """Return what a file imports, wherever it does so."""
    found = []

    def walk(node: ast.AST, at_top: bool, for_types: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend(Import(alias.name, "", at_top, for_types) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                found.extend(Import(child.module or "", alias.name, at_top, for_types) for alias in child.names)
            elif isinstance(child, ast.If):
                walk(child, False, for_types or "TYPE_CHECKING" in ast.unparse(child.test))
            elif not isinstance(child, ast.expr):
                walk(child, False, for_types)

    walk(ast.parse(source), True, False)
    return found


@cache
def package() -> dict[str, list[Import]]:
    """Return what each module of the package imports; every file is parsed once."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        path = file.relative_to(PACKAGE.parent).with_suffix("").as_posix()
        found[path.removesuffix("/__init__").replace("/", ".")] = imports(file.read_text(encoding="utf-8"))
    return found


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Return the largest sets of nodes that all lead to each other."""
    reached = {node: set(after) for node, after in graph.items()}
    for via in graph:
        for node in graph:
            if via in reached[node]:
                reached[node] |= reached[via]
    found = []
    for node in graph:
        together = {other for other in reached[node] if node in reached[other]}
        if together and together not in found:
            found.append(together)
    return found


def test_a_package_imports_only_packages_before_it():
    """One way, as `ORDER` has it."""
    place = {name: number for number, name in enumerate(ORDER)}
    wrong = [
        f"{module} imports {used.path}"
        for module, found in package().items()
        for used in found
        if part(module) in place
        and used.module.startswith("eailab")
        and place.get(part(used.path), 0) > place[part(module)]
    ]
    assert not wrong


def test_every_package_has_its_place():
    assert {part(module) for module in package()} - {"", "__main__"} == set(ORDER)


def test_files_import_each_other_one_way():
    """At the top or in a function, but not for types alone."""
    modules = package()
    graph = {
        module: {
            target
            for used in found
            if not used.for_types
            for target in [used.path, used.module][: 1 + (used.path not in modules)]
            if target in modules and target != module
        }
        for module, found in modules.items()
    }
    assert [sorted(one) for one in circles(graph)] == []


def test_captured_steps_are_fenced_off():
    """No GPU has run them: nothing but the choice of an engine knows that they exist."""
    fenced = "eailab.engines.torch_resnet.cuda_graphs"
    users = {module for module, found in package().items() for used in found if fenced in (used.path, used.module)}
    assert users == {"eailab.engines.torch_resnet.spec"}


def test_circles_are_seen():
    sources = {"a": "import b", "b": "def f():\n    from c import x", "c": "if x:\n    import b\nimport d", "d": ""}
    graph = {name: {used.module for used in imports(source)} for name, source in sources.items()}
    assert circles(graph) == [{"b", "c"}]
    assert imports("if TYPE_CHECKING:\n    from a import b") == [Import("a", "b", at_top=False, for_types=True)]


def test_heavy_libraries_are_imported_at_the_top_in_their_own_rooms_only():
    """Only the torch engine knows torch, and the plots matplotlib; commands start without them."""
    homes = {
        "torch": "eailab.engines.torch_resnet",
        "torchvision": "eailab.engines.torch_resnet",
        "matplotlib": ("eailab.report.plots", "eailab.report.fonts"),
    }
    wrong = [
        f"{module} imports {used.path}"
        for module, found in package().items()
        for used in found
        if used.at_top and not module.startswith(homes.get(used.module.split(".")[0], ""))
    ]
    assert not wrong


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ablate", "--help"], ["train-mlp", "-h"], ["report", "-h"], ["export", "-h"]]
)
def test_help_imports_nothing_heavy(arguments):
    """Help must answer at once (Typer itself imports pydantic to describe the options of a command)."""
    unwanted = HEAVY if arguments == ["--help"] else [name for name in HEAVY if name != "pydantic"]
    said = _said_without(unwanted, arguments)
    assert "Usage" in said


def test_lists_of_trials_and_recipes_do_without_numpy(tmp_path):
    """A list of thousands of trials spends a tenth of a second less where arrays are not needed."""
    with zipfile.ZipFile(Path(__file__).with_name("old_store") / "store-0.1.zip") as archive:
        archive.extractall(tmp_path)
    assert " finished" in _said_without(["numpy", "scipy"], ["runs", "list", "--runs", str(tmp_path)])
    assert "digits-mlp" in _said_without(["numpy", "scipy"], ["recipes", "list"])


def _said_without(unwanted, arguments):
    """What a command prints in a new process, which must not import some packages."""
    code = (
        "import sys\n"
        f"sys.argv = ['eailab', *{arguments!r}]\n"
        "from eailab.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print([name for name in {unwanted!r} if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    return run.stdout
