"""The rooms of eailab import one way only, and quick commands stay quick by construction."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "eailab"
ORDER = [
    "errors",
    "shortage",
    "files",
    "plain",
    "translation",
    "paths",
    "extras",
    "seeding",
    "recipe",
    "stats",
    "data",
    "engines",
    "runs",
    "studies",
    "findings",
    "inference",
    "report",
    "cli",
]
HEAVY = ("numpy", "torch", "torchvision", "matplotlib", "scipy", "pydantic", "yaml")


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(file: Path) -> list[tuple[str, bool]]:
    """Modules that a file imports, each with whether the import stands at the top level."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, id(node) in top))
            found += [(f"{node.module}.{alias.name}", id(node) in top) for alias in node.names]
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_room_imports_only_rooms_before_it(file):
    """One way, as `ORDER` has it."""
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in {"__init__", "__main__"}:
        return
    for module, _ in imports(file):
        if module.startswith("eailab.") and room(module) in ORDER:
            assert ORDER.index(room(module)) <= ORDER.index(own), f"{file.name} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_heavy_libraries_are_imported_at_the_top_in_their_own_rooms_only(file):
    """Only the torch engine and programs of torch know torch, and the plots matplotlib; commands start without them."""
    relative = file.relative_to(PACKAGE).as_posix()
    for module, at_top in imports(file):
        library = module.split(".")[0]
        if not at_top:
            continue
        if library in {"torch", "torchvision"}:
            assert relative.startswith("engines/torch_resnet/") or relative == "inference/torch_program.py"
        if library == "matplotlib":
            assert relative == "report/plots.py"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ablate", "--help"], ["train-mlp", "-h"], ["report", "-h"], ["export", "-h"]]
)
def test_help_imports_nothing_heavy(arguments):
    """Help must answer at once (Typer itself imports pydantic to describe the options of a command)."""
    unwanted = HEAVY if arguments == ["--help"] else [name for name in HEAVY if name != "pydantic"]
    code = (
        "import sys\n"
        f"sys.argv = ['eailab', *{arguments!r}]\n"
        "from eailab.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print([name for name in {unwanted!r} if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"
    assert "Usage" in run.stdout
